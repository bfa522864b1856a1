//! The witness: counts what an interface carries by its own reading of the headers, per remote
//! address and direction, and says when it missed something.
//!
//! It hears frames at a packet socket, beside and before the kernel's stack. An aggregate counts as
//! the packets that it stands for, worked out of the virtio-net header that comes with it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::AddAssign;

use anyhow::Result;

use crate::link::Mac;
use crate::listener::{Listen, Listener, VIRTIO_LENGTH};
use crate::namespace::Namespace;
use crate::specimen::Way;

/// Octets of a frame that the witness keeps: its headers.
const HEADERS_LENGTH: usize = 512;

/// Packets and IP octets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// IP packets on the wire.
    pub packets: u64,
    /// Octets of IP headers and payloads on the wire.
    pub octets: u64,
}

/// Both directions of a device's traffic with one remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpDown {
    /// From the device.
    pub up: Traffic,
    /// To the device.
    pub down: Traffic,
}

/// What a witness heard of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// By remote address.
    pub remotes: BTreeMap<IpAddr, UpDown>,
    /// Aggregates among its frames, up and down: each counts as the packets that it stands for.
    pub aggregates: [u64; 2],
    /// Frames of the device that are not IP, such as ARP.
    pub other_frames: u64,
    /// Frames that the kernel had no room to queue for the witness: unless this is 0, its counts
    /// prove nothing.
    pub drops: u64,
}

impl Heard {
    /// The sum over all remotes.
    #[must_use]
    pub fn total(&self) -> UpDown {
        let mut total = UpDown::default();
        for remote in self.remotes.values() {
            total += *remote;
        }
        total
    }
}

impl UpDown {
    /// One direction.
    pub fn way(&mut self, way: Way) -> &mut Traffic {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.octets += other.octets;
    }
}

impl AddAssign for UpDown {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.down += other.down;
    }
}

/// A witness that is listening.
#[derive(Debug)]
pub struct Witness(Listener<Counter>);

/// What was heard so far of one device.
#[derive(Debug)]
struct Counter {
    device: Mac,
    heard: Heard,
}

impl Witness {
    /// Begins to listen at `interface` for frames from or to `device`; hears everything from its
    /// return on.
    pub fn start(namespace: &Namespace, interface: &str, device: Mac) -> Result<Self> {
        let heard = Heard::default();
        let counter = Counter { device, heard };
        Listener::start(namespace, interface, HEADERS_LENGTH, counter).map(Self)
    }

    /// Ends the listening and returns what was heard, all that had passed the interface before the
    /// call included.
    pub fn finish(self) -> Result<Heard> {
        let (counter, drops) = self.0.finish()?;
        Ok(Heard {
            drops,
            ..counter.heard
        })
    }
}

impl Listen for Counter {
    fn take(&mut self, octets: &[u8]) {
        self.heard.take(octets, self.device);
    }
}

impl Heard {
    /// Counts one frame, `octets` being its virtio-net header and its beginning.
    fn take(&mut self, octets: &[u8], device: Mac) {
        let (Some(segment), Some(frame)) = (native(octets, 4), octets.get(VIRTIO_LENGTH..)) else {
            return;
        };
        let is_up = frame.get(6..12) == Some(&device.0);
        if !is_up && frame.get(..6) != Some(&device.0) {
            return;
        }
        let Some((source, destination, ip)) = read_ip(frame) else {
            self.other_frames += 1;
            return;
        };
        let remote = self
            .remotes
            .entry(if is_up { destination } else { source })
            .or_default();
        let way = if is_up { Way::Up } else { Way::Down };
        let (packets, octets) = ip.on_wire(segment.into());
        *remote.way(way) += Traffic { packets, octets };
        self.aggregates[way as usize] += u64::from(segment != 0);
    }
}

/// An IP packet's lengths, in octets.
struct Lengths {
    /// Header and payload, as the header says.
    total: u64,
    /// Everything before the transport payload.
    headers: u64,
}

impl Lengths {
    /// Packets and octets on the wire; `segment` is the payload that each packet of an aggregate
    /// carries, 0 when this is no aggregate.
    fn on_wire(&self, segment: u64) -> (u64, u64) {
        if segment == 0 {
            return (1, self.total);
        }
        let packets = self
            .total
            .saturating_sub(self.headers)
            .div_ceil(segment)
            .max(1);
        (packets, self.total + (packets - 1) * self.headers)
    }
}

fn read_ip(frame: &[u8]) -> Option<(IpAddr, IpAddr, Lengths)> {
    let mut at = 12;
    // Tags and a PPPoE session lie between the addresses and the IP header.
    loop {
        match network(frame, at)? {
            0x8100 | 0x88a8 => at += 4,
            0x8864 => match network(frame, at + 8)? {
                0x0021 => return read_ipv4(frame.get(at + 10..)?),
                0x0057 => return read_ipv6(frame.get(at + 10..)?),
                _ => return None,
            },
            0x0800 => return read_ipv4(frame.get(at + 2..)?),
            0x86dd => return read_ipv6(frame.get(at + 2..)?),
            _ => return None,
        }
    }
}

fn read_ipv4(ip: &[u8]) -> Option<(IpAddr, IpAddr, Lengths)> {
    let address = |at: usize| {
        let octets: [u8; 4] = ip.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::V4(Ipv4Addr::from(octets)))
    };
    let header = usize::from(ip.first()? & 0x0f) * 4;
    let headers = header + transport_header(*ip.get(9)?, ip, header);
    let lengths = Lengths {
        total: network(ip, 2)?.into(),
        headers: headers as u64,
    };
    Some((address(12)?, address(16)?, lengths))
}

fn read_ipv6(ip: &[u8]) -> Option<(IpAddr, IpAddr, Lengths)> {
    let address = |at: usize| {
        let octets: [u8; 16] = ip.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(octets)))
    };
    // The kernel builds aggregates of packets without extension headers here.
    let headers = 40 + transport_header(*ip.get(6)?, ip, 40);
    let total = u64::from(network(ip, 4)?) + 40;
    Some((
        address(8)?,
        address(24)?,
        Lengths {
            total,
            headers: headers as u64,
        },
    ))
}

/// The length of the transport header at `at`; only aggregates ask, which are TCP or UDP.
fn transport_header(protocol: u8, ip: &[u8], at: usize) -> usize {
    match protocol {
        6 => ip
            .get(at + 12)
            .map_or(0, |octet| usize::from(octet >> 4) * 4),
        17 => 8,
        _ => 0,
    }
}

fn network(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

fn native(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}
