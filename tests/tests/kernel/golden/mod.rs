//! The golden frames: octets, and what must become of each, written by hand from the RFCs and from
//! what the README says is counted. One file a kind. A row is a frame: rustfmt, which would make five lines of
//! each, is kept off.

mod aggregates;
mod ipv4;
mod ipv6;
mod link;
mod transport;
mod truncation;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flowwatch::observation::Traffic;
use flowwatch_common::abi::{Direction, Reason};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;

use crate::tally::Counted;

/// The device's address in every golden frame; a test writes another in its place.
pub(crate) const CAMERA: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
/// The address at the other end of the link.
pub(crate) const GATEWAY: Mac = Mac([2, 0, 0, 0, 1, 0]);
/// An address of nobody that is tagged.
pub(crate) const STRANGER: Mac = Mac([2, 0, 0, 0, 2, 0]);
/// The device's addresses.
pub(crate) const CAMERA_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 214);
pub(crate) const CAMERA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 8, 0, 0, 0, 0, 0, 0xd6);
/// The remote's.
pub(crate) const REMOTE_V4: Ipv4Addr = Ipv4Addr::new(52, 79, 197, 188);
pub(crate) const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0x2600, 0x1f14, 0, 0, 0, 0, 0, 0x34);

/// A frame and what must become of it.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    /// What is special about it; a sentence's subject.
    pub(crate) name: String,
    /// Its octets, as the device sends them.
    pub(crate) frame: Vec<u8>,
    /// What the hook knows of it besides.
    pub(crate) extra: Extra,
    /// What must become of it.
    pub(crate) expected: Outcome,
}

/// What a hook knows of a frame besides its octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    /// Payload octets of an aggregate's packets.
    pub(crate) segment_size: u32,
    /// How many packets it stands for.
    pub(crate) segments: u32,
    /// VLAN tags that the card took off.
    pub(crate) tags_taken: u8,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It counts in a flow.
    Flow(Flow),
    /// It is a device's, and in no flow.
    Unaccounted(Reason),
    /// It isn't a tagged device's: not a number changes.
    NobodysFrame,
}

/// What a frame adds to its flow. The remote is at the one end or the other, as the direction has
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    protocol: u8,
    packets: u64,
    octets: u64,
}

/// Every golden frame.
pub(crate) fn all() -> Vec<Fixture> {
    [
        link::fixtures(),
        ipv4::fixtures(),
        ipv6::fixtures(),
        transport::fixtures(),
        truncation::fixtures(),
        aggregates::fixtures(),
    ]
    .concat()
}

impl Fixture {
    /// Returns the frame as it passes in `direction`, from or to a device with this address: what
    /// goes down has its two addresses swapped, and nothing else.
    pub(crate) fn frame_of(&self, mac: [u8; 6], direction: Direction) -> Vec<u8> {
        let mut frame = self.frame.clone();
        let Some(([destination, source], _)) = frame.as_chunks_mut::<6>().0.split_first_chunk_mut()
        else {
            return frame;
        };
        for address in [&mut *destination, &mut *source] {
            if *address == CAMERA.0 {
                *address = mac;
            }
        }
        if direction == Direction::Down {
            std::mem::swap(destination, source);
        }
        frame
    }

    /// Returns what must be counted in `direction`; nothing when the frame is nobody's.
    pub(crate) fn expected_in(&self, direction: Direction) -> Option<Result<Counted, Reason>> {
        let flow = match self.expected {
            Outcome::Flow(flow) => flow,
            Outcome::Unaccounted(reason) => return Some(Err(reason)),
            Outcome::NobodysFrame => return None,
        };
        let (remote, port) = match direction {
            Direction::Up => flow.destination,
            Direction::Down => flow.source,
        };
        Some(Ok(Counted {
            flow: (remote, flow.protocol, port),
            traffic: Traffic {
                packets: flow.packets,
                octets: flow.octets,
            },
        }))
    }
}

/// Begins a frame from the device.
fn camera() -> Packet {
    Packet::ethernet(CAMERA, GATEWAY)
}

/// Begins a frame from the device's IPv4 address to the remote's.
fn camera_v4() -> Packet {
    camera().ipv4(CAMERA_V4, REMOTE_V4)
}

/// Begins a frame from the device's IPv6 address to the remote's.
fn camera_v6() -> Packet {
    camera().ipv6(CAMERA_V6, REMOTE_V6)
}

/// A frame of which the hook knows nothing but its octets.
fn fixture(name: &str, packet: &Packet, expected: Outcome) -> Fixture {
    Fixture {
        name: name.to_owned(),
        frame: packet.build(),
        extra: Extra::default(),
        expected,
    }
}

/// A packet of `protocol` between the two IPv4 addresses.
fn v4(protocol: u8, source_port: u16, destination_port: u16, octets: u64) -> Outcome {
    Outcome::Flow(Flow {
        source: (CAMERA_V4.into(), source_port),
        destination: (REMOTE_V4.into(), destination_port),
        protocol,
        packets: 1,
        octets,
    })
}

/// A packet of `protocol` between the two IPv6 addresses.
fn v6(protocol: u8, source_port: u16, destination_port: u16, octets: u64) -> Outcome {
    Outcome::Flow(Flow {
        source: (CAMERA_V6.into(), source_port),
        destination: (REMOTE_V6.into(), destination_port),
        protocol,
        packets: 1,
        octets,
    })
}

/// A UDP packet between port 40000 and port 10240 of the two IPv4 addresses.
fn udp4(octets: u64) -> Outcome {
    v4(17, 40000, 10240, octets)
}

/// A UDP packet between port 40000 and port 443 of the two IPv6 addresses.
fn udp6(octets: u64) -> Outcome {
    v6(17, 40000, 443, octets)
}

impl Outcome {
    /// The same between other addresses.
    fn between(self, source: impl Into<IpAddr>, destination: impl Into<IpAddr>) -> Self {
        match self {
            Self::Flow(flow) => Self::Flow(Flow {
                source: (source.into(), flow.source.1),
                destination: (destination.into(), flow.destination.1),
                ..flow
            }),
            other => other,
        }
    }

    /// The same for an aggregate of so many packets.
    fn in_packets(self, packets: u64) -> Self {
        match self {
            Self::Flow(flow) => Self::Flow(Flow { packets, ..flow }),
            other => other,
        }
    }
}

/// Not IPv4 or IPv6.
const NOT_IP: Outcome = Outcome::Unaccounted(Reason::NotIp);
/// Cut short.
const TRUNCATED: Outcome = Outcome::Unaccounted(Reason::Truncated);
/// Contradicts itself.
const MALFORMED: Outcome = Outcome::Unaccounted(Reason::Malformed);
