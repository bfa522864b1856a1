//! SIGHUP, live: what the configuration says differently is taken up, and nothing that was counted
//! before, after or meanwhile is lost or counted twice.

mod databases;
mod load;
mod moments;
mod settings;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use flowwatch_tests::flowwatch::{Attach, Flowwatch, Run};
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::plain;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use nix::sys::signal::Signal;
use tempfile::TempDir;

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
const PATIENCE: Duration = Duration::from_mins(1);
const PACKETS: u64 = 2_000;
/// What a reload that is refused ends with.
const OLD_STAYS: &str = "the old one stays in use";

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch])
}

/// A configuration file, and the flowwatch that reads it.
struct Bench<'a> {
    folder: TempDir,
    lab: &'a Lab,
}

impl<'a> Bench<'a> {
    fn new(lab: &'a Lab) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self { folder, lab })
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self) -> PathBuf {
        self.folder().join("flowwatch.toml")
    }

    /// Writes what is to be counted: devices by their names, at interfaces.
    fn write(&self, interfaces: &[&str], devices: &[(&str, &str)]) -> Result<()> {
        self.write_with("interval = '20ms'", interfaces, devices)
    }

    /// Likewise, with other settings, line by line.
    fn write_with(
        &self,
        settings: &str,
        interfaces: &[&str],
        devices: &[(&str, &str)],
    ) -> Result<()> {
        let mut text = format!("interfaces = {interfaces:?}\n{settings}\n");
        for (name, mac) in devices {
            write!(text, "[[device]]\nname = '{name}'\nmac = '{mac}'\n")?;
        }
        Ok(fs::write(self.path(), text)?)
    }

    fn run(&self, attach: Attach) -> Result<Run> {
        let path = self.path();
        let options = ["--config", &*path.to_string_lossy(), "--format", "json"];
        Ok(Run::new()?.attach(attach).options(&options))
    }

    fn start(&self, attach: Attach) -> Result<Flowwatch> {
        let run = self.run(attach)?.options(&["--no-builtin-geo"]);
        run.start(&self.lab.gateway)
    }
}

/// Has a device send, to its port.
fn send(lab: &Lab, device: &Device) -> Result<()> {
    plain::deliver(lab, device, &device.port, PACKETS)
}

/// Waits until flowwatch has said this for the nth time.
fn told(flowwatch: &Flowwatch, what: &str, nth: usize) -> Result<String> {
    let process = flowwatch.process();
    let is_it = |line: &str| line.contains(what);
    process.wait_for_nth_line(Stream::Stderr, PATIENCE, nth, is_it)
}

/// Sends SIGHUP and waits until flowwatch has said this for the nth time.
fn reload(flowwatch: &Flowwatch, what: &str, nth: usize) -> Result<String> {
    flowwatch.process().signal(Signal::SIGHUP)?;
    told(flowwatch, what, nth)
}
