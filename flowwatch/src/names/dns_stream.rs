//! Names from DNS answers over TCP (RFC 7766): the messages in a resolver's stream.
//!
//! Reads `PayloadSample`s of TCP from remote port 53. Each message has two octets of length before it
//! (RFC 1035 §4.2.2); one segment may hold several, one message may take several segments, and they
//! come out of order and more than once. What waits for a gap to be filled is bounded; a gap that is
//! not filled in time costs the rest of the stream.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bytes::{Buf as _, Bytes};
use flowwatch_common::abi::Direction;
use flowwatch_common::wire::dns::HEADER_LENGTH;
use flowwatch_common::wire::ip_protocol::TCP;

use super::Transport;
use super::dns::{PORT, read_message};
use super::reading::{NameReader, Outcome, Reading};
use crate::observation::{DeviceId, PayloadSample, Segment};

/// The octets of a message's length.
const PREFIX_LENGTH: usize = 2;
/// Octets behind a gap that are kept until it is filled, for one stream.
const MAX_WAITING: usize = 32 * 1024;
/// The pieces that those may be.
const MAX_PIECES: usize = 64;

/// How many streams are followed; each holds at most one message and `MAX_WAITING` octets.
#[derive(Clone, Copy, Debug)]
struct StreamLimits {
    /// Of one device; above it, its least recently used is given up.
    per_device: usize,
    /// Of all; above it, the device that has most gives up its least recently used.
    total: usize,
}

/// The reader.
#[derive(Debug)]
pub(super) struct DnsStreams {
    limits: StreamLimits,
    streams: HashMap<StreamKey, Stream>,
    uses: u64,
    abandoned: u64,
}

/// What tells streams apart that are there at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct StreamKey {
    device: DeviceId,
    resolver: IpAddr,
    local_port: u16,
}

impl DnsStreams {
    /// Returns a reader that has seen no stream: 12 MB when all of its streams are full.
    pub(super) fn new() -> Self {
        Self {
            limits: StreamLimits {
                per_device: 16,
                total: 128,
            },
            streams: HashMap::new(),
            uses: 0,
            abandoned: 0,
        }
    }

    fn take(&mut self, key: StreamKey, segment: Segment, sample: &PayloadSample) -> Reading {
        self.uses += 1;
        let start = segment.stream_start;
        let is_known = self
            .streams
            .get(&key)
            .is_some_and(|stream| stream.start == start);
        if !is_known {
            self.begin(key, start);
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return Reading::of(Outcome::Cut);
        };
        stream.used = self.uses;
        let piece = Piece {
            octets: sample.payload.clone(),
            is_cut: (sample.payload.len() as u64) < u64::from(sample.wire_length),
        };
        let was_lost = stream.is_lost;
        let reading = stream.take(segment.sequence, piece, key.resolver);
        self.abandoned += u64::from(stream.is_lost && !was_lost);
        reading
    }

    /// Makes room for a stream, and begins it in the place of the one that had its ports before.
    fn begin(&mut self, key: StreamKey, start: u32) {
        self.give_up(key);
        let count = |device| {
            let own = self.streams.keys().filter(|key| key.device == device);
            own.count()
        };
        let crowded = if count(key.device) >= self.limits.per_device {
            Some(key.device)
        } else if self.streams.len() >= self.limits.total {
            let devices = self.streams.keys().map(|key| key.device);
            devices.max_by_key(|device| (count(*device), *device == key.device))
        } else {
            None
        };
        let own = self
            .streams
            .iter()
            .filter(|(key, _)| Some(key.device) == crowded);
        if let Some(oldest) = own
            .min_by_key(|(_, stream)| stream.used)
            .map(|(key, _)| *key)
        {
            self.give_up(oldest);
        }
        self.streams.insert(key, Stream::new(start));
    }

    fn give_up(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.remove(&key) {
            self.abandoned += u64::from(stream.is_amid());
        }
    }
}

impl NameReader for DnsStreams {
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading> {
        let is_answer = sample.direction == Direction::Down
            && sample.protocol == TCP
            && sample.remote_port == PORT;
        let segment = sample.segment.filter(|_| is_answer)?;
        let key = StreamKey {
            device: sample.device,
            resolver: sample.remote,
            local_port: sample.local_port,
        };
        Some(self.take(key, segment, sample))
    }

    fn abandoned(&self) -> u64 {
        self.abandoned
    }
}

/// Octets of a stream that came together.
#[derive(Clone, Debug)]
struct Piece {
    octets: Bytes,
    /// Whether those behind it are missing from the sample.
    is_cut: bool,
}

