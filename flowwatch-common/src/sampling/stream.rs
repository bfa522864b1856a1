//! The connection tracker: which octets of a TCP stream are wanted.
//!
//! Segments come out of order, twice, or not at all, and the stream's first octets may be in
//! several. So a stream is remembered by its ends from its SYN on: until its first octets were seen
//! it is undecided, and little of it is wanted; they decide how much of it is. The memory is a map
//! of the caller's ([`Streams`]): an LRU hash map in the kernel, a bounded table natively.

use super::content::{self, Fit};
use super::{Payload, SAMPLES_A_PACKET};
use crate::abi::{Direction, FlowKey, SAMPLE_PAYLOAD_MAX};
use crate::bytes::PacketBytes;
use crate::sample_rules::{Content, Contents};

/// Streams that are remembered, in the kernel: about 2 MB.
pub const STREAMS_MAX: usize = 1 << 14;
/// Octets of an undecided stream within which segments that come before its first are sampled: more
/// than any usual `ClientHello` has.
pub const UNDECIDED_MAX: u32 = 4_096;
/// Samples of a stream while it is undecided.
pub const UNDECIDED_SAMPLES: u32 = 8;
/// Samples of a stream once it is decided: 16 KiB in segments of 536 octets are 31.
pub const DECIDED_SAMPLES: u32 = 40;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct StreamKey {
    /// Device, remote, protocol and the remote's port.
    pub flow: FlowKey,
    /// The device's port in bits 0 to 15, the direction (0 up, 1 down) above.
    pub local: u32,
}

impl StreamKey {
    /// Returns the key of a flow's stream at this port of the device.
    #[must_use]
    pub const fn new(flow: FlowKey, local_port: u16, direction: Direction) -> Self {
        Self {
            flow,
            local: local_port as u32 | (direction as u32) << 16,
        }
    }
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct StreamState {
    /// The sequence number of its first octet.
    pub start: u32,
    /// Octets from there on that are wanted.
    pub wanted: u32,
    /// Samples that may still be taken.
    pub samples_left: u32,
    /// 1 when its first octets have decided what is wanted, else 0.
    pub decided: u32,
}

const _: () = {
    assert!(size_of::<StreamKey>() == 28);
    assert!(size_of::<StreamState>() == 16);
};

/// A bounded map of streams.
pub trait Streams {
    /// Returns what is known of a stream.
    fn get(&mut self, key: &StreamKey) -> Option<StreamState>;

    /// Remembers a stream, in the place of what was known of it; another may be forgotten for it.
    fn insert(&mut self, key: &StreamKey, state: &StreamState);
}

/// A segment's header, as far as the tracker reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The sequence number of the payload's first octet.
    pub(super) sequence: u32,
    /// Whether it has the SYN flag.
    pub(super) opens: bool,
}

/// Which octets of a segment are wanted, from its first on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) stream_start: u32,
    /// 0 when none is.
    pub(super) length: u32,
    /// Octets that would have been wanted were left out, for a limit's sake.
    pub(super) turned_away: bool,
}

impl StreamState {
    /// A stream of which nothing but its start is known.
    const fn undecided(start: u32) -> Self {
        Self {
            start,
            wanted: UNDECIDED_MAX,
            samples_left: UNDECIDED_SAMPLES,
            decided: 0,
        }
    }

    /// A stream of which everything is wanted.
    const fn endless(start: u32) -> Self {
        Self {
            start,
            wanted: u32::MAX,
            samples_left: u32::MAX,
            decided: 1,
        }
    }

    const fn is_endless(&self) -> bool {
        self.samples_left == u32::MAX
    }

    const fn new(asked: Contents, start: u32) -> Self {
        if asked.has(Content::Any) {
            Self::endless(start)
        } else {
            Self::undecided(start)
        }
    }

    /// Decides what is wanted by the stream's first octets.
    const fn decide(&mut self, fit: Fit) {
        match fit {
            Fit::Wanted(octets) => {
                (self.wanted, self.samples_left, self.decided) = (octets, DECIDED_SAMPLES, 1);
            }
            Fit::Other => (self.wanted, self.decided) = (0, 1),
            Fit::Unclear => {}
        }
    }

    /// Takes what is wanted of a segment's `length` octets from `sequence` on.
    const fn take(&mut self, sequence: u32, length: u32) -> Stretch {
        let offset = sequence.wrapping_sub(self.start);
        let mut stretch = Stretch {
            stream_start: self.start,
            length: 0,
            turned_away: false,
        };
        if self.is_endless() {
            stretch.length = length;
        } else if offset < self.wanted {
            let room = self.wanted - offset;
            stretch.length = if length < room { length } else { room };
        }
        let samples = stretch.length.div_ceil(SAMPLE_PAYLOAD_MAX as u32);
        let mut allowed = if samples < SAMPLES_A_PACKET {
            samples
        } else {
            SAMPLES_A_PACKET
        };
        if !self.is_endless() {
            if allowed > self.samples_left {
                allowed = self.samples_left;
            }
            self.samples_left -= allowed;
        }
        if allowed < samples {
            stretch.length = allowed * SAMPLE_PAYLOAD_MAX as u32;
            stretch.turned_away = true;
        }
        stretch
    }
}

