//! Names that devices send first by QUIC: the `ClientHello` in Initial packets.
//!
//! Reads `PayloadSample`s that begin with an Initial of version 1 or 2, on any port. Each packet's
//! protection is taken off with keys from the connection's first Destination Connection ID (RFC 9001
//! §5.2); what that doesn't prove to be as it was sent is not looked at. The CRYPTO frames are put
//! together over packets and datagrams, in any order, and over a change of version (RFC 9369 §4).

mod protection;

use flowwatch_common::abi::Direction;
use flowwatch_common::wire::ip_protocol::UDP;
use flowwatch_common::wire::quic::{
    Frame, Frames, LongPacket, MIN_FIRST_CONNECTION_ID_LENGTH, PacketType, Packets, QuicError,
    Version, begins_with_initial,
};

use super::finding::{Finding, SentName, reading_of};
use super::stream::{MAX_LENGTH, Stream};
use super::stream_table::{Held, StreamLimits, StreamTable};
use super::{NameReader, NameSource, Outcome, Reading, tls};
use jiff::SignedDuration;

use crate::observation::PayloadSample;
use protection::ClientKeys;

/// The reader.
#[derive(Debug)]
pub(super) struct QuicInitials {
    connections: StreamTable<Connection>,
}

impl QuicInitials {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self {
            connections: StreamTable::new(limits),
        }
    }
}

impl NameReader for QuicInitials {
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading> {
        let is_initial = sample.direction == Direction::Up
            && sample.protocol == UDP
            && begins_with_initial(&sample.payload);
        is_initial.then(|| {
            let read = |connection: &mut Connection| connection.take(sample);
            reading_of(sample, self.connections.update(sample, read))
        })
    }

    fn shift(&mut self, by: SignedDuration) {
        self.connections.shift(by);
    }

    fn abandoned(&self) -> u64 {
        self.connections.abandoned()
    }
}

/// What is known of a connection: of the last one that used the same ports.
#[derive(Debug, Default)]
struct Connection {
    /// The Destination Connection ID of its first Initial, which the keys are made of; empty as long
    /// as no Initial has been proved.
    first_id: Vec<u8>,
    /// What there is of its handshake, until that has told its name.
    handshake: Option<Handshake>,
}

impl Held for Connection {
    fn memory(&self) -> usize {
        self.first_id.capacity() + self.handshake.as_ref().map_or(0, Handshake::memory)
    }

    fn is_waiting(&self) -> bool {
        self.handshake.is_some()
    }
}

impl Connection {
    /// Takes in a datagram.
    fn take(&mut self, sample: &PayloadSample) -> (Outcome, Option<SentName>) {
        let mut opened = Opened::default();
        for packet in Packets::new(&sample.payload) {
            match packet {
                Ok(packet) if packet.packet_type == PacketType::Initial => {
                    self.take_initial(&packet, &mut opened);
                }
                Ok(_) => {}
                Err(error) => opened.error = Some(error),
            }
        }
        let is_cut = (sample.payload.len() as u64) < u64::from(sample.wire_length);
        let unread = match opened.error {
            Some(QuicError::Truncated) if is_cut => Outcome::Cut,
            Some(_) => Outcome::Malformed,
            // A later Initial of a connection whose first was not seen can't be told from a forgery.
            None => Outcome::Nameless,
        };
        let Some(handshake) = self.handshake.as_mut().filter(|_| opened.has_frames) else {
            return (unread, None);
        };
        let (finding, is_final) = handshake.find();
        let (outcome, name) = finding.conclude(is_final);
        if outcome != Outcome::Pending {
            self.handshake = None;
        }
        match unread {
            Outcome::Nameless => (outcome, name),
            error => (error, name),
        }
    }

    fn take_initial(&mut self, packet: &LongPacket<'_>, opened: &mut Opened) {
        let payload = self.open(packet, opened);
        let (Some(payload), Some(handshake)) = (payload, &mut self.handshake) else {
            return;
        };
        opened.has_frames = true;
        for frame in Frames::new(&payload) {
            match frame {
                Ok(Frame::Crypto { offset, data }) => handshake.insert(offset, data),
                Ok(Frame::Passed | Frame::Close) => {}
                Err(error) => opened.error = Some(error),
            }
        }
    }

