//! The pcap format (draft-ietf-opsawg-pcap): a header of 24 octets, then packets, each behind a
//! header of 16.

use std::io::Read;

use super::time::timestamp;
use super::window::Window;
use super::{Frame, LinkType, MAX_PACKET, OpenError, Order, ReadError, Stripped};

/// Octets of the file's header.
pub(super) const HEADER_LENGTH: usize = 24;
/// Octets of a packet's header.
const RECORD_LENGTH: usize = 16;
/// The version that every program has written since 1998.
const MAJOR: u16 = 2;

/// In the word with the link type: the frames' check sequences were captured, and the four highest
/// bits say how long they are, in units of two octets.
const HAS_CHECK_SEQUENCE: u32 = 1 << 26;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds that a unit of a time's second part is.
    unit: u64,
    link_type: LinkType,
    /// Octets of each frame's check sequence.
    check_sequence: u32,
}

/// Returns the byte order and the nanoseconds of a unit that the first four octets say.
fn magic_of(start: &[u8]) -> Option<(Order, u64)> {
    match start.first_chunk::<4>()? {
        [0xd4, 0xc3, 0xb2, 0xa1] => Some((Order::Little, 1_000)),
        [0xa1, 0xb2, 0xc3, 0xd4] => Some((Order::Big, 1_000)),
        [0x4d, 0x3c, 0xb2, 0xa1] => Some((Order::Little, 1)),
        [0xa1, 0xb2, 0x3c, 0x4d] => Some((Order::Big, 1)),
        _ => None,
    }
}

/// Returns whether a pcap begins so.
pub(super) fn is_magic(start: &[u8]) -> bool {
    magic_of(start).is_some()
}

/// Returns what the header says; nothing where it is no whole pcap header.
pub(super) fn header_of(start: &[u8]) -> Option<Result<Pcap, OpenError>> {
    let (order, unit) = magic_of(start)?;
    let [_, version, _, _, _, link] = order.words::<6>(start.get(..HEADER_LENGTH)?)?;
    let [major, minor] = match order {
        Order::Little => [version as u16, (version >> 16) as u16],
        Order::Big => [(version >> 16) as u16, version as u16],
    };
    if major != MAJOR {
        return Some(Err(OpenError::Version {
            format: "pcap",
            major,
            minor,
        }));
    }
    let check_sequence = if link & HAS_CHECK_SEQUENCE == 0 {
        0
    } else {
        (link >> 28) * 2
    };
    Some(Ok(Pcap {
        order,
        unit,
        link_type: LinkType(link & 0xffff),
        check_sequence,
    }))
}

