//! What the targets of streams share: a connection's octets are cut into pieces, the pieces come in an
//! order of the fuzzer's, and the name must be that of the octets as a whole.

use std::net::IpAddr;

use bytes::Bytes;
use flowwatch_common::abi::Direction;
use jiff::Timestamp;

use crate::names::{NameTable, Service};
use crate::observation::PayloadSample;

/// Pieces that a stream is cut into at most: a reader gives up what comes in very many.
const MAX_PIECES: usize = 16;

const REMOTE: [u8; 4] = [192, 0, 2, 1];
const PORT: u16 = 443;

/// A sample that goes up to the one remote.
pub fn sample(protocol: u8, payload: Vec<u8>) -> PayloadSample {
    PayloadSample {
        device: 0,
        direction: Direction::Up,
        remote: IpAddr::from(REMOTE),
        protocol,
        remote_port: PORT,
        local_port: 49_152,
        at: Timestamp::UNIX_EPOCH,
        segment: None,
        wire_length: payload.len() as u32,
        payload: Bytes::from(payload),
    }
}

/// Takes the first octets as a plan: where to cut the rest, and in which order the pieces come.
/// Returns the rest, and its pieces with the octets before them.
pub fn shuffled(octets: &[u8]) -> Option<(&[u8], Vec<(usize, &[u8])>)> {
    let (&count, rest) = octets.split_first()?;
    let (plan, stream) = rest.split_at_checked(2 * (usize::from(count) % MAX_PIECES))?;
    let mut cuts: Vec<_> = plan
        .chunks_exact(2)
        .map(|pair| usize::from(pair[0]) * 8 % (stream.len() + 1))
        .chain([0, stream.len()])
        .collect();
    cuts.sort_unstable();
    let mut pieces: Vec<_> = cuts
        .windows(2)
        .map(|ends| (ends[0], &stream[ends[0]..ends[1]]))
        .collect();
    for (index, pair) in plan.chunks_exact(2).enumerate() {
        let count = pieces.len();
        pieces.swap(index % count, usize::from(pair[1]) % count);
    }
    Some((stream, pieces))
}

/// Reads the samples; returns the names that they gave. Every sample has one outcome, or is no
/// reader's, and what a name is made of can be seen.
pub fn names_of(samples: &[PayloadSample]) -> Vec<String> {
    let mut table = NameTable::default();
    for sample in samples {
        table.observe(sample);
    }
    let counters = table.counters();
    let read = counters.understood + counters.pending + counters.cut;
    let unread = counters.malformed + counters.nameless;
    assert_eq!(counters.samples, read + unread);
    assert!(counters.samples <= samples.len() as u64);
    assert!(counters.bindings <= counters.understood + counters.cut + counters.malformed);
    let bindings = table.bindings_of(0, IpAddr::from(REMOTE));
    let names = bindings.iter().map(|binding| {
        let name = &*binding.name;
        assert!(name.bytes().all(|letter| letter.is_ascii_graphic()));
        // At most 254 octets, each four characters long at most.
        assert!((1..=1016).contains(&name.len()));
        assert!(!name.bytes().any(|letter| letter.is_ascii_uppercase()));
        let protocol = samples[0].protocol;
        let port = PORT;
        assert_eq!(binding.service, Some(Service { protocol, port }));
        format!("{} {name}", binding.source.name())
    });
    names.collect()
}
