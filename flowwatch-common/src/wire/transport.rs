//! What the transport protocols have in common: where their ports are, and how long the headers of
//! those are that the kernel aggregates.

use crate::abi::Reason;
use crate::bytes::PacketBytes;
use crate::wire::ip_protocol::{self, TCP, UDP};

/// Octets of the UDP header.
pub const UDP_HEADER_LENGTH: u32 = 8;
/// Octets of the TCP header without options.
pub const TCP_HEADER_LENGTH: u32 = 20;
/// Octets of a transport header and its payload that show whether a connection is opened.
pub const OPENING_LENGTH: usize = 16;
/// TCP's flag (RFC 9293 §3.1).
const SYN: u8 = 2;
/// Octets of the two ports, which come first in every one of these protocols.
pub const PORTS_LENGTH: u32 = 4;

/// The two ports of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
}

/// What the first octets of a transport header show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The ports.
    pub ports: Ports,
    /// Not 0 when the packet may open a connection: TCP with SYN, UDP with what begins like a QUIC
    /// Initial packet, and either when that is not at hand.
    ///
    /// A whole word, as the header has it: a truth value would be put together with the ports and
    /// taken apart again, by half a dozen instructions.
    pub opening: u32,
}

/// Parses the transport header of `length` octets, payload included, at `offset`: of a protocol
/// without ports there is nothing to say.
///
/// TCP and UDP first, by their numbers: that is all that most packets pay.
///
/// # Errors
/// `Truncated` when the ports are cut short.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn parse_head<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    protocol: u8,
    length: u32,
) -> Result<Head, Reason> {
    match protocol {
        TCP => parse_opening(bytes, offset, length, syn),
        UDP => parse_opening(bytes, offset, length, quic),
        other if ip_protocol::has_ports(other) => parse_ports(bytes, offset, length),
        _ => Ok(Head::default()),
    }
}

/// Parses the ports, and whether a connection is opened: in one, where that much is at hand.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn parse_opening<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    length: u32,
    opening: impl FnOnce([u8; OPENING_LENGTH]) -> u32,
) -> Result<Head, Reason> {
    // Padding may stand in for octets that the packet doesn't have; who looks closer will see.
    if let Some(octets) = bytes.octets::<OPENING_LENGTH>(offset)
        && length >= PORTS_LENGTH
    {
        let [s0, s1, d0, d1, ..] = octets;
        return Ok(Head {
            ports: ports([s0, s1, d0, d1]),
            opening: opening(octets),
        });
    }
    Ok(Head {
        opening: u32::from(length >= OPENING_LENGTH as u32),
        ..parse_ports(bytes, offset, length)?
    })
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn parse_ports<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    length: u32,
) -> Result<Head, Reason> {
    if length < PORTS_LENGTH {
        return Err(Reason::Truncated);
    }
    Ok(Head {
        ports: ports(bytes.octets(offset).ok_or(Reason::Truncated)?),
        opening: 0,
    })
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "two instructions")]
const fn ports([s0, s1, d0, d1]: [u8; 4]) -> Ports {
    Ports {
        source: u16::from_be_bytes([s0, s1]),
        destination: u16::from_be_bytes([d0, d1]),
    }
}

/// Returns the SYN bit in the word that it stands in.
#[inline(always)]
#[expect(clippy::inline_always, reason = "two instructions")]
const fn syn(octets: [u8; OPENING_LENGTH]) -> u32 {
    let [.., offset, flags, w0, w1] = octets;
    u32::from_ne_bytes([offset, flags, w0, w1]) & u32::from_ne_bytes([0, SYN, 0, 0])
}

/// Returns 1 when the payload's first word is one of a QUIC Initial packet: the first octet, but for
/// the bits that are protected, and three of the version's.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a few comparisons")]
const fn quic(octets: [u8; OPENING_LENGTH]) -> u32 {
    let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = octets;
    let word = u32::from_ne_bytes([a, b, c, d]) & u32::from_ne_bytes([0xf0, 0xff, 0xff, 0xff]);
    let is_initial = word == u32::from_ne_bytes([0xc0, 0, 0, 0])
        || word == u32::from_ne_bytes([0xd0, 0x6b, 0x33, 0x43]);
    is_initial as u32
}

