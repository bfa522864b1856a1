//! A device's destinations: its flows put together by the name that they go by, or by address.
//!
//! From flow records to rows, the one with the most octets first, and the rest as one.

use std::{cmp::Reverse, net::IpAddr};

use foldhash::{HashMap, HashSet};
use jiff::Timestamp;

use crate::{
    geo::{Place, Scope},
    model::{FlowRecord, service_name},
    names::NameSource,
    observation::Traffic,
};

/// Addresses, places and other names that are told in a row.
pub(super) const MAX_TOLD: usize = 8;
/// Protocols and ports that are.
pub(super) const MAX_SERVICES: usize = 4;
/// What is told in the place of what no database knows, where others are known.
const UNKNOWN: &str = "(unknown)";

/// How a destination came to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The device asked for its name, or said it.
    Named,
    /// Nobody named it: a finding.
    Nameless,
    /// An address that is not on the internet and goes by no name.
    Local,
}

/// One destination.
#[derive(Clone, Debug)]
pub(super) struct Destination<'s> {
    /// How it came to be one.
    pub(super) kind: Kind,
    /// The name; of one that has none, its address.
    pub(super) name: String,
    /// Where the name is from.
    pub(super) source: Option<&'static str>,
    /// Other names that its addresses may go by.
    pub(super) other_names: Vec<&'s str>,
    /// Its addresses, the one with the most octets first.
    pub(super) remotes: Vec<Remote<'s>>,
    /// Protocols and ports, as `tcp/443`, likewise.
    pub(super) services: Vec<String>,
    /// The sums.
    pub(super) sums: Sums,
}

/// One address of a destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote<'s> {
    /// The address.
    pub(super) address: IpAddr,
    /// What kind it is.
    pub(super) scope: Scope,
    /// Where it is.
    pub(super) place: &'s Place,
}

/// What some flows amount to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// From the device.
    pub(super) up: Traffic,
    /// To the device.
    pub(super) down: Traffic,
    /// The first packet and the last.
    pub(super) seen: Option<(Timestamp, Timestamp)>,
}

impl Sums {
    fn of(record: &FlowRecord) -> Self {
        Self {
            up: record.up,
            down: record.down,
            seen: Some((record.first_seen, record.last_seen)),
        }
    }

    /// Returns the octets of both directions.
    pub(super) const fn octets(&self) -> u64 {
        self.up.octets.saturating_add(self.down.octets)
    }

    fn add(&mut self, other: &Self) {
        self.up += other.up;
        self.down += other.down;
        self.seen = match (self.seen, other.seen) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
    }
}

impl Remote<'_> {
    /// Returns where the address is, as `Los Angeles, United States`; what is not on the internet is
    /// told by its kind. Unknown is empty.
    pub(super) fn location(&self) -> String {
        if self.scope != Scope::Internet {
            return self.scope.name().to_owned();
        }
        let country = self.place.country_name.as_deref();
        let country = country.or(self.place.country.as_deref());
        let parts = [self.place.city.as_deref(), country];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Returns whose the address is; unknown is empty.
    pub(super) fn organization(&self) -> &str {
        self.place.organization.as_deref().unwrap_or_default()
    }
}

impl<'s> Destination<'s> {
    /// Returns a text for each address that is told, in their order, or one where it is the same of
    /// all addresses.
    pub(super) fn of_each(&self, text: impl Fn(&Remote<'s>) -> String) -> Vec<String> {
        let mut texts: Vec<_> = self.remotes.iter().map(text).collect();
        if texts.iter().all(|text| *text == texts[0]) {
            texts.truncate(1);
            texts.retain(|text| !text.is_empty());
            return texts;
        }
        texts.truncate(MAX_TOLD);
        for text in texts.iter_mut().filter(|text| text.is_empty()) {
            UNKNOWN.clone_into(text);
        }
        texts
    }
}

/// A device's destinations, as far as they are told.
#[derive(Debug)]
pub(super) struct Destinations<'s> {
    /// Those that are told one by one, the one with the most octets first.
    pub(super) told: Vec<Destination<'s>>,
    /// How many others there are, and what they amount to.
    pub(super) rest: Option<(usize, Sums)>,
    /// How many of all are of each kind.
    pub(super) count: usize,
    /// What all flows amount to.
    pub(super) sums: Sums,
    /// What those amount to that nobody named.
    pub(super) nameless: Sums,
}

