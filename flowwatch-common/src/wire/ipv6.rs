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

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Hop-by-hop options, a fragment header of this offset field, then UDP.
    fn chain(offset_field: u16) -> Vec<u8> {
        let [high, low] = offset_field.to_be_bytes();
        let mut octets = [44, 0, 1, 4, 0, 0, 0, 0].to_vec();
        octets.extend([17, 0xff, high, low, 0, 0, 0, 9]);
        octets
    }

    fn check(octets: &[u8], first: u8) -> Result<(u8, u32, bool), Reason> {
        let upper = skip_extensions(octets, 0, first, octets.len() as u32)?;
        Ok((
            upper.protocol,
            upper.extensions_length,
            upper.is_later_fragment,
        ))
    }

    #[test]
    fn a_header_is_read_field_by_field() {
        let mut octets = [0; 40];
        octets[..8].copy_from_slice(&[0x60, 0, 0, 0, 0x01, 0x02, 58, 255]);
        octets[8..24].copy_from_slice(&[0xfd; 16]);
        octets[24..40].copy_from_slice(&[0x20; 16]);
        let header = parse(&octets[..], 0).unwrap();
        assert_eq!((header.payload_length, header.next_header), (0x102, 58));
        assert_eq!(header.source, [0xfdfd_fdfd; 4]);
        assert_eq!(header.destination, [0x2020_2020; 4]);
        assert_eq!(parse(&octets[..39], 0), Err(Reason::Truncated));
        octets[0] = 0x40;
        assert_eq!(parse(&octets[..], 0), Err(Reason::Malformed));
    }

    #[test]
    fn a_chain_ends_at_its_upper_layer() {
        assert_eq!(check(&chain(1), 0), Ok((17, 16, false)), "first fragment");
        assert_eq!(check(&chain(8), 0), Ok((17, 16, true)), "later fragment");
        assert_eq!(check(&[], 6), Ok((6, 0, false)), "no extension header");
        assert_eq!(check(&[], 50), Ok((50, 0, false)), "ESP hides the rest");
    }

    #[test]
    fn a_chain_that_ends_early_is_truncated() {
        assert_eq!(check(&chain(1)[..11], 0), Err(Reason::Truncated));
        // 2,048 octets of options in eight.
        let long = [17, 255, 0, 0, 0, 0, 0, 0];
        assert_eq!(check(&long, 60), Err(Reason::Truncated));
    }

    #[test]
    fn eight_headers_are_walked_and_not_a_ninth() {
        let options = |count: usize| {
            let mut octets = [60, 0, 1, 4, 0, 0, 0, 0].repeat(count);
            octets[8 * (count - 1)] = 17;
            octets
        };
        assert_eq!(check(&options(8), 60), Ok((17, 64, false)));
        assert_eq!(check(&options(9), 60), Err(Reason::ExtensionChainTooLong));
    }

    #[test]
    fn a_jumbo_length_comes_first_or_not_at_all() {
        let jumbo = [6, 0, 0xc2, 4, 0, 1, 0, 0];
        assert_eq!(jumbo_length(&jumbo[..], 0), Ok(65_536));
        let padded = [6, 0, 1, 4, 0, 0, 0, 0];
        assert_eq!(jumbo_length(&padded[..], 0), Err(Reason::Malformed));
    }
}
