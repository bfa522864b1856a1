//! The sums: one pass over the flows, and what is in no flow beside them.

use std::{cmp::Reverse, net::IpAddr};

use foldhash::{HashMap, HashSet};
use jiff::Timestamp;

use super::Grouping;
use crate::{
    model::{FlowRecord, Value},
    observation::Traffic,
    store::{DeviceSummary, DirectionSummary, Snapshot},
};

/// What a group is called whose octets are in no flow, as a table of flows was full.
const IN_NO_FLOW: &str = "(in no flow)";

/// What flows of one value amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The value; null where it is unknown.
    pub value: Value<'static>,
    /// What it is called, where it is a code.
    pub label: Value<'static>,
    /// Devices.
    pub devices: u64,
    /// Best names of the flows.
    pub names: u64,
    /// Remote addresses.
    pub addresses: u64,
    /// Flows.
    pub flows: u64,
    /// From the devices.
    pub up: Traffic,
    /// To the devices.
    pub down: Traffic,
    /// Octets of all groups, of both directions.
    pub whole: u64,
    /// The first packet.
    pub first_seen: Option<Timestamp>,
    /// The last packet.
    pub last_seen: Option<Timestamp>,
}

/// A snapshot's flows, grouped.
#[derive(Clone, Debug)]
pub struct Groups<'snapshot> {
    /// What by.
    pub by: &'static Grouping,
    /// Where they are from.
    pub snapshot: &'snapshot Snapshot,
    /// The groups, the one with the most octets first, equal ones by value.
    pub groups: Vec<Group>,
}

impl Group {
    /// Returns the octets of both directions.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.up.octets.saturating_add(self.down.octets)
    }
}

/// A group while it is summed.
#[derive(Default)]
struct Tally<'record> {
    label: Option<Value<'record>>,
    devices: HashSet<&'record str>,
    names: HashSet<&'record str>,
    addresses: HashSet<IpAddr>,
    flows: u64,
    up: Traffic,
    down: Traffic,
    seen: Option<(Timestamp, Timestamp)>,
}

impl<'record> Tally<'record> {
    fn add(&mut self, record: &'record FlowRecord, label: Value<'record>) {
        self.label.get_or_insert(label);
        self.devices.insert(&record.device.name);
        self.names.extend(record.naming.first());
        self.addresses.insert(record.remote_address);
        self.flows += 1;
        self.up += record.up;
        self.down += record.down;
        let (first, last) = self.seen.unwrap_or((record.first_seen, record.last_seen));
        self.seen = Some((first.min(record.first_seen), last.max(record.last_seen)));
    }

    fn into_group(self, value: Value<'record>) -> Group {
        let label = self.label.unwrap_or(Value::Null);
        Group {
            value: value.into_owned(),
            label: label.into_owned(),
            devices: self.devices.len() as u64,
            names: self.names.len() as u64,
            addresses: self.addresses.len() as u64,
            flows: self.flows,
            up: self.up,
            down: self.down,
            whole: 0,
            first_seen: self.seen.map(|(first, _)| first),
            last_seen: self.seen.map(|(_, last)| last),
        }
    }
}

impl<'snapshot> Groups<'snapshot> {
    /// Puts a snapshot's flows together. What its devices have in no flow is a group of its own.
    #[must_use]
    pub fn of(snapshot: &'snapshot Snapshot, by: &'static Grouping) -> Self {
        let mut tallies: HashMap<Value<'_>, Tally<'_>> = HashMap::default();
        for record in &snapshot.flows {
            let tally = tallies.entry((by.value)(record)).or_default();
            tally.add(record, (by.label)(record));
        }
        let groups = tallies.into_iter();
        let mut groups: Vec<_> = groups
            .map(|(value, tally)| tally.into_group(value))
            .collect();
        groups.extend(in_no_flow(&snapshot.devices));
        let whole = groups.iter().map(Group::octets).sum();
        for group in &mut groups {
            group.whole = whole;
        }
        let rank = |group: &Group| (Reverse(group.octets()), group.value.clone().into_text());
        groups.sort_by_cached_key(rank);
        Self {
            by,
            snapshot,
            groups,
        }
    }
}

fn in_no_flow(devices: &[DeviceSummary]) -> Option<Group> {
    let overflow = |sums: &DirectionSummary| Traffic {
        packets: sums.overflow_packets,
        octets: sums.overflow_octets,
    };
    let mut tally = Tally {
        label: Some(Value::Text(IN_NO_FLOW.into())),
        ..Tally::default()
    };
    for device in devices {
        let (up, down) = (overflow(&device.up), overflow(&device.down));
        if up.packets > 0 || down.packets > 0 {
            tally.devices.insert(&device.device);
            tally.up += up;
            tally.down += down;
        }
    }
    (!tally.devices.is_empty()).then(|| tally.into_group(Value::Null))
}
