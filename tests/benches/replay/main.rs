//! How fast captures are read: `flowwatch replay` beside other programs, on one core, from the page
//! cache. `cargo xtask bench replay` runs it; it needs no root.
//!
//! The capture is made here: frames of 64 octets without their check sequence, of many flows in
//! random order. Programs take turns, so that a machine whose speed drifts does not decide it, and
//! each figure is of the round with the least processor time. What a program takes is what the
//! kernel says of it (wait4): processor time and the most memory.

#![expect(clippy::print_stdout, reason = "its figures are for who runs it")]

mod captures;
mod programs;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

use self::captures::Captures;
use self::programs::{Cost, Program, programs};

/// What the command line says.
pub(crate) struct Options {
    /// Packets of the large capture; the small one has a tenth.
    pub(crate) packets: u64,
    /// Flows in them.
    pub(crate) flows: u64,
    /// Rounds.
    pub(crate) rounds: usize,
}

const USAGE: &str =
    "usage: cargo xtask bench replay [--packets 10000000] [--flows 10000] [--rounds 3]";

fn main() -> Result<()> {
    let options = options(std::env::args().skip(1))?;
    stay_on_this_cpu()?;
    let captures = Captures::make(&options)?;
    println!(
        "{} flows, {} rounds; packets a second of processor time, on one core",
        options.flows, options.rounds
    );
    println!(
        "{:<44} {:>10} {:>10} {:>12} {:>10}",
        "program", "packets", "seconds", "packets/s", "memory MiB"
    );
    let (there, absent): (Vec<_>, Vec<_>) =
        programs(&captures).into_iter().partition(Program::is_there);
    let mut least: Vec<Option<Cost>> = vec![None; there.len()];
    for _ in 0..options.rounds {
        for (program, least) in there.iter().zip(&mut least) {
            let cost = program.run()?;
            *least = Some(least.map_or(cost, |least| least.min(cost)));
        }
    }
    for (program, cost) in there.iter().zip(least) {
        print(program, cost.context("no rounds")?);
    }
    for program in absent {
        println!("{:<44} skipped: there is no such program", program.name);
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
fn print(program: &Program, cost: Cost) {
    let seconds = cost.processor.as_secs_f64();
    let rate = (program.packets as f64 / seconds) as u64;
    println!(
        "{:<44} {:>10} {seconds:>10.2} {rate:>12} {:>10.1}",
        program.name,
        program.packets,
        cost.memory as f64 / f64::from(1 << 20)
    );
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        packets: 10_000_000,
        flows: 10_000,
        rounds: 3,
    };
    while let Some(word) = arguments.next() {
        // cargo says so to every bench.
        if word == "--bench" {
            continue;
        }
        let value = arguments.next().context(USAGE)?;
        match word.as_str() {
            "--packets" => options.packets = value.parse().context(USAGE)?,
            "--flows" => options.flows = value.parse().context(USAGE)?,
            "--rounds" => options.rounds = value.parse().context(USAGE)?,
            _ => ensure!(false, "{word} is no option; {USAGE}"),
        }
    }
    let is_possible = options.packets >= 10 && (1..=1 << 20).contains(&options.flows);
    ensure!(is_possible && options.rounds > 0, "{USAGE}");
    Ok(options)
}

/// Ties this process, and so all that it starts, to one processor.
fn stay_on_this_cpu() -> Result<()> {
    let mut here = CpuSet::new();
    here.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &here).context("stay on one processor")
}
