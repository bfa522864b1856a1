//! The join: counted flows, names and places become a snapshot.
//!
//! Pure: everything it needs is an argument. Cost follows the number of flows; places are
//! looked up once for each address, up to a bound.

use std::{cmp::Reverse, collections::HashMap, net::IpAddr};

use flowwatch_common::abi::Reason;
use foldhash::fast::RandomState;

use crate::{
    geo::{Databases, Place, Scope},
    model::{Device, FlowRecord},
    names::{Contact, NameTable, Naming, Service, Use, Uses},
    observation::{DirectionTotals, Traffic},
    store::{
        BothWays, Conservation, DatabaseMeta, DeviceResolving, DeviceSummary, DeviceWindow,
        Difference, DirectionSummary, FlowEntry, FlowTable, Meta, Snapshot, UnaccountedRow,
    },
};

/// What is joined.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The devices; a device's number is its position.
    pub devices: &'a [Device],
    /// What was counted.
    pub flows: &'a FlowTable,
    /// Names.
    pub names: &'a NameTable,
    /// Places.
    pub databases: &'a Databases,
}

/// Returns the snapshot of everything counted so far.
///
/// `meta`'s databases and name counters, and its losses but for samples, are filled in here.
#[must_use]
pub fn join(sources: Sources<'_>, meta: Meta) -> Snapshot {
    let mut uses = Uses::new(sources.names);
    let flows = records(sources, &mut uses);
    let mut counts = vec![0; sources.devices.len()];
    for entry in sources.flows.flows() {
        if let Some(count) = counts.get_mut(usize::from(entry.device)) {
            *count += 1;
        }
    }
    Snapshot {
        flows,
        ..join_devices(sources, meta, &counts, uses)
    }
}

/// Returns the snapshot without its flows: `counts` says how many each device has, and `uses` which of
/// them go to resolvers.
#[must_use]
pub fn join_devices(
    sources: Sources<'_>,
    meta: Meta,
    counts: &[u64],
    mut uses: Uses<'_>,
) -> Snapshot {
    let mut snapshot = Snapshot {
        meta,
        devices: Vec::new(),
        flows: Vec::new(),
        unaccounted: Vec::new(),
        resolving: Vec::new(),
    };
    let devices = (0..).zip(sources.devices);
    for (id, device) in devices.filter(|(_, device)| !device.is_vacant()) {
        let window = sources.flows.device(id);
        let conservation = sources.flows.conservation(id);
        let flows = counts.get(usize::from(id)).copied().unwrap_or(0);
        snapshot.devices.push(DeviceSummary {
            flows,
            ..summary(device, &window, conservation)
        });
        snapshot
            .unaccounted
            .extend(unaccounted(device, "up", &window.totals.up));
        snapshot
            .unaccounted
            .extend(unaccounted(device, "down", &window.totals.down));
        add_losses(&mut snapshot.meta, &window);
        let resolving = uses.of(id);
        if !resolving.is_none() {
            snapshot.resolving.push(DeviceResolving {
                device: device.name.to_string(),
                device_mac: device.mac,
                resolving,
            });
        }
    }
    let meta = &mut snapshot.meta;
    meta.databases = databases(sources.databases);
    meta.names = sources.names.counters();
    meta.losses.names_turned_away = meta.names.turned_away;
    meta.losses.places_unreadable = sources.databases.bad_records();
    snapshot
}

/// Returns the flows as records, and adds those to resolvers to `uses`.
fn records(sources: Sources<'_>, uses: &mut Uses<'_>) -> Vec<FlowRecord> {
    let mut entries: Vec<_> = sources.flows.flows().collect();
    entries.sort_unstable_by_key(rank);
    let mut places = Places::default();
    // Room that is grown by doubling is needed twice meanwhile: for a full window, hundreds of MB.
    let mut records = Vec::with_capacity(entries.len());
    records.extend(entries.into_iter().filter_map(|entry| {
        let record = join_flow(sources, &entry, &mut places)?;
        uses.add(&use_of(&entry, &record.naming, record.scope));
        Some(record)
    }));
    records
}

/// Returns what orders flows: the one with the most octets first, then by key.
#[must_use]
pub fn rank(entry: &FlowEntry) -> impl Ord + use<> {
    let BothWays { up, down } = entry.counts.traffic;
    let octets = up.octets.saturating_add(down.octets);
    (
        Reverse(octets),
        entry.device,
        entry.remote,
        entry.protocol,
        entry.remote_port,
    )
}

