//! Domain names in DNS messages, compressed or not.
//!
//! Read through `Reader`; handed on in `Question` and `Record`. RFC 1035 §3.1 and §4.1.4, RFC 4343.

use core::fmt;

use super::{DnsError, HEADER_LENGTH};

/// The longest label in octets, its length octet left out (RFC 1035 §2.3.4).
pub const MAX_LABEL_LENGTH: u8 = 63;
/// The longest name in octets, length octets and the root's included (RFC 1035 §2.3.4).
pub const MAX_NAME_LENGTH: u8 = 255;
/// The pointers that one name may take.
///
/// The longest name has 127 labels, so a 128th pointer would stand behind no label of its own.
/// Shrinking input alone ends every walk, but only after the whole message, once for each record.
pub const MAX_POINTERS: u8 = 127;

/// The two upper bits of a length octet that begins a pointer (RFC 1035 §4.1.4).
pub(super) const POINTER: u8 = 0b1100_0000;

/// A domain name in a message: its labels are valid and end (RFC 1035 §3.1).
///
/// Keeps the case that was sent; compares without it, for ASCII alone (RFC 4343). Its text is that of
/// RFC 1035 §5.1 without the last dot, the root's is `.`; an octet that is no visible ASCII character,
/// and a dot or backslash inside a label, is written `\DDD`.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    before: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Name<'a> {
    /// `rest` is the message from the name on, `before` the message before it.
    pub(super) fn parse(before: &'a [u8], rest: &'a [u8]) -> Result<Self, DnsError> {
        let name = Self { before, rest };
        let mut labels = name.labels();
        let mut left = MAX_NAME_LENGTH;
        while let Some(label) = labels.parse_next()? {
            // The label, its length octet, and always one octet more for the root.
            left = u8::try_from(label.len() + 1)
                .ok()
                .and_then(|length| left.checked_sub(length))
                .filter(|left| *left > 0)
                .ok_or(DnsError::NameTooLong)?;
        }
        Ok(name)
    }

    /// Returns the labels from the first to the last before the root, each of 1 to 63 octets.
    #[must_use]
    pub const fn labels(&self) -> Labels<'a> {
        Labels {
            before: self.before,
            rest: self.rest,
            pointers_left: MAX_POINTERS,
        }
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.labels(), other.labels());
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {}
                _ => return false,
            }
        }
    }
}

impl Eq for Name<'_> {}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut labels = self.labels();
        let Some(first) = labels.next() else {
            return f.write_str(".");
        };
        write_label(f, first)?;
        labels.try_for_each(|label| {
            f.write_str(".")?;
            write_label(f, label)
        })
    }
}

/// Writes a label with the escapes of a [`Name`]'s text.
pub(in crate::wire) fn write_label(f: &mut fmt::Formatter<'_>, label: &[u8]) -> fmt::Result {
    label.iter().try_for_each(|&octet| match octet {
        b'!'..=b'~' if !matches!(octet, b'.' | b'\\') => {
            fmt::Write::write_char(f, char::from(octet))
        }
        _ => write!(f, "\\{octet:03}"),
    })
}

/// A name's labels, one after the other.
///
/// Sees `rest` and, by pointers, `before` alone. A pointer moves both towards the message's start, so
/// that no octet is looked at twice and no circle can be walked.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    before: &'a [u8],
    rest: &'a [u8],
    pointers_left: u8,
}

