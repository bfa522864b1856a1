//! The Internet checksum (RFC 1071) and SCTP's `CRC32c` (RFC 9260 appendix A), written for the
//! packet builder alone.

use std::net::IpAddr;

/// Returns the ones' complement sum of `parts`, read as one run of 16-bit words, complemented.
/// Every part but the last has an even length.
pub(crate) fn internet(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        // RFC 1071: an odd last octet is the upper half of a word.
        let word = [pair[0], pair.get(1).copied().unwrap_or(0)];
        sum += u64::from(u16::from_be_bytes(word));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Returns the pseudo-header that TCP, UDP and `ICMPv6` put under their checksum (RFC 9293 §3.1,
/// RFC 8200 §8.1). `length`: octets of the upper-layer header and data.
pub(crate) fn pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    length: usize,
) -> Vec<u8> {
    let length = length as u32;
    let mut octets = Vec::with_capacity(40);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            octets.extend(source.octets());
            octets.extend(destination.octets());
            octets.extend([0, protocol]);
            octets.extend((length as u16).to_be_bytes());
        }
        (source, destination) => {
            octets.extend(as_v6(source));
            octets.extend(as_v6(destination));
            octets.extend(length.to_be_bytes());
            octets.extend([0, 0, 0, protocol]);
        }
    }
    octets
}

/// Returns the `CRC32c` of `parts` as SCTP carries it: least significant octet first.
pub(crate) fn crc32c(parts: &[&[u8]]) -> [u8; 4] {
    /// The reversed Castagnoli polynomial.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut crc = u32::MAX;
    for octet in parts.iter().copied().flatten() {
        crc ^= u32::from(*octet);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ POLYNOMIAL
            } else {
                crc >> 1
            };
        }
    }
    (!crc).to_le_bytes()
}

fn as_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internet_checksum_of_rfc_1071_section_3() {
        assert_eq!(
            internet(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]),
            !0xddf2
        );
    }

    #[test]
    fn crc32c_of_rfc_3720_appendix_b_4() {
        assert_eq!(crc32c(&[&[0; 32]]), [0xaa, 0x36, 0x91, 0x8a]);
    }
}