/// Returns one flow's record; nothing where it is of a device that isn't known.
#[must_use]
pub fn join_flow(
    sources: Sources<'_>,
    entry: &FlowEntry,
    places: &mut Places,
) -> Option<FlowRecord> {
    let device = sources.devices.get(usize::from(entry.device))?;
    if device.is_vacant() {
        return None;
    }
    let place = places.of(entry.remote, sources.databases);
    let naming = sources.names.naming_of(&contact_of(entry));
    Some(record(device, entry, naming, place))
}

/// Returns a flow as one that may be to a resolver.
#[must_use]
pub fn use_of<'a>(entry: &FlowEntry, naming: &'a Naming, scope: Scope) -> Use<'a> {
    Use {
        contact: contact_of(entry),
        naming,
        is_on_internet: scope == Scope::Internet,
        up: entry.counts.traffic.up,
        down: entry.counts.traffic.down,
    }
}

/// Returns a flow as far as its names go by it.
#[must_use]
pub const fn contact_of(entry: &FlowEntry) -> Contact {
    Contact {
        device: entry.device,
        remote: entry.remote,
        service: Service {
            protocol: entry.protocol,
            port: entry.remote_port,
        },
        first_seen: entry.counts.first_seen,
        last_seen: entry.counts.last_seen,
    }
}

fn record(
    device: &Device,
    entry: &FlowEntry,
    naming: Naming,
    (scope, place): (Scope, Place),
) -> FlowRecord {
    let counts = entry.counts;
    FlowRecord {
        device: device.clone(),
        naming,
        remote_address: entry.remote,
        scope,
        protocol: entry.protocol,
        remote_port: entry.remote_port,
        place,
        up: counts.traffic.up,
        down: counts.traffic.down,
        first_seen: counts.first_seen,
        last_seen: counts.last_seen,
    }
}

/// Places that were looked up: once for each address, as many flows share one. Bounded: a scan's
/// addresses are each met once. Good for one version of the databases.
#[derive(Debug, Default)]
pub struct Places {
    known: HashMap<IpAddr, (Scope, Place), RandomState>,
}

impl Places {
    /// Addresses that are remembered.
    const MOST: usize = 1 << 16;

    fn of(&mut self, address: IpAddr, databases: &Databases) -> (Scope, Place) {
        if let Some(known) = self.known.get(&address) {
            return known.clone();
        }
        let place = (Scope::of(address), databases.place_of(address));
        if self.known.len() < Self::MOST {
            self.known.insert(address, place.clone());
        }
        place
    }
}

fn summary(device: &Device, window: &DeviceWindow, conservation: Conservation) -> DeviceSummary {
    let BothWays { up, down } = window.folded;
    let overflow = window.overflow;
    DeviceSummary {
        device: device.name.to_string(),
        device_mac: device.mac,
        flows: 0,
        conserved: conservation.holds(),
        up: direction(&window.totals.up, (up, overflow.up), conservation.up),
        down: direction(
            &window.totals.down,
            (down, overflow.down),
            conservation.down,
        ),
    }
}

fn direction(
    totals: &DirectionTotals,
    (folded, window_overflow): (Traffic, Traffic),
    difference: Difference,
) -> DirectionSummary {
    let mut all = folded;
    all += totals.overflow;
    let mut overflow = window_overflow;
    overflow += totals.overflow;
    DirectionSummary {
        packets: all.packets,
        octets: all.octets,
        overflow_packets: overflow.packets,
        overflow_octets: overflow.octets,
        frames_seen: totals.seen.frames,
        l2_octets_seen: totals.seen.l2_octets,
        frames_in_flows: totals.in_flows.frames,
        frames_unaccounted: totals.unaccounted.iter().map(|reason| reason.frames).sum(),
        difference,
    }
}

fn unaccounted<'a>(
    device: &'a Device,
    direction: &'static str,
    totals: &'a DirectionTotals,
) -> impl Iterator<Item = UnaccountedRow> + 'a {
    let overflow_reason = overflow_reason(totals);
    Reason::ALL
        .into_iter()
        .zip(totals.unaccounted)
        .filter(|(_, counted)| counted.frames > 0)
        .map(move |(reason, counted)| {
            let overflow = (Some(reason) == overflow_reason).then_some(totals.overflow);
            UnaccountedRow {
                device: device.name.to_string(),
                device_mac: device.mac,
                direction,
                reason: reason.name(),
                frames: counted.frames,
                l2_octets: counted.l2_octets,
                packets: overflow.map(|traffic| traffic.packets),
                octets: overflow.map(|traffic| traffic.octets),
            }
        })
}

/// The kernel keeps one overflow for both of its reasons; it stands beside the usual one, unless
/// only the other occurred.
fn overflow_reason(totals: &DirectionTotals) -> Option<Reason> {
    [Reason::FlowTableFull, Reason::FlowTableBusy]
        .into_iter()
        .find(|&reason| totals.unaccounted[reason as usize].frames > 0)
}

