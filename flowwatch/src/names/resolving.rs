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

impl Use<'_> {
    /// Returns how the flow goes to a resolver; nothing where it isn't known to go to one.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        let Contact {
            remote, service, ..
        } = self.contact;
        let transport = Transport::of_port(service.protocol, service.port)?;
        let is_resolver = transport != Transport::Doh || self.resolver_name().is_some();
        (is_resolver && !remote.is_multicast()).then_some(transport)
    }

    fn resolver_name(&self) -> Option<&str> {
        resolver_name(self.naming).or_else(|| resolvers::name_at(self.contact.remote))
    }
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
        let Contact { device, remote, .. } = flow.contact;
        let Some(transport) = flow.transport() else {
            return;
        };
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
            resolver.name = flow.resolver_name().map(str::to_owned);
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
/// and only where it said nothing, what it was told of the address, now or in an earlier run.
fn resolver_name(naming: &Naming) -> Option<&str> {
    let bindings = naming.candidates.iter().map(|candidate| &candidate.binding);
    let has_own = bindings.clone().any(|binding| binding.source.is_own());
    bindings
        .filter(|binding| match binding.source {
            NameSource::Dns | NameSource::History => !has_own,
            source => source.is_own(),
        })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::super::dns::tests::answer;
    use super::super::reading::Claim;
    use super::super::{Service, bindings::Binding, naming::Candidate};
    use super::*;
    use crate::observation::PayloadSample;

    const CAMERA: DeviceId = 0;
    const GATEWAY: &str = "192.168.8.1";
    const GOOGLE: &str = "8.8.8.8";
    /// An address of a content network's.
    const SHARED: &str = "104.16.248.249";

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn named(names: &[(NameSource, &str)]) -> Naming {
        let candidate = |(source, name): &(NameSource, &str)| {
            let claim = Claim {
                address: address(SHARED),
                name: (*name).into(),
                source: *source,
                service: None,
                chain: Arc::default(),
                ttl: 300,
            };
            Candidate {
                binding: Arc::new(Binding::of(claim, Timestamp::UNIX_EPOCH)),
                asked: None,
                offer: None,
            }
        };
        Naming {
            candidates: names.iter().map(candidate).collect(),
        }
    }

    /// Returns what is said of the camera after a flow of 100 octets to each of these.
    fn resolving(names: &NameTable, flows: &[(&str, u8, u16)], naming: &Naming) -> Resolving {
        let mut uses = Uses::new(names);
        for (remote, protocol, port) in flows {
            let remote = address(remote);
            let is_private = matches!(remote, IpAddr::V4(address) if address.is_private());
            uses.add(&Use {
                contact: Contact {
                    device: CAMERA,
                    remote,
                    service: Service {
                        protocol: *protocol,
                        port: *port,
                    },
                    first_seen: Timestamp::UNIX_EPOCH,
                    last_seen: Timestamp::UNIX_EPOCH,
                },
                naming,
                is_on_internet: !is_private,
                up: Traffic {
                    packets: 1,
                    octets: 100,
                },
                down: Traffic::default(),
            });
        }
        uses.of(CAMERA)
    }

    /// Compares one flow's resolver, as transport and name; nothing when it is to none.
    fn check(flow: (&str, u8, u16), naming: &Naming, expected: Option<(Transport, Option<&str>)>) {
        let resolving = resolving(&NameTable::default(), &[flow], naming);
        let found = resolving.resolvers.first();
        let found = found.map(|resolver| (resolver.transport, resolver.name.as_deref()));
        assert_eq!(found, expected, "{flow:?}");
    }

    #[test]
    fn dns_is_known_by_its_ports() {
        let nameless = Naming::default();
        check((GATEWAY, UDP, 53), &nameless, Some((Transport::Udp, None)));
        check((GATEWAY, TCP, 53), &nameless, Some((Transport::Tcp, None)));
        let google = Some("dns.google");
        check(
            (GOOGLE, TCP, 853),
            &nameless,
            Some((Transport::Dot, google)),
        );
        check(
            (GOOGLE, UDP, 853),
            &nameless,
            Some((Transport::Doq, google)),
        );
        check((GATEWAY, UDP, 5353), &nameless, None);
        check(("224.0.0.251", UDP, 53), &nameless, None);
        check((GATEWAY, TCP, 443), &nameless, None);
    }

    #[test]
    fn dns_over_https_is_known_by_address_or_by_name() {
        let doh = |name| Some((Transport::Doh, Some(name)));
        check((GOOGLE, TCP, 443), &Naming::default(), doh("dns.google"));
        check((GOOGLE, UDP, 443), &Naming::default(), doh("dns.google"));
        check((GOOGLE, TCP, 80), &Naming::default(), None);
        let mozilla = "mozilla.cloudflare-dns.com";
        for source in [NameSource::Sni, NameSource::Quic, NameSource::Dns] {
            check(
                (SHARED, TCP, 443),
                &named(&[(source, mozilla)]),
                doh(mozilla),
            );
        }
        check((SHARED, TCP, 443), &Naming::default(), None);
        check(
            (SHARED, TCP, 443),
            &named(&[(NameSource::Ech, mozilla)]),
            None,
        );
    }

    #[test]
    fn a_connection_that_says_another_name_is_not_to_the_resolver_beside_it() {
        let both = named(&[
            (NameSource::Sni, "shop.example"),
            (NameSource::Dns, "mozilla.cloudflare-dns.com"),
        ]);
        check((SHARED, TCP, 443), &both, None);
    }

    #[test]
    fn what_the_network_gave_is_told_from_what_it_did_not() {
        let given = |offered: &[&str], resolver: &str| {
            let mut names = NameTable::default();
            let offered: Vec<_> = offered.iter().map(|text| address(text)).collect();
            names.offer(CAMERA, &offered);
            let flow = (resolver, UDP, 53);
            resolving(&names, &[flow], &Naming::default()).resolvers[0].given
        };
        assert_eq!(given(&[GATEWAY], GATEWAY), Some(true));
        assert_eq!(given(&[GOOGLE], GOOGLE), Some(true));
        assert_eq!(given(&[GATEWAY], GOOGLE), Some(false));
        assert_eq!(given(&[], GOOGLE), None);
        assert_eq!(given(&[], GATEWAY), None);
        assert_eq!(given(&[GATEWAY], "192.168.8.2"), None);
        // IPv6's may come from router advertisements.
        assert_eq!(given(&[GATEWAY], "2001:4860:4860::8888"), None);
    }

    #[test]
    fn traffic_and_answers_are_summed_for_each_resolver() {
        let mut names = NameTable::default();
        let answered = answer("a.test", &[("a.test", 1, "192.0.2.1")]);
        let negative = answer("gone.test", &[]);
        for sample in [&answered, &negative, &negative] {
            names.observe(sample);
        }
        names.observe(&PayloadSample {
            remote: address(GOOGLE),
            ..answered.clone()
        });
        let flows = [
            (GATEWAY, UDP, 53),
            (GATEWAY, UDP, 53),
            (GOOGLE, UDP, 53),
            (GOOGLE, TCP, 853),
        ];
        let resolving = resolving(&names, &flows, &Naming::default());
        let told: Vec<_> = resolving
            .resolvers
            .iter()
            .map(|resolver| {
                let answers = resolver.answers.map(|one| (one.answered, one.negative));
                (resolver.address, resolver.up.octets, answers)
            })
            .collect();
        let expected = [
            (address(GATEWAY), 200, Some((3, 2))),
            (address(GOOGLE), 100, Some((1, 0))),
            (address(GOOGLE), 100, None),
        ];
        assert_eq!(told, expected);
        assert_eq!(
            (resolving.answers.answered, resolving.answers.negative),
            (4, 2)
        );
        assert_eq!(resolving.unresolved, ["gone.test"]);
    }

    #[test]
    fn a_scan_is_bounded_and_its_rest_counted() {
        let flows: Vec<_> = (0..MAX_SUMMED + 7)
            .map(|number| format!("10.0.{}.{}", number / 256, number % 256))
            .collect();
        let flows: Vec<_> = flows.iter().map(|remote| (&**remote, UDP, 53)).collect();
        let resolving = resolving(&NameTable::default(), &flows, &Naming::default());
        assert_eq!(resolving.resolvers.len(), MAX_RESOLVERS);
        let expected = (MAX_SUMMED + 7 - MAX_RESOLVERS) as u64;
        assert_eq!(resolving.resolvers_not_shown, expected);
    }

    #[test]
    fn a_device_that_resolves_nothing_has_no_figures() {
        let names = NameTable::default();
        let flow = ("192.0.2.1", TCP, 80);
        assert!(resolving(&names, &[flow], &Naming::default()).is_none());
    }
}
