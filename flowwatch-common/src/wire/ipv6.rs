//! The IPv6 header (RFC 8200 §3), its extension headers (§4) and jumbograms (RFC 2675).

use crate::abi::Reason;
use crate::bytes::PacketBytes;
use crate::wire::ip_protocol;

/// Octets of the header without extensions.
pub const HEADER_LENGTH: usize = 40;
/// The most extension headers that are walked. RFC 8200 §4.1 names six kinds, one of them twice.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// Option type and length of a jumbo payload option (RFC 2675 §2).
const JUMBO_OPTION: [u8; 2] = [0xc2, 4];

/// The header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Octets behind the header, extension headers included; 0 in a jumbogram.
    pub payload_length: u32,
    /// The kind of the header that follows.
    pub next_header: u8,
    /// Source address in network byte order.
    pub source: [u32; 4],
    /// Destination address in network byte order.
    pub destination: [u32; 4],
}

/// Where the extension headers end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpperLayer {
    /// IANA protocol number.
    pub protocol: u8,
    /// Octets of all extension headers.
    pub extensions_length: u32,
    /// Whether this is a fragment other than the first: it carries no ports.
    pub is_later_fragment: bool,
}

/// Parses the header at `offset`.
///
/// # Errors
/// `Truncated` when it is cut short, `Malformed` when the version isn't 6.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn parse<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> Result<Header, Reason> {
    let [first, _, _, _, l0, l1, next_header, _] =
        bytes.octets::<8>(offset).ok_or(Reason::Truncated)?;
    if first >> 4 != 6 {
        return Err(Reason::Malformed);
    }
    Ok(Header {
        payload_length: u32::from(u16::from_be_bytes([l0, l1])),
        next_header,
        source: parse_address(bytes, offset + 8)?,
        destination: parse_address(bytes, offset + 24)?,
    })
}

/// Parses an address at `offset` as four words in network byte order.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn parse_address<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> Result<[u32; 4], Reason> {
    let a: [u8; 16] = bytes.octets(offset).ok_or(Reason::Truncated)?;
    let [
        a0,
        a1,
        a2,
        a3,
        b0,
        b1,
        b2,
        b3,
        c0,
        c1,
        c2,
        c3,
        d0,
        d1,
        d2,
        d3,
    ] = a;
    Ok([
        u32::from_ne_bytes([a0, a1, a2, a3]),
        u32::from_ne_bytes([b0, b1, b2, b3]),
        u32::from_ne_bytes([c0, c1, c2, c3]),
        u32::from_ne_bytes([d0, d1, d2, d3]),
    ])
}

/// Returns the payload length that the jumbo payload option of the hop-by-hop header at `offset`
/// gives, when that option comes first, as the kernel and RFC 2675 §2 have it.
///
/// # Errors
/// `Truncated` when the option is cut short, `Malformed` when another one comes first.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn jumbo_length<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> Result<u32, Reason> {
    let [_, _, kind, length, l0, l1, l2, l3] =
        bytes.octets::<8>(offset).ok_or(Reason::Truncated)?;
    if [kind, length] == JUMBO_OPTION {
        Ok(u32::from_be_bytes([l0, l1, l2, l3]))
    } else {
        Err(Reason::Malformed)
    }
}

/// Walks over the extension headers, the first of which is `next_header` at `offset`, at most
/// `payload_length` octets.
///
/// # Errors
/// `ExtensionChainTooLong` beyond [`MAX_EXTENSION_HEADERS`]; `Truncated` when one is cut short, by
/// the packet's end or by its own length.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn skip_extensions<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    next_header: u8,
    payload_length: u32,
) -> Result<UpperLayer, Reason> {
    let mut upper = UpperLayer {
        protocol: next_header,
        extensions_length: 0,
        is_later_fragment: false,
    };
    for walked in 0..=MAX_EXTENSION_HEADERS {
        let Some(extension) = ip_protocol::extension(upper.protocol) else {
            return Ok(upper);
        };
        if walked == MAX_EXTENSION_HEADERS {
            break;
        }
        let at = offset + upper.extensions_length as usize;
        let [following, length, f0, f1] = bytes.octets(at).ok_or(Reason::Truncated)?;
        upper.extensions_length += extension.octets(length);
        if upper.extensions_length > payload_length {
            return Err(Reason::Truncated);
        }
        if upper.protocol == ip_protocol::FRAGMENT && u16::from_be_bytes([f0, f1]) >> 3 != 0 {
            return Ok(UpperLayer {
                protocol: following,
                is_later_fragment: true,
                ..upper
            });
        }
        upper.protocol = following;
    }
    Err(Reason::ExtensionChainTooLong)
}
