//! Fuzz target of the QUIC parser and of the reader behind it, on both sides of the protection.
//!
//! The target protects what the fuzzer makes up with the keys that RFC 9001 §A.1 and RFC 9369 §A.1 give
//! for their examples' connection ID, so that it reaches the frames; and it gives the fuzzer's octets as
//! they are, so that it reaches the headers.
#![no_main]

#[allow(
    dead_code,
    unused_imports,
    reason = "the target reads a part of what the module offers"
)]
#[path = "../../flowwatch/src/names/mod.rs"]
mod names;
#[allow(dead_code, reason = "the target makes samples only")]
#[path = "../../flowwatch/src/observation.rs"]
mod observation;
#[path = "../streams.rs"]
mod streams;

use aes::Aes128;
use aes::cipher::BlockCipherEncrypt;
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit};
use flowwatch_common::wire::quic::{Frame, Frames, Packets};
use libfuzzer_sys::fuzz_target;

use streams::{names_of, sample, shuffled};

const ID: &[u8; 8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";

/// A version's first octet of an Initial whose number has four octets, its number, and the keys.
struct Version {
    start: [u8; 5],
    key: [u8; 16],
    iv: [u8; 12],
    header_key: [u8; 16],
}

const VERSIONS: [Version; 2] = [
    Version {
        start: *b"\xc3\x00\x00\x00\x01",
        key: *b"\x1f\x36\x96\x13\xdd\x76\xd5\x46\x77\x30\xef\xcb\xe3\xb1\xa2\x2d",
        iv: *b"\xfa\x04\x4b\x2f\x42\xa3\xfd\x3b\x46\xfb\x25\x5c",
        header_key: *b"\x9f\x50\x44\x9e\x04\xa0\xe8\x10\x28\x3a\x1e\x99\x33\xad\xed\xd2",
    },
    Version {
        start: *b"\xd3\x6b\x33\x43\xcf",
        key: *b"\x8b\x1a\x0b\xc1\x21\x28\x42\x90\xa2\x9e\x09\x71\xb5\xcd\x04\x5d",
        iv: *b"\x91\xf7\x3e\x23\x51\xd8\xfa\x91\x66\x0e\x90\x9f",
        header_key: *b"\x45\xb9\x5e\x15\x23\x5d\x6f\x45\xa6\xb1\x9c\xbc\xb0\x29\x4b\xa9",
    },
];

fuzz_target!(|octets: &[u8]| {
    read_datagram(octets);
    names_of(&[sample(17, octets.to_vec())]);
    read_frames(octets);
    let Some((stream, pieces)) = shuffled(octets) else {
        return;
    };
    // As frames, whatever they are.
    let version = &VERSIONS[usize::from(octets[0] >> 7)];
    let packets = pieces.iter().zip(0..);
    let protected = packets.map(|((_, piece), number)| version.protected(number, piece));
    let datagrams: Vec<_> = protected.map(|packet| sample(17, packet)).collect();
    names_of(&datagrams);
    check_stream(stream, &pieces);
});

impl Version {
    fn protected(&self, number: u32, frames: &[u8]) -> Vec<u8> {
        let mut sealed = frames.to_vec();
        // So many that there is a sample to protect the header with.
        sealed.resize(sealed.len().max(4), 0);
        let length = (0x8000_0000 | (sealed.len() as u32 + 20)).to_be_bytes();
        let start = [&self.start[..], &[8], ID, &[0, 0], &length].concat();
        let mut packet = [&start[..], &number.to_be_bytes()].concat();
        let mut nonce = self.iv;
        for (octet, part) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
            *octet ^= part;
        }
        let cipher = Aes128Gcm::new(&self.key.into());
        cipher
            .encrypt_in_place(&nonce.into(), &packet, &mut sealed)
            .expect("a packet is shorter than what the cipher takes");
        packet.extend(sealed);
        let number_at = start.len();
        let sampled: [u8; 16] = packet[number_at + 4..][..16].try_into().expect("16 octets");
        let mut mask = sampled.into();
        Aes128::new(&self.header_key.into()).encrypt_block(&mut mask);
        packet[0] ^= mask[0] & 0x0f;
        for (octet, part) in packet[number_at..number_at + 4].iter_mut().zip(&mask[1..]) {
            *octet ^= part;
        }
        packet
    }
}

/// Packets lie within the datagram, one behind the other.
fn read_datagram(octets: &[u8]) {
    let mut total = 0;
    for packet in Packets::new(octets).flatten() {
        assert!(packet.destination_id.len() <= 20);
        assert!(packet.number_offset <= packet.octets.len());
        assert_eq!(
            octets.get(total..total + packet.octets.len()),
            Some(packet.octets)
        );
        total += packet.octets.len();
    }
}

fn read_frames(octets: &[u8]) {
    let mut count = 0;
    for frame in Frames::new(octets) {
        count += 1;
        if let Ok(Frame::Crypto { offset, data }) = frame {
            assert!(offset + (data.len() as u64) < 1 << 62);
            assert!(data.len() < octets.len());
        }
    }
    assert!(count <= octets.len());
}

/// A message in CRYPTO frames gives the same name in every order, in one packet or in many, and in
/// both versions.
fn check_stream(stream: &[u8], pieces: &[(usize, &[u8])]) {
    let frame = |(offset, octets): &(usize, &[u8])| {
        let integer = |number: usize| (0x8000_0000 | number as u32).to_be_bytes();
        [&[6][..], &integer(*offset), &integer(octets.len()), octets].concat()
    };
    let [one, two] = &VERSIONS;
    let whole = names_of(&[sample(17, one.protected(0, &frame(&(0, stream))))]);
    assert!(whole.len() <= 1);
    let frames: Vec<_> = pieces.iter().map(frame).collect();
    assert_eq!(
        names_of(&[sample(17, two.protected(0, &frames.concat()))]),
        whole
    );
    let packets: Vec<_> = frames
        .iter()
        .zip(0..)
        .map(|(frame, number)| [one, two][number as usize % 2].protected(number, frame))
        .collect();
    let joined = names_of(&[sample(17, packets.concat())]);
    assert_eq!(joined, whole);
    let datagrams: Vec<_> = packets
        .into_iter()
        .map(|packet| sample(17, packet))
        .collect();
    // Of a message that is never whole, what counts is what came first.
    let length = stream
        .first_chunk()
        .map_or(0, |[_, length @ .., _]: &[u8; 4]| {
            usize::from(u16::from_be_bytes(*length)) << 8
        });
    if stream.len().max(length) <= 8 * 1024 {
        assert_eq!(names_of(&datagrams), whole);
    } else {
        names_of(&datagrams);
    }
}
