//! The exports, live: what generators sent is what each export's reader says, who shares no code with
//! flowwatch, row by row and sum by sum; peers that go away, configurations that change, and what is
//! wrong from the start.

mod files;
mod ipfix;
mod lines;
mod mqtt;
mod peers;
mod prometheus;
mod reload;
mod wrong;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Ended, Flowwatch, Run};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, LabBuilder, Resolver};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::volley::{self, Fired, Stream};
use nix::sys::signal::Signal;

const DEVICES: [&str; 2] = ["camera", "plug"];
/// Remotes of each device and family.
const REMOTES: u16 = 40;
const PACKETS: u64 = 20_000;
/// How long something may take that is a matter of seconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn is_possible(needs: &[Need]) -> Result<bool> {
    let needs = [&[Need::Root, Need::Flowwatch], needs].concat();
    granted(&needs)
}

/// Two devices, and a gateway that answers nothing.
fn lab() -> Result<Lab> {
    let lab = Lab::builder().resolver(Resolver::Nobody);
    let add = |lab: LabBuilder, name: &&str| lab.device(DeviceSpec::new(name, Addressing::Bare));
    let lab = DEVICES.iter().fold(lab, add).build()?;
    lab.gateway.silence()?;
    for device in &lab.devices {
        device.namespace.silence()?;
    }
    Ok(lab)
}

/// Remotes in several countries and organizations.
fn remotes(number: u16) -> [IpAddr; 2] {
    let [high, low] = number.to_be_bytes();
    let nets = [[52, 218], [120, 24], [50, 7], [8, 8]];
    let [first, second] = nets[usize::from(number) % nets.len()];
    [
        Ipv4Addr::new(first, second, high, low).into(),
        Ipv6Addr::new(0x2600, 0x1f14, 0, 0xab, 0, 0, 7, number).into(),
    ]
}

fn specimens(device: &Device, way: Way) -> Vec<Specimen> {
    let of = |number: u16| {
        remotes(number).map(|remote| {
            let ends = Ends::of(device, remote, way);
            let packet = ends.udp(ends.ip(ends.link()), 1_000 + number);
            let packet = packet.payload(usize::from(number) * 20).pad_to(60);
            Specimen::in_flow(&packet, remote, "udp", 1_000 + number)
        })
    };
    (0..REMOTES).flat_map(of).collect()
}

fn fire(lab: &Lab) -> Result<Fired> {
    let of = |device| {
        Way::BOTH.map(|way| Stream {
            device,
            way,
            specimens: specimens(device, way),
            packets: PACKETS,
        })
    };
    let streams: Vec<_> = lab.devices.iter().flat_map(of).collect();
    volley::fire(lab, &streams)
}

/// Begins a run with these options; the document goes nowhere.
fn start(lab: &Lab, options: &[&str]) -> Result<Flowwatch> {
    run(lab, options)?.start(&lab.gateway)
}

fn run(lab: &Lab, options: &[&str]) -> Result<Run> {
    let own = ["--interval", "20ms", "--export-interval", "1s"];
    let run = Run::new()?.attach(Attach::Tc).options(&own);
    let add =
        |run: Run, device: &Device| run.interface(&device.port).device(&device.name, device.mac);
    Ok(lab.devices.iter().fold(run.options(options), add))
}

fn end(flowwatch: &Flowwatch) -> Result<Ended> {
    flowwatch.process().signal(Signal::SIGTERM)?;
    let ended = flowwatch.wait()?;
    ensure!(
        ended.status == Some(0),
        "ended with {:?}: {}",
        ended.status,
        ended.errors
    );
    Ok(ended)
}
