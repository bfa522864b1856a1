//! Resolvers that are known by name or address: the list is data.
//!
//! Read from `data/resolvers.csv`, which is compiled in; asked by `resolving`.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::LazyLock;

/// A name, then the addresses that are its and nobody else's, in each line.
const LIST: &str = include_str!("../../data/resolvers.csv");

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::parse(LIST));

/// The list, by name and by address.
#[derive(Debug, Default)]
struct Known {
    names: HashSet<&'static str>,
    /// Names whose every subdomain is a resolver's: each customer has one.
    parents: HashSet<&'static str>,
    addresses: HashMap<IpAddr, &'static str>,
}

impl Known {
    /// Lines that can't be read are left out; a test holds that there are none.
    fn parse(list: &'static str) -> Self {
        let mut known = Self::default();
        for line in list.lines().filter(|line| !line.starts_with('#')) {
            let Some((_, rest)) = line.split_once(',') else {
                continue;
            };
            let (name, addresses) = rest.split_once(',').unwrap_or((rest, ""));
            match name.strip_prefix("*.") {
                Some(parent) => known.parents.insert(parent),
                None => known.names.insert(name),
            };
            for address in addresses.split(' ').filter_map(|text| text.parse().ok()) {
                known.addresses.entry(address).or_insert(name);
            }
        }
        known
    }

    fn has_name(&self, name: &str) -> bool {
        let parents = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
        self.names.contains(name) || parents.into_iter().any(|name| self.parents.contains(name))
    }
}

/// Returns the name of the resolver at this address, when it is a known one.
pub(super) fn name_at(address: IpAddr) -> Option<&'static str> {
    KNOWN.addresses.get(&address).copied()
}

/// Returns whether a name, in lower case, is a known resolver's.
pub(super) fn is_resolver(name: &str) -> bool {
    KNOWN.has_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        let lines: Vec<_> = LIST.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 80, "{}", lines.len());
        let mut names = HashSet::new();
        for line in lines {
            let cells: Vec<_> = line.split(',').collect();
            let [provider, name, addresses] = cells[..] else {
                panic!("not three cells: {line}");
            };
            assert!(!provider.is_empty() && name.contains('.'), "{line}");
            assert!(
                name == name.to_ascii_lowercase() && names.insert(name),
                "{line}"
            );
            for address in addresses.split(' ').filter(|text| !text.is_empty()) {
                let address: IpAddr = address.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(KNOWN.addresses.contains_key(&address), "{line}");
            }
        }
    }

    #[test]
    fn resolvers_are_known_by_address_and_by_name() {
        let check = |address: &str, expected| {
            assert_eq!(name_at(address.parse().unwrap()), expected);
        };
        check("8.8.8.8", Some("dns.google"));
        check("2620:fe::fe", Some("dns.quad9.net"));
        check("1.1.1.3", Some("family.cloudflare-dns.com"));
        check("192.168.8.1", None);
        // An address of Cloudflare's that serves other names, too.
        check("104.16.248.249", None);
        assert!(is_resolver("mozilla.cloudflare-dns.com"));
        assert!(is_resolver("abc123.dns.nextdns.io"));
        assert!(!is_resolver("nextdns.io") && !is_resolver("xdns.google"));
        assert!(!is_resolver("") && !is_resolver("dns.nextdns.io.test"));
    }
}
