//! QUIC versions 1 and 2 as far as Initial packets: long headers, and the frames within.
//!
//! Made of a datagram's payload; read by `flowwatch::names`, which takes the protection off between the
//! two. RFC 9000 §16 (integers), §17.2 (long headers), §19 (frames), RFC 9369 §3 (version 2).
//!
//! Octets may end anywhere. Nothing here is authenticated: what a header says is believed when the
//! packet's protection proves it, and not before.

use core::fmt;

/// QUIC version 1 (RFC 9000 §15).
pub const VERSION_1: u32 = 1;
/// QUIC version 2 (RFC 9369 §3.1).
pub const VERSION_2: u32 = 0x6b33_43cf;
/// The longest connection ID in these versions, in octets (RFC 9000 §17.2).
pub const MAX_CONNECTION_ID_LENGTH: usize = 20;
/// The shortest connection ID that a client may make up for a server, in octets (RFC 9000 §7.2).
pub const MIN_FIRST_CONNECTION_ID_LENGTH: usize = 8;

const FORM_LONG: u8 = 0x80;
const FRAME_PADDING: u64 = 0x00;
const FRAME_PING: u64 = 0x01;
const FRAME_ACK: u64 = 0x02;
const FRAME_ACK_ECN: u64 = 0x03;
const FRAME_CRYPTO: u64 = 0x06;
const FRAME_CONNECTION_CLOSE: u64 = 0x1c;

/// Why octets can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuicError {
    /// The octets end before what they announce.
    Truncated,
    /// A connection ID is longer than [`MAX_CONNECTION_ID_LENGTH`].
    ConnectionIdLength,
    /// A frame is none that an Initial packet may carry.
    FrameType,
    /// A CRYPTO frame goes beyond the end that any stream has.
    Offset,
}

impl fmt::Display for QuicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the QUIC packet ends before what it announces",
            Self::ConnectionIdLength => "a connection ID is longer than 20 octets",
            Self::FrameType => "the QUIC packet has a frame that an Initial packet may not carry",
            Self::Offset => "a CRYPTO frame goes beyond 2^62 octets",
        })
    }
}

impl core::error::Error for QuicError {}

/// A place from which octets are taken or refused.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], QuicError> {
        let split = self.rest.split_at_checked(count);
        let (taken, rest) = split.ok_or(QuicError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], QuicError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(QuicError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes an integer of 1, 2, 4 or 8 octets (RFC 9000 §16); at most 2^62 - 1.
    fn take_integer(&mut self) -> Result<u64, QuicError> {
        let [first] = self.take_array()?;
        let more = (1_usize << (first >> 6)) - 1;
        let start = u64::from(first & 0x3f);
        let octets = self.take(more)?.iter();
        Ok(octets.fold(start, |integer, octet| integer << 8 | u64::from(*octet)))
    }

    /// Takes octets whose count is an integer before them.
    fn take_counted(&mut self) -> Result<&'a [u8], QuicError> {
        let count = self.take_integer()?;
        self.take(usize::try_from(count).map_err(|_| QuicError::Truncated)?)
    }

    fn take_connection_id(&mut self) -> Result<&'a [u8], QuicError> {
        let [length] = self.take_array()?;
        if usize::from(length) > MAX_CONNECTION_ID_LENGTH {
            return Err(QuicError::ConnectionIdLength);
        }
        self.take(usize::from(length))
    }
}

/// A version whose Initial packets can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 9000.
    One,
    /// RFC 9369.
    Two,
}

impl Version {
    /// Returns the version of that number.
    #[must_use]
    pub const fn of_number(number: u32) -> Option<Self> {
        match number {
            VERSION_1 => Some(Self::One),
            VERSION_2 => Some(Self::Two),
            _ => None,
        }
    }

    /// Returns what a long header's two type bits stand for (RFC 9000 §17.2, RFC 9369 §3.2).
    const fn packet_type(self, first: u8) -> PacketType {
        let bits = first >> 4 & 0b11;
        let number = match self {
            Self::One => bits,
            Self::Two => bits.wrapping_sub(1) & 0b11,
        };
        match number {
            0 => PacketType::Initial,
            1 => PacketType::ZeroRtt,
            2 => PacketType::Handshake,
            _ => PacketType::Retry,
        }
    }
}

