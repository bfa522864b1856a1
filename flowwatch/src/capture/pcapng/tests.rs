use super::*;
use crate::capture::fixtures::{Seen, read_all};

/// A section header of a little-endian section whose length is not said.
#[rustfmt::skip]
const SECTION: [u8; 28] = [
    0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
];
/// The same, big-endian.
#[rustfmt::skip]
const BIG_SECTION: [u8; 28] = [
    0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 28,
];
/// An Ethernet interface without options, snap length 4.
const ETHERNET: [u8; 20] = [1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 20, 0, 0, 0];
/// An interface of raw IP: nanoseconds (9), an hour later (14), a name that flowwatch skips (2), and
/// a check sequence of 32 bits (13).
#[rustfmt::skip]
const RAW: [u8; 56] = [
    1, 0, 0, 0, 56, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0,
    2, 0, 3, 0, b't', b'u', b'n', 0,
    9, 0, 1, 0, 9, 0, 0, 0,
    14, 0, 8, 0, 0x10, 0x0e, 0, 0, 0, 0, 0, 0,
    13, 0, 1, 0, 32, 0, 0, 0,
    56, 0, 0, 0,
];
/// Six octets, whole, of interface 0 at 0x0004c39764ca47aa µs.
#[rustfmt::skip]
const PACKET: [u8; 40] = [
    6, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0x97, 0xc3, 4, 0, 0xaa, 0x47, 0xca, 0x64,
    6, 0, 0, 0, 6, 0, 0, 0, b'a', b'b', b'c', b'd', b'e', b'f', 0, 0, 40, 0, 0, 0,
];
/// The same in a big-endian section, behind its interface: seconds since 1970, and a year before.
#[rustfmt::skip]
const BIG: [u8; 80] = [
    0, 0, 0, 1, 0, 0, 0, 40, 0, 1, 0, 0, 0, 0, 0, 0,
    0, 9, 0, 1, 0, 0, 0, 0,
    0, 14, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x1e, 0xcc, 0x80,
    0, 0, 0, 40,
    0, 0, 0, 6, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0x5e, 0x54, 0x32, 0x10,
    0, 0, 0, 6, 0, 0, 0, 6, b'a', b'b', b'c', b'd', b'e', b'f', 0, 0, 0, 0, 0, 40,
];
/// Six octets of interface 1 and their check sequence, at 1.5 s, with a comment (1).
#[rustfmt::skip]
const COMMENTED: [u8; 52] = [
    6, 0, 0, 0, 52, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x2f, 0x68, 0x59,
    10, 0, 0, 0, 10, 0, 0, 0, b'a', b'b', b'c', b'd', b'e', b'f', 1, 1, 1, 1, 0, 0,
    1, 0, 2, 0, b'h', b'i', 0, 0, 52, 0, 0, 0,
];
/// A packet block of old: interface 0 (and two drops), captured 4 of 60.
#[rustfmt::skip]
const OBSOLETE: [u8; 36] = [
    2, 0, 0, 0, 36, 0, 0, 0, 0, 0, 2, 0, 0x97, 0xc3, 4, 0, 0xaa, 0x47, 0xca, 0x64,
    4, 0, 0, 0, 60, 0, 0, 0, b'w', b'x', b'y', b'z', 36, 0, 0, 0,
];
/// A simple packet block of 60 octets; the interface's snap length leaves 4.
const SIMPLE: [u8; 20] = [
    3, 0, 0, 0, 20, 0, 0, 0, 60, 0, 0, 0, b's', b'i', b'm', b'p', 20, 0, 0, 0,
];
/// A block of a kind that nobody knows.
const UNKNOWN: [u8; 16] = [0xad, 0x0b, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4, 16, 0, 0, 0];

const AT: &str = "2012-06-29T07:28:25.298858Z";

fn ethernet(octets: &str, length: u32, at: Option<&str>) -> Seen {
    Seen::new(octets, length, LinkType::ETHERNET, at)
}

fn check(blocks: &[&[u8]], expected: &[Seen]) {
    let (frames, end) = read_all(&blocks.concat());
    assert!(end.is_none(), "{end:?}");
    assert_eq!(frames, expected);
}

