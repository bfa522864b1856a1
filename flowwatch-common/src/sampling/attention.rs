//! The attention that a flow's packets get: whether the programs look at their payloads at all.
//!
//! A word in the flow's own entry, which is at hand for every packet: one bit says for each
//! direction that nothing of the flow is of interest, and the packet is done with. What a rule asks
//! for by its port keeps the flow's attention for good. What a connection's beginning must show (a
//! `ClientHello`, a request) has it for so many packets: behind a SYN, and in a new entry, whose
//! epoch may have begun between the SYN and what follows it.
//!
//! A word of zeros is what nobody has looked at: another CPU made the entry.

use crate::abi::Direction;
use crate::sample_rules::{Content, contents_asked};
use crate::wire::ip_protocol::TCP;

/// Packets that get attention in a new entry.
pub const NEW_ENTRY_PACKETS: u8 = 8;
/// Packets more that a SYN gets attention for.
pub const SYN_PACKETS: u8 = 32;

/// Where the tick begins.
const TICK_SHIFT: u32 = 16;
/// Where the number of packets is.
const COUNT_SHIFT: u32 = 8;

/// A flow's first tick (bits 16 to 63), packets that still get attention (8 to 15), and whether it
/// is calm going up (bit 0) and down (bit 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Attention(u64);

impl Attention {
    /// Returns the word as it is in memory.
    #[must_use]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Returns the word of memory as what it is.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// Returns the kernel's tick counter (jiffies, 48 bits of it: 8,900 years at 1,000 a second) at
    /// the first packet; 0 where this CPU saw none.
    #[must_use]
    pub const fn first_tick(self) -> u64 {
        self.0 >> TICK_SHIFT
    }

    /// Returns whether a packet going this way is of no interest.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "one instruction")]
    #[must_use]
    pub const fn is_calm(self, direction: Direction) -> bool {
        self.0 & calm(direction) != 0
    }

    /// Returns the word behind a packet of the flow with this `FlowKey::transport`: one that was not
    /// calm, or that may open a connection.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its callers are out of line")]
    #[must_use]
    pub const fn after(
        self,
        tick: u64,
        transport: u32,
        direction: Direction,
        may_open: bool,
    ) -> Self {
        let (protocol, remote_port) = ((transport >> 16) as u8, transport as u16);
        let (first_tick, mut count) = if self.first_tick() == 0 {
            (tick, NEW_ENTRY_PACKETS)
        } else {
            (self.first_tick(), (self.0 >> COUNT_SHIFT) as u8)
        };
        if protocol == TCP && may_open {
            count = count.saturating_add(SYN_PACKETS);
        } else if matches!(direction, Direction::Up) {
            count = count.saturating_sub(1);
        }
        let up = contents_asked(Direction::Up, protocol, remote_port);
        let down = contents_asked(Direction::Down, protocol, remote_port);
        let mut word = first_tick << TICK_SHIFT | (count as u64) << COUNT_SHIFT;
        // A datagram shows by itself that it opens a connection: no need to look at others.
        let awaits = protocol == TCP && !up.is_empty() && count != 0;
        if !up.has(Content::Any) && !awaits {
            word |= calm(Direction::Up);
        }
        if down.is_empty() {
            word |= calm(Direction::Down);
        }
        Self(word)
    }
}

const fn calm(direction: Direction) -> u64 {
    match direction {
        Direction::Up => 1,
        Direction::Down => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::FlowKey;
    use crate::wire::ip_protocol::UDP;
    use Direction::{Down, Up};

    const fn to(protocol: u8, port: u16) -> u32 {
        FlowKey::transport(4, protocol, port)
    }

    fn new(protocol: u8, port: u16, direction: Direction) -> Attention {
        Attention::default().after(7, to(protocol, port), direction, false)
    }

    /// Counts the packets that get attention until the flow is calm.
    fn packets(mut attention: Attention) -> u32 {
        let mut count = 0;
        while !attention.is_calm(Up) {
            attention = attention.after(9, to(TCP, 443), Up, false);
            count += 1;
            assert!(count <= 1000, "no end");
        }
        count
    }

    #[test]
    fn what_nobody_has_looked_at_is_not_calm() {
        let unseen = Attention::from_word(0);
        assert!(!unseen.is_calm(Up) && !unseen.is_calm(Down));
        assert_eq!(unseen.first_tick(), 0);
    }

    #[test]
    fn a_stream_has_attention_at_its_beginning() {
        // The packet that made the entry is one of them.
        let first = new(TCP, 443, Up);
        assert_eq!(packets(first), u32::from(NEW_ENTRY_PACKETS) - 1);
        assert!(first.is_calm(Down), "no rule asks for what comes down");
        let calm = Attention::from_word(7 << 16 | 3);
        let opened = calm.after(9, to(TCP, 443), Up, true);
        assert_eq!(packets(opened), u32::from(SYN_PACKETS));
        let twice = opened.after(9, to(TCP, 443), Up, true);
        assert_eq!(packets(twice), 2 * u32::from(SYN_PACKETS));
    }

    #[test]
    fn attention_has_a_limit() {
        let mut attention = new(TCP, 443, Up);
        for _ in 0..100 {
            attention = attention.after(9, to(TCP, 443), Up, true);
        }
        assert_eq!(packets(attention), 255);
    }

    #[test]
    fn what_comes_down_takes_no_attention_from_what_goes_up() {
        let mut attention = new(TCP, 53, Down);
        for _ in 0..100 {
            attention = attention.after(9, to(TCP, 53), Down, false);
        }
        assert!(
            !attention.is_calm(Down),
            "each segment of answers is wanted"
        );
        assert_eq!(packets(attention), u32::from(NEW_ENTRY_PACKETS));
    }

    #[test]
    fn a_ports_rule_keeps_the_attention() {
        let check = |protocol, port, up, down| {
            let mut attention = new(protocol, port, Up);
            for _ in 0..100 {
                attention = attention.after(9, to(protocol, port), Up, false);
            }
            let is = (!attention.is_calm(Up), !attention.is_calm(Down));
            assert_eq!(is, (up, down), "{protocol} {port}");
        };
        check(UDP, 53, false, true);
        check(TCP, 53, false, true);
        check(UDP, 67, true, true);
        check(UDP, 5353, true, true);
        check(UDP, 443, false, false);
        check(1, 0, false, false);
    }

    #[test]
    fn the_first_tick_stays() {
        let first = Attention::default().after(0x1234_5678_9abc, to(UDP, 53), Down, false);
        assert_eq!(first.first_tick(), 0x1234_5678_9abc);
        let later = first.after(0x1234_5678_9abd, to(UDP, 53), Up, true);
        assert_eq!(later.first_tick(), 0x1234_5678_9abc);
    }
}
