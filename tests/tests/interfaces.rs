//! Several interfaces at once, and bridges: each frame is counted once for each device that it
//! concerns, at the port where that device is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Run};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, Resolver};
use flowwatch_tests::link;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::traffic::{self, Exchange, Server};
use flowwatch_tests::witness::{Heard, Traffic, UpDown, Witness};

const HOOKS: [Attach; 2] = [Attach::Xdp, Attach::Tc];
const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(52, 79, 197, 188));
const PORT: u16 = 4000;
/// IPv4 and UDP headers.
const HEADERS: u64 = 28;
const DATAGRAM: Exchange = Exchange { up: 100, down: 200 };
const BULK: Exchange = Exchange {
    up: 3_000_000,
    down: 2_000_000,
};

fn ready() -> Result<bool> {
    let needs = ["ip", "ethtool", "nft", "bridge", "dnsmasq"].map(Need::Program);
    Ok(granted(&[Need::Root, Need::Flowwatch])? && granted(&needs)?)
}

/// Two devices that are tagged and one that isn't, who know each other's addresses.
fn lab(is_bridged: bool) -> Result<Lab> {
    let mut lab = Lab::builder().resolver(Resolver::Nobody);
    if is_bridged {
        lab = lab.bridge();
    }
    for name in ["camera", "speaker", "guest"] {
        lab = lab.device(DeviceSpec::new(name, Addressing::Ipv4));
    }
    let lab = lab.build()?;
    for device in lab.devices.iter().filter(|_| is_bridged) {
        for other in &lab.devices {
            let (address, mac) = (other.ipv4.into(), other.mac);
            link::neighbour(&device.namespace, &device.interface, address, mac)?;
        }
    }
    Ok(lab)
}

/// What the lab's devices do: the camera and the guest talk to the speaker, the speaker talks to
/// the internet.
fn act(lab: &Lab) -> Result<()> {
    let [camera, speaker, guest] = &lab.devices[..] else {
        anyhow::bail!("three devices were asked for")
    };
    let own = SocketAddr::new(speaker.ipv4.into(), PORT);
    let _servers = [
        Server::udp(&speaker.namespace, &[own.ip()], PORT)?,
        Server::udp(&lab.internet, &[REMOTE], PORT)?,
        Server::tcp(&speaker.namespace, PORT)?,
    ];
    for device in [camera, guest] {
        traffic::udp(&device.namespace, own, DATAGRAM)?;
    }
    traffic::tcp(&camera.namespace, own, BULK)?;
    traffic::udp(&speaker.namespace, SocketAddr::new(REMOTE, PORT), DATAGRAM)
}

fn run(lab: &Lab, attach: Attach, interfaces: &[&str]) -> Result<Run> {
    let mut run = Run::new()?.attach(attach);
    for interface in interfaces {
        run = run.interface(interface);
    }
    for device in tagged(lab) {
        run = run.device(&device.name, device.mac);
    }
    Ok(run)
}

fn tagged(lab: &Lab) -> &[Device] {
    &lab.devices[..2]
}

fn check(attach: Attach, is_bridged: bool, interfaces: &[&str]) -> Result<()> {
    let lab = lab(is_bridged)?;
    let flowwatch = run(&lab, attach, interfaces)?
        .options(&["--format", "json"])
        .start(&lab.gateway)?;
    let listen = |device: &Device| Witness::start(&lab.gateway, &device.port, device.mac);
    let witnesses: Vec<_> = tagged(&lab).iter().map(listen).collect::<Result<_>>()?;
    act(&lab)?;
    let heard = witnesses.into_iter().map(Witness::finish);
    let heard: Vec<Heard> = heard.collect::<Result<_>>()?;
    let document = flowwatch.document()?;
    document.ensure_whole()?;
    ensure!(document.unaccounted.is_empty(), "{document:?}");
    check_ports(&document, attach, &["lan0", "lan1", "lan2"][..])?;
    for (device, heard) in tagged(&lab).iter().zip(&heard) {
        let counted = by_remote(&document, device);
        ensure!(heard.drops == 0, "the witness missed {}", heard.drops);
        ensure!(
            counted == heard.remotes,
            "{}: counted {counted:?}, heard {:?}",
            device.name,
            heard.remotes
        );
    }
    check_sides(&lab, &document)
}

