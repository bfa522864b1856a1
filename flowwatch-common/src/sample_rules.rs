//! Which payloads carry names, as data: the BPF programs and `flowwatch replay` sample what a rule
//! matches.
//!
//! A new name source that needs other payloads adds a row here; a new kind of content, its first
//! octets in `wire::beginning`. Nothing in `flowwatch-ebpf` knows of either.

use crate::abi::Direction;
use crate::wire::ip_protocol::{TCP, UDP};

/// What a payload must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Content {
    /// Anything: the port says enough.
    Any = 1,
    /// A stream that begins with a TLS handshake record and in it a `ClientHello` (RFC 8446 §4.1.2,
    /// §5.1).
    ClientHello = 2,
    /// A stream that begins with an HTTP/1 request (RFC 9112 §3).
    HttpRequest = 4,
    /// A datagram that begins with an Initial packet of QUIC version 1 or 2 (RFC 9000 §17.2.2,
    /// RFC 9369 §3.2).
    QuicInitial = 8,
}

/// The contents that rules ask for, of packets of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents(u8);

impl Contents {
    /// Returns whether no rule asks for anything.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether a rule asks for this content.
    #[must_use]
    pub const fn has(self, content: Content) -> bool {
        self.0 & content as u8 != 0
    }
}

/// Packets whose payload goes to user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRule {
    /// What the payload is, for people.
    pub name: &'static str,
    /// Which way it goes.
    pub direction: Direction,
    /// IANA protocol number: TCP's or UDP's.
    pub protocol: u8,
    /// The remote's transport port, where only one will do.
    pub remote_port: Option<u16>,
    /// What it must look like.
    pub content: Content,
}

const fn rule(
    name: &'static str,
    direction: Direction,
    protocol: u8,
    remote_port: Option<u16>,
    content: Content,
) -> SampleRule {
    SampleRule {
        name,
        direction,
        protocol,
        remote_port,
        content,
    }
}

/// Every rule. All that match a packet count.
pub const SAMPLE_RULES: &[SampleRule] = &[
    rule("dns-answer", Direction::Down, UDP, Some(53), Content::Any),
    rule("dns-answer", Direction::Down, TCP, Some(53), Content::Any),
    rule("dhcp-answer", Direction::Down, UDP, Some(67), Content::Any),
    rule("dhcp-request", Direction::Up, UDP, Some(67), Content::Any),
    rule("mdns", Direction::Up, UDP, Some(5353), Content::Any),
    rule("mdns", Direction::Down, UDP, Some(5353), Content::Any),
    rule("tls", Direction::Up, TCP, None, Content::ClientHello),
    rule("http", Direction::Up, TCP, None, Content::HttpRequest),
    rule("quic", Direction::Up, UDP, None, Content::QuicInitial),
];

/// A rule as the programs compare it: whole words, and no text, which would be an address in the
/// object's data.
#[derive(Clone, Copy)]
struct Row {
    /// Direction, protocol and port, as [`packed`] has them.
    wanted: u32,
    /// The bits of a packet's word that must be those.
    mask: u32,
    content: u8,
}

const ROWS: [Row; SAMPLE_RULES.len()] = rows();

const fn rows() -> [Row; SAMPLE_RULES.len()] {
    let none = Row {
        wanted: 0,
        mask: 0,
        content: 0,
    };
    let mut rows = [none; SAMPLE_RULES.len()];
    let mut index = 0;
    while index < SAMPLE_RULES.len() {
        let rule = &SAMPLE_RULES[index];
        assert!(rule.protocol == TCP || rule.protocol == UDP);
        let (port, mask) = match rule.remote_port {
            Some(port) => (port, u32::MAX),
            None => (0, !0xffff),
        };
        rows[index] = Row {
            wanted: packed(rule.direction, rule.protocol, port),
            mask,
            content: rule.content as u8,
        };
        index += 1;
    }
    rows
}

const fn packed(direction: Direction, protocol: u8, remote_port: u16) -> u32 {
    remote_port as u32 | (protocol as u32) << 16 | (direction as u32) << 24
}

/// Returns what the rules ask for of a packet. A later fragment has port 0 and matches no rule.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "folds to a few comparisons when the direction is known"
)]
#[must_use]
pub const fn contents_asked(direction: Direction, protocol: u8, remote_port: u16) -> Contents {
    let packet = packed(direction, protocol, remote_port);
    let mut contents = 0;
    let mut index = 0;
    while index < ROWS.len() {
        let row = ROWS[index];
        if packet & row.mask == row.wanted && remote_port != 0 {
            contents |= row.content;
        }
        index += 1;
    }
    Contents(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(direction: Direction, protocol: u8, port: u16, expected: &[Content]) {
        let asked = contents_asked(direction, protocol, port);
        for content in [
            Content::Any,
            Content::ClientHello,
            Content::HttpRequest,
            Content::QuicInitial,
        ] {
            let what = (direction, protocol, port, content);
            assert_eq!(asked.has(content), expected.contains(&content), "{what:?}");
        }
        assert_eq!(asked.is_empty(), expected.is_empty());
    }

    #[test]
    fn a_rule_matches_its_direction_protocol_and_port_alone() {
        use Content::{Any, ClientHello, HttpRequest, QuicInitial};
        use Direction::{Down, Up};
        check(Down, UDP, 53, &[Any]);
        check(Up, UDP, 53, &[QuicInitial]);
        check(Down, TCP, 53, &[Any]);
        check(Up, TCP, 53, &[ClientHello, HttpRequest]);
        check(Down, UDP, 67, &[Any]);
        check(Up, UDP, 67, &[Any, QuicInitial]);
        check(Up, UDP, 5353, &[Any, QuicInitial]);
        check(Down, UDP, 5353, &[Any]);
        check(Down, UDP, 54, &[]);
        check(Down, TCP, 443, &[]);
        check(Up, TCP, 8883, &[ClientHello, HttpRequest]);
        check(Up, UDP, 443, &[QuicInitial]);
        check(Up, 132, 443, &[]);
    }

    #[test]
    fn what_has_no_port_matches_no_rule() {
        check(Direction::Up, TCP, 0, &[]);
        check(Direction::Up, UDP, 0, &[]);
    }
}
