//! Each device's way of resolving names: whom it asks, how, and whether the network wanted it to.
//!
//! Made of counted flows and of `NameTable` by the join; a figure of its own in every output. Plain
//! DNS is known by its port, DNS over TLS and QUIC by theirs (RFC 7858, 9250), and DNS over HTTPS,
//! which has none, by the addresses and names of resolvers that are known.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use flowwatch_common::wire::ip_protocol::{TCP, UDP};
use serde::{Serialize, Serializer};

use super::{Answers, Contact, NameSource, NameTable, Naming, resolvers};
use crate::observation::{DeviceId, Traffic};

/// Resolvers of one device that are told one by one: those with the most octets.
const MAX_RESOLVERS: usize = 64;
/// Resolvers of one device that are summed one by one; a scan meets many more.
const MAX_SUMMED: usize = 4096;
/// Names of one device that are told to have never resolved: the ones asked for first.
const MAX_UNRESOLVED: usize = 64;

/// How a device talks to a resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Plain DNS over UDP (RFC 1035).
    Udp,
    /// Plain DNS over TCP (RFC 7766).
    Tcp,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over QUIC (RFC 9250).
    Doq,
    /// DNS over HTTPS (RFC 8484), whatever HTTPS goes over.
    Doh,
}

impl Transport {
    /// Returns its name in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doq => "doq",
            Self::Doh => "doh",
        }
    }

    /// Returns whether questions can be read on the way.
    #[must_use]
    pub const fn is_plain(self) -> bool {
        matches!(self, Self::Udp | Self::Tcp)
    }

    /// Returns what a flow is by its port: certain for DNS's own ports, possible for HTTPS's.
    const fn of_port(protocol: u8, port: u16) -> Option<Self> {
        match (protocol, port) {
            (UDP, 53) => Some(Self::Udp),
            (TCP, 53) => Some(Self::Tcp),
            (TCP, 853) => Some(Self::Dot),
            (UDP, 853) => Some(Self::Doq),
            (TCP | UDP, 443) => Some(Self::Doh),
            _ => None,
        }
    }
}

impl Serialize for Transport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A resolver that a device uses, in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolver {
    /// Its address.
    pub address: IpAddr,
    /// Its name, where the device gave it one, or where it is a known resolver's address.
    pub name: Option<String>,
    /// How the device talks to it.
    pub transport: Transport,
    /// Whether the network gave it to the device: `false` when it gave others and this one is on the
    /// internet; nothing where no offer was seen, or where it may come from another of the network's.
    pub given: Option<bool>,
    /// From the device.
    pub up: Traffic,
    /// To the device.
    pub down: Traffic,
    /// What it answered, where that can be read.
    pub answers: Option<Answers>,
}

/// One device's way of resolving names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resolving {
    /// The resolvers that the network gave it by DHCP; none where no offer was seen.
    pub offered: Vec<IpAddr>,
    /// The resolvers that it uses, the one with the most octets first.
    pub resolvers: Vec<Resolver>,
    /// Resolvers beside those.
    pub resolvers_not_shown: u64,
    /// What it was answered in plain DNS, by all of them.
    pub answers: Answers,
    /// Names that it asked for in vain.
    pub unresolved: Vec<String>,
    /// Names beside those.
    pub unresolved_not_shown: u64,
}

impl Resolving {
    /// Returns whether the device resolved nothing that could be seen.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A flow, as far as it may be one to a resolver.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// Who talks to whom.
    pub contact: Contact,
    /// What the remote is called.
    pub naming: &'a Naming,
    /// Whether the remote is a host on the internet.
    pub is_on_internet: bool,
    /// From the device.
    pub up: Traffic,
    /// To the device.
    pub down: Traffic,
}

/// The sums of what goes to resolvers.
#[derive(Debug)]
pub struct Uses<'a> {
    names: &'a NameTable,
    devices: HashMap<DeviceId, DeviceUses>,
}

