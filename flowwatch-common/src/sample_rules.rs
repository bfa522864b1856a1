//! Which payloads carry names, as data: the BPF programs sample what a rule matches.
//!
//! A new name source that needs other payloads adds a row here, and nothing in `flowwatch-ebpf`.

use crate::abi::Direction;
use crate::wire::ip_protocol;

/// A packet whose payload goes to user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRule {
    /// What the payload is, for people.
    pub name: &'static str,
    /// Which way it goes.
    pub direction: Direction,
    /// IANA protocol number.
    pub protocol: u8,
    /// The remote's transport port.
    pub remote_port: u16,
}

/// Every rule. Matched in this order.
pub const SAMPLE_RULES: &[SampleRule] = &[SampleRule {
    name: "dns-answer",
    direction: Direction::Down,
    protocol: ip_protocol::UDP,
    remote_port: 53,
}];

/// Returns whether a packet's payload is sampled. A later fragment has port 0 and matches no rule.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "folds to a comparison when the direction is known"
)]
#[must_use]
pub fn is_sampled(direction: Direction, protocol: u8, remote_port: u16) -> bool {
    let mut index = 0;
    while index < SAMPLE_RULES.len() {
        let rule = &SAMPLE_RULES[index];
        if rule.direction as u8 == direction as u8
            && rule.protocol == protocol
            && rule.remote_port == remote_port
        {
            return true;
        }
        index += 1;
    }
    false
}
