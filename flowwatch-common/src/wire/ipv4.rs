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
