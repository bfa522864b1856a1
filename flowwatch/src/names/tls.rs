//! Names from the `ClientHello` that a device sends as it connects by TLS.
//!
//! Read from a TCP stream's records or from QUIC's CRYPTO frames, by `flowwatch_common::wire::tls`;
//! called by the readers of both.
//!
//! A `ClientHello` that offers Encrypted Client Hello has an outer name, which may stand for a true one
//! that is encrypted. Or it may be the true one: a client without a key sends random octets in the
//! same place (RFC 9849 §6.2), and nobody on the way can tell the one from the other. So its source is
//! `Ech`, not `Sni`. A `ClientHello` of which the rest is not to come is taken as far as it is there: what
//! is behind that is not known to be an offer.

use flowwatch_common::wire::tls::{ClientHello, Extension, Fragments, HandshakeHeader, TlsError};

use super::finding::{Finding, SentName};
use super::{NameSource, host_name};

/// Reads a TCP stream from its start.
pub(super) fn read_records(octets: &[u8]) -> Finding {
    let mut message = Vec::new();
    for fragment in Fragments::new(octets) {
        match fragment {
            Ok(fragment) => message.extend_from_slice(fragment),
            Err(TlsError::Incomplete { .. }) => break,
            Err(TlsError::NotTls) => return Finding::Foreign,
            Err(_) => return Finding::Malformed,
        }
        if is_whole(&message) {
            break;
        }
    }
    match read_message(&message, NameSource::Sni) {
        // Each octet that the message lacks takes at least one of the stream's.
        Finding::Incomplete { needed, name } => Finding::Incomplete {
            needed: octets.len() + needed - message.len(),
            name,
        },
        finding => finding,
    }
}

fn is_whole(message: &[u8]) -> bool {
    HandshakeHeader::parse(message).is_ok_and(|header| message.len() >= header.message_length())
}

/// Reads the first message of a handshake, whose plain name is of the given source.
pub(super) fn read_message(message: &[u8], source: NameSource) -> Finding {
    let mut names = Names::default();
    let length = HandshakeHeader::parse(message).map(HandshakeHeader::message_length);
    match names.read(message) {
        Ok(()) => names.sent(source).map_or(Finding::Nameless, Finding::Named),
        Err(TlsError::Incomplete { missing }) => Finding::Incomplete {
            needed: length.unwrap_or(message.len() + missing),
            name: names.sent(source),
        },
        Err(TlsError::OtherMessage) => Finding::Nameless,
        Err(TlsError::Malformed | TlsError::NotTls) => Finding::Malformed,
    }
}

/// What the extensions say.
#[derive(Default)]
struct Names<'a> {
    has_server_name: bool,
    server_name: Option<&'a [u8]>,
    is_encrypted: bool,
}