#[derive(Debug, Default)]
struct DeviceUses {
    resolvers: BTreeMap<(IpAddr, Transport), Resolver>,
    not_summed: u64,
}

impl<'a> Uses<'a> {
    /// Returns no uses yet.
    #[must_use]
    pub fn new(names: &'a NameTable) -> Self {
        Self {
            names,
            devices: HashMap::new(),
        }
    }

    /// Adds a flow, if it is one to a resolver.
    pub fn add(&mut self, flow: &Use<'_>) {
        let Contact {
            device,
            remote,
            service,
            ..
        } = flow.contact;
        let Some(transport) = Transport::of_port(service.protocol, service.port) else {
            return;
        };
        let own_name = resolver_name(flow.naming);
        let listed = resolvers::name_at(remote);
        let is_resolver = transport != Transport::Doh || own_name.is_some() || listed.is_some();
        if !is_resolver || remote.is_multicast() {
            return;
        }
        let uses = self.devices.entry(device).or_default();
        let key = (remote, transport);
        if uses.resolvers.len() >= MAX_SUMMED && !uses.resolvers.contains_key(&key) {
            uses.not_summed += 1;
            return;
        }
        let names = self.names;
        let resolver = uses.resolvers.entry(key).or_insert_with(|| Resolver {
            address: remote,
            name: None,
            transport,
            given: given(names.offered(device), remote, flow.is_on_internet),
            up: Traffic::default(),
            down: Traffic::default(),
            answers: answers(names, device, key),
        });
        if resolver.name.is_none() {
            resolver.name = own_name.or(listed).map(str::to_owned);
        }
        resolver.up += flow.up;
        resolver.down += flow.down;
    }

    /// Returns one device's way of resolving.
    #[must_use]
    pub fn of(&mut self, device: DeviceId) -> Resolving {
        let uses = self.devices.remove(&device).unwrap_or_default();
        let mut resolvers: Vec<_> = uses.resolvers.into_values().collect();
        resolvers.sort_by_key(|resolver| {
            let octets = resolver.up.octets.saturating_add(resolver.down.octets);
            std::cmp::Reverse(octets)
        });
        let surplus = resolvers.len().saturating_sub(MAX_RESOLVERS) as u64;
        resolvers.truncate(MAX_RESOLVERS);
        let lookups = self.names.lookups();
        let mut unresolved = lookups.unresolved(device).map(ToString::to_string);
        Resolving {
            offered: lookups.offered(device).to_vec(),
            resolvers,
            resolvers_not_shown: surplus + uses.not_summed,
            answers: lookups.answers(device),
            unresolved: unresolved.by_ref().take(MAX_UNRESOLVED).collect(),
            unresolved_not_shown: unresolved.count() as u64,
        }
    }
}

/// Returns the resolver's name that a flow goes by: what the device said on the connection counts,
/// and only where it said nothing, what it was told of the address.
fn resolver_name(naming: &Naming) -> Option<&str> {
    let bindings = naming.candidates.iter().map(|candidate| &candidate.binding);
    let has_own = bindings.clone().any(|binding| binding.source.is_own());
    bindings
        .filter(|binding| binding.source.is_own() || !has_own && binding.source == NameSource::Dns)
        .map(|binding| &*binding.name)
        .find(|name| resolvers::is_resolver(name))
}

/// A network gives resolvers family by family: one of IPv6 may come from elsewhere than from DHCP.
fn given(offered: &[IpAddr], resolver: IpAddr, is_on_internet: bool) -> Option<bool> {
    if offered.contains(&resolver) {
        return Some(true);
    }
    let is_of_family = |offered: &IpAddr| offered.is_ipv4() == resolver.is_ipv4();
    (is_on_internet && offered.iter().any(is_of_family)).then_some(false)
}

fn answers(names: &NameTable, device: DeviceId, key: (IpAddr, Transport)) -> Option<Answers> {
    let (_, transport) = key;
    let answers = names.lookups().answers_of(device, key);
    transport.is_plain().then(|| answers.unwrap_or_default())
}
