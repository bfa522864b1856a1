//! What a card and its driver do by themselves: the features that `ethtool -k` shows.
//!
//! From ethtool's netlink family (Documentation/networking/ethtool-netlink.rst), which asks for no
//! privilege.

use std::collections::BTreeSet;
use std::io;

use super::netlink::{ask_family, attribute, attributes, find, text_of};

/// `ETHTOOL_MSG_FEATURES_GET`, and attributes of its question and its answer
/// (`include/uapi/linux/ethtool_netlink.h`).
const FEATURES_GET: u8 = 11;
const HEADER: u16 = 1;
const HEADER_INDEX: u16 = 1;
const ACTIVE: u16 = 4;
const BITS: u16 = 3;
const BIT_NAME: u16 = 2;
/// Says that an attribute holds attributes.
const NESTED: u16 = 0x8000;

/// An interface's features by the kernel's names (net/ethtool/common.c, `netdev_features_strings`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Those that are on.
    pub on: BTreeSet<String>,
}

impl Offloads {
    /// Traffic may be forwarded by the card itself.
    pub const HARDWARE_TC: &'static str = "hw-tc-offload";
    /// The card or its driver joins received packets, and forgets where they ended.
    pub const LARGE_RECEIVE: &'static str = "rx-lro";
    /// The card joins received packets as the kernel would.
    pub const HARDWARE_GRO: &'static str = "rx-gro-hw";
    /// The kernel joins received packets.
    pub const GRO: &'static str = "rx-gro";
    /// The kernel or the card cuts what is sent.
    pub const GSO: &'static str = "tx-generic-segmentation";
    /// The card cuts TCP over IPv4 that is sent.
    pub const TSO: &'static str = "tx-tcp-segmentation";
    /// The card takes VLAN tags off what it receives.
    pub const VLAN_RECEIVE: &'static str = "rx-vlan-hw-parse";

    /// Returns whether a feature is on.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.on.contains(name)
    }
}

/// Asks for an interface's features.
///
/// # Errors
/// The socket's, and the kernel's; `NotFound` where it has no ethtool over netlink.
pub async fn of(index: u32) -> io::Result<Offloads> {
    let interface = attribute(HEADER_INDEX, &index.to_ne_bytes());
    let question = attribute(HEADER | NESTED, &interface);
    let answer = ask_family("ethtool", FEATURES_GET, &question).await?;
    Ok(offloads_of(&answer))
}

fn offloads_of(answer: &[u8]) -> Offloads {
    let on = find(answer, ACTIVE).map(names_of);
    Offloads {
        on: on.unwrap_or_default(),
    }
}

/// Returns the names in a set of bits that are given by name: each that is listed is set.
fn names_of(set: &[u8]) -> BTreeSet<String> {
    let bits = attributes(find(set, BITS).unwrap_or_default());
    let names = bits.filter_map(|(_, bit)| find(bit, BIT_NAME));
    names.map(text_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> Vec<u8> {
        let bits = names.iter().flat_map(|name| {
            let name = [name.as_bytes(), &[0]].concat();
            let bit = [attribute(1, &[9, 0, 0, 0]), attribute(BIT_NAME, &name)].concat();
            attribute(1 | NESTED, &bit)
        });
        let bits: Vec<u8> = bits.collect();
        [
            attribute(2, &[64, 0, 0, 0]),
            attribute(BITS | NESTED, &bits),
        ]
        .concat()
    }

    #[test]
    fn features_are_read_by_their_names() {
        let answer = [
            attribute(HEADER | NESTED, &attribute(2, b"lan0\0")),
            attribute(ACTIVE | NESTED, &set(&["rx-gro", "hw-tc-offload"])),
            attribute(5 | NESTED, &set(&["netns-local"])),
        ];
        let offloads = offloads_of(&answer.concat());
        assert!(offloads.has(Offloads::HARDWARE_TC) && offloads.has(Offloads::GRO));
        assert!(!offloads.has("netns-local"), "another set's");
        assert_eq!(offloads_of(&[]), Offloads::default());
    }

    #[tokio::test]
    async fn the_loopback_interface_has_the_features_that_every_kernel_gives_it() {
        // drivers/net/loopback.c; interface 1 in every namespace. A kernel may lack ethtool.
        let Ok(offloads) = of(1).await else { return };
        assert!(offloads.has(Offloads::TSO), "{offloads:?}");
        assert!(offloads.has("loopback"), "{offloads:?}");
        assert!(!offloads.has(Offloads::HARDWARE_TC), "{offloads:?}");
    }
}
