//! The protection of QUIC's Initial packets, which everybody who sees the connection's first can take
//! off (RFC 9001 §5, RFC 9369 §3.3).
//!
//! Made of a Destination Connection ID; used by the reader of QUIC.

use std::fmt;

use aes::Aes128;
use aes::cipher::BlockCipherEncrypt;
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit};
use flowwatch_common::wire::quic::{LongPacket, Version, packet_number};
use hkdf::Hkdf;
use sha2::Sha256;

const KEY_LENGTH: usize = 16;
const IV_LENGTH: usize = 12;
/// The bits of a long header's first octet that are protected.
const LONG_HEADER_MASK: u8 = 0x0f;
/// From the packet number's start to the sample: as if the number had four octets (RFC 9001 §5.4.2).
const SAMPLE_DISTANCE: usize = 4;

/// A version's own constants.
struct Constants {
    salt: [u8; 20],
    key: &'static str,
    iv: &'static str,
    header_key: &'static str,
}

impl Constants {
    const fn of(version: Version) -> &'static Self {
        match version {
            // RFC 9001 §5.2 and §5.1.
            Version::One => &Self {
                salt: [
                    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4,
                    0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
                ],
                key: "quic key",
                iv: "quic iv",
                header_key: "quic hp",
            },
            // RFC 9369 §3.3.1 and §3.3.2.
            Version::Two => &Self {
                salt: [
                    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e,
                    0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
                ],
                key: "quicv2 key",
                iv: "quicv2 iv",
                header_key: "quicv2 hp",
            },
        }
    }
}

/// What a client's Initial packets of one version are protected with.
pub(super) struct ClientKeys {
    packet: Aes128Gcm,
    iv: [u8; IV_LENGTH],
    header: Aes128,
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKeys")
    }
}

impl ClientKeys {
    /// Makes the keys of the connection whose first Initial goes to that Destination Connection ID.
    ///
    /// It can't fail: HKDF refuses other lengths only. The caller has a case for "no such keys" anyway.
    pub(super) fn of(version: Version, destination_id: &[u8]) -> Option<Self> {
        let constants = Constants::of(version);
        let initial = Hkdf::<Sha256>::new(Some(&constants.salt), destination_id);
        let secret: [u8; 32] = expand_label(&initial, "client in")?;
        let client = Hkdf::from_prk(&secret).ok()?;
        let key: [u8; KEY_LENGTH] = expand_label(&client, constants.key)?;
        let header_key: [u8; KEY_LENGTH] = expand_label(&client, constants.header_key)?;
        Some(Self {
            packet: Aes128Gcm::new(&key.into()),
            iv: expand_label(&client, constants.iv)?,
            header: Aes128::new(&header_key.into()),
        })
    }

    /// Takes the protection off: returns the packet's number and its payload, or nothing when the
    /// packet was not protected with these keys or is not as it was sent. `expected` is one more than
    /// the highest number so far.
    pub(super) fn open(&self, packet: &LongPacket<'_>, expected: u64) -> Option<(u64, Vec<u8>)> {
        let protected = packet.octets.get(packet.number_offset..)?;
        let mask = self.header_mask(protected)?;
        let first = packet.octets.first()? ^ (mask[0] & LONG_HEADER_MASK);
        let (number, ciphertext) = protected.split_at_checked(usize::from(first & 0b11) + 1)?;
        let number: Vec<u8> = number.iter().zip(&mask[1..]).map(|(a, b)| a ^ b).collect();
        let between = packet.octets.get(1..packet.number_offset)?;
        let header = [&[first], between, &number].concat();
        let number = packet_number(&number, expected);
        let mut payload = ciphertext.to_vec();
        let nonce = self.nonce(number).into();
        self.packet
            .decrypt_in_place(&nonce, &header, &mut payload)
            .ok()?;
        Some((number, payload))
    }

    /// Returns what the header's first octet and packet number are masked with (RFC 9001 §5.4.3).
    fn header_mask(&self, protected: &[u8]) -> Option<[u8; 16]> {
        let sample: &[u8; 16] = protected.get(SAMPLE_DISTANCE..)?.first_chunk()?;
        let mut block = (*sample).into();
        self.header.encrypt_block(&mut block);
        Some(block.into())
    }

    /// The packet number in the IV's lower octets (RFC 9001 §5.3).
    fn nonce(&self, number: u64) -> [u8; IV_LENGTH] {
        let mut nonce = self.iv;
        for (octet, part) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *octet ^= part;
        }
        nonce
    }
}