impl<'a> Names<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), TlsError> {
        for extension in ClientHello::parse(message)?.extensions() {
            match extension? {
                Extension::ServerName(name) => {
                    // RFC 8446 §4.2: no extension is there twice.
                    if self.has_server_name {
                        return Err(TlsError::Malformed);
                    }
                    (self.has_server_name, self.server_name) = (true, name);
                }
                Extension::EncryptedClientHelloOuter | Extension::EncryptedServerName => {
                    self.is_encrypted = true;
                }
                Extension::EncryptedClientHelloInner
                | Extension::Alpn(_)
                | Extension::Other { .. } => {}
            }
        }
        Ok(())
    }

    fn sent(&self, plain: NameSource) -> Option<SentName> {
        Some(SentName {
            text: host_name::text_of(self.server_name?)?,
            source: if self.is_encrypted {
                NameSource::Ech
            } else {
                plain
            },
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn vector(octets: &[u8]) -> Vec<u8> {
        [&(octets.len() as u16).to_be_bytes(), octets].concat()
    }

    pub(in crate::names) fn extension(extension_type: u16, data: &[u8]) -> Vec<u8> {
        [&extension_type.to_be_bytes()[..], &vector(data)].concat()
    }

    pub(in crate::names) fn server_name(name: &[u8]) -> Vec<u8> {
        extension(0, &vector(&[&[0], &vector(name)[..]].concat()))
    }

    /// A `key_share` of X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem §4.1): 1216 octets.
    fn key_share() -> Vec<u8> {
        let key: Vec<u8> = (0..1216_u32).map(|octet| (octet * 7) as u8).collect();
        extension(51, &vector(&[b"\x11\xec", &vector(&key)[..]].concat()))
    }

    /// A `ClientHello` with these extensions.
    pub(in crate::names) fn hello_with(extensions: &[Vec<u8>]) -> Vec<u8> {
        let body = [
            &[3, 3][..],
            &[7; 32],
            &[32],
            &[8; 32],
            b"\x00\x06\x13\x01\x13\x02\x13\x03\x01\x00",
            &vector(&extensions.concat()),
        ]
        .concat();
        [&[1, 0][..], &vector(&body)].concat()
    }

    /// A `ClientHello` of today: behind a key share of 1.2 KB, the name.
    pub(in crate::names) fn hello(name: &str) -> Vec<u8> {
        hello_with(&[
            extension(0x2a2a, b""),
            key_share(),
            extension(16, b"\x00\x03\x02h2"),
            server_name(name.as_bytes()),
            extension(43, b"\x02\x03\x04"),
        ])
    }

    /// Puts a message into records that hold up to so many octets.
    pub(in crate::names) fn records(message: &[u8], length: usize) -> Vec<u8> {
        let record = |piece: &[u8]| [&[22, 3, 1][..], &vector(piece)].concat();
        message.chunks(length).flat_map(record).collect()
    }

    fn named(text: &str, source: NameSource) -> Finding {
        let text = text.into();
        Finding::Named(SentName { text, source })
    }

    fn check(extensions: &[Vec<u8>], expected: &Finding) {
        let message = hello_with(extensions);
        assert_eq!(read_records(&records(&message, 1 << 14)), *expected);
    }

    #[test]
    fn the_server_name_is_the_name() {
        check(
            &[server_name(b"Api.WyzeCam.com")],
            &named("api.wyzecam.com", NameSource::Sni),
        );
        check(
            &[server_name(b"\x1b]0;evil\x07")],
            &named(r"\027]0;evil\007", NameSource::Sni),
        );
    }

    #[test]
    fn a_name_that_may_hide_another_says_so() {
        let outer = extension(0xfe0d, b"\x00\x00\x01\x00\x01\x07\x00\x00\x00\x00");
        let name = server_name(b"outer.test");
        let expected = named("outer.test", NameSource::Ech);
        check(&[name.clone(), outer.clone()], &expected);
        check(&[outer.clone(), name.clone()], &expected);
        check(&[name.clone(), extension(0xffce, b"")], &expected);
        check(&[outer], &Finding::Nameless);
        // The inner one is the true one.
        check(
            &[name, extension(0xfe0d, b"\x01")],
            &named("outer.test", NameSource::Sni),
        );
    }

    #[test]
    fn hello_without_a_host_name_is_nameless() {
        check(&[], &Finding::Nameless);
        check(&[extension(10, b"")], &Finding::Nameless);
        check(&[server_name(b"192.0.2.1")], &Finding::Nameless);
        check(&[server_name(b".")], &Finding::Nameless);
        check(&[server_name(&[b'a'; 256])], &Finding::Nameless);
    }

    #[test]
    fn hello_that_contradicts_itself_names_nothing() {
        let name = server_name(b"a.test");
        check(&[name.clone(), name.clone()], &Finding::Malformed);
        check(&[name.clone(), extension(16, b"")], &Finding::Malformed);
        check(&[name, b"\x00".to_vec()], &Finding::Malformed);
    }

    #[test]
    fn other_messages_and_protocols_name_nothing() {
        let mut message = hello("a.test");
        message[0] = 2;
        assert_eq!(read_records(&records(&message, 1 << 14)), Finding::Nameless);
        assert_eq!(read_records(b"\x16\x02"), Finding::Foreign);
        let alert = [&records(&hello("a.test"), 500)[..600], b"\x15\x03\x01"].concat();
        let broken = [&records(&hello("a.test"), 100)[..105], b"\x15\x03\x01"].concat();
        assert!(matches!(read_records(&alert), Finding::Incomplete { .. }));
        assert_eq!(read_records(&broken), Finding::Malformed);
    }

    #[test]
    fn records_of_any_length_give_the_name() {
        let message = hello("a.test");
        for length in 1..message.len() {
            let octets = records(&message, length);
            assert_eq!(read_records(&octets), named("a.test", NameSource::Sni));
        }
    }

    #[test]
    fn every_prefix_needs_more_and_no_more_than_there_is() {
        for length in [1, 5, 100, 1 << 14] {
            let octets = records(&hello("a.test"), length);
            for end in 0..octets.len() {
                let finding = read_records(&octets[..end]);
                let Finding::Incomplete { needed, .. } = finding else {
                    panic!("{end} octets: {finding:?}")
                };
                assert!(
                    (end + 1..=octets.len()).contains(&needed),
                    "{end}: {needed}"
                );
            }
        }
    }

    #[test]
    fn a_cut_hello_has_the_name_that_is_whole() {
        let octets = records(&hello("a.test"), 1 << 14);
        let at = octets.windows(6).position(|six| six == b"a.test").unwrap();
        let name = |end: usize| match read_records(&octets[..end]) {
            Finding::Incomplete { name, .. } => name.map(|name| name.text.to_string()),
            finding => panic!("{finding:?}"),
        };
        assert_eq!(name(at + 5), None);
        assert_eq!(name(at + 6), Some("a.test".to_string()));
    }
}