/// What a packet with a long header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketType {
    /// The first of a connection, with the TLS handshake's first messages.
    Initial,
    /// Data ahead of the handshake.
    ZeroRtt,
    /// The handshake's later messages.
    Handshake,
    /// A server's request to come again with a token; it has no length.
    Retry,
}

/// A packet with a long header, whole and protected (RFC 9000 §17.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPacket<'a> {
    /// The version that it is of.
    pub version: Version,
    /// What it is.
    pub packet_type: PacketType,
    /// Destination Connection ID, 0 to 20 octets.
    pub destination_id: &'a [u8],
    /// Where in `octets` the protected part begins: with the packet number, but for Retry.
    pub number_offset: usize,
    /// All of the packet's octets, and no other packet's.
    pub octets: &'a [u8],
}

impl<'a> LongPacket<'a> {
    /// Reads a datagram's or its rest's first packet. Nothing when it has no long header of these
    /// versions.
    ///
    /// # Errors
    /// `Truncated` when the packet is not whole; `ConnectionIdLength`.
    pub fn parse(datagram: &'a [u8]) -> Result<Option<Self>, QuicError> {
        let mut reader = Reader { rest: datagram };
        let Some((first, version)) = long_header(datagram) else {
            return Ok(None);
        };
        reader.take_array::<5>()?;
        let destination_id = reader.take_connection_id()?;
        reader.take_connection_id()?;
        let packet_type = version.packet_type(first);
        if packet_type == PacketType::Initial {
            let _token = reader.take_counted()?;
        }
        // A Retry has no length: it is the datagram's last.
        let protected = match packet_type {
            PacketType::Retry => core::mem::take(&mut reader.rest),
            _ => reader.take_counted()?,
        };
        let length = datagram.len() - reader.rest.len();
        Ok(Some(Self {
            version,
            packet_type,
            destination_id,
            number_offset: length - protected.len(),
            octets: datagram.get(..length).unwrap_or_default(),
        }))
    }
}

/// Returns the first octet and the version of a long header, where they are of a known version.
fn long_header(datagram: &[u8]) -> Option<(u8, Version)> {
    let [first, v0, v1, v2, v3] = *datagram.first_chunk()?;
    let version = Version::of_number(u32::from_be_bytes([v0, v1, v2, v3]))?;
    (first & FORM_LONG != 0).then_some((first, version))
}

/// Returns whether a datagram's first packet is an Initial of these versions, whole or not. RFC 9287
/// lets the bit that RFC 9000 fixes be anything.
#[must_use]
pub fn begins_with_initial(datagram: &[u8]) -> bool {
    long_header(datagram)
        .is_some_and(|(first, version)| version.packet_type(first) == PacketType::Initial)
}

/// The packets with long headers in a datagram, one behind the other (RFC 9000 §12.2); an error is the
/// last item.
///
/// They end before what has another header, and before a packet to another connection ID than the
/// first: no sender may join those, and no receiver reads them.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    destination_id: Option<&'a [u8]>,
}

impl<'a> Packets<'a> {
    /// Begins at a datagram's start.
    #[must_use]
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self {
            rest: datagram,
            destination_id: None,
        }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<LongPacket<'a>, QuicError>;

    fn next(&mut self) -> Option<Self::Item> {
        let datagram = core::mem::take(&mut self.rest);
        let packet = match LongPacket::parse(datagram) {
            Ok(packet) => packet?,
            Err(error) => return Some(Err(error)),
        };
        let first_id = *self.destination_id.get_or_insert(packet.destination_id);
        if packet.destination_id != first_id {
            return None;
        }
        self.rest = datagram.get(packet.octets.len()..).unwrap_or_default();
        Some(Ok(packet))
    }
}

