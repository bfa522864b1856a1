//! TLS's record layer, as far as it carries handshake messages in the clear.
//!
//! Made of a stream's first octets; what it takes out is read by `ClientHello`. RFC 8446 §5.1.

use super::{CONTENT_HANDSHAKE, MAJOR_VERSION, MAX_RECORD_LENGTH, RECORD_HEADER_LENGTH, TlsError};

/// A record's header (RFC 8446 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the record holds; 22 for handshake messages.
    pub content_type: u8,
    /// The version's two octets; of a first message 0x0301 or 0x0303, whatever is negotiated.
    pub version: u16,
    /// Octets behind the header.
    pub length: u16,
}

impl RecordHeader {
    /// Reads the header of a record with a piece of a handshake message.
    ///
    /// # Errors
    /// `NotTls` when it is of another content, of a version that there is not, or of a length that a
    /// handshake record doesn't have; `Incomplete` when what is there of it is none of that.
    pub fn parse(octets: &[u8]) -> Result<Self, TlsError> {
        let possible = |index: usize, is_valid: fn(u8) -> bool| {
            octets.get(index).is_none_or(|octet| is_valid(*octet))
        };
        let is_possible = possible(0, |content_type| content_type == CONTENT_HANDSHAKE)
            && possible(1, |major| major == MAJOR_VERSION);
        if !is_possible {
            return Err(TlsError::NotTls);
        }
        let header: &[u8; RECORD_HEADER_LENGTH] =
            octets.first_chunk().ok_or(TlsError::Incomplete {
                missing: RECORD_HEADER_LENGTH.saturating_sub(octets.len()),
            })?;
        let [content_type, v0, v1, l0, l1] = *header;
        let length = u16::from_be_bytes([l0, l1]);
        // RFC 8446 §5.1: no fragment of a handshake message is empty.
        if !(1..=MAX_RECORD_LENGTH).contains(&length) {
            return Err(TlsError::NotTls);
        }
        Ok(Self {
            content_type,
            version: u16::from_be_bytes([v0, v1]),
            length,
        })
    }
}

/// The pieces of handshake messages in a stream of records: takes the record layer off.
///
/// A message may be spread over records at any octet (RFC 8446 §5.1). Of a record that is cut, what is
/// there comes first, and then the error; an error is the last item. Octets that end with a record end
/// the pieces without one.
#[derive(Clone, Debug)]
pub struct Fragments<'a> {
    rest: &'a [u8],
    /// Octets that the last record was cut by.
    missing: usize,
    is_first: bool,
}

impl<'a> Fragments<'a> {
    /// Begins at a stream's start.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            missing: 0,
            is_first: true,
        }
    }

    fn end(&mut self, error: TlsError) -> TlsError {
        (self.rest, self.missing) = (&[], 0);
        match error {
            // Behind a handshake record, other octets break the message up.
            TlsError::NotTls if !self.is_first => TlsError::Malformed,
            other => other,
        }
    }
}

impl<'a> Iterator for Fragments<'a> {
    type Item = Result<&'a [u8], TlsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.missing > 0 {
            let missing = self.missing;
            return Some(Err(self.end(TlsError::Incomplete { missing })));
        }
        if self.rest.is_empty() {
            return None;
        }
        let header = match RecordHeader::parse(self.rest) {
            Ok(header) => header,
            Err(error) => return Some(Err(self.end(error))),
        };
        let length = usize::from(header.length);
        let rest = self.rest.get(RECORD_HEADER_LENGTH..).unwrap_or_default();
        let (fragment, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        self.missing = length - fragment.len();
        (self.rest, self.is_first) = (rest, false);
        Some(Ok(fragment))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::super::tests::{RFC_8448, rfc_8448_message, vector};
    use super::*;

    #[test]
    fn the_rfcs_record_is_read() {
        let fragments: Vec<_> = Fragments::new(RFC_8448).collect();
        assert_eq!(fragments, [Ok(&rfc_8448_message()[..])]);
        let header = RecordHeader::parse(RFC_8448).unwrap();
        let (content_type, version, length) = (header.content_type, header.version, header.length);
        assert_eq!((content_type, version, length), (22, 0x0301, 196));
    }

    /// Collects the fragments, and the error that ended them.
    fn fragments(octets: &[u8]) -> (Vec<u8>, Option<TlsError>) {
        let mut message = Vec::new();
        for fragment in Fragments::new(octets) {
            match fragment {
                Ok(fragment) => message.extend(fragment),
                Err(error) => return (message, Some(error)),
            }
        }
        (message, None)
    }

    fn records(message: &[u8], length: usize) -> Vec<u8> {
        let record = |piece: &[u8]| [&[22, 3, 1][..], &vector(piece)].concat();
        message.chunks(length).flat_map(record).collect()
    }

    #[test]
    fn records_of_any_length_give_the_same_message() {
        let message = rfc_8448_message();
        for length in 1..=message.len() {
            let octets = records(&message, length);
            assert_eq!(fragments(&octets), (message.clone(), None), "{length}");
        }
    }

    #[test]
    fn a_cut_record_gives_what_is_there() {
        let incomplete = |missing| Some(TlsError::Incomplete { missing });
        assert_eq!(
            fragments(&RFC_8448[..8]),
            (b"\x01\0\0".to_vec(), incomplete(193))
        );
        assert_eq!(fragments(&RFC_8448[..5]), (b"".to_vec(), incomplete(196)));
        assert_eq!(fragments(&RFC_8448[..2]), (b"".to_vec(), incomplete(3)));
        assert_eq!(fragments(b""), (b"".to_vec(), None));
    }

    #[test]
    fn what_is_no_handshake_record_is_not_tls() {
        let others: [&[u8]; 7] = [
            b"GET / HTTP/1.1\r\n",
            // An alert, SSL 2.0's ClientHello, another version, an empty and an endless record.
            b"\x15\x03\x01\x00\x02",
            b"\x80\x2e\x01\x03\x01",
            b"\x16\x02\x00\x00\x02",
            b"\x16\x03\x01\x00\x00",
            b"\x16\x03\x01\x40\x01",
            b"\x16\x04",
        ];
        for octets in others {
            assert_eq!(fragments(octets), (b"".to_vec(), Some(TlsError::NotTls)));
        }
    }

    #[test]
    fn another_record_within_a_message_is_malformed() {
        let octets = [&records(b"\x01\x00", 2)[..], b"\x17\x03\x03\x00\x01x"].concat();
        assert_eq!(
            fragments(&octets),
            (b"\x01\x00".to_vec(), Some(TlsError::Malformed))
        );
    }
}
