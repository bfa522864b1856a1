//! The scope of an address: whether it is on the Internet, or what else it stands for.
//!
//! From IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its successors),
//! the multicast registries and the IPv6 address space registry. One table a family; the rows are
//! the only list of special networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address it is. Only `Internet` addresses have a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Globally reachable unicast.
    Internet,
    /// Private to a site or a provider: RFC 1918, RFC 4193, RFC 6598.
    Private,
    /// Valid on one link only: RFC 3927, RFC 4291.
    LinkLocal,
    /// A group, of whatever reach.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// The host itself.
    Loopback,
    /// Set aside: documentation, benchmarks, protocol assignments, not allocated.
    Reserved,
}

impl Scope {
    /// Every scope, in the order of the declaration.
    pub const ALL: [Self; 7] = [
        Self::Internet,
        Self::Private,
        Self::LinkLocal,
        Self::Multicast,
        Self::Broadcast,
        Self::Loopback,
        Self::Reserved,
    ];

    /// Returns the scope of `address`.
    ///
    /// An IPv6 address that carries an IPv4 address (mapped, NAT64 or 6to4) has that one's scope.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match placed_address(address) {
            IpAddr::V4(address) => scope_of_v4(address),
            IpAddr::V6(address) => scope_of_v6(address),
        }
    }

    /// Returns the scope's name as rows show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Loopback => "loopback",
            Self::Reserved => "reserved",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.name())
    }
}

/// IPv6 prefixes that carry an IPv4 address: network, prefix length, and the bits below the address.
const CARRIERS_OF_V4: &[(Ipv6Addr, u8, u8)] = &[
    // IPv4-mapped, RFC 4291.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 0),
    // NAT64's well-known prefix, RFC 6052: the gateway's translator sends to the IPv4 address.
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 0),
    // 6to4, RFC 3056: the site behind that IPv4 address.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 80),
];

/// Returns the address to look up for `address`: the IPv4 address that it carries, or itself.
pub(super) fn placed_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let bits = u128::from(v6);
    CARRIERS_OF_V4
        .iter()
        .find(|&&(network, length, _)| is_within(bits, u128::from(network), length))
        .map_or(address, |&(_, _, below)| {
            IpAddr::V4(Ipv4Addr::from((bits >> below) as u32))
        })
}

/// Special IPv4 networks; the first row that matches decides, so exceptions stand before their whole.
const SPECIAL_V4: &[(Ipv4Addr, u8, Scope)] = &[
    (Ipv4Addr::BROADCAST, 32, Scope::Broadcast),
    (Ipv4Addr::UNSPECIFIED, 8, Scope::Reserved),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Scope::Private),
    // Shared address space between a provider and its customers, RFC 6598.
    (Ipv4Addr::new(100, 64, 0, 0), 10, Scope::Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Scope::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Scope::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Scope::Private),
    // Port Control Protocol and TURN anycast, globally reachable, RFC 7723 and RFC 8155.
    (Ipv4Addr::new(192, 0, 0, 9), 32, Scope::Internet),
    (Ipv4Addr::new(192, 0, 0, 10), 32, Scope::Internet),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Scope::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Scope::Reserved),
    // The 6to4 relays' anycast network, withdrawn by RFC 7526.
    (Ipv4Addr::new(192, 88, 99, 0), 24, Scope::Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Scope::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Scope::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Scope::Reserved),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Scope::Reserved),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Scope::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Scope::Reserved),
];

fn scope_of_v4(address: Ipv4Addr) -> Scope {
    let bits = u128::from(u32::from(address)) << 96;
    SPECIAL_V4
        .iter()
        .find(|&&(network, length, _)| {
            is_within(bits, u128::from(u32::from(network)) << 96, length)
        })
        .map_or(Scope::Internet, |&(_, _, scope)| scope)
}

/// Special IPv6 networks, read like [`SPECIAL_V4`]. The last rows: IANA has allocated global unicast
/// from `2000::/3` alone, so whatever no row names and that one doesn't hold is reserved.
const SPECIAL_V6: &[(Ipv6Addr, u8, Scope)] = &[
    (Ipv6Addr::LOCALHOST, 128, Scope::Loopback),
    // NAT64's prefix for use within a site, RFC 8215.
    (
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),
        48,
        Scope::Private,
    ),
    // Within 2001::/23 (IETF protocol assignments), the parts that are globally reachable: Port
    // Control Protocol, TURN and DNS-SD anycast, AMT, AS112, ORCHIDv2, drone identifiers.
    (
        Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 1),
        128,
        Scope::Internet,
    ),
    (
        Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 2),
        128,
        Scope::Internet,
    ),
    (
        Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 3),
        128,
        Scope::Internet,
    ),
    (
        Ipv6Addr::new(0x2001, 3, 0, 0, 0, 0, 0, 0),
        32,
        Scope::Internet,
    ),
    (
        Ipv6Addr::new(0x2001, 4, 0x112, 0, 0, 0, 0, 0),
        48,
        Scope::Internet,
    ),
    (
        Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0),
        28,
        Scope::Internet,
    ),
    (
        Ipv6Addr::new(0x2001, 0x30, 0, 0, 0, 0, 0, 0),
        28,
        Scope::Internet,
    ),
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        Scope::Reserved,
    ),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        Scope::Reserved,
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        Scope::Reserved,
    ),
    (
        Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),
        7,
        Scope::Private,
    ),
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        10,
        Scope::LinkLocal,
    ),
    (
        Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),
        8,
        Scope::Multicast,
    ),
    (
        Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0),
        3,
        Scope::Internet,
    ),
    (Ipv6Addr::UNSPECIFIED, 0, Scope::Reserved),
];

