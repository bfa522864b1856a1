//! TLS as far as a client's first message: records, the handshake header, and `ClientHello`.
//!
//! Made of a stream's first octets, or of QUIC's CRYPTO frames; read by `flowwatch::names`. RFC 8446
//! §4.1.2 and §5.1 (TLS 1.3; the older versions' form is the same), RFC 6066 §3 (`server_name`),
//! RFC 7301 §3.1 (ALPN), RFC 9849 §5 (Encrypted Client Hello).
//!
//! Octets may end anywhere: what is whole before their end is read, and an error says that more is
//! needed, not that what is there is wrong. Nothing here judges content.

use core::fmt;

/// Octets of a record's header.
pub const RECORD_HEADER_LENGTH: usize = 5;
/// Octets of a handshake message's header.
pub const HANDSHAKE_HEADER_LENGTH: usize = 4;
/// The most octets that a record holds before it is encrypted (RFC 8446 §5.1).
pub const MAX_RECORD_LENGTH: u16 = 1 << 14;
/// Content type of handshake records (RFC 8446 §5.1).
pub const CONTENT_HANDSHAKE: u8 = 22;
/// Handshake type of `ClientHello` (RFC 8446 §4).
pub const MESSAGE_CLIENT_HELLO: u8 = 1;
/// Extension `server_name` (RFC 6066 §3).
pub const EXTENSION_SERVER_NAME: u16 = 0;
/// Extension `application_layer_protocol_negotiation` (RFC 7301 §3.1).
pub const EXTENSION_ALPN: u16 = 16;
/// Extension `encrypted_client_hello` (RFC 9849 §5).
pub const EXTENSION_ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// Extension `encrypted_server_name`, which came before it (draft-ietf-tls-esni-02 §4).
pub const EXTENSION_ENCRYPTED_SERVER_NAME: u16 = 0xffce;
/// The longest `legacy_session_id` in octets.
const MAX_SESSION_ID_LENGTH: usize = 32;
/// Name type `host_name` (RFC 6066 §3).
const NAME_TYPE_HOST: u8 = 0;
/// The upper octet of all versions from SSL 3.0 on.
const MAJOR_VERSION: u8 = 3;

/// Why octets, or what follows in them, can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsError {
    /// The octets end before what they announce.
    Incomplete {
        /// How many more are needed at least; never 0.
        missing: usize,
    },
    /// A length contradicts what is around it, or what may be there once is there twice.
    Malformed,
    /// The octets don't begin a handshake record; a `ClientHello` in SSL 2.0's form doesn't either.
    NotTls,
    /// The handshake message is not a `ClientHello`.
    OtherMessage,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { missing } => {
                write!(
                    f,
                    "the TLS message ends at least {missing} octets before what it announces"
                )
            }
            Self::Malformed => f.write_str("the TLS message contradicts itself"),
            Self::NotTls => f.write_str("the octets are no TLS handshake record"),
            Self::OtherMessage => f.write_str("the TLS message is no ClientHello"),
        }
    }
}

impl core::error::Error for TlsError {}

/// A place in a vector (RFC 8446 §3.4), of which the last octets may not be at hand.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    /// What is at hand from here on; never more than `length`.
    octets: &'a [u8],
    /// Octets from here to the vector's end.
    length: usize,
}

impl<'a> Reader<'a> {
    const EMPTY: Self = Self {
        octets: &[],
        length: 0,
    };

    fn take(&mut self, count: usize) -> Result<&'a [u8], TlsError> {
        let left = self.length.checked_sub(count).ok_or(TlsError::Malformed)?;
        let split = self.octets.split_at_checked(count);
        let missing = count.saturating_sub(self.octets.len());
        let (taken, rest) = split.ok_or(TlsError::Incomplete { missing })?;
        (self.octets, self.length) = (rest, left);
        Ok(taken)
    }

    fn take_u8(&mut self) -> Result<u8, TlsError> {
        Ok(self.take(1)?.iter().fold(0, |_, octet| *octet))
    }

    fn take_u16(&mut self) -> Result<u16, TlsError> {
        let octets = self.take(2)?.iter();
        Ok(octets.fold(0, |number, octet| number << 8 | u16::from(*octet)))
    }

    /// Takes a vector whose length is in one octet, whole.
    fn take_short_vector(&mut self) -> Result<&'a [u8], TlsError> {
        let length = self.take_u8()?;
        self.take(usize::from(length))
    }

    /// Takes a vector whose length is in two octets, whole or as much as is at hand.
    fn take_vector(&mut self) -> Result<Self, TlsError> {
        let length = usize::from(self.take_u16()?);
        self.length = self.length.checked_sub(length).ok_or(TlsError::Malformed)?;
        let (octets, rest) = self
            .octets
            .split_at_checked(length)
            .unwrap_or((self.octets, &[]));
        self.octets = rest;
        Ok(Self { octets, length })
    }

    /// Returns all that the vector holds.
    fn whole(self) -> Result<&'a [u8], TlsError> {
        match self.length - self.octets.len() {
            0 => Ok(self.octets),
            missing => Err(TlsError::Incomplete { missing }),
        }
    }

    const fn is_at_end(&self) -> bool {
        self.length == 0
    }
}

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

    use super::*;

    /// RFC 8448 §3: the `ClientHello` of a simple handshake, in its record; `server_name` is `server`.
    const RFC_8448: &[u8] = b"\
        \x16\x03\x01\x00\xc4\x01\x00\x00\xc0\x03\x03\xcb\x34\xec\xb1\xe7\x81\x63\xba\x1c\x38\xc6\xda\
        \xcb\x19\x6a\x6d\xff\xa2\x1a\x8d\x99\x12\xec\x18\xa2\xef\x62\x83\x02\x4d\xec\xe7\x00\x00\x06\
        \x13\x01\x13\x03\x13\x02\x01\x00\x00\x91\x00\x00\x00\x0b\x00\x09\x00\x00\x06\x73\x65\x72\x76\
        \x65\x72\xff\x01\x00\x01\x00\x00\x0a\x00\x14\x00\x12\x00\x1d\x00\x17\x00\x18\x00\x19\x01\x00\
        \x01\x01\x01\x02\x01\x03\x01\x04\x00\x23\x00\x00\x00\x33\x00\x26\x00\x24\x00\x1d\x00\x20\x99\
        \x38\x1d\xe5\x60\xe4\xbd\x43\xd2\x3d\x8e\x43\x5a\x7d\xba\xfe\xb3\xc0\x6e\x51\xc1\x3c\xae\x4d\
        \x54\x13\x69\x1e\x52\x9a\xaf\x2c\x00\x2b\x00\x03\x02\x03\x04\x00\x0d\x00\x20\x00\x1e\x04\x03\
        \x05\x03\x06\x03\x02\x03\x08\x04\x08\x05\x08\x06\x04\x01\x05\x01\x06\x01\x02\x01\x04\x02\x05\
        \x02\x06\x02\x02\x02\x00\x2d\x00\x02\x01\x01\x00\x1c\x00\x02\x40\x01";

    fn rfc_8448_message() -> Vec<u8> {
        RFC_8448[RECORD_HEADER_LENGTH..].to_vec()
    }

    fn vector(octets: &[u8]) -> Vec<u8> {
        [&(octets.len() as u16).to_be_bytes(), octets].concat()
    }

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
        let fragments: Vec<_> = Fragments::new(RFC_8448).collect();
        assert_eq!(fragments, [Ok(&rfc_8448_message()[..])]);
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
