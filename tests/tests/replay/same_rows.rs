//! The same frames to the kernel's programs and in a capture: the same rows.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use flowwatch_tests::capture_file::{ETHERNET, FileFormat, Recorded};
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::flowwatch::{Attach, Document, Run};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, LabBuilder, Resolver};
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::volley::{self, Stream};

use crate::START;

// What the devices of the exactness tests send and receive.
#[path = "../exactness/specimens.rs"]
mod specimens;

const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 8, 1));

fn lab() -> Result<Lab> {
    let names = ["plug", "speaker", "meter"];
    let builder = Lab::builder().resolver(Resolver::Nobody);
    let add = |lab: LabBuilder, name| lab.device(DeviceSpec::new(name, Addressing::Bare));
    let lab = names.into_iter().fold(builder, add).build()?;
    lab.gateway.silence()?;
    for device in &lab.devices {
        device.namespace.silence()?;
    }
    Ok(lab)
}

/// An answer that names the remotes of `specimens::ipv4`'s plain flows.
fn named(device: &Device) -> Vec<Specimen> {
    let ends = Ends::of(device, RESOLVER, Way::Down);
    let specimen = |number: u8| {
        let name = answer::name(&[device.name.as_bytes(), b"test"]);
        let address = answer::address(&QUESTION_NAME, [45, 7, 0, number].into());
        let message = answer::response(&answer::question(&name), &[address]);
        let packet: Packet = ends.udp(ends.ip(ends.link()), 53);
        let packet = packet.payload_octets(message).pad_to(60);
        Specimen::in_flow(&packet, ends.remote, "udp", 53)
    };
    (0..20).map(specimen).collect()
}

/// What each device sends and receives, each frame once.
fn streams(lab: &Lab) -> Vec<Stream<'_>> {
    let makers = [
        specimens::ipv4,
        specimens::dual_stack,
        specimens::tagged as fn(&Device, Way) -> Vec<Specimen>,
    ];
    let of = |(device, make): (_, fn(&Device, Way) -> Vec<Specimen>)| {
        Way::BOTH.map(|way| {
            let mut specimens = make(device, way);
            if way == Way::Down {
                specimens.splice(..0, named(device));
            }
            let arp = Ends::of(device, RESOLVER, way).link().number(0x0806);
            specimens.push(Specimen::unaccounted(&arp.payload(46), "not_ip"));
            Stream {
                device,
                way,
                packets: specimens.len() as u64,
                specimens,
            }
        })
    };
    lab.devices.iter().zip(makers).flat_map(of).collect()
}

/// Options that name every device of the lab.
fn with_devices(lab: &Lab, run: Run) -> Run {
    let add = |run: Run, device: &Device| run.device(&device.name, device.mac);
    let run = lab.devices.iter().fold(run, add);
    run.options(&["--format", "json"])
}

/// What must be equal: rows without their times, sums and reasons.
fn comparable(document: &Document) -> Vec<String> {
    let rows = document.flows.values().map(|flow| {
        let mut flow = flow.clone();
        (flow.first_seen, flow.last_seen) = (String::new(), String::new());
        format!("{flow:?}")
    });
    let sums = document.devices.iter().map(|device| format!("{device:?}"));
    let reasons = document.unaccounted.iter();
    let reasons = reasons.map(|reason| format!("{reason:?}"));
    rows.chain(sums).chain(reasons).collect()
}

fn check(attach: Attach) -> Result<()> {
    let lab = lab()?;
    let mut run = Run::new()?.attach(attach);
    for device in &lab.devices {
        run = run.interface(&device.port);
    }
    let flowwatch = with_devices(&lab, run).start(&lab.gateway)?;
    let streams = streams(&lab);
    let fired = volley::fire(&lab, &streams)?;
    let counted = flowwatch.document()?;
    fired.check(&lab, &counted)?;
    let refused: u64 = fired.sent.iter().flat_map(|sent| &sent.refused).sum();
    ensure!(refused == 0, "{refused} frames had to be sent twice");

    let frames = streams.iter().flat_map(|stream| &stream.specimens);
    let frames = frames.zip(START..);
    let frames: Vec<_> = frames
        .map(|(specimen, at)| Recorded::whole(at, specimen.frame.clone()))
        .collect();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("the same.pcapng");
    fs::write(&file, FileFormat::Pcapng.write(ETHERNET, &frames))?;
    let replay = with_devices(&lab, Run::replay(&file.display().to_string())?);
    let replayed = crate::document_of(&replay.end_with(Vec::new())?)?;

    let (of_kernel, of_capture) = (comparable(&counted), comparable(&replayed));
    for (kernel, capture) in of_kernel.iter().zip(&of_capture) {
        ensure!(
            kernel == capture,
            "{attach}\nkernel  {kernel}\ncapture {capture}"
        );
    }
    ensure!(of_kernel.len() == of_capture.len());
    let named = replayed.flows.values().filter(|flow| flow.name.is_some());
    let (named, rows) = (named.count(), replayed.flows.len());
    ensure!(named >= 40 && rows > 4_000, "{named} of {rows} have names");
    Ok(())
}

#[test]
fn a_capture_gives_the_rows_that_the_kernels_programs_count() -> Result<()> {
    let needs = ["ip", "tc", "ethtool", "nft", "bridge"].map(Need::Program);
    if !granted(&[Need::Root, Need::Flowwatch])? || !granted(&needs)? {
        return Ok(());
    }
    [Attach::Xdp, Attach::Tc].into_iter().try_for_each(check)
}
