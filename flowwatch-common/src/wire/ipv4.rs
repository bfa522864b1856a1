//! The IPv4 header (RFC 791 §3.1), options included.

use crate::abi::Reason;
use crate::bytes::PacketBytes;

/// Octets of the header without options.
pub const HEADER_LENGTH: usize = 20;
/// The fragment offset within the flags-and-offset field.
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// The header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Octets of the header with its options, 20 to 60.
    pub header_length: u32,
    /// Octets of header and payload; 0 in an aggregate too long for the field.
    pub total_length: u32,
    /// Whether this is a fragment other than the first: it carries no ports.
    pub is_later_fragment: bool,
    /// IANA protocol number.
    pub protocol: u8,
    /// Source address in network byte order.
    pub source: u32,
    /// Destination address in network byte order.
    pub destination: u32,
}

/// Parses the header at `offset`.
///
/// # Errors
/// `Truncated` when it is cut short, `Malformed` when the version isn't 4, or the header length is
/// below 20 octets.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn parse<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> Result<Header, Reason> {
    let octets: [u8; HEADER_LENGTH] = bytes.octets(offset).ok_or(Reason::Truncated)?;
    let [
        first,
        _,
        l0,
        l1,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = octets;
    let header_length = u32::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_length < HEADER_LENGTH as u32 {
        return Err(Reason::Malformed);
    }
    Ok(Header {
        header_length,
        total_length: u32::from(u16::from_be_bytes([l0, l1])),
        is_later_fragment: u16::from_be_bytes([f0, f1]) & FRAGMENT_OFFSET != 0,
        protocol,
        source: u32::from_ne_bytes([s0, s1, s2, s3]),
        destination: u32::from_ne_bytes([d0, d1, d2, d3]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram of 115 octets, UDP, from 192.168.0.1 to 192.168.0.199, not to be fragmented.
    const HEADER: [u8; 20] = [
        0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00,
        0x01, 0xc0, 0xa8, 0x00, 0xc7,
    ];

    fn with(at: usize, octet: u8) -> [u8; 20] {
        let mut octets = HEADER;
        octets[at] = octet;
        octets
    }

    #[test]
    fn a_header_is_read_field_by_field() {
        let header = parse(&HEADER[..], 0).unwrap();
        assert_eq!((header.header_length, header.total_length), (20, 115));
        assert_eq!((header.protocol, header.is_later_fragment), (17, false));
        assert_eq!(header.source.to_ne_bytes(), [192, 168, 0, 1]);
        assert_eq!(header.destination.to_ne_bytes(), [192, 168, 0, 199]);
    }

    #[test]
    fn only_an_offset_makes_a_later_fragment() {
        let is_later = |octets: [u8; 20]| parse(&octets[..], 0).unwrap().is_later_fragment;
        assert!(!is_later(with(6, 0x20)), "more fragments, offset 0");
        assert!(is_later(with(6, 0x01)) && is_later(with(7, 0x01)));
    }

    #[test]
    fn headers_that_contradict_themselves_are_malformed() {
        assert_eq!(parse(&with(0, 0x65)[..], 0), Err(Reason::Malformed));
        assert_eq!(parse(&with(0, 0x44)[..], 0), Err(Reason::Malformed));
        assert_eq!(parse(&HEADER[..19], 0), Err(Reason::Truncated));
        let longest = parse(&with(0, 0x4f)[..], 0).unwrap();
        assert_eq!(longest.header_length, 60);
    }
}