impl<'a> Labels<'a> {
    fn parse_next(&mut self) -> Result<Option<&'a [u8]>, DnsError> {
        // Each round but the last takes a pointer, and those are counted.
        loop {
            let (&length, rest) = self.rest.split_first().ok_or(self.ended())?;
            match length {
                0 => return Ok(None),
                1..=MAX_LABEL_LENGTH => {
                    let split = rest.split_at_checked(usize::from(length));
                    let (label, rest) = split.ok_or(self.ended())?;
                    self.rest = rest;
                    return Ok(Some(label));
                }
                POINTER.. => {
                    let low = *rest.first().ok_or(self.ended())?;
                    self.jump(u16::from_be_bytes([length & !POINTER, low]))?;
                }
                _ => return Err(DnsError::LabelType),
            }
        }
    }

    fn jump(&mut self, target: u16) -> Result<(), DnsError> {
        let target = usize::from(target);
        let split = self
            .before
            .split_at_checked(target)
            .filter(|_| target >= HEADER_LENGTH);
        (self.before, self.rest) = split.ok_or(DnsError::Pointer)?;
        self.pointers_left = self.pointers_left.checked_sub(1).ok_or(DnsError::Pointer)?;
        Ok(())
    }

    /// Returns what it means that the octets in sight end: behind a pointer, more octets follow, but
    /// they have been looked at.
    fn ended(&self) -> DnsError {
        if self.pointers_left == MAX_POINTERS {
            DnsError::Truncated
        } else {
            DnsError::Pointer
        }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.parse_next().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;

    /// RFC 1035 §4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64, the root at 92.
    fn rfc_1035_example() -> Vec<u8> {
        let mut octets = std::vec![0xff; 93];
        octets[20..32].copy_from_slice(b"\x01F\x03ISI\x04ARPA\x00");
        octets[40..46].copy_from_slice(b"\x03FOO\xc0\x14");
        octets[64..66].copy_from_slice(b"\xc0\x1a");
        octets[92] = 0;
        octets
    }

    fn check(octets: &[u8], at: usize, expected: Result<&str, DnsError>) {
        let name = Name::parse(&octets[..at], &octets[at..]);
        assert_eq!(
            name.map(|name| name.to_string()),
            expected.map(String::from)
        );
    }

    /// Puts twelve octets, as many as a header has, before the name.
    fn check_behind_header(name: &[u8], expected: Result<&str, DnsError>) {
        check(
            &[&[0; HEADER_LENGTH], name].concat(),
            HEADER_LENGTH,
            expected,
        );
    }

    #[test]
    fn names_of_rfc_1035_are_decompressed() {
        let octets = rfc_1035_example();
        check(&octets, 20, Ok("F.ISI.ARPA"));
        check(&octets, 40, Ok("FOO.F.ISI.ARPA"));
        check(&octets, 64, Ok("ARPA"));
        check(&octets, 92, Ok("."));
    }

    #[test]
    fn names_compare_without_case_and_by_label() {
        let octets = rfc_1035_example();
        let example = Name::parse(&octets[..40], &octets[40..]).unwrap();
        let equal = |other: &[u8]| example == Name::parse(&[], other).unwrap();
        assert!(equal(b"\x03foo\x01f\x03iSi\x04arpa\x00"));
        assert!(!equal(b"\x03foo\x01g\x03isi\x04arpa\x00"));
        assert!(!equal(b"\x05foo.f\x03isi\x04arpa\x00"));
        assert!(!equal(b"\x03foo\x01f\x03isi\x00"));
        assert!(!equal(b"\x03foo\x01f\x03isi\x04arpa\x01x\x00"));
    }

    #[test]
    fn only_ascii_letters_lose_their_case() {
        let upper = Name::parse(&[], b"\x02\xc3\x84\x00").unwrap();
        let lower = Name::parse(&[], b"\x02\xc3\xa4\x00").unwrap();
        assert_ne!(upper, lower);
    }

    #[test]
    fn pointer_to_itself_is_refused() {
        check_behind_header(b"\xc0\x0c", Err(DnsError::Pointer));
    }

    #[test]
    fn pointer_into_its_own_name_is_refused() {
        check_behind_header(b"\x01a\xc0\x0c", Err(DnsError::Pointer));
    }

    #[test]
    fn forward_pointer_is_refused() {
        check_behind_header(b"\xc0\x0e\x01a\x00", Err(DnsError::Pointer));
    }

    #[test]
    fn pointer_beyond_the_message_is_refused() {
        check_behind_header(b"\xff\xff", Err(DnsError::Pointer));
    }

    #[test]
    fn pointer_into_the_header_is_refused() {
        check_behind_header(b"\xc0\x0b", Err(DnsError::Pointer));
    }

    #[test]
    fn pointers_in_a_circle_are_refused() {
        let octets = [&[0; HEADER_LENGTH][..], b"\xc0\x0e\xc0\x0c"].concat();
        check(&octets, 14, Err(DnsError::Pointer));
    }

    #[test]
    fn name_that_runs_into_its_own_pointer_is_refused() {
        let octets = [&[0; HEADER_LENGTH][..], b"\x03abc\x01d\xc0\x0c"].concat();
        check(&octets, 16, Err(DnsError::Pointer));
    }

    #[test]
    fn pointer_to_a_pointer_is_followed() {
        let octets = [&[0; HEADER_LENGTH][..], b"\x01a\x00\xc0\x0c\xc0\x0f"].concat();
        check(&octets, 17, Ok("a"));
    }

    fn chain_of_pointers(count: usize) -> (Vec<u8>, usize) {
        let mut octets = [&[0; HEADER_LENGTH][..], b"\x01a\x00"].concat();
        let mut target = 12;
        for _ in 0..count {
            let at = octets.len();
            octets.extend((0xc000 | u16::try_from(target).unwrap()).to_be_bytes());
            target = at;
        }
        (octets, target)
    }

    #[test]
    fn pointers_are_followed_up_to_their_limit() {
        let (octets, at) = chain_of_pointers(127);
        check(&octets, at, Ok("a"));
        let (octets, at) = chain_of_pointers(128);
        check(&octets, at, Err(DnsError::Pointer));
    }

    #[test]
    fn label_types_01_and_10_are_refused() {
        check_behind_header(b"\x40\x00", Err(DnsError::LabelType));
        check_behind_header(b"\x7fabc\x00", Err(DnsError::LabelType));
        check_behind_header(b"\x01a\x80\x00", Err(DnsError::LabelType));
        check_behind_header(b"\xbf\x00", Err(DnsError::LabelType));
    }

    #[test]
    fn name_may_have_255_octets_and_no_more() {
        let label = [&[63][..], &[b'x'; 63]].concat();
        let three = [&label[..], &label, &label].concat();
        let text = ["x".repeat(63).as_str(); 3].join(".");
        let longest = [&three[..], &[61], &[b'x'; 61], &[0]].concat();
        assert_eq!(longest.len(), 255);
        check_behind_header(&longest, Ok(&std::format!("{text}.{}", "x".repeat(61))));
        let too_long = [&three[..], &[62], &[b'x'; 62], &[0]].concat();
        assert_eq!(too_long.len(), 256);
        check_behind_header(&too_long, Err(DnsError::NameTooLong));
    }

    #[test]
    fn compressed_name_is_measured_as_a_whole() {
        let label = [&[63][..], &[b'x'; 63]].concat();
        let header = [0; HEADER_LENGTH];
        let octets = [
            &header[..],
            &label,
            &label,
            &[0],
            &label,
            &label,
            b"\xc0\x0c",
        ]
        .concat();
        check(&octets, 12 + 129, Err(DnsError::NameTooLong));
    }

    #[test]
    fn name_of_127_labels_is_read() {
        let octets = [b"\x01a".repeat(127), std::vec![0]].concat();
        assert_eq!(Name::parse(&[], &octets).unwrap().labels().count(), 127);
    }

    #[test]
    fn cut_name_is_truncated() {
        for cut in [&b""[..], b"\x03", b"\x03ab", b"\x03abc", b"\x01a\xc0"] {
            check_behind_header(cut, Err(DnsError::Truncated));
        }
    }

    #[test]
    fn what_is_not_visible_ascii_is_escaped() {
        check_behind_header(b"\x07a.b\\c d\x00", Ok(r"a\046b\092c\032d"));
        check_behind_header(b"\x05\x1b[2J\x07\x00", Ok(r"\027[2J\007"));
        check_behind_header(b"\x04\x00\x7f\x80\xff\x00", Ok(r"\000\127\128\255"));
        check_behind_header(b"\x04!~-_\x02xn\x00", Ok("!~-_.xn"));
    }
}
