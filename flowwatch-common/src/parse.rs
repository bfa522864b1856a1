//! The packet parser: from a frame's octets to the flow that it belongs to.
//!
//! One parser for three places: XDP, tc and native code differ in their [`PacketBytes`] and in
//! what their [`FrameInfo`] can say, in nothing else. Every loop has a named bound.

use crate::abi::{Direction, FlowKey, Reason};
use crate::bytes::PacketBytes;
use crate::wire::{ethernet, ipv4, ipv6, pppoe, transport, vlan};

/// `::ffff:0:0/96`, in which the key holds IPv4 addresses, in network byte order.
const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);

/// Returns an IPv4 address as a key holds it.
#[inline]
#[must_use]
pub const fn mapped(address: u32) -> [u32; 4] {
    [0, 0, MAPPED, address]
}

/// What the hook knows of a frame besides its octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameInfo {
    /// Octets from the Ethernet header on, of the whole frame, however few of them are at hand.
    pub length: u32,
    /// VLAN tags that the card took off.
    pub tags_taken: u8,
    /// Payload octets of each packet of an aggregate but the last; 0 when it is a single packet.
    pub segment_size: u32,
}

/// A packet as far as counting needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The address at the other end, as [`FlowKey::remote`] has it.
    pub remote: [u32; 4],
    /// 4 or 6.
    pub ip_version: u8,
    /// IANA protocol number.
    pub protocol: u8,
    /// The remote's transport port, or 0.
    pub remote_port: u16,
    /// The device's transport port, or 0.
    pub local_port: u16,
    /// Octets of IP header and payload.
    pub octets: u32,
    /// Offset of the IP header.
    pub ip_offset: u32,
    /// Offset of the transport header, or of what stands in its place.
    pub transport_offset: u32,
    /// Octets of an aggregate's own, which its packets don't have on the wire (the jumbo payload
    /// option, which the kernel adds and takes off).
    pub aggregate_only: u32,
    /// Not 0 when the packet goes up and may open a connection: see [`transport::Head::opening`]. A
    /// packet that does has it; others may.
    pub opening: u32,
}

/// Packets and octets on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireTraffic {
    /// IP packets.
    pub packets: u32,
    /// IP header and payload octets.
    pub octets: u64,
}

impl Packet {
    /// Returns the key of the packet's flow.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a call would pass the packet by memory"
    )]
    #[must_use]
    pub fn key(&self, device: u32) -> FlowKey {
        FlowKey {
            remote: self.remote,
            device,
            transport: FlowKey::transport(self.ip_version, self.protocol, self.remote_port),
        }
    }
}

/// What lies between the link layer and the ports.
struct Network {
    source: [u32; 4],
    destination: [u32; 4],
    ip_version: u8,
    protocol: u8,
    is_later_fragment: bool,
    octets: u32,
    /// Octets of the IP header with options or extension headers.
    header_length: u32,
    aggregate_only: u32,
}

/// Parses a frame whose Ethernet header is `ethernet`.
///
/// # Errors
/// The one [`Reason`] for which the frame is in no flow.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn parse_packet<B: PacketBytes + ?Sized>(
    bytes: &B,
    ethernet: &ethernet::Header,
    frame: &FrameInfo,
    direction: Direction,
) -> Result<Packet, Reason> {
    let network = locate_network(bytes, ethernet, frame)?;
    parse_network(bytes, network, frame, direction)
}

/// Walks from the Ethernet header over VLAN tags and a PPPoE session's header.
///
/// # Errors
/// `TooManyTags`; `Truncated` and `Malformed` as the headers have it.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn locate_network<B: PacketBytes + ?Sized>(
    bytes: &B,
    ethernet: &ethernet::Header,
    frame: &FrameInfo,
) -> Result<vlan::Tagged, Reason> {
    let mut network = vlan::skip_tags(
        bytes,
        ethernet.ethertype,
        ethernet::HEADER_LENGTH,
        frame.tags_taken,
    )?;
    if network.ethertype == ethernet::PPPOE_SESSION {
        network.ethertype = pppoe::parse(bytes, network.offset)?;
        network.offset += pppoe::HEADER_LENGTH;
    }
    Ok(network)
}