/// One connection's answers.
#[derive(Debug)]
struct Stream {
    /// The sequence number of its first octet.
    start: u32,
    /// The sequence number of the next octet to read.
    next: u32,
    /// What is there of the message that is being read, its length first.
    message: Vec<u8>,
    /// What lies behind a gap, by its distance from the stream's start.
    waiting: BTreeMap<u32, Piece>,
    waiting_octets: usize,
    /// Whether the place of the next message is not known any more.
    is_lost: bool,
    used: u64,
}

impl Stream {
    fn new(start: u32) -> Self {
        Self {
            start,
            next: start,
            message: Vec::new(),
            waiting: BTreeMap::new(),
            waiting_octets: 0,
            is_lost: false,
            used: 0,
        }
    }

    /// Returns whether something is held of what is not complete.
    fn is_amid(&self) -> bool {
        !(self.message.is_empty() && self.waiting.is_empty())
    }

    /// Takes a segment, and reads every message that is complete with it.
    fn take(&mut self, sequence: u32, piece: Piece, resolver: IpAddr) -> Reading {
        if self.is_lost {
            return Reading::of(Outcome::Cut);
        }
        let Some(piece) = self.not_read_yet(sequence, piece) else {
            return Reading::of(Outcome::Nameless);
        };
        // Numbers go round; distances from what is to be read next are less than half of that.
        let ahead = sequence.wrapping_sub(self.next).cast_signed();
        if ahead > 0 {
            return self.keep(sequence, piece);
        }
        let mut readings = Readings(Reading::of(Outcome::Pending));
        self.feed(piece, resolver, &mut readings);
        while let Some((sequence, piece)) = self.next_waiting() {
            if let Some(piece) = self.not_read_yet(sequence, piece) {
                self.feed(piece, resolver, &mut readings);
            }
        }
        readings.0
    }

    /// Returns what of a segment comes at or behind the place that was read to.
    fn not_read_yet(&self, sequence: u32, mut piece: Piece) -> Option<Piece> {
        let read = self.next.wrapping_sub(sequence).cast_signed();
        if let Ok(read @ 1..) = usize::try_from(read) {
            if read >= piece.octets.len() {
                return None;
            }
            piece.octets.advance(read);
        }
        (!piece.octets.is_empty()).then_some(piece)
    }

    /// Keeps what lies behind a gap; without room for it, the stream is lost.
    fn keep(&mut self, sequence: u32, piece: Piece) -> Reading {
        let distance = sequence.wrapping_sub(self.start);
        let known = self.waiting.get(&distance);
        if known.is_some_and(|known| known.octets.len() >= piece.octets.len()) {
            return Reading::of(Outcome::Nameless);
        }
        self.waiting_octets += piece.octets.len();
        if let Some(former) = self.waiting.insert(distance, piece) {
            self.waiting_octets -= former.octets.len();
        }
        if self.waiting_octets > MAX_WAITING || self.waiting.len() > MAX_PIECES {
            self.lose();
            return Reading::of(Outcome::Cut);
        }
        Reading::of(Outcome::Pending)
    }

    /// Takes what waited, once the gap before it is filled.
    fn next_waiting(&mut self) -> Option<(u32, Piece)> {
        let (&distance, _) = self.waiting.first_key_value()?;
        let sequence = self.start.wrapping_add(distance);
        if sequence.wrapping_sub(self.next).cast_signed() > 0 {
            return None;
        }
        let piece = self.waiting.remove(&distance)?;
        self.waiting_octets -= piece.octets.len();
        Some((sequence, piece))
    }

    /// Reads what comes next in the stream.
    fn feed(&mut self, piece: Piece, resolver: IpAddr, readings: &mut Readings) {
        let from = (resolver, Transport::Tcp);
        let mut octets = piece.octets;
        self.next = self.next.wrapping_add(octets.len() as u32);
        while !octets.is_empty() {
            let missing = self.missing();
            let taken = octets.split_to(missing.min(octets.len()));
            self.message.extend_from_slice(&taken);
            if self.missing() > 0 {
                continue;
            }
            if self.message.len() < PREFIX_LENGTH + HEADER_LENGTH {
                readings.add(Reading::of(Outcome::Malformed));
                return self.lose();
            }
            let message = std::mem::take(&mut self.message);
            readings.add(read_message(&message[PREFIX_LENGTH..], false, from));
        }
        if piece.is_cut {
            let message = self.message.get(PREFIX_LENGTH..).unwrap_or_default();
            readings.add(read_message(message, true, from));
            self.lose();
        }
    }

    /// Returns how many octets the message lacks, or its length.
    fn missing(&self) -> usize {
        let length = match self.message[..] {
            [high, low, ..] => PREFIX_LENGTH + usize::from(u16::from_be_bytes([high, low])),
            _ => PREFIX_LENGTH,
        };
        length.saturating_sub(self.message.len())
    }

