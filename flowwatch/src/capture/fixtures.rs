//! What the tests of both formats have in common: packets as values, and pcapng's blocks.

use jiff::Timestamp;

use super::{Capture, LinkType, ReadError};

/// A packet that was read, as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    octets: Vec<u8>,
    pub(super) length: u32,
    link_type: LinkType,
    pub(super) at: Option<Timestamp>,
}

impl Seen {
    pub(super) fn new(octets: &str, length: u32, link_type: LinkType, at: Option<&str>) -> Self {
        Self {
            octets: octets.into(),
            length,
            link_type,
            at: at.map(|at| at.parse().unwrap()),
        }
    }
}

/// Reads a capture to its end, or to where it can't be read on.
pub(super) fn read_all(octets: &[u8]) -> (Vec<Seen>, Option<ReadError>) {
    let mut capture = Capture::open(octets).unwrap();
    let mut seen = Vec::new();
    loop {
        match capture.next_frame() {
            Ok(None) => return (seen, None),
            Err(error) => return (seen, Some(error)),
            Ok(Some(frame)) => seen.push(Seen {
                octets: frame.octets.to_vec(),
                length: frame.length,
                link_type: frame.link_type,
                at: frame.at,
            }),
        }
    }
}
