//! A device's destinations: its flows put together by the name that they go by, or by address.
//!
//! From flow records to rows, the one with the most octets first, and the rest as one.

use std::{cmp::Reverse, collections::HashMap, net::IpAddr};

use jiff::Timestamp;

use crate::{
    geo::{Place, Scope},
    model::{FlowRecord, protocol_name},
    names::NameSource,
    observation::Traffic,
    store::{DeviceSummary, Snapshot},
};

/// What is told of one kind (addresses, places, names) in a row.
pub(super) const MAX_TOLD: usize = 8;

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
    /// Returns the octets of both directions.
    pub(super) const fn octets(&self) -> u64 {
        self.up.octets.saturating_add(self.down.octets)
    }

    /// Returns when the last packet was seen.
    pub(super) fn last_seen(&self) -> Option<Timestamp> {
        self.seen.map(|(_, last)| last)
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
    /// Puts a device's flows together, and keeps the largest so many of them.
    pub(super) fn of(snapshot: &'s Snapshot, device: &DeviceSummary, most: usize) -> Self {
        let mut gathered: HashMap<String, Vec<&FlowRecord>> = HashMap::new();
        let flows = snapshot.flows.iter();
        for record in flows.filter(|it| *it.device.name == *device.device) {
            gathered.entry(name_of(record)).or_default().push(record);
        }
        let mut all: Vec<_> = gathered
            .into_iter()
            .map(|(name, records)| destination(name, &records))
            .collect();
        all.sort_by(|a, b| {
            (Reverse(a.sums.octets()), &a.name).cmp(&(Reverse(b.sums.octets()), &b.name))
        });
        let sum = |of: &mut dyn Iterator<Item = &Destination<'s>>| {
            let mut sums = Sums::default();
            of.for_each(|it| sums.add(&it.sums));
            sums
        };
        let is_nameless = |it: &&Destination<'s>| it.kind == Kind::Nameless;
        let (count, sums) = (all.len(), sum(&mut all.iter()));
        let nameless = sum(&mut all.iter().filter(is_nameless));
        let rest = all.split_off(all.len().min(most));
        Self {
            told: all,
            rest: (!rest.is_empty()).then(|| (rest.len(), sum(&mut rest.iter()))),
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

fn name_of(record: &FlowRecord) -> String {
    let name = record.naming.first().map(str::to_owned);
    name.unwrap_or_else(|| record.remote_address.to_string())
}

fn destination<'s>(name: String, records: &[&'s FlowRecord]) -> Destination<'s> {
    let mut sums = Sums::default();
    let mut remotes: Vec<Remote<'s>> = Vec::new();
    let (mut other_names, mut services) = (Vec::new(), Vec::new());
    let mut seen = std::collections::HashSet::new();
    // A snapshot's flows are by octets, so these lists are, too.
    for record in records {
        sums.add(&Sums {
            up: record.up,
            down: record.down,
            seen: Some((record.first_seen, record.last_seen)),
        });
        if seen.insert(record.remote_address) {
            remotes.push(Remote {
                address: record.remote_address,
                scope: record.scope,
                place: &record.place,
            });
        }
        for other in record.names().into_iter().skip(1) {
            if other_names.len() <= MAX_TOLD && !other_names.contains(&other) {
                other_names.push(other);
            }
        }
        let service = format!("{}/{}", protocol_name(record.protocol), record.remote_port);
        if services.len() <= MAX_TOLD && !services.contains(&service) {
            services.push(service);
        }
    }
    let first = records.first();
    let kind = match first {
        Some(record) if record.naming.first().is_some() => Kind::Named,
        Some(record) if record.scope == Scope::Internet => Kind::Nameless,
        _ => Kind::Local,
    };
    Destination {
        kind,
        name,
        source: first
            .and_then(|it| it.naming.source())
            .map(NameSource::name),
        other_names,
        remotes,
        services,
        sums,
    }
}

/// Returns the first few of some texts, each once, and last how many there are beyond them.
pub(super) fn few(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let (mut told, mut more) = (Vec::new(), 0);
    for text in texts {
        if text.is_empty() || told.contains(&text) {
            continue;
        }
        if told.len() < MAX_TOLD {
            told.push(text);
        } else {
            more += 1;
        }
    }
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}
