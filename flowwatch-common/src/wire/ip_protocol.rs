//! What an IP protocol number (IANA, "Protocol Numbers") means to the parser: a header that begins
//! with ports, an IPv6 extension header and its length, or neither.
//!
//! A table instead of comparisons: the verifier follows each branch of a loop separately, and with
//! one way through an extension header, a chain of eight is one way instead of thousands, of whose
//! instructions the kernel verifies a million at most.

/// TCP (RFC 9293).
pub const TCP: u8 = 6;
/// UDP (RFC 768).
pub const UDP: u8 = 17;
/// DCCP (RFC 4340).
const DCCP: u8 = 33;
/// SCTP (RFC 9260).
const SCTP: u8 = 132;
/// UDP-Lite (RFC 3828).
const UDP_LITE: u8 = 136;

/// Protocols whose header begins with source and destination port.
const WITH_PORTS: [u8; 5] = [TCP, UDP, DCCP, SCTP, UDP_LITE];

/// The fragment header (RFC 8200 §4.5).
pub const FRAGMENT: u8 = 44;
/// The authentication header (RFC 4302).
const AUTHENTICATION: u8 = 51;
/// The other extension headers (IANA, "IPv6 Extension Header Types"): hop-by-hop options, routing,
/// destination options, mobility, host identity, shim6. ESP (50) hides what follows it, so it
/// counts as a protocol.
const WITH_COMMON_LENGTH: [u8; 6] = [0, 43, 60, 135, 139, 140];

/// How an extension header's length follows from its length field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The bits of the field that count.
    mask: u8,
    /// What is added to them.
    addend: u8,
    /// The binary logarithm of the sum's unit, in octets.
    shift: u8,
}

impl Extension {
    /// Returns the header's octets, from its length field.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "three instructions")]
    #[must_use]
    pub const fn octets(self, field: u8) -> u32 {
        ((field & self.mask) as u32 + self.addend as u32) << (self.shift & 7)
    }
}

/// A number's row of the table.
#[derive(Clone, Copy)]
struct Meaning {
    has_ports: bool,
    is_extension: bool,
    extension: Extension,
}

static MEANINGS: [Meaning; 256] = meanings();

const fn meanings() -> [Meaning; 256] {
    let opaque = Meaning {
        has_ports: false,
        is_extension: false,
        extension: Extension {
            mask: 0,
            addend: 0,
            shift: 0,
        },
    };
    let mut table = [opaque; 256];
    let mut index = 0;
    while index < WITH_PORTS.len() {
        table[WITH_PORTS[index] as usize].has_ports = true;
        index += 1;
    }
    index = 0;
    while index < WITH_COMMON_LENGTH.len() {
        // RFC 8200 §4.2: in units of 8 octets, less the first.
        table[WITH_COMMON_LENGTH[index] as usize] = extension_row(0xff, 1, 3);
        index += 1;
    }
    // RFC 4302 §2.2: in units of 4 octets, less two.
    table[AUTHENTICATION as usize] = extension_row(0xff, 2, 2);
    // RFC 8200 §4.5: always 8 octets; the field is reserved.
    table[FRAGMENT as usize] = extension_row(0, 1, 3);
    table
}

const fn extension_row(mask: u8, addend: u8, shift: u8) -> Meaning {
    Meaning {
        has_ports: false,
        is_extension: true,
        extension: Extension {
            mask,
            addend,
            shift,
        },
    }
}

/// Returns whether a protocol's header begins with source and destination port.
#[inline(always)]
#[expect(clippy::inline_always, reason = "one load")]
#[must_use]
pub const fn has_ports(protocol: u8) -> bool {
    MEANINGS[protocol as usize].has_ports
}

/// Returns the length rule of an extension header that says where it ends; nothing for all else.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a load and a test")]
#[must_use]
pub const fn extension(protocol: u8) -> Option<Extension> {
    let meaning = MEANINGS[protocol as usize];
    if meaning.is_extension {
        Some(meaning.extension)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The octets of each extension header, by the formula of its own RFC.
    #[test]
    fn extension_headers_have_the_lengths_of_their_rfcs() {
        for field in 0..=u8::MAX {
            for protocol in [0, 43, 60, 135, 139, 140] {
                let octets = extension(protocol).map(|rule| rule.octets(field));
                assert_eq!(octets, Some(8 + 8 * u32::from(field)), "{protocol}");
            }
            let octets = |protocol| extension(protocol).map(|rule| rule.octets(field));
            assert_eq!(octets(51), Some(4 * (u32::from(field) + 2)));
            assert_eq!(octets(44), Some(8));
        }
    }

    #[test]
    fn no_other_number_is_an_extension_header_or_has_ports() {
        let extensions = [0, 43, 44, 51, 60, 135, 139, 140];
        for protocol in 0..=u8::MAX {
            assert_eq!(
                extension(protocol).is_some(),
                extensions.contains(&protocol),
                "{protocol}"
            );
            assert_eq!(
                has_ports(protocol),
                [6, 17, 33, 132, 136].contains(&protocol),
                "{protocol}"
            );
        }
    }
}
