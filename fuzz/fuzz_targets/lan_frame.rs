//! Fuzz target of the census, on any frame: what a frame says of its sender, and the names in it.
//!
//! The readers of names are compiled in from their file: they are pure, and need nothing else of
//! flowwatch, whose dependencies would take minutes to build with a fuzzer's flags.
#![no_main]

#[allow(
    dead_code,
    reason = "the target reads a part of what the module offers"
)]
#[path = "../../flowwatch/src/census/names.rs"]
mod names;

use flowwatch_common::census::{CENSUS_FRAME_MAX, sighting_of};
use flowwatch_common::parse::FrameInfo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let octets = &octets[..octets.len().min(CENSUS_FRAME_MAX)];
    for length in [octets.len() as u32, octets.len() as u32 + 700, u32::MAX] {
        let frame = FrameInfo {
            length,
            ..FrameInfo::default()
        };
        let sighting = sighting_of(octets, &frame);
        if let Some(sighting) = sighting {
            assert_eq!(sighting.key.mac(), octets[6..12]);
            assert!(octets[6] & 1 == 0 && octets[6..12] != [0; 6]);
            assert!(matches!(sighting.key.ip_version(), 0 | 4 | 6));
        }
        if let Some((_, hostname)) = names::in_frame(octets, length) {
            assert!(!hostname.text.is_empty());
            // Each invalid octet becomes a character of three; an escape of DNS takes four letters.
            assert!(hostname.text.len() <= 4 * 1020);
        }
    }
});