/// HKDF-Expand-Label with no context (RFC 8446 §7.1).
fn expand_label<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    let label = ["tls13 ", label].concat();
    let info = [
        &(N as u16).to_be_bytes()[..],
        &[label.len() as u8],
        label.as_bytes(),
        &[0],
    ]
    .concat();
    let mut expanded = [0; N];
    secret.expand(&info, &mut expanded).ok()?;
    Some(expanded)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The Destination Connection ID of the examples in RFC 9001 and RFC 9369 §A.
    pub(in crate::names::quic) const ID: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
    /// RFC 9001 §A.2: a client's Initial packet, protected, as the whole datagram.
    pub(in crate::names::quic) const RFC_9001: &[u8] =
        include_bytes!("../golden/rfc9001-a2-client-initial");
    /// RFC 9369 §A.2: the same in version 2.
    pub(in crate::names::quic) const RFC_9369: &[u8] =
        include_bytes!("../golden/rfc9369-a2-client-initial");

    impl ClientKeys {
        /// Protects a payload as a client does, behind a header that says how many octets of the
        /// number it has.
        pub(in crate::names::quic) fn seal(
            &self,
            header: &[u8],
            number: u32,
            payload: &[u8],
        ) -> Vec<u8> {
            let length = usize::from(header[0] & 0b11) + 1;
            let mut packet = [header, &number.to_be_bytes()[4 - length..]].concat();
            let mut sealed = payload.to_vec();
            let nonce = self.nonce(u64::from(number)).into();
            self.packet
                .encrypt_in_place(&nonce, &packet, &mut sealed)
                .unwrap();
            packet.extend(sealed);
            let mask = self.header_mask(&packet[header.len()..]).unwrap();
            packet[0] ^= mask[0] & LONG_HEADER_MASK;
            let number = packet[header.len()..].iter_mut().take(length);
            for (octet, part) in number.zip(&mask[1..]) {
                *octet ^= part;
            }
            packet
        }
    }

    /// RFC 9001 §A.2: the payload is a CRYPTO frame of 245 octets, and PADDING.
    fn check_example(version: Version, octets: &[u8], header: &[u8]) {
        let keys = ClientKeys::of(version, ID).unwrap();
        let packet = LongPacket::parse(octets).unwrap().unwrap();
        let (number, payload) = keys.open(&packet, 0).unwrap();
        assert_eq!((number, payload.len()), (2, 1162));
        assert_eq!(payload[..8], *b"\x06\x00\x40\xf1\x01\x00\x00\xed");
        assert_eq!(payload[240..245], *b"\x04\x80\x00\xff\xff");
        assert!(payload[245..].iter().all(|octet| *octet == 0));
        assert_eq!(keys.seal(header, 2, &payload), octets);
    }

    #[test]
    fn examples_of_the_rfcs_are_opened() {
        check_example(
            Version::One,
            RFC_9001,
            b"\xc3\x00\x00\x00\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x00\x00\x44\x9e",
        );
        check_example(
            Version::Two,
            RFC_9369,
            b"\xd3\x6b\x33\x43\xcf\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x00\x00\x44\x9e",
        );
    }

    #[test]
    fn keys_of_the_rfc_are_derived() {
        // RFC 9001 §A.1.
        let initial = Hkdf::<Sha256>::new(Some(&Constants::of(Version::One).salt), ID);
        let secret: [u8; 32] = expand_label(&initial, "client in").unwrap();
        assert_eq!(
            secret,
            *b"\xc0\x0c\xf1\x51\xca\x5b\xe0\x75\xed\x0e\xbf\xb5\xc8\x03\x23\xc4\x2d\x6b\x7d\xb6\
                \x78\x81\x28\x9a\xf4\x00\x8f\x1f\x6c\x35\x7a\xea"
        );
        let client = Hkdf::from_prk(&secret).unwrap();
        let key = b"\x1f\x36\x96\x13\xdd\x76\xd5\x46\x77\x30\xef\xcb\xe3\xb1\xa2\x2d";
        assert_eq!(expand_label(&client, "quic key"), Some(*key));
        let iv = b"\xfa\x04\x4b\x2f\x42\xa3\xfd\x3b\x46\xfb\x25\x5c";
        assert_eq!(expand_label(&client, "quic iv"), Some(*iv));
        let header_key = b"\x9f\x50\x44\x9e\x04\xa0\xe8\x10\x28\x3a\x1e\x99\x33\xad\xed\xd2";
        assert_eq!(expand_label(&client, "quic hp"), Some(*header_key));
    }

    #[test]
    fn a_changed_octet_anywhere_is_refused() {
        let keys = ClientKeys::of(Version::One, ID).unwrap();
        for at in (0..RFC_9001.len()).step_by(3) {
            let mut octets = RFC_9001.to_vec();
            octets[at] ^= 1;
            if let Ok(Some(packet)) = LongPacket::parse(&octets) {
                assert_eq!(keys.open(&packet, 0), None, "{at}");
            }
        }
        let other = ClientKeys::of(Version::One, b"\x83\x94\xc8\xf0\x3e\x51\x57\x09").unwrap();
        let packet = LongPacket::parse(RFC_9001).unwrap().unwrap();
        assert_eq!(other.open(&packet, 0), None);
    }

    #[test]
    fn packets_too_short_to_be_protected_are_refused() {
        let keys = ClientKeys::of(Version::One, ID).unwrap();
        for length in 0..40_u8 {
            let octets = [
                &b"\xc0\x00\x00\x00\x01\x00\x00\x00"[..],
                &[length],
                &vec![0; length.into()],
            ]
            .concat();
            let packet = LongPacket::parse(&octets).unwrap().unwrap();
            assert_eq!(keys.open(&packet, 0), None, "{length}");
        }
    }
}
