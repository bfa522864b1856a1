//! SIGHUP, live: what the configuration says differently is taken up, and nothing that was counted
//! before, after or meanwhile is lost or counted twice.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch, Run};
use flowwatch_tests::generator::{Generator, Sent};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, Resolver};
use flowwatch_tests::link;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use nix::sys::signal::Signal;
use tempfile::TempDir;

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
const PATIENCE: Duration = Duration::from_secs(30);
const PACKETS: u64 = 2_000;
/// Octets of one packet: headers of IPv4 and UDP, and the payload.
const OCTETS: u64 = 128;
/// Times that the configuration changes under load.
const ROUNDS: usize = 10;

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch])
}

/// A gateway that forwards nothing, so that no packet is answered.
fn lab(devices: usize) -> Result<Lab> {
    let lab = (0..devices).fold(Lab::builder(), |lab, number| {
        lab.device(DeviceSpec::new(&format!("d{number}"), Addressing::Ipv4))
    });
    let lab = lab.resolver(Resolver::Nobody).build()?;
    lab.gateway.silence()?;
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

    fn path(&self) -> PathBuf {
        self.folder.path().join("flowwatch.toml")
    }

    /// Writes what is to be counted: devices by their names, at interfaces.
    fn write(&self, interfaces: &[&str], devices: &[(&str, &str)]) -> Result<()> {
        let mut text = format!("interfaces = {interfaces:?}\ninterval = '20ms'\n");
        for (name, mac) in devices {
            write!(text, "[[device]]\nname = '{name}'\nmac = '{mac}'\n")?;
        }
        Ok(fs::write(self.path(), text)?)
    }

    fn start(&self, attach: Attach) -> Result<Flowwatch> {
        let path = self.path();
        let path = path.to_string_lossy();
        let options = ["--config", &*path, "--format", "json", "--no-builtin-geo"];
        Run::new()?
            .attach(attach)
            .options(&options)
            .start(&self.lab.gateway)
    }
}

fn frame(device: &Device) -> Vec<u8> {
    let packet = Packet::ethernet(device.mac, device.gateway_mac);
    let packet = packet.ipv4(device.ipv4, [9, 9, 9, 9].into());
    packet.udp(1, 2).payload(100).build()
}

/// Sends, and waits until the port has taken it all in.
fn send(lab: &Lab, device: &Device) -> Result<()> {
    let before = link::statistics(&lab.gateway, &device.port)?.rx_packets;
    Generator::new(&device.namespace, "eth0")?.send(&[frame(device)], PACKETS)?;
    link::await_received(&lab.gateway, &device.port, before + PACKETS)
}

/// Sends SIGHUP and waits until flowwatch has said this for the nth time.
fn reload(flowwatch: &Flowwatch, what: &str, nth: usize) -> Result<String> {
    let process = flowwatch.process();
    process.signal(Signal::SIGHUP)?;
    let is_it = |line: &str| line.contains(what);
    process.wait_for_nth_line(Stream::Stderr, PATIENCE, nth, is_it)
}

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

/// One device stays, another comes and goes: first in the list, so that the number of the one that
/// stays changes each time.
fn check_load(attach: Attach) -> Result<()> {
    let lab = lab(2)?;
    let [staying, coming] = &lab.devices[..] else {
        anyhow::bail!("two devices were asked for")
    };
    let (one, other) = (staying.mac.to_string(), coming.mac.to_string());
    let bench = Bench::new(&lab)?;
    let alone = [("staying", one.as_str())];
    let both = [("coming", other.as_str()), ("staying", one.as_str())];
    bench.write(&["lan0", "lan1"], &alone)?;
    let flowwatch = bench.start(attach)?;
    let generator = Generator::new(&staying.namespace, "eth0")?;
    let stop = AtomicBool::new(false);
    let sent = thread::scope(|scope| -> Result<Sent> {
        let stream = scope.spawn(|| generator.send_until(&[frame(staying)], &stop));
        let changing = || -> Result<()> {
            for round in 1..=ROUNDS {
                bench.write(&["lan0", "lan1"], &both)?;
                reload(&flowwatch, "configuration: counts `coming`", round)?;
                send(&lab, coming)?;
                bench.write(&["lan0", "lan1"], &alone)?;
                reload(&flowwatch, "no longer counts `coming`", round)?;
                // Nobody's any more.
                send(&lab, coming)?;
            }
            Ok(())
        };
        let outcome = changing();
        stop.store(true, Ordering::Relaxed);
        let sent = stream.join().map_err(|_| anyhow!("the generator died"))?;
        outcome.and(sent)
    })?;
    link::await_received(&lab.gateway, "lan0", sent.total())?;
    let document = flowwatch.document()?;
    ensure_counted(&document, "staying", sent.total())?;
    ensure_counted(&document, "coming", PACKETS * ROUNDS as u64)?;
    ensure!(document.devices.len() == 2, "{:?}", document.devices);
    Ok(())
}