/// Reads what can't be read to its end; returns the packets before, and where it ends.
fn ends_at(octets: &[u8]) -> (usize, u64) {
    let (frames, end) = read_all(octets);
    match end {
        Some(ReadError::Cut { at } | ReadError::Damaged { at, .. }) => (frames.len(), at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_packet_block_is_read_and_every_other_skipped() {
    let blocks: [&[u8]; 7] = [
        &SECTION, &UNKNOWN, &ETHERNET, &PACKET, &UNKNOWN, &OBSOLETE, &SIMPLE,
    ];
    let expected = [
        ethernet("abcdef", 6, Some(AT)),
        ethernet("wxyz", 60, Some(AT)),
        ethernet("simp", 60, None),
    ];
    check(&blocks, &expected);
}

#[test]
fn each_interface_has_its_own_link_type_clock_and_check_sequence() {
    let at = "1970-01-01T01:00:01.5Z";
    let expected = [
        ethernet("abcdef", 6, Some(AT)),
        Seen::new("abcdef", 6, LinkType::RAW, Some(at)),
    ];
    check(&[&SECTION, &ETHERNET, &RAW, &PACKET, &COMMENTED], &expected);
}

#[test]
fn a_section_has_a_byte_order_and_interfaces_of_its_own() {
    let big = ethernet("abcdef", 6, Some("2019-02-24T20:29:04Z"));
    let little = ethernet("abcdef", 6, Some(AT));
    check(&[&BIG_SECTION, &BIG], std::slice::from_ref(&big));
    let blocks: [&[u8]; 5] = [&SECTION, &ETHERNET, &PACKET, &BIG_SECTION, &BIG];
    check(&blocks, &[little, big]);
    // Interface 0 of the first section is none of the second's.
    let (frames, end) = read_all(&[&SECTION[..], &ETHERNET, &SECTION, &PACKET].concat());
    assert!(end.is_none());
    let expected = Seen::new("abcdef", 6, LinkType::UNDESCRIBED, Some(AT));
    assert_eq!(frames, [expected]);
}

#[test]
fn a_packets_own_flags_say_its_check_sequence_best() {
    let mut packet = COMMENTED;
    // epb_flags in the comment's place: 2 octets of check sequence, where the interface says 4.
    packet[40..48].copy_from_slice(&[2, 0, 4, 0, 0x40, 0, 0, 0]);
    let (frames, _) = read_all(&[&SECTION[..], &ETHERNET, &RAW, &packet].concat());
    assert_eq!(frames[0].length, 8);
}

#[test]
fn check_sequences_in_bits_and_in_octets_are_the_same() {
    assert_eq!([0, 2, 4, 16, 32].map(octets_of), [0, 2, 4, 2, 4]);
}

#[test]
fn a_capture_cut_anywhere_gives_what_is_before_the_cut() {
    let octets = [&SECTION[..], &ETHERNET, &PACKET, &UNKNOWN, &SIMPLE].concat();
    let ends = [28, 48, 88, 104, 124];
    for cut in 24..octets.len() {
        let (frames, end) = read_all(&octets[..cut]);
        assert_eq!(frames.len(), usize::from(cut >= 88), "{cut}");
        let is_whole = ends.contains(&cut);
        assert_eq!(end.is_none(), is_whole, "{cut}: {end:?}");
        if !is_whole {
            let start = ends.into_iter().rfind(|end| *end < cut).unwrap_or(0);
            assert_eq!(ends_at(&octets[..cut]).1, start as u64, "{cut}");
        }
    }
}

#[test]
fn damage_ends_the_reading_at_its_block() {
    let damaged = |block: &[u8], at: usize, octet: u8| {
        let mut block = block.to_vec();
        block[at] = octet;
        ends_at(&[&SECTION[..], &ETHERNET, &PACKET, &block, &PACKET].concat())
    };
    assert_eq!(damaged(&PACKET, 36, 44), (1, 88), "the second length");
    assert_eq!(damaged(&PACKET, 4, 41), (1, 88), "no multiple of four");
    assert_eq!(damaged(&PACKET, 4, 8), (1, 88), "less than its frame");
    assert_eq!(damaged(&PACKET, 20, 9), (1, 88), "more than its block");
    assert_eq!(damaged(&PACKET, 23, 0xff), (1, 88), "more than any block");
    assert_eq!(
        damaged(&PACKET, 7, 0xff),
        (1, 88),
        "a block beyond all bounds"
    );
    assert_eq!(damaged(&SECTION, 8, 0), (1, 88), "no byte order");
    assert_eq!(damaged(&SECTION, 12, 2), (1, 88), "a version of the future");
    assert_eq!(damaged(&UNKNOWN, 7, 0xff), (1, 88), "a skip beyond the end");
}

#[test]
fn options_that_are_cut_short_are_none() {
    let mut interface = RAW;
    // The check sequence's option claims more than the block has.
    interface[46] = 200;
    let packet = &COMMENTED;
    let (frames, end) = read_all(&[&SECTION[..], &ETHERNET, &interface, packet].concat());
    assert!(end.is_none());
    assert_eq!(frames[0].length, 10);
    assert_eq!(
        frames[0].at,
        Some("1970-01-01T01:00:01.5Z".parse().unwrap())
    );
}