/// Parses the network layer of a frame, whatever link layer lies before it; `frame.length` and the
/// offsets count from where `bytes` begins.
///
/// # Errors
/// The one [`Reason`] for which the frame is in no flow.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn parse_network<B: PacketBytes + ?Sized>(
    bytes: &B,
    network: vlan::Tagged,
    frame: &FrameInfo,
    direction: Direction,
) -> Result<Packet, Reason> {
    let offset = network.offset;
    // Each version goes its own way to the end: where the two meet, what differs meets in memory.
    match network.ethertype {
        ethernet::IPV4 => {
            let network = parse_ipv4(bytes, offset, frame)?;
            finish(bytes, offset, &network, frame, direction)
        }
        ethernet::IPV6 => {
            let network = parse_ipv6(bytes, offset, frame)?;
            finish(bytes, offset, &network, frame, direction)
        }
        _ => Err(Reason::NotIp),
    }
}

/// Parses the IPv4 header at `offset`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn parse_ipv4<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    frame: &FrameInfo,
) -> Result<Network, Reason> {
    let header = ipv4::parse(bytes, offset)?;
    let mut octets = header.total_length;
    if octets == 0 && frame.segment_size != 0 {
        // An aggregate beyond 64 KiB (BIG TCP, kernel 6.3): its length doesn't fit the field.
        octets = frame.length.wrapping_sub(offset as u32);
    }
    if octets < header.header_length {
        return Err(Reason::Malformed);
    }
    Ok(Network {
        source: [0, 0, MAPPED, header.source],
        destination: [0, 0, MAPPED, header.destination],
        ip_version: 4,
        protocol: header.protocol,
        is_later_fragment: header.is_later_fragment,
        octets,
        header_length: header.header_length,
        aggregate_only: 0,
    })
}

/// Parses the IPv6 header at `offset` and its extension headers.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn parse_ipv6<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    frame: &FrameInfo,
) -> Result<Network, Reason> {
    let header = ipv6::parse(bytes, offset)?;
    let behind = offset + ipv6::HEADER_LENGTH;
    let mut payload_length = header.payload_length;
    let mut aggregate_only = 0;
    if payload_length == 0 && header.next_header == 0 {
        payload_length = ipv6::jumbo_length(bytes, behind)?;
        aggregate_only = 8;
    } else if payload_length == 0 && frame.segment_size != 0 {
        // BIG TCP again: since Linux 7.0 (741d069aa488) without the jumbo payload option.
        payload_length = frame.length.wrapping_sub(behind as u32);
    }
    let upper = ipv6::skip_extensions(bytes, behind, header.next_header, payload_length)?;
    Ok(Network {
        source: header.source,
        destination: header.destination,
        ip_version: 6,
        protocol: upper.protocol,
        is_later_fragment: upper.is_later_fragment,
        octets: payload_length.saturating_add(ipv6::HEADER_LENGTH as u32),
        header_length: ipv6::HEADER_LENGTH as u32 + upper.extensions_length,
        aggregate_only,
    })
}

/// Adds the ports, and tells source and destination apart as device and remote.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn finish<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    network: &Network,
    frame: &FrameInfo,
    direction: Direction,
) -> Result<Packet, Reason> {
    // What a packet claims beyond the frame's end never crossed the wire.
    if network.octets > frame.length.wrapping_sub(offset as u32) {
        return Err(Reason::Truncated);
    }
    let transport_offset = offset + network.header_length as usize;
    let length = network.octets - network.header_length;
    let mut head = transport::Head::default();
    if !network.is_later_fragment {
        head = transport::parse_head(bytes, transport_offset, network.protocol, length)?;
    }
    let ports = head.ports;
    let (remote, remote_port, local_port, opening) = match direction {
        Direction::Up => (
            network.destination,
            ports.destination,
            ports.source,
            head.opening,
        ),
        Direction::Down => (network.source, ports.source, ports.destination, 0),
    };
    Ok(Packet {
        remote,
        ip_version: network.ip_version,
        protocol: network.protocol,
        remote_port,
        local_port,
        octets: network.octets,
        ip_offset: offset as u32,
        transport_offset: transport_offset as u32,
        aggregate_only: network.aggregate_only,
        opening,
    })
}

