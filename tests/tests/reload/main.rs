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

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch, Run};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, Resolver};
use flowwatch_tests::link;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use flowwatch_tests::specimen::{Ends, Way};
use nix::sys::signal::Signal;
use tempfile::TempDir;

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
const PATIENCE: Duration = Duration::from_mins(1);
const PACKETS: u64 = 2_000;
/// Octets of one packet: headers of IPv4 and UDP, and the payload.
const OCTETS: u64 = 128;
/// Whom all devices talk to.
const REMOTE: [u8; 4] = [9, 9, 9, 9];
/// What a reload that is refused ends with.
const OLD_STAYS: &str = "the old one stays in use";

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch])
}

/// A gateway that forwards nothing and devices that say nothing by themselves.
fn lab(devices: usize) -> Result<Lab> {
    let lab = (0..devices).fold(Lab::builder(), |lab, number| {
        lab.device(DeviceSpec::new(&format!("d{number}"), Addressing::Ipv4))
    });
    let lab = lab.resolver(Resolver::Nobody).build()?;
    lab.gateway.silence()?;
    for device in &lab.devices {
        device.namespace.silence()?;
    }
    Ok(lab)
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

fn frame(device: &Device, way: Way) -> Vec<u8> {
    let ends = Ends::of(device, REMOTE.into(), way);
    ends.udp(ends.ip(ends.link()), 2).payload(100).build()
}

/// Sends, and waits until the port has taken it all in.
fn send(lab: &Lab, device: &Device) -> Result<()> {
    let before = link::statistics(&lab.gateway, &device.port)?.rx_packets;
    Generator::new(&device.namespace, "eth0")?.send(&[frame(device, Way::Up)], PACKETS)?;
    link::await_received(&lab.gateway, &device.port, before + PACKETS)
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

/// Fails unless this is what the device sent, all of it in flows.
fn ensure_counted(document: &Document, device: &str, packets: u64) -> Result<()> {
    document.ensure_whole()?;
    let up = &document.device(device)?.up;
    ensure!(
        (up.packets, up.octets) == (packets, packets * OCTETS),
        "{device}: {} packets, {} octets; {packets} were sent",
        up.packets,
        up.octets
    );
    Ok(())
}
