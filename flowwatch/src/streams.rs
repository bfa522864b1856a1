//! The streams that are followed where no kernel does it: `flowwatch_common::sampling`'s map, bounded.
//!
//! Written and read by the sampling of a capture's packets.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use flowwatch_common::sampling::stream::{STREAMS_MAX, StreamKey, StreamState, Streams};
use foldhash::fast::RandomState;

/// As many streams as the kernel's map holds.
pub const STREAMS: NonZeroUsize = NonZeroUsize::new(STREAMS_MAX).expect("not zero");

/// Streams by their ends, the least recently used forgotten first.
///
/// Two halves: when the younger one is full, the older one is forgotten and they change places. A
/// stream is forgotten after at least `capacity` / 2 others were used since it was.
#[derive(Debug)]
pub struct StreamTable {
    young: HashMap<StreamKey, StreamState, RandomState>,
    old: HashMap<StreamKey, StreamState, RandomState>,
    half: usize,
    forgotten: u64,
}

impl StreamTable {
    /// Returns an empty table for `capacity` streams, at least two.
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            half: capacity.get().div_ceil(2),
            forgotten: 0,
        }
    }

    /// Returns how many streams were forgotten for others.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn keep(&mut self, key: StreamKey, state: StreamState) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.forgotten += self.old.len() as u64;
            self.old.clear();
            std::mem::swap(&mut self.young, &mut self.old);
        }
        self.young.insert(key, state);
    }
}

impl Streams for StreamTable {
    fn get(&mut self, key: &StreamKey) -> Option<StreamState> {
        if let Some(state) = self.young.get(key) {
            return Some(*state);
        }
        let state = self.old.remove(key)?;
        self.keep(*key, state);
        Some(state)
    }

    fn insert(&mut self, key: &StreamKey, state: &StreamState) {
        self.old.remove(key);
        self.keep(*key, *state);
    }
}

#[cfg(test)]
mod tests {
    use flowwatch_common::abi::{Direction, FlowKey};

    use super::*;

    fn key(port: u16) -> StreamKey {
        let flow = FlowKey {
            remote: [0, 0, 0, 1],
            device: 0,
            transport: FlowKey::transport(4, 6, 443),
        };
        StreamKey::new(flow, port, Direction::Up)
    }

    fn state(start: u32) -> StreamState {
        StreamState {
            start,
            wanted: 1,
            samples_left: 1,
            decided: 1,
        }
    }

    fn table(capacity: usize) -> StreamTable {
        StreamTable::new(NonZeroUsize::new(capacity).unwrap())
    }

    #[test]
    fn a_full_table_forgets_the_streams_used_least_recently() {
        let mut table = table(4);
        for port in 0..4 {
            table.insert(&key(port), &state(port.into()));
        }
        assert_eq!(table.forgotten(), 0);
        // 0 is used again, 1 is not.
        assert_eq!(table.get(&key(0)), Some(state(0)));
        for port in 4..6 {
            table.insert(&key(port), &state(port.into()));
        }
        assert_eq!(table.get(&key(0)), Some(state(0)));
        assert_eq!(table.get(&key(1)), None);
        assert!(table.forgotten() >= 1);
    }

    #[test]
    fn a_table_never_holds_more_than_its_capacity() {
        let mut table = table(10);
        for port in 0..1000 {
            table.insert(&key(port), &state(0));
            assert!(table.young.len() + table.old.len() <= 10);
        }
        let held = (table.young.len() + table.old.len()) as u64;
        assert_eq!(table.forgotten() + held, 1000);
    }

    #[test]
    fn what_is_known_of_a_stream_is_replaced() {
        let mut table = table(2);
        for start in 0..10 {
            table.insert(&key(7), &state(start));
            assert_eq!(table.get(&key(7)), Some(state(start)));
        }
        assert_eq!(table.forgotten(), 0);
    }
}