fn add_losses(meta: &mut Meta, window: &DeviceWindow) {
    let DeviceWindow {
        totals, overflow, ..
    } = window;
    meta.losses.flow_table_packets += totals.up.overflow.packets + totals.down.overflow.packets;
    meta.losses.window_packets += overflow.up.packets + overflow.down.packets;
}

/// Returns what a snapshot says of the databases.
pub(crate) fn databases(databases: &Databases) -> Vec<DatabaseMeta> {
    let descriptions = databases.descriptions().into_iter();
    descriptions
        .map(|description| DatabaseMeta {
            name: description.name,
            database_type: description.database_type,
            built: description.built,
            attribution: description.attribution.map(Into::into),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        format::sample,
        observation::{DeviceId, DeviceTotals, EpochFlow, Frames},
        store::Losses,
    };

    fn flow(device: DeviceId, remote: &str, octets: u64) -> EpochFlow {
        EpochFlow {
            device,
            remote: remote.parse().unwrap(),
            protocol: 6,
            remote_port: 443,
            up: Traffic { packets: 1, octets },
            down: Traffic {
                packets: 1,
                octets: 40,
            },
            first_seen: Timestamp::UNIX_EPOCH,
            last_seen: Timestamp::UNIX_EPOCH,
        }
    }

    fn joined(flows: &FlowTable) -> Snapshot {
        let (names, databases) = (NameTable::default(), Databases::open(&[], false).unwrap());
        let devices = sample::devices();
        let sources = Sources {
            devices: &devices,
            flows,
            names: &names,
            databases: &databases,
        };
        let meta = Meta {
            losses: Losses::default(),
            ..sample::snapshot().meta
        };
        join(sources, meta)
    }

    #[test]
    fn the_flow_with_most_octets_is_first_and_ties_follow_the_key() {
        let mut table = FlowTable::new(2, NonZeroUsize::new(99).unwrap());
        for (device, remote, octets) in [
            (1, "192.0.2.9", 5),
            (0, "192.0.2.10", 5),
            (0, "192.0.2.9", 5),
            (0, "192.0.2.1", 9),
        ] {
            table.fold(&flow(device, remote, octets));
        }
        let snapshot = joined(&table);
        let order: Vec<_> = snapshot
            .flows
            .iter()
            .map(|record| format!("{} {}", record.device.name, record.remote_address))
            .collect();
        let expected = [
            "camera 192.0.2.1",
            "camera 192.0.2.9",
            "camera 192.0.2.10",
            "plug 192.0.2.9",
        ];
        assert_eq!(order, expected);
        assert_eq!(
            snapshot
                .devices
                .iter()
                .map(|device| device.flows)
                .collect::<Vec<_>>(),
            [3, 1]
        );
    }

    #[test]
    fn both_overflows_are_in_the_totals_and_named_as_losses() {
        let mut table = FlowTable::new(2, NonZeroUsize::new(1).unwrap());
        table.fold(&flow(0, "192.0.2.1", 100));
        table.fold(&flow(0, "192.0.2.2", 60));
        let mut totals = DeviceTotals::default();
        totals.up.seen = Frames {
            frames: 5,
            l2_octets: 500,
        };
        totals.up.in_flows = Frames {
            frames: 2,
            l2_octets: 200,
        };
        totals.up.flow_traffic = Traffic {
            packets: 2,
            octets: 160,
        };
        totals.up.overflow = Traffic {
            packets: 3,
            octets: 250,
        };
        totals.up.unaccounted[Reason::FlowTableFull as usize] = Frames {
            frames: 3,
            l2_octets: 300,
        };
        totals.down.flow_traffic = Traffic {
            packets: 2,
            octets: 80,
        };
        table.set_device_totals(0, totals);

        let snapshot = joined(&table);
        let camera = &snapshot.devices[0];
        assert!(camera.conserved);
        assert_eq!((camera.up.packets, camera.up.octets), (5, 410));
        assert_eq!(
            (camera.up.overflow_packets, camera.up.overflow_octets),
            (4, 310)
        );
        assert_eq!((camera.down.packets, camera.down.octets), (2, 80));
        assert_eq!(camera.up.frames_accounted(), 5);
        assert_eq!(snapshot.meta.losses.flow_table_packets, 3);
        assert_eq!(snapshot.meta.losses.window_packets, 2);
        assert_eq!(snapshot.unaccounted.len(), 1);
        let row = &snapshot.unaccounted[0];
        assert_eq!(
            (row.direction, row.reason, row.frames),
            ("up", "flow_table_full", 3)
        );
        assert_eq!((row.packets, row.octets), (Some(3), Some(250)));
    }
}
