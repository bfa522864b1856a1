//! Exactness: what generators sent, flow by flow and reason by reason, is what flowwatch counted.
//!
//! The tests take turns: each wants the whole machine.

mod clsact;
mod full_rate;
mod full_table;
mod jumbo;
mod prefixes;
mod refused;
mod specimens;
mod tags;
mod unaccounted;

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use flowwatch_tests::flowwatch::{Attach, Run};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, LabBuilder, Resolver};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::specimen::{Specimen, Way};
use flowwatch_tests::volley::Stream;

/// Both hooks for what devices send.
const HOOKS: [Attach; 2] = [Attach::Xdp, Attach::Tc];

/// Waits for this test's turn; none when the machine lacks something.
fn turn() -> Result<Option<MutexGuard<'static, ()>>> {
    static MACHINE: Mutex<()> = Mutex::new(());
    let needs = ["ip", "tc", "ethtool", "nft", "bridge", "dnsmasq"].map(Need::Program);
    if !granted(&[Need::Root, Need::Flowwatch])? || !granted(&needs)? {
        return Ok(None);
    }
    // A test that failed leaves nothing behind that the next one would meet.
    Ok(Some(MACHINE.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Makes a lab of devices that answer nothing, behind a gateway that answers nothing.
fn silent_lab(names: &[&str]) -> Result<Lab> {
    let lab = lab_of(Lab::builder(), names)?;
    lab.gateway.silence()?;
    Ok(lab)
}

/// Makes a lab of devices that answer nothing.
fn lab_of(builder: LabBuilder, names: &[&str]) -> Result<Lab> {
    let add = |lab: LabBuilder, name: &&str| lab.device(DeviceSpec::new(name, Addressing::Bare));
    let lab = names
        .iter()
        .fold(builder.resolver(Resolver::Nobody), add)
        .build()?;
    for device in &lab.devices {
        device.namespace.silence()?;
    }
    Ok(lab)
}

/// Begins a command line that counts every device of the lab at its port.
fn run(lab: &Lab, attach: Attach) -> Result<Run> {
    let mut run = Run::new()?.attach(attach);
    for device in &lab.devices {
        run = run.interface(&device.port).device(&device.name, device.mac);
    }
    Ok(run)
}

/// A way to make a device's specimens.
type Maker = fn(&Device, Way) -> Vec<Specimen>;

/// Lets each device send and receive `packets` of what its maker makes.
fn streams<'a>(lab: &'a Lab, makers: &[Maker], packets: u64) -> Vec<Stream<'a>> {
    let of = |(device, make): (&'a Device, &Maker)| {
        Way::BOTH.map(|way| Stream {
            device,
            way,
            specimens: make(device, way),
            packets,
        })
    };
    lab.devices.iter().zip(makers).flat_map(of).collect()
}
