//! flowwatch as a service: its package, its unit, its life under a service manager, and what it may do
//! while it counts.

mod life;
mod package;
mod privileges;
mod unit;

use anyhow::Result;
use flowwatch_tests::flowwatch::Document;
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, Resolver};
use flowwatch_tests::link;
use flowwatch_tests::packet::Packet;

/// Packets of one sending.
const PACKETS: u64 = 2_000;
/// Octets of one packet: headers of IPv4 and UDP, and the payload.
const OCTETS: u64 = 128;
/// What counting needs, as `/proc/PID/status` shows it: `CAP_NET_ADMIN` (12), `CAP_PERFMON` (38) and
/// `CAP_BPF` (39).
const THREE: &str = "000000c000001000";

/// A gateway that forwards nothing, so that no packet is answered.
fn lab(devices: usize) -> Result<Lab> {
    let lab = (0..devices).fold(Lab::builder(), |lab, number| {
        lab.device(DeviceSpec::new(&format!("d{number}"), Addressing::Ipv4))
    });
    let lab = lab.resolver(Resolver::Nobody).build()?;
    lab.gateway.silence()?;
    Ok(lab)
}

/// Sends, and waits until the port has taken it all in.
fn send(lab: &Lab, device: &Device) -> Result<()> {
    let packet = Packet::ethernet(device.mac, device.gateway_mac);
    let packet = packet.ipv4(device.ipv4, [9, 9, 9, 9].into());
    let frame = packet.udp(1, 2).payload(100).build();
    let before = link::statistics(&lab.gateway, &device.port)?.rx_packets;
    Generator::new(&device.namespace, "eth0")?.send(&[frame], PACKETS)?;
    link::await_received(&lab.gateway, &device.port, before + PACKETS)
}

/// Makes a device's link once more.
fn make_anew(lab: &Lab, device: &Device) -> Result<()> {
    let port = link::End {
        namespace: &lab.gateway,
        name: &device.port,
        mac: device.gateway_mac,
    };
    let own = link::End {
        namespace: &device.namespace,
        name: "eth0",
        mac: device.mac,
    };
    link::veth(&port, &own, 1500)
}

/// Fails unless so many sendings of a device were counted, to the octet.
fn ensure_counted(document: &Document, device: &str, sendings: u64) -> Result<()> {
    let up = &document.device(device)?.up;
    let expected = (sendings * PACKETS, sendings * PACKETS * OCTETS);
    anyhow::ensure!(
        (up.packets, up.octets) == expected,
        "{device}: {} packets, {} octets; sent were {expected:?}",
        up.packets,
        up.octets
    );
    Ok(())
}
