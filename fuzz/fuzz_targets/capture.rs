//! Fuzz target of the readers of pcap and pcapng.
//!
//! They are compiled in from their files: they need nothing else of flowwatch, whose other
//! dependencies would take minutes to build with a fuzzer's flags.
#![no_main]

#[allow(dead_code, unused_imports, reason = "the target reads a part of what the module offers")]
#[path = "../../flowwatch/src/capture/mod.rs"]
mod capture;

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;

use capture::{Capture, MAX_PACKET, ReadError};

/// A source that gives few octets at a time, as a pipe may.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(into.len()).min(7);
        let (now, rest) = self.0.split_at(count);
        into[..count].copy_from_slice(now);
        self.0 = rest;
        Ok(count)
    }
}

/// A packet as far as two readings are compared.
type Seen = (Vec<u8>, u32, u32, Option<jiff::Timestamp>);

fuzz_target!(|octets: &[u8]| {
    let (whole, end) = read(octets, octets.len());
    let (trickled, trickled_end) = read(Trickle(octets), octets.len());
    assert_eq!((whole, end), (trickled, trickled_end));
});

/// Reads all packets; returns them, and what ended the reading.
fn read(source: impl Read, size: usize) -> (Vec<Seen>, String) {
    let mut capture = match Capture::open(source) {
        Ok(capture) => capture,
        Err(error) => return (Vec::new(), error.to_string()),
    };
    let mut seen = Vec::new();
    loop {
        let before = capture.position();
        let frame = match capture.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                assert_eq!(capture.position(), size as u64, "all was read");
                return (seen, String::new());
            }
            Err(error) => {
                if let ReadError::Cut { at } | ReadError::Damaged { at, .. } = &error {
                    assert!(*at <= size as u64);
                }
                return (seen, error.to_string());
            }
        };
        assert!(frame.octets.len() as u64 <= u64::from(frame.length));
        assert!(frame.octets.len() <= size && frame.octets.len() as u32 <= MAX_PACKET);
        let link_type = frame.link_type.0;
        seen.push((frame.octets.to_vec(), frame.length, link_type, frame.at));
        assert!(capture.position() > before, "a packet takes octets");
    }
}
