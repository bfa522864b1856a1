//! A TCP connection written by hand: a device's segments in whatever order, overlapping or twice,
//! with no kernel's stack behind them. Nobody answers; the gateway has to be silent.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::Result;

use crate::generator::Generator;
use crate::headers::Tcp;
use crate::lab::{Device, Lab};
use crate::packet::Packet;
use crate::specimen::{Ends, Way};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const PUSH: u8 = 0x08;
/// The server's first sequence number.
const SERVER_SEQUENCE: u32 = 0x7000_0000;

/// A connection from a device.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The device, which has no kernel of its own that answers.
    pub device: &'a Device,
    /// The server.
    pub server: SocketAddr,
    /// The device's port.
    pub local_port: u16,
    /// The number of SYN, before that of the first octet; it may wrap around soon after.
    pub sequence: u32,
}

impl Stream<'_> {
    /// Opens the connection: SYN, the server's answer, and the answer to that.
    pub fn open(&self) -> Result<()> {
        self.send(Way::Up, &[self.packet(Way::Up, SYN, 0)])?;
        self.send(Way::Down, &[self.packet(Way::Down, SYN | ACK, 0)])?;
        self.send(Way::Up, &[self.packet(Way::Up, ACK, 1)])
    }

    /// Sends parts of what the device says, in this order.
    pub fn say(&self, octets: &[u8], parts: &[Range<usize>]) -> Result<()> {
        self.say_each(Way::Up, octets, parts)
    }

    /// Sends parts of what the server says, in this order.
    pub fn answer(&self, octets: &[u8], parts: &[Range<usize>]) -> Result<()> {
        self.say_each(Way::Down, octets, parts)
    }

    fn say_each(&self, way: Way, octets: &[u8], parts: &[Range<usize>]) -> Result<()> {
        let part = |part: &Range<usize>| {
            let packet = self.packet(way, ACK | PUSH, 1 + part.start as u32);
            packet.payload_octets(octets[part.clone()].to_vec())
        };
        self.send(way, &parts.iter().map(part).collect::<Vec<_>>())
    }

    /// A packet without payload, so far into the sender's stream.
    fn packet(&self, way: Way, flags: u8, offset: u32) -> Packet {
        let ends = Ends::of(self.device, self.server.ip(), way);
        let ip = ends.ip(ends.link());
        let (own, other) = (self.local_port, self.server.port());
        let (source, destination, first) = match way {
            Way::Up => (own, other, self.sequence),
            Way::Down => (other, own, SERVER_SEQUENCE),
        };
        ip.tcp(source, destination).with(|tcp: &mut Tcp| {
            tcp.sequence = first.wrapping_add(offset);
            tcp.flags = flags;
        })
    }

    fn send(&self, way: Way, packets: &[Packet]) -> Result<()> {
        let generator = match way {
            Way::Up => Generator::new(&self.device.namespace, "eth0")?,
            Way::Down => Generator::new(&self.lab.gateway, &self.device.port)?,
        };
        let frames: Vec<_> = packets.iter().map(Packet::build).collect();
        generator.send(&frames, frames.len() as u64).map(drop)
    }
}