    /// Returns a packet's payload: of the known connection's packets by its keys, else of a new
    /// connection's first. That may use the same ports, or come after the server's Retry.
    fn open(&mut self, packet: &LongPacket<'_>, opened: &mut Opened) -> Option<Vec<u8>> {
        let known = self.handshake.as_mut();
        if let Some(payload) = known.and_then(|known| known.open(packet, &self.first_id)) {
            return Some(payload);
        }
        let id = packet.destination_id;
        if id == self.first_id || id.len() < MIN_FIRST_CONNECTION_ID_LENGTH {
            return None;
        }
        // All packets of a datagram go to the same ID: its keys are made once.
        let candidate = opened.candidate.get_or_insert_default();
        let payload = candidate.open(packet, id)?;
        self.first_id = id.to_vec();
        self.handshake = opened.candidate.take();
        Some(payload)
    }
}

/// What came out of a datagram.
#[derive(Default)]
struct Opened {
    /// Whether a packet of a connection that still waits was proved.
    has_frames: bool,
    error: Option<QuicError>,
    /// The connection that this may be the first datagram of.
    candidate: Option<Handshake>,
}

/// A handshake as far as its first message.
#[derive(Debug)]
struct Handshake {
    keys: Vec<(Version, ClientKeys)>,
    /// One more than the highest packet number so far.
    expected_number: u64,
    crypto: Stream,
    is_scattered: bool,
    /// Octets of the CRYPTO stream that are needed before it is worth to look at it again.
    needed: usize,
}

impl Default for Handshake {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            expected_number: 0,
            crypto: Stream::default(),
            is_scattered: false,
            needed: 1,
        }
    }
}

impl Handshake {
    fn memory(&self) -> usize {
        self.crypto.memory() + self.keys.capacity() * size_of::<(Version, ClientKeys)>()
    }

    fn open(&mut self, packet: &LongPacket<'_>, first_id: &[u8]) -> Option<Vec<u8>> {
        if !self
            .keys
            .iter()
            .any(|(version, _)| *version == packet.version)
        {
            let keys = ClientKeys::of(packet.version, first_id)?;
            self.keys.push((packet.version, keys));
        }
        let mut keys = self.keys.iter();
        let (_, keys) = keys.find(|(version, _)| *version == packet.version)?;
        let (number, payload) = keys.open(packet, self.expected_number)?;
        self.expected_number = self.expected_number.max(number + 1);
        Some(payload)
    }

    fn insert(&mut self, offset: u64, piece: &[u8]) {
        self.is_scattered |= self.crypto.insert(offset, piece).is_err();
    }

    /// Returns what the CRYPTO stream says so far, and whether it will say no more.
    fn find(&mut self) -> (Finding, bool) {
        let start = self.crypto.start();
        if start.len() < self.needed && !self.is_scattered {
            let (needed, name) = (self.needed, None);
            return (Finding::Incomplete { needed, name }, false);
        }
        let finding = tls::read_message(start, NameSource::Quic);
        if let Finding::Incomplete { needed, .. } = finding {
            self.needed = needed;
        }
        (finding, self.is_scattered || self.needed > MAX_LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use flowwatch_common::wire::quic::{VERSION_1, VERSION_2};
    use jiff::Timestamp;

    use super::super::tls::tests::{extension, hello, hello_with, server_name};
    use super::protection::tests::{ID, RFC_9001, RFC_9369};
    use super::*;
    use crate::names::Service;

    /// The ID that the server chose.
    const SERVER_ID: &[u8] = b"server's choice";

    fn datagram(payload: &[u8]) -> PayloadSample {
        PayloadSample {
            device: 0,
            direction: Direction::Up,
            remote: [192, 0, 2, 1].into(),
            protocol: UDP,
            remote_port: 443,
            local_port: 40_000,
            at: Timestamp::UNIX_EPOCH,
            segment: None,
            payload: Bytes::copy_from_slice(payload),
            wire_length: payload.len() as u32,
        }
    }

    /// An Initial that goes to `id`, protected with the keys of `first_id`.
    struct Initial<'a> {
        version: Version,
        id: &'a [u8],
        first_id: &'a [u8],
        number: u32,
        /// Octets of the number that are sent, 1 to 4.
        number_length: u8,
        frames: Vec<u8>,
    }

    impl Initial<'_> {
        fn first(number: u32, frames: Vec<u8>) -> Self {
            Self {
                version: Version::One,
                id: ID,
                first_id: ID,
                number,
                number_length: 4,
                frames,
            }
        }

        fn sealed(&self) -> Vec<u8> {
            let (first, version) = match self.version {
                Version::One => (0xc0, VERSION_1),
                Version::Two => (0xd0, VERSION_2),
            };
            let first = first | (self.number_length - 1);
            let mut frames = self.frames.clone();
            frames.resize(frames.len().max(20), 0);
            let length = 0x4000 | (usize::from(self.number_length) + frames.len() + 16) as u16;
            let header = [
                &[first][..],
                &version.to_be_bytes(),
                &[self.id.len() as u8],
                self.id,
                // A source ID of two octets, a token of three.
                b"\x02me\x03tok",
                &length.to_be_bytes(),
            ]
            .concat();
            let keys = ClientKeys::of(self.version, self.first_id).unwrap();
            keys.seal(&header, self.number, &frames)
        }
    }

    fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
        let integer = |number: usize| (0x8000_0000 | number as u32).to_be_bytes();
        [&[6][..], &integer(offset), &integer(data.len()), data].concat()
    }

    /// The message in CRYPTO frames that are cut at these places.
    fn cut_frames(message: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
        let ends = cuts.iter().copied().chain([message.len()]);
        let starts = [0].into_iter().chain(cuts.iter().copied());
        starts
            .zip(ends)
            .map(|(start, end)| crypto(start, &message[start..end]))
            .collect()
    }

    fn reader() -> QuicInitials {
        QuicInitials::new(StreamLimits::default())
    }

    fn read(reader: &mut QuicInitials, sample: &PayloadSample) -> (Outcome, Vec<String>) {
        let reading = reader.read(sample).unwrap();
        let text = |claim: &crate::names::Claim| {
            assert_eq!(claim.address, sample.remote);
            let (protocol, port) = (UDP, 443);
            assert_eq!(claim.service, Some(Service { protocol, port }));
            format!("{} {}", claim.source.name(), claim.name)
        };
        (reading.outcome, reading.claims.iter().map(text).collect())
    }

    /// Reads datagrams one after the other.
    fn check(datagrams: &[Vec<u8>], outcomes: &[Outcome], names: &[&str]) {
        let mut reader = reader();
        let (mut seen, mut told) = (Vec::new(), Vec::new());
        for octets in datagrams {
            let (outcome, names) = read(&mut reader, &datagram(octets));
            seen.push(outcome);
            told.extend(names);
        }
        assert_eq!((&seen[..], &told[..]), (outcomes, &strings(names)[..]));
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    const NAME: &str = "quic a.test";

    #[test]
    fn examples_of_the_rfcs_are_named() {
        for octets in [RFC_9001, RFC_9369] {
            check(
                &[octets.to_vec()],
                &[Outcome::Understood],
                &["quic example.com"],
            );
        }
    }

    #[test]
    fn hello_over_two_datagrams_names_in_both_orders() {
        let message = hello("a.test");
        for cut in [1, 4, 700, message.len() - 1] {
            let [first, second] = &cut_frames(&message, &[cut])[..] else {
                panic!("two frames")
            };
            let first = Initial::first(0, first.clone()).sealed();
            let second = Initial::first(1, second.clone()).sealed();
            let expected = [Outcome::Pending, Outcome::Understood];
            check(&[first.clone(), second.clone()], &expected, &[NAME]);
            check(&[second, first], &expected, &[NAME]);
        }
    }

    #[test]
    fn frames_of_any_order_and_joined_packets_are_put_together() {
        let message = hello("a.test");
        // As Chromium does: shuffled, with PING and PADDING between, over two joined packets.
        let mut frames = cut_frames(&message, &[3, 60, 61, 400, 900, 1100]);
        frames.reverse();
        frames.swap(1, 4);
        let (front, back) = frames.split_at(3);
        let front = Initial::first(1, front.join(&b"\x01\x00\x00"[..])).sealed();
        let back = Initial::first(2, back.join(&b"\x00\x01"[..])).sealed();
        let octets = [&front[..], &back, &[0; 40]].concat();
        check(&[octets], &[Outcome::Understood], &[NAME]);
    }

    #[test]
    fn repeated_frames_change_nothing() {
        let message = hello("a.test");
        let frames = cut_frames(&message, &[500, 800]);
        let packet = |number, frame: &[u8]| Initial::first(number, frame.to_vec()).sealed();
        check(
            &[
                packet(0, &frames[0]),
                packet(1, &frames[0]),
                packet(2, &crypto(300, &message[300..900])),
                packet(3, &frames[2]),
                packet(4, &frames[2]),
            ],
            &[
                Outcome::Pending,
                Outcome::Pending,
                Outcome::Pending,
                Outcome::Understood,
                Outcome::Nameless,
            ],
            &[NAME],
        );
    }

    #[test]
    fn keys_stay_those_of_the_first_id() {
        let message = hello("a.test");
        let frames = cut_frames(&message, &[700]);
        let later = Initial {
            id: SERVER_ID,
            ..Initial::first(1, frames[1].clone())
        };
        let first = Initial::first(0, frames[0].clone()).sealed();
        check(
            &[first, later.sealed()],
            &[Outcome::Pending, Outcome::Understood],
            &[NAME],
        );
        // Without the first it can't be opened.
        check(&[later.sealed()], &[Outcome::Nameless], &[]);
    }

    #[test]
    fn short_packet_numbers_follow_the_highest_so_far() {
        let message = hello("a.test");
        let frames = cut_frames(&message, &[300, 700]);
        let packet = |number, number_length, frame: &Vec<u8>| {
            let packet = Initial {
                number_length,
                ..Initial::first(number, frame.clone())
            };
            packet.sealed()
        };
        check(
            &[
                packet(70_000, 3, &frames[0]),
                packet(69_990, 1, &frames[1]),
                packet(70_001, 2, &frames[2]),
            ],
            &[Outcome::Pending, Outcome::Pending, Outcome::Understood],
            &[NAME],
        );
    }

    #[test]
    fn connection_may_change_its_version() {
        let message = hello("a.test");
        let frames = cut_frames(&message, &[700]);
        let first = Initial::first(0, frames[0].clone()).sealed();
        let later = Initial {
            version: Version::Two,
            id: SERVER_ID,
            ..Initial::first(1, frames[1].clone())
        };
        check(
            &[first, later.sealed()],
            &[Outcome::Pending, Outcome::Understood],
            &[NAME],
        );
    }

    #[test]
    fn new_id_begins_anew_after_a_retry_or_on_the_same_ports() {
        let message = hello("a.test");
        let frames = cut_frames(&message, &[700]);
        let anew = |name: &str| Initial {
            id: SERVER_ID,
            first_id: SERVER_ID,
            ..Initial::first(1, crypto(0, &hello(name)))
        };
        let first = Initial::first(0, frames[0].clone()).sealed();
        check(
            &[first.clone(), anew("b.test").sealed()],
            &[Outcome::Pending, Outcome::Understood],
            &["quic b.test"],
        );
        let whole = Initial::first(0, frames.concat()).sealed();
        check(
            &[whole, anew("b.test").sealed(), anew("b.test").sealed()],
            &[Outcome::Understood, Outcome::Understood, Outcome::Nameless],
            &[NAME, "quic b.test"],
        );
    }

    #[test]
    fn what_is_not_proved_is_not_read() {
        let mut forged = Initial::first(0, crypto(0, &hello("a.test"))).sealed();
        *forged.last_mut().unwrap() ^= 1;
        check(&[forged.clone()], &[Outcome::Nameless], &[]);
        // It leaves a connection as it is.
        let frames = cut_frames(&hello("a.test"), &[700]);
        let first = Initial::first(0, frames[0].clone()).sealed();
        let second = Initial::first(1, frames[1].clone()).sealed();
        let expected = [Outcome::Pending, Outcome::Nameless, Outcome::Understood];
        check(&[first, forged, second], &expected, &[NAME]);
    }

    #[test]
    fn id_too_short_for_a_first_one_opens_nothing() {
        let short = Initial {
            id: b"1234567",
            first_id: b"1234567",
            ..Initial::first(0, crypto(0, &hello("a.test")))
        };
        check(&[short.sealed()], &[Outcome::Nameless], &[]);
    }

    #[test]
    fn cut_and_broken_datagrams_say_so() {
        let whole = Initial::first(0, crypto(0, &hello("a.test"))).sealed();
        let cut = datagram(&whole[..whole.len() - 1]);
        assert_eq!(read(&mut reader(), &cut), (Outcome::Malformed, vec![]));
        let cut = PayloadSample {
            wire_length: whole.len() as u32,
            ..cut
        };
        assert_eq!(read(&mut reader(), &cut), (Outcome::Cut, vec![]));
        // What comes before is kept.
        let joined = [&whole[..], b"\xc0\x00\x00\x00\x01\x15"].concat();
        check(&[joined], &[Outcome::Malformed], &[NAME]);
        let stream_frame = [&crypto(0, &hello("a.test"))[..], b"\x08"].concat();
        let broken = Initial::first(0, stream_frame).sealed();
        check(&[broken], &[Outcome::Malformed], &[NAME]);
    }

    #[test]
    fn hello_says_in_quic_what_it_says_in_tls() {
        let packet = |message: &[u8]| vec![Initial::first(0, crypto(0, message)).sealed()];
        let outer = [server_name(b"outer.test"), extension(0xfe0d, b"\x00")];
        check(
            &packet(&hello_with(&outer)),
            &[Outcome::Understood],
            &["ech outer.test"],
        );
        check(&packet(&hello_with(&[])), &[Outcome::Nameless], &[]);
        check(&packet(b"\x01\x00\x00\x01\x00"), &[Outcome::Malformed], &[]);
        check(
            &packet(&hello("\x1b[31mred")),
            &[Outcome::Understood],
            &[r"quic \027[31mred"],
        );
    }

    #[test]
    fn hello_that_is_too_long_or_too_scattered_is_given_up() {
        let endless = [&b"\x01\x00\xff\xff"[..], &hello("a.test")[4..]].concat();
        let long = Initial::first(0, crypto(0, &endless)).sealed();
        check(&[long], &[Outcome::Malformed], &[]);
        let far = [
            &crypto(0, b"\x01\x00\xff\xff\x03")[..],
            &crypto(1 << 24, b"x"),
        ]
        .concat();
        check(&[Initial::first(0, far).sealed()], &[Outcome::Cut], &[]);
        let scattered: Vec<u8> = (1..80).flat_map(|at| crypto(at * 2, b"x")).collect();
        let packet = Initial::first(0, scattered).sealed();
        check(&[packet], &[Outcome::Cut], &[]);
    }

    #[test]
    fn other_datagrams_are_left_to_others() {
        let sample = datagram(RFC_9001);
        let others = [
            PayloadSample {
                direction: Direction::Down,
                ..sample.clone()
            },
            PayloadSample {
                protocol: 6,
                ..sample.clone()
            },
            datagram(b"\x40\x00\x00\x00\x01"),
            datagram(b""),
        ];
        let mut reader = reader();
        assert!(others.iter().all(|other| reader.read(other).is_none()));
        assert!(reader.read(&sample).is_some());
    }

    #[test]
    fn mutated_datagrams_name_nothing_that_is_not_visible() {
        let hello = hello_with(&[server_name(b"gm.test"), extension(0xfe0d, b"\0")]);
        let frames = cut_frames(&hello, &[30, 60]).concat();
        let keys = ClientKeys::of(Version::One, ID).unwrap();
        let header = [&b"\xc3\x00\x00\x00\x01\x08"[..], ID, b"\x00\x00"].concat();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % below
        };
        let mut outcomes = [0; 5];
        let mut reader = reader();
        for round in 0..10_000_u16 {
            // One in ten is changed where it is protected, the others before that.
            let mut frames = frames.clone();
            let is_forged = round % 10 == 0;
            for _ in 0..=next(3) {
                let octet = next(frames.len());
                frames[octet] = next(256) as u8;
            }
            let length = 0x4000 | (frames.len() as u16 + 20);
            let header = [&header[..], &length.to_be_bytes()].concat();
            let mut octets = keys.seal(&header, 0, &frames);
            if is_forged {
                let octet = next(octets.len());
                octets[octet] ^= 1 << next(8);
            }
            let sample = PayloadSample {
                local_port: round,
                ..datagram(&octets)
            };
            let Some(reading) = reader.read(&sample) else {
                continue;
            };
            assert!(!is_forged || reading.claims.is_empty());
            outcomes[reading.outcome as usize] += 1;
            for claim in reading.claims {
                assert!(claim.name.bytes().all(|letter| letter.is_ascii_graphic()));
            }
        }
        for outcome in [
            Outcome::Understood,
            Outcome::Pending,
            Outcome::Malformed,
            Outcome::Nameless,
        ] {
            assert!(outcomes[outcome as usize] > 100, "{outcomes:?}");
        }
    }
}
