//! Plain traffic: one UDP packet whose octets are known, sent so many times, in a lab where nothing
//! is forwarded or answered and nobody speaks unasked.

use anyhow::{Result, ensure};

use crate::flowwatch::Document;
use crate::generator::Generator;
use crate::lab::{Addressing, Device, DeviceSpec, Lab, LabBuilder, Resolver};
use crate::link;
use crate::specimen::{Ends, Way};

/// Octets of one packet: headers of IPv4 and UDP, and 100 of payload.
pub const OCTETS: u64 = 128;
/// Whom all devices talk to.
pub const REMOTE: [u8; 4] = [9, 9, 9, 9];
/// The remote's port.
pub const PORT: u16 = 2;

/// A lab with the devices `d0`, `d1`, …, each at a port of its own.
pub fn lab(devices: usize) -> Result<Lab> {
    silent(with_devices(devices))
}

/// Likewise, with the ports in a bridge.
pub fn bridged_lab(devices: usize) -> Result<Lab> {
    silent(with_devices(devices).bridge())
}

fn with_devices(devices: usize) -> LabBuilder {
    (0..devices).fold(Lab::builder(), |lab, number| {
        lab.device(DeviceSpec::new(&format!("d{number}"), Addressing::Ipv4))
    })
}

fn silent(lab: LabBuilder) -> Result<Lab> {
    let lab = lab.resolver(Resolver::Nobody).build()?;
    lab.gateway.silence()?;
    for device in &lab.devices {
        device.namespace.silence()?;
    }
    Ok(lab)
}

/// The packet, from the device or to it.
#[must_use]
pub fn frame(device: &Device, way: Way) -> Vec<u8> {
    let ends = Ends::of(device, REMOTE.into(), way);
    let packet = ends.udp(ends.ip(ends.link()), PORT);
    packet.payload(100).build()
}

/// Has a device send the packet so many times.
pub fn send(device: &Device, packets: u64) -> Result<()> {
    let generator = Generator::new(&device.namespace, "eth0")?;
    generator.send(&[frame(device, Way::Up)], packets).map(drop)
}

/// Likewise, and waits until the gateway's port has taken all of it in.
pub fn deliver(lab: &Lab, device: &Device, port: &str, packets: u64) -> Result<()> {
    let before = link::statistics(&lab.gateway, port)?.rx_packets;
    send(device, packets)?;
    link::await_received(&lab.gateway, port, before + packets)
}

/// Fails unless this is what the device sent, all of it in flows.
pub fn ensure_counted(document: &Document, device: &str, packets: u64) -> Result<()> {
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
