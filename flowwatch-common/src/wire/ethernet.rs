//! The Ethernet header (IEEE 802.3 clause 3): addresses and EtherType.

use crate::abi::{Reason, mac_word};
use crate::bytes::PacketBytes;

/// Octets of the header.
pub const HEADER_LENGTH: usize = 14;
/// IPv4 (RFC 894).
pub const IPV4: u16 = 0x0800;
/// IPv6 (RFC 2464 §3).
pub const IPV6: u16 = 0x86dd;
/// PPPoE session stage (RFC 2516 §4).
pub const PPPOE_SESSION: u16 = 0x8864;

/// The header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Destination address, as [`mac_word`].
    pub destination: u64,
    /// Source address, as [`mac_word`].
    pub source: u64,
    /// EtherType, or the length of an LLC frame when below 0x0600.
    pub ethertype: u16,
}

/// Parses the header at the packet's start.
///
/// # Errors
/// `Truncated` when there are fewer than [`HEADER_LENGTH`] octets.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a call would pass the header by memory"
)]
pub fn parse<B: PacketBytes + ?Sized>(bytes: &B) -> Result<Header, Reason> {
    let octets: [u8; HEADER_LENGTH] = bytes.octets(0).ok_or(Reason::Truncated)?;
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = octets;
    Ok(Header {
        destination: mac_word([d0, d1, d2, d3, d4, d5]),
        source: mac_word([s0, s1, s2, s3, s4, s5]),
        ethertype: u16::from_be_bytes([t0, t1]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ARP question's first octets: to everybody, from 2c:aa:8e:01:02:03.
    const ARP: [u8; 14] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x2c, 0xaa, 0x8e, 0x01, 0x02, 0x03, 0x08, 0x06,
    ];

    #[test]
    fn addresses_have_their_first_octet_lowest() {
        let header = parse(&ARP[..]).unwrap();
        assert_eq!(header.destination, 0xffff_ffff_ffff);
        assert_eq!(header.source, 0x0302_018e_aa2c);
        assert_eq!(header.ethertype, 0x0806);
    }

    #[test]
    fn a_header_cut_short_is_truncated() {
        assert_eq!(parse(&ARP[..13]), Err(Reason::Truncated));
        assert_eq!(parse(&[][..]), Err(Reason::Truncated));
    }
}
