//! On a terminal, live: a status line that fits its row at every width, and a terminal that goes
//! away.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Run};
use flowwatch_tests::lab::Lab;
use flowwatch_tests::plain;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::pseudo_terminal::open;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(30);
const PACKETS: u64 = 500;

/// A flowwatch with a terminal of its own, killed when dropped.
struct OnTerminal {
    child: Child,
    /// What the terminal was told, piece by piece; ends when nobody has the terminal any more.
    told: Receiver<String>,
    /// The terminal's other end; dropped, the terminal is gone.
    master: Option<File>,
}

impl OnTerminal {
    fn start(lab: &Lab, columns: u16, options: &[&str]) -> Result<Self> {
        let (master, slave) = open(24, columns)?;
        let slave = || -> Result<Stdio> { Ok(slave.try_clone()?.into()) };
        let device = lab.camera();
        let run = Run::new()?.through(&["setsid", "--ctty"]);
        let run = run.interface(&device.port).device("camera", device.mac);
        let run = run.attach(Attach::Tc).options(options);
        let mut command = run.variable("TERM", "xterm").command(&lab.gateway);
        command.stdin(slave()?);
        command.stdout(slave()?);
        command.stderr(slave()?);
        let child = command.spawn().context("start flowwatch on a terminal")?;
        let mut reader = master.try_clone()?;
        let (tell, told) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let piece = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if tell.send(piece).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            told,
            master: Some(master),
        })
    }

    /// Adds to `text` until it holds `part`.
    fn read_until(&self, text: &mut String, part: &str) -> Result<()> {
        while !text.contains(part) {
            let piece = self.told.recv_timeout(PATIENCE);
            text.push_str(&piece.with_context(|| format!("`{part}` is missing: {text:?}"))?);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Option<i32>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(Instant::now() < deadline, "flowwatch still runs");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn lab() -> Result<Option<Lab>> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("setsid")])? {
        return Ok(None);
    }
    plain::lab(1).map(Some)
}

/// The status lines: what stands between two erasures, and begins with the time.
fn status_lines(text: &str) -> Vec<&str> {
    let rows = text.split("\r\u{1b}[2K");
    rows.filter(|row| row.starts_with("0:00:")).collect()
}

#[test]
fn the_status_line_fits_its_row_and_is_gone_before_the_table() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    for columns in [24_u16, 80] {
        let options = ["--interval", "100ms", "--no-builtin-geo"];
        let mut flowwatch = OnTerminal::start(&lab, columns, &options)?;
        let mut text = String::new();
        flowwatch.read_until(&mut text, "\u{1b}[2K0:00:01")?;
        kill(
            Pid::from_raw(flowwatch.child.id().cast_signed()),
            Signal::SIGINT,
        )?;
        flowwatch.read_until(&mut text, "interface.")?;
        ensure!(flowwatch.end()? == Some(0), "{text:?}");
        let lines = status_lines(&text);
        ensure!(!lines.is_empty(), "{text:?}");
        for line in lines {
            let width = line.chars().count();
            ensure!(width < usize::from(columns), "{width} of {columns}: {line}");
            let is_whole = columns < 80 || line.ends_with(" · unaccounted 0 · lost 0 · flows 0");
            ensure!(is_whole, "{line}");
        }
        ensure!(
            text.contains("\r\u{1b}[2Kflowwatch "),
            "the table stands alone: {text:?}"
        );
    }
    Ok(())
}

#[test]
fn a_terminal_that_goes_away_ends_it_with_everything_written() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("out.json");
    let path = path.to_string_lossy();
    let options = ["--no-builtin-geo", "--format", "json", "--output", &*path];
    let mut flowwatch = OnTerminal::start(&lab, 80, &options)?;
    let mut text = String::new();
    flowwatch.read_until(&mut text, "counting on")?;
    plain::send(lab.camera(), PACKETS)?;
    // The reader lets go when it has nobody to tell; then nobody has the terminal's other end.
    flowwatch.master = None;
    drop(std::mem::replace(&mut flowwatch.told, channel().1));
    ensure!(flowwatch.end()? == Some(0), "{text:?}");
    let document = Document::parse(&std::fs::read_to_string(&*path)?)?;
    document.ensure_whole()?;
    let counted = document.device("camera")?.up.packets;
    ensure!(counted == PACKETS, "{counted}");
    Ok(())
}
