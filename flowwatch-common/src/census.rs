//! The census: which address a frame on the LAN comes from, and whether it carries a name.
//!
//! One function for the BPF program and for captures; read by `flowwatch::census`.

use crate::abi::Direction;
use crate::bytes::PacketBytes;
use crate::parse::{FrameInfo, Packet, parse_packet};
use crate::wire::{arp, dhcp, dhcpv6, ethernet, ip_protocol, vlan};

/// The pairs of addresses that a census holds.
pub const MAX_SIGHTINGS: u32 = 65_536;
/// The octets of a frame that are handed over at most: an Ethernet frame's worth.
pub const CENSUS_FRAME_MAX: usize = 2000;

/// The port of multicast DNS (RFC 6762 §3).
pub const MDNS_PORT: u16 = 5353;

/// UDP ports, on either side, of frames that carry names, and what they are.
pub const NAME_PORTS: [(u16, &str); 3] = [
    (dhcp::SERVER_PORT, "dhcp"),
    (dhcpv6::SERVER_PORT, "dhcpv6"),
    (MDNS_PORT, "mdns"),
];

/// A source MAC address, and the IP address that it sent from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct SightingKey {
    /// The IP address as in a flow's key; zero where the frame has none.
    pub address: [u32; 4],
    /// The MAC address in the lower 48 bits; above it 4 or 6, or 0 where there is no IP address.
    pub mac_and_version: u64,
}

impl SightingKey {
    /// Returns the MAC address's octets.
    #[must_use]
    pub const fn mac(&self) -> [u8; 6] {
        let [a, b, c, d, e, f, _, _] = self.mac_and_version.to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// Returns 4 or 6, or 0 where there is no IP address.
    #[must_use]
    pub const fn ip_version(&self) -> u8 {
        (self.mac_and_version >> 48) as u8
    }
}

/// How often a pair of addresses was seen on one CPU, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SightingCounter {
    /// Frames.
    pub frames: u64,
    /// The kernel's tick counter at the first; 0 where this CPU saw none.
    pub first_tick: u64,
    /// The same at the last.
    pub last_tick: u64,
}

/// What a census turned away, on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CensusCounters {
    /// Frames whose pair of addresses found no room.
    pub sightings_without_room: u64,
    /// Frames that carry names and found no room on their way to user space.
    pub frames_without_room: u64,
}

/// A frame that carries names as it lies in the ring buffer.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct CensusFrame {
    /// The frame's octets that follow.
    pub length: u32,
    /// The frame's octets on the wire.
    pub wire_length: u32,
    /// The frame; only `length` octets have meaning.
    pub octets: [u8; CENSUS_FRAME_MAX],
}

const _: () = {
    assert!(size_of::<SightingKey>() == 24);
    assert!(size_of::<SightingCounter>() == 24);
    assert!(size_of::<CensusCounters>() == 16);
    assert!(size_of::<CensusFrame>() == 8 + CENSUS_FRAME_MAX);
};

/// What a frame says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Who it is from.
    pub key: SightingKey,
    /// Whether it carries names.
    pub carries_names: bool,
}

/// Returns what a frame says of its sender; nothing where the sender is nobody.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn sighting_of<B: PacketBytes + ?Sized>(bytes: &B, frame: &FrameInfo) -> Option<Sighting> {
    let header = ethernet::parse(bytes).ok()?;
    if header.source & 1 != 0 || header.source == 0 {
        return None;
    }
    // What comes to a device is from its remote: so the source is told.
    let packet = parse_packet(bytes, &header, frame, Direction::Down);
    let (address, version) = match &packet {
        Ok(packet) => (packet.remote, packet.ip_version),
        Err(_) => arp_sender(bytes, &header, frame),
    };
    Some(Sighting {
        key: SightingKey {
            address,
            mac_and_version: header.source | u64::from(version) << 48,
        },
        carries_names: packet.is_ok_and(|packet| carries_names(&packet)),
    })
}