/// What the sampling needs of a TCP header (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// The sequence number of the first octet, or of SYN.
    pub sequence: u32,
    /// Octets of the header with its options, 20 to 60.
    pub header_length: u32,
    /// Whether SYN is set.
    pub is_syn: bool,
}

/// Parses the TCP header at `offset`; nothing when it is cut short or claims fewer octets than its
/// fixed part has.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn parse_tcp<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> Option<Tcp> {
    let octets: [u8; OPENING_LENGTH] = bytes.octets(offset)?;
    let [_, _, _, _, s0, s1, s2, s3, .., data_offset, flags, _, _] = octets;
    let header_length = u32::from(data_offset >> 4) * 4;
    (header_length >= TCP_HEADER_LENGTH).then_some(Tcp {
        sequence: u32::from_be_bytes([s0, s1, s2, s3]),
        header_length,
        is_syn: flags & SYN != 0,
    })
}

/// Returns how many octets of payload the UDP header at `offset` says there are; 0 where there is no
/// header.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
#[must_use]
pub fn udp_payload_length<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> u32 {
    let length = bytes.octets::<2>(offset + 4).map_or(0, u16::from_be_bytes);
    u32::from(length).saturating_sub(UDP_HEADER_LENGTH)
}

/// Returns the transport header's octets of an aggregate: TCP's data offset (RFC 9293 §3.1), UDP's
/// eight, nothing for what the kernel doesn't aggregate.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn header_length<B: PacketBytes + ?Sized>(bytes: &B, protocol: u8, offset: usize) -> u32 {
    match protocol {
        TCP => match bytes.octets::<1>(offset + 12) {
            Some([data_offset]) => u32::from(data_offset >> 4) * 4,
            None => 0,
        },
        UDP => UDP_HEADER_LENGTH,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_first() {
        // A DNS answer's: from port 53 to 49152.
        let octets = &[0, 53, 0xc0, 0, 0, 40][..];
        let ports = parse_head(octets, 0, UDP, 40).unwrap().ports;
        assert_eq!((ports.source, ports.destination), (53, 49_152));
        let cut = parse_head(&octets[..3], 0, UDP, 40);
        assert_eq!(cut, Err(Reason::Truncated));
        assert_eq!(parse_head(octets, 0, UDP, 3), Err(Reason::Truncated));
    }

    #[test]
    fn what_may_open_a_connection_is_told() {
        let check = |protocol, octets: &[u8], length, expected| {
            let head = parse_head(octets, 0, protocol, length).unwrap();
            assert_eq!(
                head.opening != 0,
                expected,
                "{protocol} {octets:02x?} {length}"
            );
        };
        let mut tcp = [0; 20];
        for (flags, expected) in [(0x02, true), (0x12, true), (0x10, false), (0x18, false)] {
            tcp[13] = flags;
            check(TCP, &tcp, 20, expected);
            check(UDP, &tcp, 20, false);
        }
        let mut udp = [0; 20];
        udp[8..13].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
        check(UDP, &udp, 1208, true);
        udp[8..13].copy_from_slice(&[0xd7, 0x6b, 0x33, 0x43, 0xcf]);
        check(UDP, &udp, 1208, true);
        udp[8] = 0xc7;
        check(UDP, &udp, 1208, false);
        udp[8] = 0xd7;
        check(TCP, &udp, 1208, false);
        check(132, &udp, 1208, false);
        // It is elsewhere, or there is none.
        check(TCP, &tcp[..15], 20, true);
        check(UDP, &udp[..15], 16, true);
        check(UDP, &udp[..15], 15, false);
        check(132, &udp[..15], 16, false);
    }

    #[test]
    fn an_aggregates_header_is_as_long_as_it_says() {
        let mut tcp = [0; 20];
        tcp[12] = 8 << 4;
        assert_eq!(header_length(&tcp[..], TCP, 0), 32);
        assert_eq!(header_length(&tcp[..12], TCP, 0), 0);
        assert_eq!(header_length(&tcp[..], UDP, 0), 8);
        assert_eq!(header_length(&tcp[..], 50, 0), 0);
    }
}
