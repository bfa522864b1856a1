//! ARP for IPv4 over Ethernet (RFC 826): who says that an address is its own.

use crate::bytes::PacketBytes;

/// The EtherType that announces it.
pub const ETHERTYPE: u16 = 0x0806;

/// Hardware and protocol of the addresses, and their lengths: Ethernet's and IPv4's.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// Offset of the sender's protocol address.
const SENDER: usize = 14;

/// Returns the sender's IPv4 address in network byte order, of a message at `offset`; nothing where
/// it is cut short or of other networks. A probe's is 0.0.0.0 (RFC 5227 §2.1).
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn sender<B: PacketBytes + ?Sized>(bytes: &B, offset: usize) -> Option<u32> {
    let [h0, h1, p0, p1] = bytes.octets::<4>(offset)?;
    let [hardware_length, protocol_length, _, _] = bytes.octets::<4>(offset + 4)?;
    if [h0, h1, p0, p1, hardware_length, protocol_length] != ETHERNET_IPV4 {
        return None;
    }
    bytes.octets::<4>(offset + SENDER).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question from 2c:aa:8e:01:02:03, 192.168.8.214.
    const QUESTION: [u8; 18] = [
        0, 1, 8, 0, 6, 4, 0, 1, 0x2c, 0xaa, 0x8e, 1, 2, 3, 192, 168, 8, 214,
    ];

    #[test]
    fn the_senders_address_is_read() {
        let address = Some(u32::from_ne_bytes([192, 168, 8, 214]));
        assert_eq!(sender(&QUESTION[..], 0), address);
    }

    #[test]
    fn what_is_cut_short_or_of_other_networks_has_none() {
        assert_eq!(sender(&QUESTION[..17], 0), None);
        for at in [1, 2, 4, 5] {
            let mut other = QUESTION;
            other[at] ^= 1;
            assert_eq!(sender(&other[..], 0), None);
        }
    }
}
