//! A client's first packets, laid out by hand (RFC 9000 §17.2.2, RFC 9369 §3) around a real
//! `ClientHello` and sealed by rustls: in any order, from any offset, by either version.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::Side;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{ClientConnection, DirectionalKeys, Version as Labels};

use crate::tls::Client;

/// Octets that a client's datagram has at least (RFC 9000 §14.1).
pub const SHORTEST_DATAGRAM: usize = 1200;
/// Octets of a packet's number here; of the four that a protected number may have.
const NUMBER_LENGTH: usize = 2;
const LONGEST_NUMBER: usize = 4;
const TAG_LENGTH: usize = 16;
const CRYPTO: u8 = 6;

/// QUIC's versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 9000.
    One,
    /// RFC 9369.
    Two,
}

impl Version {
    /// Its number, and the first octet of its Initial packets, whose numbers have two octets.
    const fn wire(self) -> (u32, u8) {
        match self {
            Self::One => (1, 0xc1),
            Self::Two => (0x6b33_43cf, 0xd1),
        }
    }

    const fn labels(self) -> Labels {
        match self {
            Self::One => Labels::V1,
            Self::Two => Labels::V2,
        }
    }
}

/// The beginning of a connection.
pub struct Beginning {
    version: Version,
    hello: Vec<u8>,
    keys: DirectionalKeys,
}

/// What one packet holds.
#[derive(Clone, Copy, Debug)]
pub struct Initial<'a> {
    /// The Destination Connection ID in its header.
    pub destination: &'a [u8],
    /// Its token; empty unless a server asked for one.
    pub token: &'a [u8],
    /// Its number.
    pub number: u16,
    /// The parts of the `ClientHello` in its CRYPTO frames, in this order.
    pub parts: &'a [Range<usize>],
    /// Its length, in octets; what the frames leave is padding.
    pub length: usize,
}

impl Beginning {
    /// Begins a connection, sealed by the keys of the first Destination Connection ID.
    pub fn new(client: &Client, version: Version, destination: &[u8]) -> Result<Self> {
        let config = Arc::new(client.config(true)?);
        // One transport parameter: the source's identifier, of no octets (RFC 9000 §18.2).
        let parameters = vec![0x0f, 0];
        let name = client.name()?;
        let connection = ClientConnection::new(config, version.labels(), name, parameters);
        let mut hello = Vec::new();
        let mut connection = connection.context("make a QUIC client")?;
        connection.write_hs(&mut hello);
        let suite = TLS13_AES_128_GCM_SHA256
            .tls13()
            .and_then(rustls::Tls13CipherSuite::quic_suite)
            .context("find QUIC's first suite")?;
        let keys = suite.keys(destination, Side::Client, version.labels());
        Ok(Self {
            version,
            hello,
            keys: keys.local,
        })
    }

    /// The `ClientHello`, a handshake message.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Puts another `ClientHello` into the packets.
    #[must_use]
    pub fn with_hello(mut self, hello: Vec<u8>) -> Self {
        self.hello = hello;
        self
    }

    /// Writes and seals a packet. Several, one behind the other, may share a datagram.
    pub fn seal(&self, initial: &Initial<'_>) -> Result<Vec<u8>> {
        let (version, first) = self.version.wire();
        let mut packet = vec![first];
        packet.extend(version.to_be_bytes());
        packet.push(initial.destination.len() as u8);
        packet.extend(initial.destination);
        packet.push(0);
        packet.extend(variable(initial.token.len()));
        packet.extend(initial.token);
        // Two octets of length come first, then the number.
        let number_at = packet.len() + 2;
        let sealed = initial.length.checked_sub(number_at);
        let sealed = sealed.context("the packet is shorter than its header")?;
        packet.extend(variable(sealed));
        packet.extend(initial.number.to_be_bytes());
        let mut payload = self.frames(initial.parts)?;
        let room = sealed.checked_sub(NUMBER_LENGTH + TAG_LENGTH);
        let room = room.context("the packet has no room")?;
        ensure!(payload.len() <= room, "the frames are longer than {room}");
        payload.resize(room, 0);
        let number = u64::from(initial.number);
        let cipher = &self.keys.packet;
        let tag = cipher.encrypt_in_place(number, &packet, &mut payload)?;
        packet.extend(payload);
        packet.extend(tag.as_ref());
        self.protect(&mut packet, number_at)?;
        Ok(packet)
    }

    fn protect(&self, packet: &mut [u8], number_at: usize) -> Result<()> {
        let (header, rest) = packet.split_at_mut(number_at);
        let (number, rest) = rest.split_at_mut(NUMBER_LENGTH);
        let cipher = &self.keys.header;
        let sample = rest.get(LONGEST_NUMBER - NUMBER_LENGTH..);
        let sample = sample.and_then(|rest| rest.get(..cipher.sample_len()));
        let sample = sample.context("the packet is too short to be protected")?;
        cipher.encrypt_in_place(sample, &mut header[0], number)?;
        Ok(())
    }

    fn frames(&self, parts: &[Range<usize>]) -> Result<Vec<u8>> {
        let mut frames = Vec::new();
        for part in parts {
            let octets = self.hello.get(part.clone());
            let octets = octets.with_context(|| format!("the hello has no {part:?}"))?;
            frames.push(CRYPTO);
            frames.extend(variable(part.start));
            frames.extend(variable(octets.len()));
            frames.extend(octets);
        }
        Ok(frames)
    }
}

/// A variable-length integer below 2^14, in two octets (RFC 9000 §16).
fn variable(number: usize) -> [u8; 2] {
    (0x4000 | number as u16).to_be_bytes()
}