/// Returns what a packet was on the wire: itself, or, for an aggregate that the kernel made (GRO,
/// GSO, TSO), the packets that it stands for, each with headers of its own.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn wire_traffic<B: PacketBytes + ?Sized>(
    bytes: &B,
    packet: &Packet,
    frame: &FrameInfo,
) -> WireTraffic {
    if frame.segment_size == 0 {
        return WireTraffic {
            packets: 1,
            octets: u64::from(packet.octets),
        };
    }
    let transport = packet.transport_offset;
    let transport_header = transport::header_length(bytes, packet.protocol, transport as usize);
    let headers = transport - packet.ip_offset + transport_header;
    // A header that claims more than the packet holds isn't an aggregate's: count it as it is.
    let Some(payload) = packet.octets.checked_sub(headers) else {
        return WireTraffic {
            packets: 1,
            octets: u64::from(packet.octets),
        };
    };
    let packets = payload.div_ceil(frame.segment_size).max(1);
    let wire_headers = u64::from(headers - packet.aggregate_only);
    WireTraffic {
        packets,
        octets: u64::from(payload) + u64::from(packets) * wire_headers,
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// A DNS question of 29 octets, from 192.168.8.214 to 192.168.8.1, tag 5, padded.
    fn question() -> Vec<u8> {
        let mut octets = [0x2c, 0xaa, 0x8e, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5].to_vec();
        octets.extend([8, 0, 0x45, 0, 0, 57, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        octets.extend([192, 168, 8, 214, 192, 168, 8, 1]);
        octets.extend([0xc0, 0, 0, 53, 0, 37, 0, 0]);
        octets.resize(octets.len() + 29 + 6, 0);
        octets
    }

    fn parse(octets: &[u8], frame: FrameInfo, direction: Direction) -> Result<Packet, Reason> {
        parse_packet(octets, &ethernet::parse(octets)?, &frame, direction)
    }

    fn whole(octets: &[u8]) -> FrameInfo {
        FrameInfo {
            length: octets.len() as u32,
            ..FrameInfo::default()
        }
    }

    #[test]
    fn the_direction_tells_the_remote_from_the_device() {
        let octets = question();
        let both = [Direction::Up, Direction::Down];
        let [up, down] = both.map(|way| parse(&octets, whole(&octets), way).unwrap());
        let shown = |packet: &Packet| std::format!("{}", packet.key(7).remote_address());
        assert_eq!(shown(&up), "192.168.8.1");
        assert_eq!((up.remote_port, up.local_port), (53, 49_152));
        assert_eq!(shown(&down), "192.168.8.214");
        assert_eq!((down.remote_port, down.local_port), (49_152, 53));
        assert_eq!((up.octets, up.ip_offset, up.transport_offset), (57, 18, 38));
        assert_eq!((up.key(7).device, up.key(7).protocol()), (7, 17));
    }

    #[test]
    fn a_packet_that_claims_more_than_the_frame_holds_is_truncated() {
        let octets = question();
        let frame = |length| FrameInfo {
            length,
            ..FrameInfo::default()
        };
        // 18 octets of Ethernet and tag, 57 of IP; the rest is padding.
        assert!(parse(&octets, frame(75), Direction::Up).is_ok());
        let short = parse(&octets, frame(74), Direction::Up);
        assert_eq!(short, Err(Reason::Truncated));
    }

    #[test]
    fn an_aggregate_is_the_packets_that_it_stands_for() {
        let octets = question();
        let packet = parse(&octets, whole(&octets), Direction::Up).unwrap();
        let check = |segment_size, packets, ip_octets| {
            let frame = FrameInfo {
                segment_size,
                ..whole(&octets)
            };
            let traffic = wire_traffic(&octets[..], &packet, &frame);
            assert_eq!((traffic.packets, traffic.octets), (packets, ip_octets));
        };
        check(0, 1, 57);
        // 29 octets of payload; each packet has 28 of IP and UDP.
        check(29, 1, 57);
        check(28, 2, 29 + 2 * 28);
        check(10, 3, 29 + 3 * 28);
    }
}