/// Each port is there once, counted on by the hook that was asked for.
fn check_ports(document: &Document, attach: Attach, ports: &[&str]) -> Result<()> {
    let attached = document.meta.interfaces.iter();
    let attached: Vec<_> = attached
        .map(|it| {
            (
                it.interface.as_str(),
                it.ingress.clone(),
                it.egress.as_str(),
            )
        })
        .collect();
    let expected: Vec<_> = ports
        .iter()
        .map(|port| (*port, attach.to_string(), "tc"))
        .collect();
    ensure!(attached == expected, "{attached:?}, not {expected:?}");
    Ok(())
}

fn by_remote(document: &Document, device: &Device) -> BTreeMap<IpAddr, UpDown> {
    let mut remotes: BTreeMap<IpAddr, UpDown> = BTreeMap::new();
    for (key, traffic) in document.traffic() {
        if key.device == device.name {
            *remotes.entry(key.remote).or_default() += traffic;
        }
    }
    remotes
}

/// What the camera sent the speaker is what the speaker received of it, and the other way round;
/// and what is of a known size is exactly that.
fn check_sides(lab: &Lab, document: &Document) -> Result<()> {
    let [camera, speaker, guest] = &lab.devices[..] else {
        anyhow::bail!("three devices were asked for")
    };
    let of_camera = by_remote(document, camera);
    let of_speaker = by_remote(document, speaker);
    let one = |payload: u64| Traffic {
        packets: 1,
        octets: payload + HEADERS,
    };
    let ends = (
        of_camera[&IpAddr::from(speaker.ipv4)],
        of_speaker[&IpAddr::from(camera.ipv4)],
    );
    ensure!(ends.0.up == ends.1.down && ends.0.down == ends.1.up);
    ensure!(ends.0.up.octets > BULK.up && ends.0.down.octets > BULK.down);
    let of_guest = UpDown {
        up: one(DATAGRAM.down),
        down: one(DATAGRAM.up),
    };
    ensure!(of_speaker[&IpAddr::from(guest.ipv4)] == of_guest);
    let of_remote = UpDown {
        up: one(DATAGRAM.up),
        down: one(DATAGRAM.down),
    };
    ensure!(of_speaker[&REMOTE] == of_remote);
    ensure!(document.devices.len() == 2, "the guest is nobody's matter");
    Ok(())
}

#[test]
fn several_interfaces_are_counted_at_once() -> Result<()> {
    if !ready()? {
        return Ok(());
    }
    for attach in HOOKS {
        check(attach, false, &["lan0", "lan1", "lan2"])?;
    }
    Ok(())
}

#[test]
fn a_bridge_is_counted_at_its_ports() -> Result<()> {
    if !ready()? {
        return Ok(());
    }
    for attach in HOOKS {
        check(attach, true, &["br0"])?;
    }
    Ok(())
}

#[test]
fn a_port_named_beside_its_bridge_is_counted_once() -> Result<()> {
    if !ready()? {
        return Ok(());
    }
    for attach in HOOKS {
        check(attach, true, &["br0", "lan1"])?;
    }
    Ok(())
}

#[test]
fn the_table_names_each_port() -> Result<()> {
    if !ready()? {
        return Ok(());
    }
    for attach in HOOKS {
        let lab = lab(true)?;
        let flowwatch = run(&lab, attach, &["br0"])?.start(&lab.gateway)?;
        let ended = flowwatch.interrupt()?;
        for device in &lab.devices {
            let port = &device.port;
            let line = format!("{port}: {attach} sees what devices send");
            ensure!(ended.output.contains(&line), "{}", ended.output);
            let line = format!("counting on `{port}`: ingress by {attach}");
            ensure!(ended.errors.contains(&line), "{}", ended.errors);
        }
    }
    Ok(())
}

#[test]
fn interfaces_that_see_the_same_frames_are_refused() -> Result<()> {
    if !ready()? || !granted(&[Need::LinkType("macvlan")])? {
        return Ok(());
    }
    let lab = lab(false)?;
    lab.gateway
        .ip("link add link lan0 name upper0 type macvlan")?;
    for interfaces in [["lan0", "upper0"], ["upper0", "lan0"]] {
        let ended = run(&lab, Attach::Tc, &interfaces)?.to_end(&lab.gateway)?;
        ensure!(ended.status == Some(2), "{ended:?}");
        ensure!(ended.output.is_empty(), "{ended:?}");
        let lines: Vec<&str> = ended.errors.lines().collect();
        let [line] = lines[..] else {
            anyhow::bail!("not one sentence: {}", ended.errors)
        };
        ensure!(
            line == "flowwatch: count on both `upper0` and `lan0`: a packet would be counted twice; \
                     name one",
            "{line}"
        );
    }
    Ok(())
}
