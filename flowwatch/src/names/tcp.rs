//! Names that devices send first on a TCP stream: in TLS's `ClientHello` or HTTP's request.
//!
//! Reads `PayloadSample`s with a segment, on any port; what the octets are, they say themselves. Puts
//! them together by their place in the stream, however they are cut, doubled and out of order.

use flowwatch_common::abi::Direction;
use flowwatch_common::wire::ip_protocol::TCP;
use flowwatch_common::wire::tls::CONTENT_HANDSHAKE;

use super::finding::{Finding, SentName, reading_of};
use super::stream::{MAX_LENGTH, Stream};
use super::stream_table::{Held, StreamLimits, StreamTable};
use super::{NameReader, Outcome, Reading, http, tls};
use jiff::SignedDuration;

use crate::observation::{PayloadSample, Segment};

/// The reader.
#[derive(Debug)]
pub(super) struct StreamStarts {
    streams: StreamTable<Start>,
}

impl StreamStarts {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self {
            streams: StreamTable::new(limits),
        }
    }
}

impl NameReader for StreamStarts {
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading> {
        let segment = sample.segment?;
        if sample.direction != Direction::Up || sample.protocol != TCP {
            return None;
        }
        let told = self
            .streams
            .update(sample, |start| start.take(segment, sample));
        told.map(|told| reading_of(sample, told))
    }

    fn shift(&mut self, by: SignedDuration) {
        self.streams.shift(by);
    }

    fn abandoned(&self) -> u64 {
        self.streams.abandoned()
    }
}

/// What is known of a stream.
#[derive(Debug)]
enum Start {
    /// Its octets so far, and how many are needed before it is worth to look at them again.
    Waiting { stream: Stream, needed: usize },
    /// It has told all that it will.
    Told,
    /// It is neither TLS nor HTTP.
    Foreign,
}

impl Default for Start {
    fn default() -> Self {
        Self::Waiting {
            stream: Stream::default(),
            needed: 1,
        }
    }
}

