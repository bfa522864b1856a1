//! TLS as far as a client's first message: records, the handshake header, and `ClientHello`.
//!
//! Made of a stream's first octets, or of QUIC's CRYPTO frames; read by `flowwatch::names`. RFC 8446
//! §4.1.2 and §5.1 (TLS 1.3; the older versions' form is the same), RFC 6066 §3 (`server_name`),
//! RFC 7301 §3.1 (ALPN), RFC 9849 §5 (Encrypted Client Hello).
//!
//! Octets may end anywhere: what is whole before their end is read, and an error says that more is
//! needed, not that what is there is wrong. Nothing here judges content.

mod hello;
mod reader;
mod record;

use core::fmt;

pub use hello::{ClientHello, Extension, Extensions, HandshakeHeader, ProtocolNames};
pub use record::{Fragments, RecordHeader};

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

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// RFC 8448 §3: the `ClientHello` of a simple handshake, in its record; `server_name` is `server`.
    pub(super) const RFC_8448: &[u8] = b"\
        \x16\x03\x01\x00\xc4\x01\x00\x00\xc0\x03\x03\xcb\x34\xec\xb1\xe7\x81\x63\xba\x1c\x38\xc6\xda\
        \xcb\x19\x6a\x6d\xff\xa2\x1a\x8d\x99\x12\xec\x18\xa2\xef\x62\x83\x02\x4d\xec\xe7\x00\x00\x06\
        \x13\x01\x13\x03\x13\x02\x01\x00\x00\x91\x00\x00\x00\x0b\x00\x09\x00\x00\x06\x73\x65\x72\x76\
        \x65\x72\xff\x01\x00\x01\x00\x00\x0a\x00\x14\x00\x12\x00\x1d\x00\x17\x00\x18\x00\x19\x01\x00\
        \x01\x01\x01\x02\x01\x03\x01\x04\x00\x23\x00\x00\x00\x33\x00\x26\x00\x24\x00\x1d\x00\x20\x99\
        \x38\x1d\xe5\x60\xe4\xbd\x43\xd2\x3d\x8e\x43\x5a\x7d\xba\xfe\xb3\xc0\x6e\x51\xc1\x3c\xae\x4d\
        \x54\x13\x69\x1e\x52\x9a\xaf\x2c\x00\x2b\x00\x03\x02\x03\x04\x00\x0d\x00\x20\x00\x1e\x04\x03\
        \x05\x03\x06\x03\x02\x03\x08\x04\x08\x05\x08\x06\x04\x01\x05\x01\x06\x01\x02\x01\x04\x02\x05\
        \x02\x06\x02\x02\x02\x00\x2d\x00\x02\x01\x01\x00\x1c\x00\x02\x40\x01";

    pub(super) fn rfc_8448_message() -> Vec<u8> {
        RFC_8448[RECORD_HEADER_LENGTH..].to_vec()
    }

    pub(super) fn vector(octets: &[u8]) -> Vec<u8> {
        [&(octets.len() as u16).to_be_bytes(), octets].concat()
    }
}
