//! `ClientHello`: whom a client means to reach, and what it offers.
//!
//! Made of a handshake message's octets, which may be cut; read by `flowwatch::names`. RFC 8446 §4.1.2,
//! RFC 6066 §3, RFC 7301 §3.1, RFC 9849 §5.

use super::reader::Reader;
use super::{
    EXTENSION_ALPN, EXTENSION_ENCRYPTED_CLIENT_HELLO, EXTENSION_ENCRYPTED_SERVER_NAME,
    EXTENSION_SERVER_NAME, HANDSHAKE_HEADER_LENGTH, MAJOR_VERSION, MESSAGE_CLIENT_HELLO, TlsError,
};

/// The longest `legacy_session_id` in octets.
const MAX_SESSION_ID_LENGTH: usize = 32;
/// Name type `host_name` (RFC 6066 §3).
const NAME_TYPE_HOST: u8 = 0;

/// A handshake message's header (RFC 8446 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeHeader {
    /// What the message is.
    pub message_type: u8,
    /// Octets behind the header, 24 bits.
    pub length: u32,
}

impl HandshakeHeader {
    /// Reads the header.
    ///
    /// # Errors
    /// `Incomplete` when there are fewer than [`HANDSHAKE_HEADER_LENGTH`] octets.
    pub fn parse(octets: &[u8]) -> Result<Self, TlsError> {
        let header: &[u8; HANDSHAKE_HEADER_LENGTH] =
            octets.first_chunk().ok_or(TlsError::Incomplete {
                missing: HANDSHAKE_HEADER_LENGTH.saturating_sub(octets.len()),
            })?;
        let [message_type, l0, l1, l2] = *header;
        Ok(Self {
            message_type,
            length: u32::from_be_bytes([0, l0, l1, l2]),
        })
    }

    /// Returns the octets of the message, the header's included.
    #[must_use]
    pub const fn message_length(self) -> usize {
        HANDSHAKE_HEADER_LENGTH + self.length as usize
    }
}

/// A `ClientHello` up to its extensions, which may be cut (RFC 8446 §4.1.2).
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    /// `legacy_version`: 0x0303 from TLS 1.2 on.
    pub version: u16,
    /// `cipher_suites`: two octets each, at least one.
    pub cipher_suites: &'a [u8],
    extensions: Reader<'a>,
}

impl<'a> ClientHello<'a> {
    /// Reads a message from its handshake header on; what lies behind the message is left alone.
    ///
    /// # Errors
    /// `OtherMessage` when it is none; `Malformed` when its parts don't fit into it; `Incomplete`
    /// when it is cut before its extensions.
    pub fn parse(message: &'a [u8]) -> Result<Self, TlsError> {
        if message
            .first()
            .is_some_and(|first| *first != MESSAGE_CLIENT_HELLO)
        {
            return Err(TlsError::OtherMessage);
        }
        let length = HandshakeHeader::parse(message)?.length as usize;
        let body = message.get(HANDSHAKE_HEADER_LENGTH..).unwrap_or_default();
        let mut body = Reader {
            octets: body.get(..length).unwrap_or(body),
            length,
        };
        let version = body.take_u16()?;
        let _random = body.take(32)?;
        let session_id = body.take_short_vector()?;
        let cipher_suites = body.take_vector()?.whole()?;
        let compression_methods = body.take_short_vector()?;
        let is_valid = version.to_be_bytes()[0] == MAJOR_VERSION
            && session_id.len() <= MAX_SESSION_ID_LENGTH
            && cipher_suites.len() >= 2
            && cipher_suites.len().is_multiple_of(2)
            && !compression_methods.is_empty();
        // Before TLS 1.3 a message may end here (RFC 5246 §7.4.1.2).
        let extensions = if body.is_at_end() {
            Reader::EMPTY
        } else {
            body.take_vector()?
        };
        if !is_valid || !body.is_at_end() {
            return Err(TlsError::Malformed);
        }
        Ok(Self {
            version,
            cipher_suites,
            extensions,
        })
    }

    /// Returns the extensions, as many as are whole.
    #[must_use]
    pub const fn extensions(&self) -> Extensions<'a> {
        Extensions {
            reader: self.extensions,
        }
    }
}

