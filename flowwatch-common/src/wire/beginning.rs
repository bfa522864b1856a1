//! How a payload begins: the octets by which the protocols that say names are told from others.
//!
//! No more than the first eight are looked at; what they announce is parsed elsewhere.

use crate::bytes::PacketBytes;

/// Octets of a TLS record's header (RFC 8446 §5.1).
const RECORD_HEADER: u32 = 5;
/// Octets of a TLS handshake message's header (RFC 8446 §4).
const MESSAGE_HEADER: u32 = 4;

/// Octets of a beginning.
const LENGTH: u32 = 8;

/// The first octets of a payload, the first one highest. Octets that it doesn't have are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    word: u64,
    /// All ones where there is an octet.
    there: u64,
}

/// What octets a protocol begins with.
#[derive(Clone, Copy)]
struct Pattern {
    word: u64,
    /// The bits that matter.
    mask: u64,
}

const fn pattern(word: u64, mask: u64) -> Pattern {
    Pattern { word, mask }
}

/// A token of at most 8 octets.
const fn token(text: &[u8]) -> Pattern {
    let mut octets = [0; LENGTH as usize];
    let mut index = 0;
    while index < text.len() {
        octets[index] = text[index];
        index += 1;
    }
    let mask = u64::MAX << (64 - 8 * text.len());
    pattern(u64::from_be_bytes(octets), mask)
}

/// A record of handshake messages, version 3.x, any length, whose first message is a `ClientHello`
/// (RFC 8446 §4.1.2, §5.1).
const CLIENT_HELLO: [Pattern; 1] = [pattern(0x1603_0000_0001_0000, 0xffff_f000_00ff_0000)];

/// The methods of RFC 9110 §9.1 and RFC 5789, with the space behind (RFC 9112 §3).
const HTTP_REQUEST: [Pattern; 9] = [
    token(b"GET "),
    token(b"HEAD "),
    token(b"POST "),
    token(b"PUT "),
    token(b"DELETE "),
    token(b"CONNECT "),
    token(b"OPTIONS "),
    token(b"TRACE "),
    token(b"PATCH "),
];

/// Long header, fixed bit, the version's own code for Initial; then the version (RFC 9000 §17.2.2,
/// RFC 9369 §3.2).
const QUIC_INITIAL: [Pattern; 2] = [
    pattern(0xc000_0000_0100_0000, 0xf0ff_ffff_ff00_0000),
    pattern(0xd06b_3343_cf00_0000, 0xf0ff_ffff_ff00_0000),
];

/// Whether a payload begins like a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It does.
    Alike,
    /// It doesn't.
    Other,
    /// It does as far as it goes, and that is too short to tell.
    Unclear,
}

impl Beginning {
    /// Reads the beginning of the payload of `length` octets at `offset`, which is behind headers of
    /// at least 8 octets.
    ///
    /// A payload shorter than a beginning is read with what stands before it, which is then shifted
    /// out: a loop over octets would be a way of its own for the verifier at each length.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the verifier follows offsets within one function only"
    )]
    pub fn read<B: PacketBytes + ?Sized>(bytes: &B, offset: usize, length: u32) -> Self {
        let unknown = Self { word: 0, there: 0 };
        if length == 0 {
            return unknown;
        }
        let length = length.min(LENGTH);
        let start = (offset + length as usize).wrapping_sub(LENGTH as usize);
        let Some(octets) = bytes.octets(start) else {
            return unknown;
        };
        let shift = 8 * (LENGTH - length);
        Self {
            word: u64::from_be_bytes(octets) << shift,
            there: u64::MAX << shift,
        }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "folds when the patterns are known")]
    const fn likeness(self, patterns: &[Pattern]) -> Likeness {
        let mut likeness = Likeness::Other;
        let mut index = 0;
        while index < patterns.len() {
            let Pattern { word, mask } = patterns[index];
            if (self.word ^ word) & mask & self.there == 0 {
                if mask & !self.there == 0 {
                    return Likeness::Alike;
                }
                likeness = Likeness::Unclear;
            }
            index += 1;
        }
        likeness
    }

    /// Returns whether a stream begins with a `ClientHello` in a TLS record.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few comparisons")]
    #[must_use]
    pub const fn client_hello(self) -> Likeness {
        self.likeness(&CLIENT_HELLO)
    }

    /// Returns whether a stream begins with an HTTP/1 request.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few comparisons")]
    #[must_use]
    pub const fn http_request(self) -> Likeness {
        self.likeness(&HTTP_REQUEST)
    }

    /// Returns whether a datagram begins with an Initial packet of QUIC version 1 or 2.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few comparisons")]
    #[must_use]
    pub const fn is_quic_initial(self) -> bool {
        matches!(self.likeness(&QUIC_INITIAL), Likeness::Alike)
    }
}

/// Returns the octets from the first of a stream to the last of the `ClientHello` that it begins with,
/// given the `length` octets of it at `offset`; nothing where the message goes on in further records,
/// or its length is not at hand.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn client_hello_length<B: PacketBytes + ?Sized>(
    bytes: &B,
    offset: usize,
    length: u32,
) -> Option<u32> {
    if length < RECORD_HEADER + MESSAGE_HEADER {
        return None;
    }
    let [_, r0, r1, _] = bytes.octets(offset + 2)?;
    let [_, m0, m1, m2] = bytes.octets(offset + RECORD_HEADER as usize)?;
    let record = u32::from(u16::from_be_bytes([r0, r1]));
    let message = MESSAGE_HEADER + u32::from_be_bytes([0, m0, m1, m2]);
    (message <= record).then_some(RECORD_HEADER + message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_initial(octets: &[u8]) -> bool {
        let behind_headers = [&[0xc0; 8][..], octets].concat();
        Beginning::read(&behind_headers[..], 8, octets.len() as u32).is_quic_initial()
    }

    #[test]
    fn an_initial_packet_is_told_by_its_versions_own_code() {
        let v1 = |first| [first, 0, 0, 0, 1, 8, 0x83, 0x94];
        let v2 = |first| [first, 0x6b, 0x33, 0x43, 0xcf, 8, 0x83, 0x94];
        // The first octets of RFC 9001 A.2 and RFC 9369 A.2, as protected.
        assert!(is_initial(&v1(0xc0)) && is_initial(&v2(0xd7)));
        // Version 1: 0-RTT, Handshake, Retry. Version 2: Retry, 0-RTT, Handshake.
        for (one, two) in [(0xd0, 0xc0), (0xe0, 0xe0), (0xf0, 0xf0)] {
            assert!(!is_initial(&v1(one)) && !is_initial(&v2(two)));
        }
        // Without the fixed bit; a short header.
        assert!(!is_initial(&v1(0x80)) && !is_initial(&v1(0x40)));
        // Version negotiation, and a draft.
        assert!(!is_initial(&[0xc0, 0, 0, 0, 0, 8, 0x83, 0x94]));
        assert!(!is_initial(&[0xc0, 0xff, 0, 0, 29, 8, 0x83, 0x94]));
        // Five octets say it all; four don't.
        assert!(is_initial(&v1(0xc0)[..5]) && !is_initial(&v1(0xc0)[..4]));
    }
}
