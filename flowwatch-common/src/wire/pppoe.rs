//! PPPoE sessions (RFC 2516 §4): the way to the IP packet within.

use crate::abi::Reason;
use crate::bytes::PacketBytes;
use crate::wire::ethernet;

/// Octets of the PPPoE header and the PPP protocol field behind it.
pub const HEADER_LENGTH: usize = 8;
/// Version 1, type 1.
const VERSION_AND_TYPE: u8 = 0x11;
/// PPP protocol number of IPv4 (RFC 1332 §2).
const PPP_IPV4: u16 = 0x0021;
/// PPP protocol number of IPv6 (RFC 5072 §3).
const PPP_IPV6: u16 = 0x0057;

/// Returns the EtherType of what the session frame at `offset` carries.
///
/// # Errors
/// `Truncated` when the header is cut short, `Malformed` for a version that isn't 1 or a code that
/// isn't 0, `NotIp` for PPP's own protocols.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn parse<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> Result<u16, Reason> {
    let header: [u8; HEADER_LENGTH] = bytes.octets(offset).ok_or(Reason::Truncated)?;
    let [version_and_type, code, _, _, _, _, p0, p1] = header;
    if version_and_type != VERSION_AND_TYPE || code != 0 {
        return Err(Reason::Malformed);
    }
    match u16::from_be_bytes([p0, p1]) {
        PPP_IPV4 => Ok(ethernet::IPV4),
        PPP_IPV6 => Ok(ethernet::IPV6),
        _ => Err(Reason::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(octets: &[u8]) -> Result<u16, Reason> {
        parse(octets, 0)
    }

    #[test]
    fn a_session_says_what_it_carries() {
        // Version 1, type 1, code 0, session 17, 6 octets, and PPP's protocol.
        assert_eq!(check(&[0x11, 0, 0, 17, 0, 6, 0, 0x21]), Ok(0x0800));
        assert_eq!(check(&[0x11, 0, 0, 17, 0, 6, 0, 0x57]), Ok(0x86dd));
        // LCP (RFC 1661 §2).
        assert_eq!(
            check(&[0x11, 0, 0, 17, 0, 6, 0xc0, 0x21]),
            Err(Reason::NotIp)
        );
    }

    #[test]
    fn what_is_no_session_is_refused() {
        let malformed = Err(Reason::Malformed);
        assert_eq!(check(&[0x21, 0, 0, 17, 0, 6, 0, 0x21]), malformed);
        assert_eq!(check(&[0x11, 9, 0, 17, 0, 6, 0, 0x21]), malformed);
        assert_eq!(check(&[0x11, 0, 0, 17, 0, 6, 0]), Err(Reason::Truncated));
    }
}