fn scope_of_v6(address: Ipv6Addr) -> Scope {
    SPECIAL_V6
        .iter()
        .find(|&&(network, length, _)| is_within(u128::from(address), u128::from(network), length))
        .map_or(Scope::Reserved, |&(_, _, scope)| scope)
}

/// Whether `bits` has the first `length` bits of `network`.
fn is_within(bits: u128, network: u128, length: u8) -> bool {
    let shift = 128 - u32::from(length);
    (bits ^ network).checked_shr(shift).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Scope) {
        assert_eq!(
            Scope::of(address.parse().unwrap()),
            expected,
            "of {address}"
        );
    }

    /// First and last addresses of the registries' rows, and their neighbours outside.
    #[test]
    fn ipv4_scopes_are_the_registry_s() {
        for (address, expected) in [
            ("0.0.0.0", Scope::Reserved),
            ("0.255.255.255", Scope::Reserved),
            ("1.0.0.0", Scope::Internet),
            ("9.255.255.255", Scope::Internet),
            ("10.0.0.0", Scope::Private),
            ("10.255.255.255", Scope::Private),
            ("11.0.0.0", Scope::Internet),
            ("100.63.255.255", Scope::Internet),
            ("100.64.0.0", Scope::Private),
            ("100.127.255.255", Scope::Private),
            ("100.128.0.0", Scope::Internet),
            ("127.0.0.1", Scope::Loopback),
            ("128.0.0.0", Scope::Internet),
            ("169.253.255.255", Scope::Internet),
            ("169.254.0.0", Scope::LinkLocal),
            ("169.255.0.0", Scope::Internet),
            ("172.15.255.255", Scope::Internet),
            ("172.16.0.0", Scope::Private),
            ("172.31.255.255", Scope::Private),
            ("172.32.0.0", Scope::Internet),
            ("192.0.0.8", Scope::Reserved),
            ("192.0.0.9", Scope::Internet),
            ("192.0.0.170", Scope::Reserved),
            ("192.0.1.0", Scope::Internet),
            ("192.0.2.1", Scope::Reserved),
            ("192.88.99.1", Scope::Reserved),
            ("192.168.255.255", Scope::Private),
            ("192.169.0.0", Scope::Internet),
            ("198.17.255.255", Scope::Internet),
            ("198.18.0.0", Scope::Reserved),
            ("198.19.255.255", Scope::Reserved),
            ("198.51.100.7", Scope::Reserved),
            ("203.0.113.255", Scope::Reserved),
            ("223.255.255.255", Scope::Internet),
            ("224.0.0.0", Scope::Multicast),
            ("239.255.255.250", Scope::Multicast),
            ("240.0.0.0", Scope::Reserved),
            ("255.255.255.254", Scope::Reserved),
            ("255.255.255.255", Scope::Broadcast),
        ] {
            check(address, expected);
        }
    }

    #[test]
    fn ipv6_scopes_are_the_registry_s() {
        for (address, expected) in [
            ("::", Scope::Reserved),
            ("::1", Scope::Loopback),
            ("::2", Scope::Reserved),
            ("100::1", Scope::Reserved),
            ("1fff:ffff::", Scope::Reserved),
            ("2000::", Scope::Internet),
            ("2001::1", Scope::Reserved),
            ("2001:1::1", Scope::Internet),
            ("2001:1::4", Scope::Reserved),
            ("2001:2::1", Scope::Reserved),
            ("2001:4:112::1", Scope::Internet),
            ("2001:20::1", Scope::Internet),
            ("2001:1ff:ffff::", Scope::Reserved),
            ("2001:200::", Scope::Internet),
            ("2001:db7::", Scope::Internet),
            ("2001:db8::1", Scope::Reserved),
            ("2001:db9::", Scope::Internet),
            ("2606:4700:4700::1111", Scope::Internet),
            ("3fff::1", Scope::Reserved),
            ("3fff:1000::", Scope::Internet),
            ("4000::", Scope::Reserved),
            ("5f00::1", Scope::Reserved),
            ("fbff::1", Scope::Reserved),
            ("fc00::", Scope::Private),
            ("fdff::1", Scope::Private),
            ("fe00::1", Scope::Reserved),
            ("fe80::1", Scope::LinkLocal),
            ("febf::1", Scope::LinkLocal),
            ("fec0::1", Scope::Reserved),
            ("ff02::fb", Scope::Multicast),
        ] {
            check(address, expected);
        }
    }

    #[test]
    fn a_carried_ipv4_address_decides() {
        for (address, expected) in [
            ("::ffff:52.79.197.188", Scope::Internet),
            ("::ffff:192.168.1.1", Scope::Private),
            ("64:ff9b::52.79.197.188", Scope::Internet),
            ("64:ff9b::10.0.0.1", Scope::Private),
            ("64:ff9b:1::1", Scope::Private),
            ("2002:344f:c5bc::1", Scope::Internet),
            ("2002:c0a8:101::1", Scope::Private),
        ] {
            check(address, expected);
        }
        for carrier in [
            "::ffff:52.79.197.188",
            "64:ff9b::344f:c5bc",
            "2002:344f:c5bc:1::9",
        ] {
            let placed = placed_address(carrier.parse().unwrap());
            assert_eq!(placed, IpAddr::from([52, 79, 197, 188]), "in {carrier}");
        }
    }

    #[test]
    fn all_scopes_are_listed_once_in_order() {
        assert!(Scope::ALL.is_sorted_by(|left, right| left < right));
        let names = Scope::ALL.map(Scope::name);
        assert_eq!(
            names,
            [
                "internet",
                "private",
                "link-local",
                "multicast",
                "broadcast",
                "loopback",
                "reserved"
            ]
        );
    }
}
