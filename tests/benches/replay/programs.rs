//! The programs that read the captures, and what each takes.
#![expect(unsafe_code, reason = "nix has no wait4")]

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::PROGRAM;
use flowwatch_tests::privilege::{Need, lacking};

use crate::captures::{CAMERA, Capture, Captures};

/// A program with its words.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Packets that it reads.
    pub(crate) packets: u64,
    need: Need,
    words: Vec<String>,
}

/// What a run took; the one that took less time is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    /// Of the processor, in the program and in the kernel.
    pub(crate) processor: Duration,
    /// The most memory at a time, in octets.
    pub(crate) memory: u64,
}

/// Every program; `FLOWWATCH_BIN` says where flowwatch is. tshark reads the small capture alone: it
/// takes minutes for the other.
pub(crate) fn programs(captures: &Captures) -> Vec<Program> {
    let flowwatch = std::env::var(PROGRAM).unwrap_or_default();
    let replay = |name, capture: &Capture, more: &[&str]| {
        let path = capture.path.display().to_string();
        let words = [&flowwatch, "replay", &path, "--format", "csv"];
        let words = [&words[..], &["--output", "/dev/null"], more].concat();
        Program {
            name,
            packets: capture.packets,
            need: Need::Flowwatch,
            words: words.into_iter().map(str::to_owned).collect(),
        }
    };
    let device = format!("camera={CAMERA}");
    let device = ["--device", &device];
    vec![
        replay("flowwatch replay", &captures.small, &[]),
        replay("flowwatch replay", &captures.large, &[]),
        replay("flowwatch replay --device", &captures.small, &device),
        replay("flowwatch replay --device", &captures.large, &device),
        other(&captures.small, "tshark -n -q -z conv,ip -r"),
        other(&captures.large, "capinfos -c"),
        other(&captures.large, "tcpdump -n -w /dev/null -r"),
        other(&captures.large, "pmacctd -P print -c src_host,dst_host -I"),
    ]
}

/// A program that takes the capture's name as its last word.
fn other(capture: &Capture, line: &'static str) -> Program {
    let words = line.split(' ').map(str::to_owned);
    Program {
        name: line,
        packets: capture.packets,
        need: Need::Program(line.split(' ').next().unwrap_or(line)),
        words: words.chain([capture.path.display().to_string()]).collect(),
    }
}

impl Program {
    /// Returns whether this machine has it.
    pub(crate) fn is_there(&self) -> bool {
        lacking(&[self.need]).is_none()
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Result<Cost> {
        let (program, words) = self.words.split_first().context("no words")?;
        let mut command = Command::new(program);
        let command = command.args(words).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("start {program}"))?;
        let mut status = 0;
        // SAFETY: all-zero octets are a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let pid = child.id().cast_signed();
        // SAFETY: the process is this one's child and nobody else waits for it; the kernel writes
        // to two values that live on.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        ensure!(waited == pid, "wait for {program}");
        ensure!(status == 0, "{program} ended with {status:#x}");
        Ok(Cost {
            processor: duration(usage.ru_utime) + duration(usage.ru_stime),
            memory: usage.ru_maxrss.cast_unsigned() * 1024,
        })
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(time.tv_sec.cast_unsigned());
    seconds + Duration::from_micros(time.tv_usec.cast_unsigned())
}