    fn lose(&mut self) {
        *self = Self {
            is_lost: true,
            used: self.used,
            ..Self::new(self.start)
        };
    }
}

/// The readings of several messages, as one: how far it came is told of the worst.
struct Readings(Reading);

impl Readings {
    fn add(&mut self, reading: Reading) {
        let Self(all) = self;
        if rank(reading.outcome) > rank(all.outcome) {
            all.outcome = reading.outcome;
        }
        all.claims.extend(reading.claims);
        all.facts.extend(reading.facts);
        all.blocked += reading.blocked;
    }
}

const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Pending => 0,
        Outcome::Nameless => 1,
        Outcome::Understood => 2,
        Outcome::Cut => 3,
        Outcome::Malformed => 4,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::dns::tests::answer;
    use super::super::reading::{Claim, Fact};
    use super::*;

    const START: u32 = u32::MAX - 40;

    /// A message with its length before it.
    fn framed(question: &str, addresses: &[&str]) -> Vec<u8> {
        let lines: Vec<_> = addresses
            .iter()
            .map(|address| (question, 1, *address))
            .collect();
        let message = answer(question, &lines).payload;
        [&(message.len() as u16).to_be_bytes()[..], &message].concat()
    }

    /// A piece of the stream from octet `at` on.
    fn segment(stream: &[u8], at: usize, length: usize) -> PayloadSample {
        let payload = Bytes::copy_from_slice(&stream[at..at + length]);
        PayloadSample {
            device: 0,
            direction: Direction::Down,
            remote: [192, 168, 8, 1].into(),
            protocol: TCP,
            remote_port: 53,
            local_port: 40_000,
            at: Timestamp::UNIX_EPOCH,
            segment: Some(Segment {
                stream_start: START,
                sequence: START.wrapping_add(at as u32),
            }),
            wire_length: payload.len() as u32,
            payload,
        }
    }

    fn text(claims: &[Claim]) -> Vec<String> {
        let text = |claim: &Claim| format!("{} = {}", claim.name, claim.address);
        claims.iter().map(text).collect()
    }

    /// Reads the samples one after the other; compares their outcomes and all of their claims.
    fn check(samples: &[PayloadSample], outcomes: &[Outcome], claims: &[&str]) {
        let mut streams = DnsStreams::new();
        let readings = samples.iter().map(|sample| streams.read(sample).unwrap());
        let readings: Vec<_> = readings.collect();
        let came: Vec<_> = readings.iter().map(|reading| reading.outcome).collect();
        assert_eq!(came, outcomes);
        let told: Vec<_> = readings.iter().flat_map(|one| text(&one.claims)).collect();
        assert_eq!(told, claims);
    }

    use Outcome::{Cut, Malformed, Nameless, Pending, Understood};

    #[test]
    fn a_message_in_one_segment_is_read() {
        let stream = framed("a.test", &["192.0.2.1"]);
        check(
            &[segment(&stream, 0, stream.len())],
            &[Understood],
            &["a.test = 192.0.2.1"],
        );
    }

    #[test]
    fn a_message_comes_in_any_pieces_and_any_order() {
        let stream = framed("a.test", &["192.0.2.1", "192.0.2.2"]);
        let claims = ["a.test = 192.0.2.1", "a.test = 192.0.2.2"];
        for cut in 1..stream.len() {
            let (first, second) = (
                segment(&stream, 0, cut),
                segment(&stream, cut, stream.len() - cut),
            );
            let outcomes = [Pending, Understood];
            check(&[first.clone(), second.clone()], &outcomes, &claims);
            check(&[second, first], &outcomes, &claims);
        }
    }

    #[test]
    fn several_messages_in_one_segment_are_all_read() {
        let stream = [
            framed("a.test", &["192.0.2.1"]),
            framed("b.test", &[]),
            framed("c.test", &["192.0.2.3"]),
        ]
        .concat();
        let claims = ["a.test = 192.0.2.1", "c.test = 192.0.2.3"];
        check(&[segment(&stream, 0, stream.len())], &[Understood], &claims);
        let mut streams = DnsStreams::new();
        let reading = streams.read(&segment(&stream, 0, stream.len())).unwrap();
        let names: Vec<_> = reading
            .facts
            .iter()
            .map(|fact| match fact {
                Fact::Lookup(lookup) => (&*lookup.name, lookup.transport),
                other => panic!("{other:?}"),
            })
            .collect();
        let over_tcp = |name| (name, Transport::Tcp);
        assert_eq!(names, ["a.test", "b.test", "c.test"].map(over_tcp));
    }

    #[test]
    fn what_comes_twice_is_read_once() {
        let stream = framed("a.test", &["192.0.2.1"]);
        let whole = segment(&stream, 0, stream.len());
        let claims = ["a.test = 192.0.2.1"];
        check(
            &[whole.clone(), whole.clone()],
            &[Understood, Nameless],
            &claims,
        );
        let middle = segment(&stream, 5, 10);
        check(
            &[middle.clone(), middle.clone(), whole],
            &[Pending, Nameless, Understood],
            &claims,
        );
        // Overlaps: each brings a part that the other has.
        let (first, second) = (
            segment(&stream, 0, 20),
            segment(&stream, 10, stream.len() - 10),
        );
        check(&[first, second], &[Pending, Understood], &claims);
    }

    #[test]
    fn a_gap_that_is_not_filled_costs_the_stream_and_no_more_than_its_bound() {
        let stream = vec![0; MAX_WAITING + 4000];
        let mut streams = DnsStreams::new();
        let mut lost = 0;
        for at in (1..=MAX_WAITING + 2000).step_by(2000) {
            let reading = streams.read(&segment(&stream, at, 2000)).unwrap();
            lost += u64::from(reading.outcome == Cut);
            let held = streams.streams.values().map(|stream| stream.waiting_octets);
            assert!(held.sum::<usize>() <= MAX_WAITING);
        }
        assert!(lost > 0);
        assert_eq!(streams.abandoned(), 1);
        let pieces: Vec<_> = (0..=MAX_PIECES).map(|piece| 1 + 2 * piece).collect();
        let pieces: Vec<_> = pieces.iter().map(|at| segment(&stream, *at, 1)).collect();
        let outcomes = [vec![Pending; MAX_PIECES], vec![Cut]].concat();
        check(&pieces, &outcomes, &[]);
    }

    #[test]
    fn a_new_connection_begins_anew() {
        let stream = framed("a.test", &["192.0.2.1"]);
        let other = framed("b.test", &["192.0.2.2"]);
        let mut next = segment(&other, 0, other.len());
        let segment_of_next = next.segment.as_mut().unwrap();
        segment_of_next.stream_start = 7;
        segment_of_next.sequence = 7;
        check(
            &[segment(&stream, 0, 20), next],
            &[Pending, Understood],
            &["b.test = 192.0.2.2"],
        );
    }

    #[test]
    fn a_length_that_no_message_has_ends_the_reading() {
        let stream = [&[0, 3, 1, 2, 3][..], &framed("a.test", &["192.0.2.1"])].concat();
        let (first, second) = (
            segment(&stream, 0, 5),
            segment(&stream, 5, stream.len() - 5),
        );
        check(&[first, second], &[Malformed, Cut], &[]);
    }

    #[test]
    fn a_cut_sample_names_by_the_records_that_are_whole() {
        let stream = framed("a.test", &["192.0.2.1", "192.0.2.2"]);
        let mut cut = segment(&stream, 0, stream.len() - 1);
        cut.wire_length += 1;
        let rest = segment(&stream, stream.len() - 1, 1);
        check(&[cut, rest], &[Cut, Cut], &["a.test = 192.0.2.1"]);
    }

    #[test]
    fn streams_above_a_devices_limit_cost_its_own_oldest() {
        let stream = framed("a.test", &["192.0.2.1"]);
        let mut streams = DnsStreams::new();
        let mut begin = |device, local_port| {
            let sample = PayloadSample {
                device,
                local_port,
                ..segment(&stream, 0, 20)
            };
            streams.read(&sample).unwrap();
        };
        for port in 0..17 {
            begin(0, port);
        }
        for device in 1..200 {
            begin(device, 1);
        }
        assert_eq!(streams.streams.len(), 128);
        let ports = |device| {
            let own = streams.streams.keys().filter(|key| key.device == device);
            own.map(|key| key.local_port).collect::<Vec<_>>()
        };
        assert!(!ports(0).contains(&0));
        assert_eq!(ports(199), [1]);
        assert_eq!(streams.abandoned(), 17 + 199 - 128);
    }

    #[test]
    fn samples_of_other_kinds_are_left_to_others() {
        let stream = framed("a.test", &["192.0.2.1"]);
        let sample = segment(&stream, 0, stream.len());
        let others = [
            PayloadSample {
                direction: Direction::Up,
                ..sample.clone()
            },
            PayloadSample {
                segment: None,
                ..sample.clone()
            },
            PayloadSample {
                remote_port: 443,
                ..sample
            },
        ];
        let mut streams = DnsStreams::new();
        assert!(others.iter().all(|other| streams.read(other).is_none()));
    }
}