/// Follows a stream by one more of its segments, and returns what is wanted of that.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub(super) fn follow<B: PacketBytes + ?Sized, S: Streams>(
    bytes: &B,
    payload: Payload,
    header: Header,
    asked: Contents,
    key: &StreamKey,
    streams: &mut S,
) -> Stretch {
    let known = streams.get(key);
    let is_new = match known {
        // The SYN again is the same connection; another one is the ports' next.
        Some(state) => header.opens && state.start != header.sequence,
        None => true,
    };
    if payload.length == 0 && !(is_new && header.opens) {
        return Stretch::default();
    }
    let before = match known {
        Some(state) if !is_new => state,
        _ => StreamState::new(asked, header.sequence),
    };
    let mut state = before;
    if state.decided == 0 && header.sequence == state.start && payload.length != 0 {
        let fit = content::fit(bytes, payload.offset as usize, payload.length, asked);
        if is_new && !header.opens && !matches!(fit, Fit::Wanted(_)) {
            // Its SYN was not seen, and this is the middle of it for all that is known.
            return Stretch::default();
        }
        state.decide(fit);
    }
    let stretch = state.take(header.sequence, payload.length);
    if is_new || state != before {
        streams.insert(key, &state);
    }
    stretch
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::sample_rules::contents_asked;
    use crate::wire::ip_protocol::TCP;

    impl Streams for BTreeMap<StreamKey, StreamState> {
        fn get(&mut self, key: &StreamKey) -> Option<StreamState> {
            BTreeMap::get(self, key).copied()
        }

        fn insert(&mut self, key: &StreamKey, state: &StreamState) {
            BTreeMap::insert(self, *key, *state);
        }
    }

    /// The initial sequence number of the streams here: near the end of the numbers.
    const ISN: u32 = u32::MAX - 3;
    /// The stream's first octet's.
    const START: u32 = ISN.wrapping_add(1);

    /// A stream going up to port 443, or the one coming down from port 53.
    struct Stream {
        streams: BTreeMap<StreamKey, StreamState>,
        direction: Direction,
        port: u16,
    }

    impl Stream {
        fn up() -> Self {
            Self {
                streams: BTreeMap::new(),
                direction: Direction::Up,
                port: 443,
            }
        }

        fn segment(&mut self, sequence: u32, opens: bool, payload: &[u8]) -> Stretch {
            let transport = FlowKey::transport(4, TCP, self.port);
            let flow = FlowKey {
                remote: [0, 0, 0xffff, 1],
                device: 0,
                transport,
            };
            let whole = Payload {
                offset: 20,
                length: payload.len() as u32,
            };
            let header = Header { sequence, opens };
            let asked = contents_asked(self.direction, TCP, self.port);
            let key = StreamKey::new(flow, 40000, self.direction);
            let bytes = [&[0; 20], payload].concat();
            let streams = &mut self.streams;
            follow(&bytes[..], whole, header, asked, &key, streams)
        }

        fn syn(&mut self) {
            assert_eq!(self.segment(START, true, &[]).length, 0);
        }

        /// A segment without SYN of the stream that begins at [`START`]: what is sampled of it.
        fn check(&mut self, offset: u32, payload: &[u8], sampled: u32) {
            let stretch = self.segment(START.wrapping_add(offset), false, payload);
            assert_eq!(stretch.length, sampled, "at {offset}");
            if sampled != 0 {
                assert_eq!(stretch.stream_start, START);
            }
        }
    }

    /// A `ClientHello` of `length` octets, record header included.
    fn hello(length: usize) -> Vec<u8> {
        let [_, _, r0, r1] = ((length - 5) as u32).to_be_bytes();
        let [_, m0, m1, m2] = ((length - 9) as u32).to_be_bytes();
        let mut octets = vec![0x16, 3, 1, r0, r1, 1, m0, m1, m2];
        octets.resize(length, 0xab);
        octets
    }

    #[test]
    fn a_hello_is_sampled_and_what_follows_it_is_not() {
        let mut stream = Stream::up();
        stream.syn();
        stream.check(0, &hello(517), 517);
        stream.check(517, &[0x14, 3, 3, 0, 1, 1], 0);
        stream.check(523, &[0x17; 1400], 0);
    }

    #[test]
    fn what_stands_in_a_segment_behind_the_hello_is_left_out() {
        let mut stream = Stream::up();
        stream.syn();
        let mut both = hello(517);
        both.extend([0x17; 300]);
        stream.check(0, &both, 517);
    }

    #[test]
    fn a_hello_in_several_segments_is_sampled_in_any_order() {
        let octets = hello(3000);
        let pieces = [(0, 1400), (1400, 2800), (2800, 3000)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
            let mut stream = Stream::up();
            stream.syn();
            for (from, to) in order.map(|at| pieces[at]) {
                stream.check(from, &octets[from as usize..to], to as u32 - from);
            }
            stream.check(3000, &[0x17; 1400], 0);
        }
    }

    #[test]
    fn a_segment_that_comes_again_is_sampled_again_within_the_limits() {
        let mut stream = Stream::up();
        stream.syn();
        let octets = hello(517);
        for _ in 0..DECIDED_SAMPLES {
            stream.check(0, &octets, 517);
        }
        let refused = stream.segment(START, false, &octets);
        assert!(refused.turned_away && refused.length == 0);
    }

    #[test]
    fn an_undecided_stream_is_sampled_within_its_first_octets_alone() {
        let mut stream = Stream::up();
        stream.syn();
        stream.check(UNDECIDED_MAX, &[1; 100], 0);
        stream.check(UNDECIDED_MAX - 60, &[1; 100], 60);
        // What begins before the start is no part of the stream: a probe that keeps it alive.
        stream.check(u32::MAX, &[0], 0);
        for _ in 1..UNDECIDED_SAMPLES {
            stream.check(1400, &[1; 100], 100);
        }
        let more = stream.segment(START.wrapping_add(1400), false, &[1; 100]);
        assert!(more.turned_away && more.length == 0);
        // The first octets are still worth a look.
        stream.check(0, &hello(517), 517);
    }

    #[test]
    fn other_streams_are_not_sampled() {
        for first in [&b"SSH-2.0-OpenSSH_9.2p1\r\n"[..], &[0x16, 3, 3, 0, 90, 2]] {
            let mut stream = Stream::up();
            stream.syn();
            stream.check(0, first, 0);
            stream.check(first.len() as u32, &hello(517), 0);
            stream.check(0, first, 0);
        }
    }

    #[test]
    fn a_request_is_sampled_up_to_its_limit() {
        let mut stream = Stream::up();
        stream.syn();
        let mut request = b"POST / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec();
        request.resize(3000, b'x');
        stream.check(0, &request, 3000);
        stream.check(3000, &[b'x'; 1400], 1096);
        stream.check(4400, &[b'x'; 1400], 0);
    }

    #[test]
    fn first_octets_that_come_one_by_one_are_sampled() {
        let mut stream = Stream::up();
        stream.syn();
        let octets = hello(517);
        stream.check(0, &octets[..1], 1);
        stream.check(1, &octets[1..3], 2);
        // The start again, and more of it.
        stream.check(0, &octets[..200], 200);
        stream.check(200, &octets[200..], 317);
        stream.check(517, &[0x17; 100], 0);
    }

    #[test]
    fn a_stream_whose_syn_was_not_seen_begins_with_what_looks_like_a_start() {
        let mut stream = Stream::up();
        stream.check(5000, &[0x17; 100], 0);
        stream.check(5100, &[0x16], 0);
        assert!(stream.streams.is_empty(), "nothing is remembered of it");
        stream.check(0, &hello(3000)[..1400], 1400);
        stream.check(1400, &hello(3000)[1400..], 1600);
        stream.check(3000, &[0x17; 1400], 0);
    }

    #[test]
    fn the_ports_next_connection_is_another_stream() {
        let mut stream = Stream::up();
        stream.syn();
        stream.check(0, &hello(517), 517);
        // Its SYN again changes nothing.
        stream.syn();
        stream.check(517, &[0x17; 100], 0);
        let next = START.wrapping_add(1_000_000);
        assert_eq!(stream.segment(next, true, &[]).length, 0);
        stream.check(0, &hello(517), 0);
        let stretch = stream.segment(next, false, &hello(600));
        assert_eq!((stretch.length, stretch.stream_start), (600, next));
    }

    #[test]
    fn data_that_comes_with_the_syn_is_the_streams_first() {
        let mut stream = Stream::up();
        let stretch = stream.segment(START, true, &hello(517));
        assert_eq!((stretch.length, stretch.stream_start), (517, START));
        stream.check(517, &[0x17; 100], 0);
    }

    #[test]
    fn segments_without_payload_leave_no_trace() {
        let mut stream = Stream::up();
        stream.check(0, &[], 0);
        assert!(stream.streams.is_empty());
        stream.syn();
        stream.check(0, &[], 0);
        stream.check(0, &hello(517), 517);
    }

    #[test]
    fn an_aggregate_is_sampled_up_to_the_packets_limit() {
        let mut stream = Stream::up();
        stream.syn();
        let mut long = hello(16_384);
        long.extend(vec![0x17; 40_000]);
        stream.check(0, &long, 16_384);
    }

    #[test]
    fn answers_are_sampled_to_the_last_octet() {
        let mut stream = Stream {
            direction: Direction::Down,
            port: 53,
            ..Stream::up()
        };
        stream.syn();
        for number in 0..100 {
            stream.check(number * 1400, &[0; 1400], 1400);
        }
        let most = SAMPLES_A_PACKET * SAMPLE_PAYLOAD_MAX as u32;
        let stretch = stream.segment(START, false, &vec![0; 60_000]);
        assert_eq!((stretch.length, stretch.turned_away), (most, true));
        // Without a SYN, it begins with what is seen first.
        stream.streams.clear();
        stream.check(0, &[1, 2], 2);
        stream.check(2, &[1; 70], 70);
    }
}