impl Pcap {
    /// Returns the link type of all packets.
    pub(super) const fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// Takes the next packet.
    #[inline]
    pub(super) fn next_frame<'w, R: Read>(
        &self,
        window: &'w mut Window<R>,
    ) -> Result<Option<Frame<'w>>, ReadError> {
        let at = window.position();
        let failed = |source| ReadError::Read { at, source };
        if !window.fill(RECORD_LENGTH).map_err(failed)? {
            let is_end = window.at_hand().is_empty();
            return if is_end {
                Ok(None)
            } else {
                Err(ReadError::Cut { at })
            };
        }
        let words = self.order.words::<4>(window.at_hand());
        let [seconds, part, captured, length] = words.unwrap_or_default();
        if captured > MAX_PACKET {
            let what = "a packet claims more octets than any can have";
            return Err(ReadError::Damaged { at, what });
        }
        let whole = RECORD_LENGTH + captured as usize;
        if !window.fill(whole).map_err(failed)? {
            return Err(ReadError::Cut { at });
        }
        let octets = window.take(whole).get(RECORD_LENGTH..).unwrap_or_default();
        let frame = Stripped::new(octets, length, self.check_sequence);
        Ok(Some(Frame {
            octets: frame.octets,
            length: frame.length,
            link_type: self.link_type,
            at: Some(timestamp(seconds.into(), u64::from(part) * self.unit)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Capture;
    use crate::capture::fixtures::{Seen, read_all};

    /// A header of a little-endian file of microseconds, and two packets: six octets, whole, and
    /// three of 1,514.
    #[rustfmt::skip]
    const LITTLE: [u8; 65] = [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0,
        0x10, 0x32, 0x54, 0x5e, 0x40, 0xe2, 0x01, 0x00, 6, 0, 0, 0, 6, 0, 0, 0,
        b'a', b'b', b'c', b'd', b'e', b'f',
        0x0f, 0x32, 0x54, 0x5e, 0, 0, 0, 0, 3, 0, 0, 0, 0xea, 0x05, 0, 0,
        b'g', b'h', b'i',
    ];

    /// The first packet again, as a big-endian machine writes it, in nanoseconds.
    #[rustfmt::skip]
    const BIG: [u8; 46] = [
        0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1,
        0x5e, 0x54, 0x32, 0x10, 0x07, 0x5b, 0xcd, 0x15, 0, 0, 0, 6, 0, 0, 0, 6,
        b'a', b'b', b'c', b'd', b'e', b'f',
    ];

    fn seen(octets: &str, length: u32, at: &str) -> Seen {
        Seen::new(octets, length, LinkType::ETHERNET, Some(at))
    }

    #[test]
    fn packets_are_read_as_written_in_either_byte_order() {
        let (frames, end) = read_all(&LITTLE);
        let expected = [
            seen("abcdef", 6, "2020-02-24T20:29:04.123456Z"),
            seen("ghi", 1514, "2020-02-24T20:29:03Z"),
        ];
        assert!(end.is_none());
        assert_eq!(frames, expected);
        let (frames, end) = read_all(&BIG);
        let expected = [seen("abcdef", 6, "2020-02-24T20:29:04.123456789Z")];
        assert!(end.is_none());
        assert_eq!(frames, expected);
    }

    #[test]
    fn a_capture_cut_anywhere_gives_what_is_before_the_cut() {
        for cut in HEADER_LENGTH..LITTLE.len() {
            let (frames, end) = read_all(&LITTLE[..cut]);
            let (whole, start) = match cut {
                24 => (0, None),
                25..46 => (0, Some(24)),
                46 => (1, None),
                _ => (1, Some(46)),
            };
            let end = end.map(|error| error.to_string());
            let expected = start.map(|at| ReadError::Cut { at }.to_string());
            assert_eq!((frames.len(), end), (whole, expected), "{cut}");
        }
    }

    #[test]
    fn a_packet_that_claims_the_impossible_ends_the_reading_there() {
        let mut octets = LITTLE;
        octets[46 + 8..46 + 12].copy_from_slice(&[1, 0, 0, 1]);
        let (frames, end) = read_all(&octets);
        assert_eq!(frames.len(), 1);
        assert!(matches!(end, Some(ReadError::Damaged { at: 46, .. })));
    }

    #[test]
    fn the_check_sequence_counts_as_nothing() {
        let mut octets = LITTLE;
        // Two units of two octets.
        octets[23] = 0x24;
        let (frames, _) = read_all(&octets);
        let expected = [
            seen("ab", 2, "2020-02-24T20:29:04.123456Z"),
            // The cut is before it: all that was captured is the frame's.
            seen("ghi", 1510, "2020-02-24T20:29:03Z"),
        ];
        assert_eq!(frames, expected);
        // Longer than the packet.
        octets[23] = 0xf4;
        assert_eq!(read_all(&octets).0[0].length, 0);
    }

    #[test]
    fn a_length_below_what_was_captured_is_no_length() {
        let mut octets = LITTLE;
        octets[36] = 0;
        assert_eq!(read_all(&octets).0[0].length, 6);
    }

    #[test]
    fn another_version_is_refused() {
        let mut octets = LITTLE;
        octets[4] = 3;
        let error = Capture::open(&octets[..]).unwrap_err().to_string();
        assert!(error.contains("version 3.4"), "{error}");
    }
}