/// An extension's content, by its type (RFC 8446 §4.2).
#[derive(Clone, Debug)]
pub enum Extension<'a> {
    /// `server_name`: the host name that the client means to reach (RFC 6066 §3), as it was sent; not
    /// empty. Nothing when the list has names of other types only.
    ServerName(Option<&'a [u8]>),
    /// `encrypted_client_hello` of the outer message: the true one, with its own `server_name`, is
    /// encrypted within, or random octets stand there for show (RFC 9849 §6.2).
    EncryptedClientHelloOuter,
    /// `encrypted_client_hello` of the inner message: this is the true one.
    EncryptedClientHelloInner,
    /// `encrypted_server_name`, the earlier draft's way to hide the name.
    EncryptedServerName,
    /// ALPN: the protocols that the client would speak.
    Alpn(ProtocolNames<'a>),
    /// Any other extension.
    Other {
        /// Its type.
        extension_type: u16,
        /// Its content.
        data: &'a [u8],
    },
}

impl<'a> Extension<'a> {
    fn parse(extension_type: u16, data: &'a [u8]) -> Result<Self, TlsError> {
        let reader = Reader {
            octets: data,
            length: data.len(),
        };
        match extension_type {
            EXTENSION_SERVER_NAME => parse_server_name(reader).map(Self::ServerName),
            EXTENSION_ENCRYPTED_CLIENT_HELLO => match data.first() {
                Some(0) => Ok(Self::EncryptedClientHelloOuter),
                Some(1) => Ok(Self::EncryptedClientHelloInner),
                _ => Err(TlsError::Malformed),
            },
            EXTENSION_ENCRYPTED_SERVER_NAME => Ok(Self::EncryptedServerName),
            EXTENSION_ALPN => ProtocolNames::parse(reader).map(Self::Alpn),
            _ => Ok(Self::Other {
                extension_type,
                data,
            }),
        }
    }
}

/// Reads a `ServerNameList`, whole: at least one name, and no two of one type.
fn parse_server_name(mut extension: Reader<'_>) -> Result<Option<&[u8]>, TlsError> {
    let mut list = extension.take_vector()?;
    if list.is_at_end() || !extension.is_at_end() {
        return Err(TlsError::Malformed);
    }
    let mut host_name = None;
    while !list.is_at_end() {
        let name_type = list.take_u8()?;
        // Names of other types, should there ever be any, begin with their length, too.
        let name = list.take_vector()?.whole()?;
        let is_host = name_type == NAME_TYPE_HOST;
        if is_host && (name.is_empty() || host_name.replace(name).is_some()) {
            return Err(TlsError::Malformed);
        }
    }
    Ok(host_name)
}

/// The extensions that are whole, in the message's order; an error is the last item.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    reader: Reader<'a>,
}

impl<'a> Extensions<'a> {
    fn parse_next(&mut self) -> Result<Extension<'a>, TlsError> {
        let extension_type = self.reader.take_u16()?;
        let data = self.reader.take_vector()?.whole()?;
        Extension::parse(extension_type, data)
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, TlsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_at_end() {
            return None;
        }
        let extension = self.parse_next();
        if extension.is_err() {
            self.reader = Reader::EMPTY;
        }
        Some(extension)
    }
}

/// The names of protocols, in the client's order, such as `h2` (RFC 7301 §3.1).
#[derive(Clone, Debug)]
pub struct ProtocolNames<'a> {
    list: Reader<'a>,
}

impl<'a> ProtocolNames<'a> {
    fn parse(mut extension: Reader<'a>) -> Result<Self, TlsError> {
        let list = extension.take_vector()?;
        let mut names = list;
        if list.is_at_end() || !extension.is_at_end() {
            return Err(TlsError::Malformed);
        }
        while !names.is_at_end() {
            if names.take_short_vector()?.is_empty() {
                return Err(TlsError::Malformed);
            }
        }
        Ok(Self { list })
    }
}