/// Returns the address that an ARP message is from, with its version.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn arp_sender<B: PacketBytes + ?Sized>(
    bytes: &B,
    header: &ethernet::Header,
    frame: &FrameInfo,
) -> ([u32; 4], u8) {
    let tags = vlan::skip_tags(
        bytes,
        header.ethertype,
        ethernet::HEADER_LENGTH,
        frame.tags_taken,
    );
    match tags {
        Ok(tagged) if tagged.ethertype == arp::ETHERTYPE => {
            match arp::sender(bytes, tagged.offset) {
                Some(address) => (crate::parse::mapped(address), 4),
                None => ([0; 4], 0),
            }
        }
        _ => ([0; 4], 0),
    }
}

/// Returns whether a packet is of a protocol that carries names.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a call would pass the packet by memory"
)]
fn carries_names(packet: &Packet) -> bool {
    let mut index = 0;
    while index < NAME_PORTS.len() {
        let (port, _) = NAME_PORTS[index];
        if packet.protocol == ip_protocol::UDP
            && (packet.remote_port == port || packet.local_port == port)
        {
            return true;
        }
        index += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const MAC: [u8; 6] = [0x2c, 0xaa, 0x8e, 1, 2, 3];

    fn frame(ethertype: [u8; 2], payload: &[u8]) -> Vec<u8> {
        [&[0xff; 6], &MAC[..], &ethertype, payload].concat()
    }

    fn udp(source: u16, destination: u16) -> Vec<u8> {
        let mut octets = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0].to_vec();
        octets.extend([192, 168, 8, 214, 255, 255, 255, 255]);
        octets.extend([source.to_be_bytes(), destination.to_be_bytes()].concat());
        octets.extend([0, 8, 0, 0]);
        frame([8, 0], &octets)
    }

    fn seen(octets: &[u8]) -> Option<Sighting> {
        let info = FrameInfo {
            length: octets.len() as u32,
            ..FrameInfo::default()
        };
        sighting_of(octets, &info)
    }

    fn check(octets: &[u8], version: u8, carries_names: bool) {
        let sighting = seen(octets).unwrap();
        assert_eq!(sighting.key.mac(), MAC);
        assert_eq!(sighting.key.ip_version(), version);
        assert_eq!(sighting.carries_names, carries_names);
        let address = u32::from_ne_bytes([192, 168, 8, 214]);
        let expected = if version == 4 { address } else { 0 };
        assert_eq!(sighting.key.address[3], expected);
    }

    #[test]
    fn a_packet_is_from_its_source_and_some_carry_names() {
        check(&udp(40_000, 53), 4, false);
        check(&udp(68, 67), 4, true);
        check(&udp(67, 68), 4, true);
        check(&udp(5353, 5353), 4, true);
        check(&udp(546, 547), 4, true);
    }

    #[test]
    fn an_arp_message_tells_its_senders_address_also_behind_a_tag() {
        let mut message = [0, 1, 8, 0, 6, 4, 0, 1].to_vec();
        message.extend(MAC);
        message.extend([192, 168, 8, 214]);
        check(&frame([8, 6], &message), 4, false);
        let tagged = [&[0, 5, 8, 6], &message[..]].concat();
        check(&frame([0x81, 0], &tagged), 4, false);
        check(&frame([8, 6], &message[..10]), 0, false);
    }

    #[test]
    fn what_is_no_ip_or_broken_is_seen_without_an_address() {
        check(&frame([0x88, 0x8e], &[0; 50]), 0, false);
        check(&udp(68, 67)[..30], 0, false);
    }

    #[test]
    fn a_frame_from_nobody_is_not_seen() {
        let mut octets = udp(1, 2);
        octets[6] |= 1;
        assert_eq!(seen(&octets), None, "a group");
        octets[6..12].fill(0);
        assert_eq!(seen(&octets), None);
        assert_eq!(seen(&octets[..13]), None);
    }
}
