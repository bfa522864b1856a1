//! Devices that are tagged by how their addresses begin, as they appear: rules that the loader
//! writes and the BPF programs match.
//!
//! Addresses are `abi::mac_word`s: the first octet is lowest, so that a prefix is a word's lower
//! part.

use crate::abi::mac_word;

/// The most rules.
pub const MAX_PREFIX_RULES: usize = 64;
/// The most devices that are found by rules; what exceeds them is counted as having no room.
pub const MAX_FOUND_DEVICES: u32 = 1024;
/// The number of no device.
pub const NO_DEVICE: u32 = u32::MAX;

/// A rule. Every one compares the group bit, so that no multicast address matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PrefixRule {
    /// Which bits of an address are compared.
    pub mask: u64,
    /// What they must be.
    pub value: u64,
}

/// Every rule, as the programs' map has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PrefixRules {
    /// Those behind the number in use match nothing.
    pub rules: [PrefixRule; MAX_PREFIX_RULES],
}

impl PrefixRules {
    /// Returns these rules, as many as there is room for.
    #[must_use]
    pub fn new(some: &[PrefixRule]) -> Self {
        // A bit that isn't compared and must be set: nothing matches.
        let mut rules = [PrefixRule { mask: 0, value: 1 }; MAX_PREFIX_RULES];
        for (rule, given) in rules.iter_mut().zip(some) {
            *rule = *given;
        }
        Self { rules }
    }
}

const _: () = assert!(size_of::<PrefixRules>() == 16 * MAX_PREFIX_RULES);

/// Returns the rule for addresses whose first `bits` bits are those of `mac`.
#[must_use]
pub fn prefix_rule(mac: [u8; 6], bits: u32) -> PrefixRule {
    let ones = !(u64::MAX >> 16).checked_shr(bits).unwrap_or(0);
    let [_, _, a, b, c, d, e, f] = ones.to_be_bytes();
    let mask = mac_word([a, b, c, d, e, f]);
    let value = mac_word(mac) & mask;
    PrefixRule { mask, value }
}

/// Returns whether an address begins as the rule says.
#[inline]
#[must_use]
pub const fn matches(rule: PrefixRule, mac: u64) -> bool {
    mac & rule.mask == rule.value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: u32, last_that_matches: [u8; 6], first_that_does_not: [u8; 6]) {
        let rule = prefix_rule([0x74, 0x1a, 0xe0, 0x90, 0, 0], bits);
        assert!(matches(rule, mac_word([0x74, 0x1a, 0xe0, 0x90, 0, 0])));
        assert!(matches(rule, mac_word(last_that_matches)), "{bits}");
        assert!(!matches(rule, mac_word(first_that_does_not)), "{bits}");
    }

    #[test]
    fn an_address_matches_by_its_first_bits_alone() {
        let ff = 0xff;
        check(
            8,
            [0x74, ff, ff, ff, ff, ff],
            [0x75, 0x1a, 0xe0, 0x90, 0, 0],
        );
        check(
            24,
            [0x74, 0x1a, 0xe0, ff, ff, ff],
            [0x74, 0x1a, 0xe1, 0x90, 0, 0],
        );
        check(
            28,
            [0x74, 0x1a, 0xe0, 0x9f, ff, ff],
            [0x74, 0x1a, 0xe0, 0xa0, 0, 0],
        );
        check(
            36,
            [0x74, 0x1a, 0xe0, 0x90, 0x0f, ff],
            [0x74, 0x1a, 0xe0, 0x90, 0x10, 0],
        );
        check(
            47,
            [0x74, 0x1a, 0xe0, 0x90, 0, 1],
            [0x74, 0x1a, 0xe0, 0x90, 0, 2],
        );
    }

    #[test]
    fn a_group_address_matches_no_rule_of_a_devices_address() {
        let rule = prefix_rule([0x74, 0, 0, 0, 0, 0], 8);
        assert!(!matches(rule, mac_word([0x75, 0, 0, 0, 0, 0])));
        assert!(!matches(rule, mac_word([0xff; 6])));
    }
}