#[test]
fn devices_come_and_go_under_full_load_without_a_lost_or_a_double_octet() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    BOTH.into_iter().try_for_each(check_load)
}

#[test]
fn names_interfaces_and_prefixes_are_taken_up() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(3)?;
    let [first, second, third] = &lab.devices[..] else {
        anyhow::bail!("three devices were asked for")
    };
    let (one, two) = (first.mac.to_string(), second.mac.to_string());
    let bench = Bench::new(&lab)?;
    bench.write(&["lan0"], &[("cam", &one), ("plug", &two)])?;
    let flowwatch = bench.start(Attach::Tc)?;
    send(&lab, first)?;
    bench.write(&["lan0", "lan1"], &[("camera", &one), ("plug", &two)])?;
    let told = reload(&flowwatch, "took up the configuration", 1)?;
    ensure!(
        told.ends_with("calls `camera` (was `cam`); counts on `lan1`"),
        "{told}"
    );
    send(&lab, first)?;
    send(&lab, second)?;
    // Who was known by an address is so by the prefix, and one more is found.
    bench.write(&["lan1", "lan2"], &[("any", "2c:aa:8e:*")])?;
    let told = reload(&flowwatch, "took up the configuration", 2)?;
    ensure!(told.contains("no longer on `lan0`"), "{told}");
    send(&lab, first)?;
    send(&lab, second)?;
    send(&lab, third)?;
    let document = flowwatch.document()?;
    ensure_counted(&document, "camera", 2 * PACKETS)?;
    ensure_counted(&document, "plug", 2 * PACKETS)?;
    ensure_counted(&document, "any-00:00:03", PACKETS)?;
    ensure!(document.devices.len() == 3, "{:?}", document.devices);
    Ok(())
}

#[test]
fn a_broken_file_and_none_change_nothing() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    bench.write(&["lan0"], &[("camera", &mac)])?;
    let flowwatch = bench.start(Attach::Tc)?;
    send(&lab, device)?;
    let old = "the old one stays in use";
    fs::write(bench.path(), "interfaces = ['lan0'\n")?;
    let told = reload(&flowwatch, old, 1)?;
    ensure!(told.contains("flowwatch.toml`, line 1"), "{told}");
    bench.write(&["lan0", "lan9"], &[("camera", &mac)])?;
    let told = reload(&flowwatch, old, 2)?;
    ensure!(
        told.contains("`lan9`: there is no such interface"),
        "{told}"
    );
    fs::remove_file(bench.path())?;
    let told = reload(&flowwatch, old, 3)?;
    ensure!(told.contains("No such file"), "{told}");
    bench.write(&["lan0"], &[("camera", &mac)])?;
    reload(&flowwatch, "it says nothing new", 1)?;
    let text = fs::read_to_string(bench.path())?;
    fs::write(bench.path(), format!("flow_table_size = 9\n{text}"))?;
    let told = reload(&flowwatch, "not taken up while counting", 1)?;
    ensure!(told.contains("flow_table_size"), "{told}");
    send(&lab, device)?;
    ensure_counted(&flowwatch.document()?, "camera", 2 * PACKETS)
}