/// Returns the packet number that truncated octets stand for, of which the one `expected` is nearest
/// (RFC 9000 §A.3). There are 1 to 4 octets.
#[must_use]
pub fn packet_number(octets: &[u8], expected: u64) -> u64 {
    let (mut truncated, mut window) = (0, 1_u64);
    for octet in octets.iter().take(4) {
        truncated = truncated << 8 | u64::from(*octet);
        window <<= 8;
    }
    let half = window / 2;
    let candidate = (expected & !(window - 1)) | truncated;
    if candidate.saturating_add(half) <= expected && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > expected.saturating_add(half) && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

/// A frame that an Initial packet may carry (RFC 9000 §12.4, §19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// PADDING, PING or ACK: nothing to read.
    Passed,
    /// CRYPTO: a piece of the TLS handshake's stream.
    Crypto {
        /// Octets of the stream before it.
        offset: u64,
        /// The piece.
        data: &'a [u8],
    },
    /// `CONNECTION_CLOSE`.
    Close,
}

/// The frames of an Initial packet whose protection is off; an error is the last item.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
}

impl<'a> Frames<'a> {
    /// Begins at the payload's start.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self {
            reader: Reader { rest: payload },
        }
    }

    fn parse_next(&mut self) -> Result<Frame<'a>, QuicError> {
        match self.reader.take_integer()? {
            FRAME_PADDING => {
                let rest = self.reader.rest;
                let end = rest.iter().position(|octet| *octet != 0);
                self.reader.rest = rest.get(end.unwrap_or(rest.len())..).unwrap_or_default();
                Ok(Frame::Passed)
            }
            FRAME_PING => Ok(Frame::Passed),
            FRAME_ACK => self.skip_ack(0),
            FRAME_ACK_ECN => self.skip_ack(3),
            FRAME_CRYPTO => {
                let offset = self.reader.take_integer()?;
                let data = self.reader.take_counted()?;
                if offset + data.len() as u64 >= 1 << 62 {
                    return Err(QuicError::Offset);
                }
                Ok(Frame::Crypto { offset, data })
            }
            FRAME_CONNECTION_CLOSE => {
                let (_error, _frame_type) =
                    (self.reader.take_integer()?, self.reader.take_integer()?);
                self.reader.take_counted()?;
                Ok(Frame::Close)
            }
            _ => Err(QuicError::FrameType),
        }
    }

    /// Goes to the end of an ACK frame (RFC 9000 §19.3), with `counts` figures behind its ranges.
    fn skip_ack(&mut self, counts: u64) -> Result<Frame<'a>, QuicError> {
        let (_largest, _delay) = (self.reader.take_integer()?, self.reader.take_integer()?);
        let ranges = self.reader.take_integer()?;
        let _first = self.reader.take_integer()?;
        // However many are said to come, each takes an octet or ends this.
        for _ in 0..ranges * 2 + counts {
            self.reader.take_integer()?;
        }
        Ok(Frame::Passed)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, QuicError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.rest.is_empty() {
            return None;
        }
        let frame = self.parse_next();
        if frame.is_err() {
            self.reader.rest = &[];
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// RFC 9001 §A.2: a client's protected header; the Length says 1182.
    const CLIENT_HEADER: [u8; 22] =
        *b"\xc0\x00\x00\x00\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x00\
        \x00\x44\x9e\x7b\x9a\xec\x34";
    /// RFC 9001 §A.4: a Retry.
    const RETRY: &[u8] =
        b"\xff\x00\x00\x00\x01\x00\x08\xf0\x67\xa5\x50\x2a\x42\x62\xb5\x74\x6f\x6b\
        \x65\x6e\x04\xa2\x65\xba\x2e\xff\x4d\x82\x90\x58\xfb\x3f\x0f\x24\x96\xba";
    /// RFC 9369 §A.4: the same in version 2.
    const RETRY_2: &[u8] = b"\xcf\x6b\x33\x43\xcf\x00\x08\xf0\x67\xa5\x50\x2a\x42\x62\xb5\x74\x6f\
        \x6b\x65\x6e\xc8\x64\x6c\xe8\xbf\xe3\x39\x52\xd9\x55\x54\x36\x65\xdc\xc7\xb6";

    /// A packet to that connection ID, whose protected part has one octet of that value.
    fn packet(first: u8, version: u32, id: &[u8], value: u8) -> Vec<u8> {
        let version = version.to_be_bytes();
        // A token of no octets, where there is one.
        let token = match Version::of_number(u32::from_be_bytes(version)) {
            Some(version) if version.packet_type(first) == PacketType::Initial => &[0][..],
            _ => &[],
        };
        let ids = [&[id.len() as u8], id, &[0]].concat();
        [&[first][..], &version, &ids, token, &[1, value]].concat()
    }

    /// Compares the packets of a datagram, as type and octets from the number on, and the error.
    fn check(datagram: &[u8], expected: &[(PacketType, &[u8])], error: Option<QuicError>) {
        let (mut packets, mut last) = (Vec::new(), None);
        for packet in Packets::new(datagram) {
            match packet {
                Ok(packet) => {
                    packets.push((packet.packet_type, &packet.octets[packet.number_offset..]));
                }
                Err(error) => last = Some(error),
            }
        }
        assert_eq!((&packets[..], last), (expected, error));
    }

    #[test]
    fn integers_of_the_rfc_are_read() {
        // RFC 9000 §A.1.
        let examples: [(&[u8], u64); 5] = [
            (b"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 151_288_809_941_952_652),
            (b"\x9d\x7f\x3e\x7d", 494_878_333),
            (b"\x7b\xbd", 15_293),
            (b"\x25", 37),
            (b"\x40\x25", 37),
        ];
        for (octets, integer) in examples {
            assert_eq!(Reader { rest: octets }.take_integer(), Ok(integer));
            let cut = &octets[..octets.len() - 1];
            assert_eq!(
                Reader { rest: cut }.take_integer(),
                Err(QuicError::Truncated)
            );
        }
    }

    #[test]
    fn packet_numbers_of_the_rfc_are_decoded() {
        // RFC 9000 §A.3, and around its window.
        assert_eq!(packet_number(b"\x9b\x32", 0xa82f_30eb), 0xa82f_9b32);
        assert_eq!(packet_number(b"\x00\x00\x00\x02", 0), 2);
        assert_eq!(packet_number(b"\x00", 256), 256);
        assert_eq!(packet_number(b"\xff", 256), 255);
        assert_eq!(packet_number(b"\x80", 0), 0x80);
        assert_eq!(packet_number(b"\x01", 0xff), 0x101);
        assert_eq!(packet_number(b"\xff", (1 << 62) - 1), (1 << 62) - 1);
    }

    #[test]
    fn header_of_the_rfc_is_read() {
        let mut datagram = CLIENT_HEADER.to_vec();
        datagram.resize(1200, 0xaa);
        let packet = LongPacket::parse(&datagram).unwrap().unwrap();
        assert_eq!(
            packet,
            LongPacket {
                version: Version::One,
                packet_type: PacketType::Initial,
                destination_id: b"\x83\x94\xc8\xf0\x3e\x51\x57\x08",
                number_offset: 18,
                octets: &datagram,
            }
        );
        datagram.truncate(1199);
        assert_eq!(LongPacket::parse(&datagram), Err(QuicError::Truncated));
        assert!(begins_with_initial(&datagram));
    }

    #[test]
    fn every_prefix_of_a_header_is_truncated_or_unknown() {
        for length in 0..CLIENT_HEADER.len() {
            let expected = if length < 5 {
                Ok(None)
            } else {
                Err(QuicError::Truncated)
            };
            assert_eq!(LongPacket::parse(&CLIENT_HEADER[..length]), expected);
        }
    }

    #[test]
    fn each_version_has_its_own_type_bits() {
        use PacketType::{Handshake, Initial, Retry, ZeroRtt};
        let order = [Initial, ZeroRtt, Handshake, Retry];
        for (bits, (one, two)) in
            (0..).zip(order.into_iter().zip([Retry, Initial, ZeroRtt, Handshake]))
        {
            let first = 0xc0 | bits << 4;
            assert_eq!(Version::One.packet_type(first), one);
            assert_eq!(Version::Two.packet_type(first), two);
        }
    }

    #[test]
    fn a_retry_is_the_datagrams_last() {
        check(RETRY, &[(PacketType::Retry, &RETRY[15..])], None);
        check(RETRY_2, &[(PacketType::Retry, &RETRY_2[15..])], None);
        assert!(!begins_with_initial(RETRY));
        assert!(!begins_with_initial(RETRY_2));
    }

    #[test]
    fn joined_packets_are_told_apart() {
        let initial = packet(0xc0, VERSION_1, b"12345678", 1);
        let early = packet(0xd0, VERSION_1, b"12345678", 2);
        let second = packet(0xd0, VERSION_2, b"12345678", 3);
        let expected = [
            (PacketType::Initial, &[1][..]),
            (PacketType::ZeroRtt, &[2]),
            (PacketType::Initial, &[3]),
        ];
        let datagram = [&initial[..], &early, &second].concat();
        check(&datagram, &expected, None);
        // Behind them a short header, octets to fill the datagram, a version that is not known.
        for rest in [
            &b"\x40\x00"[..],
            b"\x00\x00\x00",
            b"\xc0\xff\x00\x00\x1d\x00\x00",
        ] {
            check(&[&datagram, rest].concat(), &expected, None);
        }
        check(
            &[&datagram[..], b"\xc0\x00\x00\x00\x01\x15"].concat(),
            &expected,
            Some(QuicError::ConnectionIdLength),
        );
        check(
            &datagram[..datagram.len() - 1],
            &expected[..2],
            Some(QuicError::Truncated),
        );
    }

    #[test]
    fn packets_to_another_id_are_not_joined() {
        let datagram = [
            packet(0xc0, VERSION_1, b"12345678", 1),
            packet(0xc0, VERSION_1, b"12345679", 2),
            packet(0xc0, VERSION_1, b"12345678", 3),
        ];
        check(&datagram.concat(), &[(PacketType::Initial, &[1])], None);
    }

    #[test]
    fn what_begins_with_no_initial_is_left_alone() {
        let others: [&[u8]; 5] = [
            b"",
            b"\xc0\x00\x00\x00",
            // A short header, version negotiation, a draft.
            b"\x40\x00\x00\x00\x01\x00\x00",
            b"\xc0\x00\x00\x00\x00\x00\x00",
            b"\xc0\xff\x00\x00\x1d\x00\x00",
        ];
        for datagram in others {
            assert!(!begins_with_initial(datagram));
            check(datagram, &[], None);
        }
        assert!(begins_with_initial(b"\x80\x00\x00\x00\x01"));
        assert!(begins_with_initial(b"\x90\x6b\x33\x43\xcf"));
    }

    fn check_frames(payload: &[u8], expected: &[Result<Frame<'_>, QuicError>]) {
        assert_eq!(Frames::new(payload).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn frames_of_an_initial_are_read() {
        // CRYPTO, ACK with one range more, ACK with counts, PING, PADDING, CRYPTO, CONNECTION_CLOSE.
        let payload = b"\x06\x00\x02hi\x02\x09\x00\x01\x00\x02\x03\x03\x04\x00\x00\x00\x01\x01\x01\
            \x01\x00\x00\x00\x06\x40\x02\x01!\x1c\x00\x06\x02no";
        let crypto = |offset, data| Ok(Frame::Crypto { offset, data });
        let passed = Ok(Frame::Passed);
        check_frames(
            payload,
            &[
                crypto(0, b"hi"),
                passed,
                passed,
                passed,
                passed,
                crypto(2, b"!"),
                Ok(Frame::Close),
            ],
        );
        check_frames(b"", &[]);
        check_frames(b"\x00", &[passed]);
    }

    #[test]
    fn an_error_ends_the_frames() {
        check_frames(b"\x06\x00\x03hi", &[Err(QuicError::Truncated)]);
        check_frames(
            b"\x06\x00\xff\xff\xff\xff\xff\xff\xff\xff",
            &[Err(QuicError::Truncated)],
        );
        check_frames(
            b"\x06\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
            &[Err(QuicError::Offset)],
        );
        check_frames(
            b"\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00",
            &[Err(QuicError::Truncated)],
        );
        // STREAM, and what there is not.
        check_frames(
            b"\x01\x08\x00",
            &[Ok(Frame::Passed), Err(QuicError::FrameType)],
        );
        check_frames(b"\x7f\xff", &[Err(QuicError::FrameType)]);
    }
}