impl<'a> Iterator for ProtocolNames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.list.take_short_vector().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::super::tests::{rfc_8448_message, vector};
    use super::*;

    fn extension(extension_type: u16, data: &[u8]) -> Vec<u8> {
        [&extension_type.to_be_bytes()[..], &vector(data)].concat()
    }

    /// A `ServerNameList` with names of these types.
    fn server_name(names: &[(u8, &[u8])]) -> Vec<u8> {
        let names = names
            .iter()
            .flat_map(|(name_type, name)| [&[*name_type][..], &vector(name)].concat());
        extension(0, &vector(&names.collect::<Vec<_>>()))
    }

    fn hello(extensions: &[u8]) -> Vec<u8> {
        let body = [
            &[3, 3][..],
            &[7; 32],
            b"\x00\x00\x02\x13\x01\x01\x00",
            &vector(extensions),
        ]
        .concat();
        [&[1, 0][..], &vector(&body)].concat()
    }

    fn text(extension: &Extension<'_>) -> String {
        match extension {
            Extension::ServerName(name) => {
                let name = name.map(|name| std::str::from_utf8(name).unwrap());
                std::format!("server_name {name:?}")
            }
            Extension::EncryptedClientHelloOuter => "outer".to_string(),
            Extension::EncryptedClientHelloInner => "inner".to_string(),
            Extension::EncryptedServerName => "esni".to_string(),
            Extension::Alpn(names) => {
                let names = names.clone().map(|name| std::str::from_utf8(name).unwrap());
                std::format!("alpn {}", names.collect::<Vec<_>>().join(" "))
            }
            Extension::Other { extension_type, .. } => std::format!("{extension_type}"),
        }
    }

    /// Compares the extensions of a message with one text each, and the error that ended them.
    fn check(message: &[u8], expected: &[&str]) {
        let texts = match ClientHello::parse(message) {
            Ok(hello) => hello
                .extensions()
                .map(|extension| match extension {
                    Ok(extension) => text(&extension),
                    Err(error) => std::format!("{error:?}"),
                })
                .collect(),
            Err(error) => std::vec![std::format!("{error:?}")],
        };
        assert_eq!(texts, expected);
    }

    fn check_extensions(extensions: &[u8], expected: &[&str]) {
        check(&hello(extensions), expected);
    }

    #[test]
    fn the_rfcs_example_is_read() {
        let message = rfc_8448_message();
        let hello = ClientHello::parse(&message).unwrap();
        assert_eq!(hello.version, 0x0303);
        assert_eq!(hello.cipher_suites, b"\x13\x01\x13\x03\x13\x02");
        check(
            &message,
            &[
                "server_name Some(\"server\")",
                "65281",
                "10",
                "35",
                "51",
                "43",
                "13",
                "45",
                "28",
            ],
        );
    }

    #[test]
    fn every_prefix_is_incomplete_and_asks_for_no_more_than_there_is() {
        let message = rfc_8448_message();
        for length in 0..message.len() {
            let error = match ClientHello::parse(&message[..length]) {
                Ok(hello) => hello.extensions().last().unwrap().unwrap_err(),
                Err(error) => error,
            };
            let TlsError::Incomplete { missing } = error else {
                panic!("{length}: {error:?}")
            };
            assert!((1..=message.len() - length).contains(&missing), "{length}");
        }
    }

    #[test]
    fn what_is_whole_of_a_cut_message_is_read() {
        let message = rfc_8448_message();
        // Handshake header, version, random, session ID, suites, compression, length: the first
        // extension begins at 51 and has 15 octets.
        check(&message[..65], &["Incomplete { missing: 1 }"]);
        check(
            &message[..66],
            &["server_name Some(\"server\")", "Incomplete { missing: 2 }"],
        );
    }

    #[test]
    fn octets_behind_the_message_are_left_alone() {
        check(&[&hello(b"")[..], b"rest"].concat(), &[]);
    }

    #[test]
    fn message_may_end_before_extensions() {
        let body = [&[3, 1][..], &[7; 32], b"\x00\x00\x02\x00\x2f\x01\x00"].concat();
        let message = [&[1, 0][..], &vector(&body)].concat();
        check(&message, &[]);
        let longer = [&[1, 0][..], &vector(&[&body[..], b"\x00"].concat())].concat();
        check(&longer, &["Malformed"]);
    }

    #[test]
    fn parts_that_do_not_fit_are_malformed() {
        let whole = rfc_8448_message();
        // Version, session ID's length, an odd number of suites' octets, none, no compression, the
        // extensions' length below and above what there is.
        let lies = [
            (4, 2),
            (38, 33),
            (40, 5),
            (40, 0),
            (47, 0),
            (50, 0x90),
            (50, 0x92),
        ];
        for (at, octet) in lies {
            let mut message = whole.clone();
            message[at] = octet;
            check(&message, &["Malformed"]);
        }
    }

    #[test]
    fn other_messages_are_told_apart() {
        let mut message = rfc_8448_message();
        message[0] = 2;
        check(&message, &["OtherMessage"]);
        check(&[2], &["OtherMessage"]);
    }

    #[test]
    fn server_name_is_one_host_name() {
        check_extensions(
            &server_name(&[(0, b"a.test")]),
            &["server_name Some(\"a.test\")"],
        );
        check_extensions(
            &server_name(&[(7, b"other"), (0, b"a.test")]),
            &["server_name Some(\"a.test\")"],
        );
        check_extensions(&server_name(&[(7, b"other")]), &["server_name None"]);
        for names in [&[(0, &b"a.test"[..]), (0, b"b.test")][..], &[(0, b"")], &[]] {
            check_extensions(&server_name(names), &["Malformed"]);
        }
        // Octets behind the list, a name that is longer than the list, and no list.
        check_extensions(&extension(0, b"\x00\x04\x00\x00\x01ax"), &["Malformed"]);
        check_extensions(&extension(0, b"\x00\x04\x00\x00\x02a"), &["Malformed"]);
        check_extensions(&extension(0, b""), &["Malformed"]);
    }

    #[test]
    fn what_hides_a_name_is_told() {
        let extensions = [
            extension(0xfe0d, b"\x00\x00\x01"),
            extension(0xfe0d, b"\x01"),
            extension(0xffce, b""),
        ];
        check_extensions(&extensions.concat(), &["outer", "inner", "esni"]);
        check_extensions(&extension(0xfe0d, b"\x02"), &["Malformed"]);
        check_extensions(&extension(0xfe0d, b""), &["Malformed"]);
    }

    #[test]
    fn protocols_come_in_their_order() {
        check_extensions(
            &extension(16, b"\x00\x0c\x02h2\x08http/1.1"),
            &["alpn h2 http/1.1"],
        );
        for data in [
            &b"\x00\x00"[..],
            b"\x00\x01\x00",
            b"\x00\x02\x02h",
            b"\x00\x02\x01hx",
        ] {
            check_extensions(&extension(16, data), &["Malformed"]);
        }
    }

    #[test]
    fn a_lie_keeps_the_extensions_before_it() {
        let lie = [&extension(10, b"")[..], b"\x00\x0b\x00\x01"].concat();
        check_extensions(&lie, &["10", "Malformed"]);
    }
}