impl<'s> Destinations<'s> {
    /// Puts a device's flows together, and tells the largest so many of them.
    pub(super) fn of(flows: &[&'s FlowRecord], most: usize) -> Self {
        let mut gathered: HashMap<Called<'s>, (Sums, Vec<&'s FlowRecord>)> = HashMap::default();
        for record in flows {
            let (sums, records) = gathered.entry(Called::of(record)).or_default();
            sums.add(&Sums::of(record));
            records.push(record);
        }
        let mut all: Vec<_> = gathered.into_iter().collect();
        all.sort_unstable_by_key(|(called, (sums, _))| (Reverse(sums.octets()), *called));
        let (mut sums, mut nameless) = (Sums::default(), Sums::default());
        for (_, (its, records)) in &all {
            sums.add(its);
            if kind_of(records) == Kind::Nameless {
                nameless.add(its);
            }
        }
        let count = all.len();
        let rest = all.split_off(all.len().min(most));
        let mut sums_of_rest = Sums::default();
        for (_, (its, _)) in &rest {
            sums_of_rest.add(its);
        }
        let told = all.into_iter();
        Self {
            told: told
                .map(|(called, (sums, records))| destination(called, sums, &records))
                .collect(),
            rest: (!rest.is_empty()).then_some((rest.len(), sums_of_rest)),
            count,
            sums,
            nameless,
        }
    }

    /// Returns those of one kind that are told one by one.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Destination<'s>> {
        self.told.iter().filter(move |it| it.kind == kind)
    }
}

/// What a destination goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Called<'s> {
    Name(&'s str),
    Address(IpAddr),
}

impl<'s> Called<'s> {
    fn of(record: &'s FlowRecord) -> Self {
        let name = record.naming.first().map(Self::Name);
        name.unwrap_or(Self::Address(record.remote_address))
    }
}

fn kind_of(records: &[&FlowRecord]) -> Kind {
    match records.first() {
        Some(record) if record.naming.first().is_some() => Kind::Named,
        Some(record) if record.scope == Scope::Internet => Kind::Nameless,
        _ => Kind::Local,
    }
}

fn destination<'s>(called: Called<'s>, sums: Sums, records: &[&'s FlowRecord]) -> Destination<'s> {
    let mut remotes: Vec<Remote<'s>> = Vec::new();
    let (mut other_names, mut services) = (Vec::new(), Vec::new());
    let (mut addresses, mut names, mut ports) =
        (HashSet::default(), HashSet::default(), HashSet::default());
    // A snapshot's flows are by octets, so these lists are, too.
    for record in records {
        if addresses.insert(record.remote_address) {
            remotes.push(Remote {
                address: record.remote_address,
                scope: record.scope,
                place: &record.place,
            });
        }
        for other in record.names().into_iter().skip(1) {
            if names.insert(other) {
                other_names.push(other);
            }
        }
        if ports.insert((record.protocol, record.remote_port)) {
            services.push(service_name(record.protocol, record.remote_port).into_owned());
        }
    }
    let first = records.first();
    Destination {
        kind: kind_of(records),
        name: match called {
            Called::Name(name) => name.to_owned(),
            Called::Address(address) => address.to_string(),
        },
        source: first
            .and_then(|it| it.naming.source())
            .map(NameSource::name),
        other_names,
        remotes,
        services,
        sums,
    }
}

/// Returns the first so many of some texts, and last how many there are beyond them.
pub(super) fn few(texts: impl IntoIterator<Item = String>, most: usize) -> Vec<String> {
    let mut texts = texts.into_iter();
    let mut told: Vec<_> = texts.by_ref().take(most).collect();
    let more = texts.count();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}