impl Held for Start {
    fn memory(&self) -> usize {
        match self {
            Self::Waiting { stream, .. } => stream.memory(),
            Self::Told | Self::Foreign => 0,
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

impl Start {
    /// Takes in a segment; returns nothing when the stream is for other readers.
    fn take(
        &mut self,
        segment: Segment,
        sample: &PayloadSample,
    ) -> Option<(Outcome, Option<SentName>)> {
        let Self::Waiting { stream, needed } = self else {
            let is_foreign = matches!(self, Self::Foreign);
            return (!is_foreign).then_some((Outcome::Nameless, None));
        };
        let (offset, payload) = placed(segment, &sample.payload);
        let is_scattered = stream.insert(offset, payload).is_err();
        // The rest of a segment that was cut comes with no other.
        let is_cut = (sample.payload.len() as u64) < u64::from(sample.wire_length);
        if stream.start().len() < *needed && !is_cut && !is_scattered {
            return Some((Outcome::Pending, None));
        }
        let finding = read_start(stream.start());
        let is_foreign = finding == Finding::Foreign;
        let mut is_at_end = is_scattered;
        match finding {
            Finding::Incomplete { needed: more, .. } => *needed = more,
            _ => is_at_end = true,
        }
        is_at_end |= *needed > MAX_LENGTH;
        let told = finding.conclude(is_at_end || is_cut);
        if is_foreign {
            *self = Self::Foreign;
            return None;
        }
        // What was cut may be sent again, whole; unless a name was told, that is waited for.
        if is_at_end || told.1.is_some() {
            *self = Self::Told;
        }
        Some(told)
    }
}

/// Returns where in the stream a segment's payload begins, without what lies before the stream.
fn placed(segment: Segment, payload: &[u8]) -> (u64, &[u8]) {
    let offset = segment.offset();
    let before = offset.wrapping_neg() as usize;
    match payload.get(before..) {
        Some(payload) if offset > u32::MAX / 2 => (0, payload),
        None if offset > u32::MAX / 2 => (0, &[]),
        _ => (u64::from(offset), payload),
    }
}

fn read_start(octets: &[u8]) -> Finding {
    match octets.first() {
        None => Finding::Incomplete {
            needed: 1,
            name: None,
        },
        Some(&CONTENT_HANDSHAKE) => tls::read_records(octets),
        Some(_) => http::read_request(octets),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use jiff::Timestamp;

    use super::super::tls::tests::{extension, hello, hello_with, records, server_name};
    use super::*;
    use crate::names::{Contact, NameSource, NameTable, Service};

    /// Where the streams start: they go over the end of the sequence numbers.
    const START: u32 = u32::MAX - 700;

    /// A segment of the stream, with octets that begin at an offset.
    fn segment(offset: usize, payload: &[u8]) -> PayloadSample {
        segment_from(START.wrapping_add(offset as u32), payload)
    }

    /// A segment of the stream with that sequence number.
    fn segment_from(sequence: u32, payload: &[u8]) -> PayloadSample {
        PayloadSample {
            device: 0,
            direction: Direction::Up,
            remote: [192, 0, 2, 1].into(),
            protocol: TCP,
            remote_port: 8443,
            local_port: 40_000,
            at: Timestamp::UNIX_EPOCH,
            segment: Some(Segment {
                stream_start: START,
                sequence,
            }),
            payload: Bytes::copy_from_slice(payload),
            wire_length: payload.len() as u32,
        }
    }

    fn reader() -> StreamStarts {
        StreamStarts::new(StreamLimits::default())
    }

    fn modern_hello() -> Vec<u8> {
        records(&hello("api.wyzecam.com"), 1 << 14)
    }

    /// Reads samples one after the other; returns each outcome and the names with their sources.
    fn read(reader: &mut StreamStarts, samples: &[PayloadSample]) -> (Vec<Outcome>, Vec<String>) {
        let (mut outcomes, mut names) = (Vec::new(), Vec::new());
        for reading in samples.iter().filter_map(|sample| reader.read(sample)) {
            outcomes.push(reading.outcome);
            names.extend(reading.claims.iter().map(|claim| {
                assert_eq!(claim.address, samples[0].remote);
                let (protocol, port) = (TCP, 8443);
                assert_eq!(claim.service, Some(Service { protocol, port }));
                format!("{} {}", claim.source.name(), claim.name)
            }));
        }
        (outcomes, names)
    }

    fn check(samples: &[PayloadSample], outcomes: &[Outcome], names: &[&str]) {
        let (seen, told) = read(&mut reader(), samples);
        assert_eq!((&seen[..], &told[..]), (outcomes, &strings(names)[..]));
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    const NAMED: [&str; 1] = ["sni api.wyzecam.com"];
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];

    #[test]
    fn hello_in_two_segments_names_wherever_it_is_cut() {
        let octets = modern_hello();
        assert!(octets.len() > 1300, "longer than a segment can be");
        for cut in 1..octets.len() {
            let parts = [segment(0, &octets[..cut]), segment(cut, &octets[cut..])];
            check(&parts, &[Outcome::Pending, Outcome::Understood], &NAMED);
            let [first, second] = parts;
            check(
                &[second, first],
                &[Outcome::Pending, Outcome::Understood],
                &NAMED,
            );
        }
    }

    #[test]
    fn hello_in_three_segments_names_in_every_order() {
        let octets = modern_hello();
        let expected = [Outcome::Pending, Outcome::Pending, Outcome::Understood];
        for first in (1..octets.len() - 1).step_by(89) {
            for second in (first + 1..octets.len()).step_by(97) {
                let parts = [
                    segment(0, &octets[..first]),
                    segment(first, &octets[first..second]),
                    segment(second, &octets[second..]),
                ];
                for order in ORDERS {
                    check(&order.map(|part| parts[part].clone()), &expected, &NAMED);
                }
            }
        }
    }

    #[test]
    fn overlaps_and_repeats_change_nothing() {
        let octets = modern_hello();
        let parts = [
            segment(0, &octets[..600]),
            segment(0, &octets[..600]),
            segment(500, &octets[500..1000]),
            segment(300, &octets[300..700]),
            segment(900, &octets[900..]),
            segment(900, &octets[900..]),
            segment(0, &octets),
        ];
        let (outcomes, names) = read(&mut reader(), &parts);
        assert_eq!(names, NAMED);
        assert_eq!(
            outcomes[4..],
            [Outcome::Understood, Outcome::Nameless, Outcome::Nameless]
        );
        assert_eq!(outcomes[..4], [Outcome::Pending; 4]);
    }

    #[test]
    fn of_two_texts_for_one_place_the_first_counts() {
        let octets = modern_hello();
        let other = records(&hello("www.example.com"), 1 << 14);
        assert_eq!(octets.len(), other.len());
        let tail = octets.len() - 100;
        let parts = [segment(tail, &octets[tail..]), segment(0, &other)];
        check(&parts, &[Outcome::Pending, Outcome::Understood], &NAMED);
    }

    #[test]
    fn octets_before_the_stream_are_not_of_it() {
        let octets = modern_hello();
        // A keep-alive's octet (RFC 9293 §3.8.4), and a segment that began before the start.
        let before = [&[0xff][..], &octets].concat();
        check(&[segment_from(START - 1, b"x")], &[Outcome::Pending], &[]);
        check(
            &[segment_from(START - 1, &before)],
            &[Outcome::Understood],
            &NAMED,
        );
        check(
            &[segment_from(START - 3, b"x"), segment(0, &octets)],
            &[Outcome::Pending, Outcome::Understood],
            &NAMED,
        );
    }

    #[test]
    fn a_hole_is_waited_for_and_then_abandoned() {
        let octets = modern_hello();
        let mut reader = reader();
        let parts = [segment(0, &octets[..500]), segment(700, &octets[700..])];
        assert_eq!(
            read(&mut reader, &parts),
            (vec![Outcome::Pending; 2], vec![])
        );
        assert_eq!(reader.abandoned(), 0);
        let late = PayloadSample {
            at: Timestamp::UNIX_EPOCH + Duration::from_secs(31),
            ..segment(500, &octets[500..700])
        };
        assert_eq!(read(&mut reader, &[late]), (vec![Outcome::Pending], vec![]));
        assert_eq!(reader.abandoned(), 1);
    }

    #[test]
    fn connections_that_use_the_same_ports_have_names_of_their_own() {
        let first = segment(0, &modern_hello());
        let segment = Some(Segment {
            stream_start: 5,
            sequence: 5,
        });
        let payload = records(&hello("second.test"), 1 << 14).into();
        let second = PayloadSample {
            segment,
            payload,
            wire_length: 0,
            ..first.clone()
        };
        check(
            &[first, second],
            &[Outcome::Understood; 2],
            &["sni api.wyzecam.com", "sni second.test"],
        );
    }

    #[test]
    fn devices_do_not_share_streams() {
        let octets = modern_hello();
        let other = PayloadSample {
            device: 1,
            ..segment(700, &octets[700..])
        };
        check(
            &[segment(0, &octets[..700]), other],
            &[Outcome::Pending; 2],
            &[],
        );
    }

    #[test]
    fn a_cut_segment_names_by_what_it_has_or_waits_for_the_rest() {
        let octets = modern_hello();
        let cut = |length: usize| PayloadSample {
            wire_length: octets.len() as u32,
            ..segment(0, &octets[..length])
        };
        // The name's extension ends 7 octets before the message.
        check(&[cut(octets.len() - 7)], &[Outcome::Cut], &NAMED);
        let again = segment(0, &octets);
        check(
            &[cut(1000), again],
            &[Outcome::Cut, Outcome::Understood],
            &NAMED,
        );
    }

    #[test]
    fn hello_longer_than_is_held_names_by_what_was_seen() {
        let name = server_name(b"a.test");
        let long = [&name, &extension(21, &vec![0; 20_000])].map(Clone::clone);
        let octets = records(&hello_with(&long), 1 << 14);
        check(
            &[segment(0, &octets[..1400])],
            &[Outcome::Cut],
            &["sni a.test"],
        );
        let late = [&extension(21, &vec![0; 20_000]), &name].map(Clone::clone);
        let octets = records(&hello_with(&late), 1 << 14);
        check(
            &[segment(0, &octets[..1400]), segment(1400, &octets[1400..])],
            &[Outcome::Cut, Outcome::Nameless],
            &[],
        );
    }

    #[test]
    fn http_requests_name_however_they_are_cut() {
        let octets = b"GET /cgi HTTP/1.1\r\nAccept: */*\r\nHost: gm.test:8443\r\n\r\n";
        for cut in 1..octets.len() {
            let parts = [segment(cut, &octets[cut..]), segment(0, &octets[..cut])];
            let expected = [Outcome::Pending, Outcome::Understood];
            check(&parts, &expected, &["http gm.test"]);
        }
    }

    #[test]
    fn other_protocols_streams_are_left_to_others() {
        let ssh = segment(0, b"SSH-2.0-OpenSSH_9.2\r\n");
        let late = PayloadSample {
            at: Timestamp::UNIX_EPOCH + Duration::from_secs(31),
            local_port: 40_001,
            ..ssh.clone()
        };
        let mut reader = reader();
        let samples = [ssh, segment(21, b"more"), late];
        assert_eq!(read(&mut reader, &samples), (vec![], vec![]));
        // They are not waited for.
        assert_eq!(reader.abandoned(), 0);
        let down = PayloadSample {
            direction: Direction::Down,
            ..segment(0, &modern_hello())
        };
        let datagram = PayloadSample {
            protocol: 17,
            ..segment(0, &modern_hello())
        };
        let placeless = PayloadSample {
            segment: None,
            ..segment(0, &modern_hello())
        };
        check(&[down, datagram, placeless], &[], &[]);
    }

    #[test]
    fn a_scattered_stream_is_given_up() {
        let octets = modern_hello();
        let one = |offset: usize| segment(offset, &octets[offset..=offset]);
        let every_second: Vec<_> = (0..200).step_by(2).map(one).collect();
        let mut reader = reader();
        let (outcomes, names) = read(&mut reader, &every_second);
        let waited = outcomes
            .iter()
            .filter(|outcome| **outcome == Outcome::Pending);
        assert_eq!(
            (waited.count(), outcomes[64], names.len()),
            (64, Outcome::Cut, 0)
        );
        assert_eq!(read(&mut reader, &[segment(0, &octets)]).1, [""; 0]);
    }

    /// Returns the processor time that this thread has used, which a busy machine doesn't stretch.
    fn processor_time() -> Duration {
        let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(statistics.split(' ').next().unwrap().parse().unwrap())
    }

    #[test]
    fn octet_by_octet_costs_no_more_than_its_octets() {
        // 16 KiB in records of one octet each, in segments of one octet each: 2700 records.
        let name = server_name(b"a.test");
        let padding = extension(21, &[0; 2500]);
        let octets = records(&hello_with(&[padding, name]), 1);
        assert!((15_000..=MAX_LENGTH).contains(&octets.len()));
        let samples: Vec<_> = (0..)
            .zip(octets.chunks(1))
            .map(|(offset, octet)| segment(offset, octet))
            .collect();
        let started = processor_time();
        let (outcomes, names) = read(&mut reader(), &samples);
        let taken = processor_time().saturating_sub(started);
        assert_eq!(
            (outcomes.len(), &names[..]),
            (octets.len(), &strings(&["sni a.test"])[..])
        );
        assert!(taken < Duration::from_secs(1), "{taken:?}");
    }

    #[test]
    fn mutated_streams_name_nothing_that_is_not_visible() {
        let http = b"POST http://gm.test/ HTTP/1.1\r\nHost: gm.test\r\nX: y\r\n z\r\n\r\n";
        let small = records(
            &hello_with(&[server_name(b"gm.test"), extension(0xfe0d, b"\0")]),
            40,
        );
        let fixtures = [&small[..], &small, &http[..]];
        let mut reader = reader();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % below
        };
        let mut outcomes = [0; 5];
        for round in 0..100_000_usize {
            let mut octets = fixtures[round % 3].to_vec();
            for _ in 0..=next(3) {
                let octet = next(octets.len());
                octets[octet] = next(256) as u8;
            }
            let cut = next(octets.len());
            let parts = [segment(cut, &octets[cut..]), segment(0, &octets[..cut])];
            for part in parts {
                let part = PayloadSample {
                    local_port: round as u16,
                    remote_port: (round >> 16) as u16,
                    ..part
                };
                let Some(reading) = reader.read(&part) else {
                    continue;
                };
                outcomes[reading.outcome as usize] += 1;
                for claim in reading.claims {
                    assert!(claim.name.bytes().all(|letter| letter.is_ascii_graphic()));
                    assert!((1..=1016).contains(&claim.name.len()));
                }
            }
        }
        for outcome in [
            Outcome::Understood,
            Outcome::Pending,
            Outcome::Malformed,
            Outcome::Nameless,
        ] {
            assert!(
                outcomes[outcome as usize] > 500,
                "{outcome:?}: {outcomes:?}"
            );
        }
    }

    #[test]
    fn the_table_names_the_service_that_was_connected_to() {
        let mut table = NameTable::default();
        table.observe(&segment(0, &modern_hello()));
        let names = |port: u16| {
            let naming = table.naming_of(&Contact {
                device: 0,
                remote: [192, 0, 2, 1].into(),
                service: Service {
                    protocol: TCP,
                    port,
                },
                first_seen: Timestamp::UNIX_EPOCH,
                last_seen: Timestamp::UNIX_EPOCH,
            });
            (naming.source(), naming.names().concat())
        };
        let expected = (Some(NameSource::Sni), "api.wyzecam.com".to_owned());
        assert_eq!(names(8443), expected);
        assert_eq!(names(443), (None, String::new()));
    }

    #[test]
    fn a_name_may_hide_another() {
        let outer = [server_name(b"outer.test"), extension(0xfe0d, b"\x00")];
        let octets = records(&hello_with(&outer), 1 << 14);
        check(
            &[segment(0, &octets)],
            &[Outcome::Understood],
            &["ech outer.test"],
        );
    }
}
