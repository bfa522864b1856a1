//! Whether what sinks deliver sums up to what was counted, whatever happens meanwhile.
//!
//! Long random runs of a small world: full tables, windows that forget, devices that appear and that
//! get other names, a ledger that hears of the counting late, and sinks whose deliveries fail. What is
//! expected is summed by the test itself, packet by packet.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Batch, Bookmarks, Ledger, Row};
use crate::format::sample;
use crate::geo::Databases;
use crate::live::{Audience, Followed, MOST_TOLD, Update, View};
use crate::model::{Device, DeviceTag, FIELDS, MacAddress, PrefixTag, TaggedDevices, Value};
use crate::names::NameTable;
use crate::observation::{DeviceId, DeviceTotals, EpochFlow, Traffic};
use crate::store::{BothWays, FlowTable, Meta, Warning};

/// Flows that the window has room for: fewer than there are.
const ROOM: usize = 12;
/// Remotes of each device.
const REMOTES: u32 = 9;
const DEVICES: u16 = 3;
/// Devices that are known from the beginning; the others appear.
const KNOWN: u16 = 1;
const STEPS: usize = 400;

/// xorshift64, so that every run is the same.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// Sums by device.
pub(super) type Tally = BTreeMap<MacAddress, BothWays>;

fn mac(device: DeviceId) -> MacAddress {
    format!("2c:aa:8e:00:00:0{device}").parse().unwrap()
}

/// A window, one of two kinds.
fn table(seed: u64, room: usize) -> FlowTable {
    let table = FlowTable::new(DEVICES.into(), NonZeroUsize::new(room).unwrap());
    if seed.is_multiple_of(2) {
        table.that_forgets()
    } else {
        table
    }
}

/// The counting, and one view of it.
pub(super) struct World {
    pub(super) chance: Chance,
    /// What was counted.
    pub(super) counted: Tally,
    flows: FlowTable,
    overflows: Vec<DeviceTotals>,
    names: NameTable,
    databases: Databases,
    devices: TaggedDevices,
    prefixes: Vec<PrefixTag>,
    /// Devices that were found by their prefix, by number.
    found: BTreeMap<DeviceId, [u8; 6]>,
    remotes: u32,
    audience: Audience,
    updates: mpsc::Receiver<Update>,
    now: i64,
}

/// The circumstances, with something to be warned of, once on one interface and twice on the host.
fn meta(span: (Timestamp, Timestamp)) -> Meta {
    let warning = |subject: Option<&str>| Warning {
        check: "interface.lro".to_owned(),
        subject: subject.map(str::to_owned),
        text: "LRO is on".to_owned(),
    };
    Meta {
        warnings: vec![warning(Some("lan\"0")), warning(None), warning(None)],
        ..Meta::new(span, 1, Vec::new(), 0)
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::of(seed, ROOM, REMOTES)
    }

    /// Begins one with a window that has so much room, and so many remotes.
    fn of(seed: u64, room: usize, remotes: u32) -> Self {
        let (view, updates) = View::within(Duration::ZERO);
        let mut audience = Audience::default();
        audience.join(view);
        let device = |number| Device::new(&format!("d{number}"), mac(number)).unwrap();
        let known: Vec<_> = (0..KNOWN).map(device).collect();
        let (_, prefixes) = DeviceTag::split(vec!["late=2c:aa:8e:*".parse().unwrap()]);
        Self {
            chance: Chance(seed),
            counted: Tally::new(),
            flows: table(seed, room),
            overflows: vec![DeviceTotals::default(); DEVICES.into()],
            names: NameTable::default(),
            databases: Databases::open(&[], false).unwrap(),
            devices: TaggedDevices::new(&known, &prefixes),
            prefixes,
            found: BTreeMap::new(),
            remotes,
            audience,
            updates,
            now: 1_000,
        }
    }

    /// Something happens.
    pub(super) fn step(&mut self, ledger: &mut Ledger) {
        match self.chance.below(20) {
            0..12 => self.fold(),
            12 | 13 => self.overflow(),
            14 => self.rename(),
            15 => self.appear(),
            _ => self.tell(),
        }
        // Now and then it hears of nothing for a while.
        if self.chance.below(3) == 0 {
            self.hear(ledger);
        }
    }

    /// Has the ledger hear of everything.
    pub(super) fn catch_up(&mut self, ledger: &mut Ledger) {
        self.find(1..DEVICES);
        self.hear(ledger);
        // One update tells a part, where there is much to tell.
        for _ in 0..=self.flows.len() / MOST_TOLD {
            self.tell();
            self.hear(ledger);
        }
    }

    fn traffic(&mut self) -> Traffic {
        let packets = self.chance.below(5);
        Traffic {
            packets,
            octets: packets * (40 + self.chance.below(1_400)),
        }
    }

    fn count(&mut self, device: DeviceId) -> BothWays {
        let traffic = BothWays {
            up: self.traffic(),
            down: self.traffic(),
        };
        *self.counted.entry(mac(device)).or_default() += traffic;
        traffic
    }

    fn fold(&mut self) {
        let device = self.chance.below(DEVICES.into()) as DeviceId;
        let remote = 0x0909_0900 + self.chance.below(self.remotes.into()) as u32;
        let BothWays { up, down } = self.count(device);
        self.now += 7;
        let at = Timestamp::from_second(self.now).unwrap();
        self.flows.fold(&EpochFlow {
            device,
            remote: Ipv4Addr::from_bits(remote).into(),
            protocol: 6,
            remote_port: 443,
            up,
            down,
            first_seen: at,
            last_seen: at,
        });
    }

    /// The kernel's own table had no room.
    fn overflow(&mut self) {
        let device = self.chance.below(DEVICES.into()) as DeviceId;
        let BothWays { up, down } = self.count(device);
        let totals = &mut self.overflows[usize::from(device)];
        totals.up.overflow += up;
        totals.down.overflow += down;
        self.flows.set_device_totals(device, *totals);
    }

    fn rename(&mut self) {
        let device = self.chance.below(DEVICES.into()) as DeviceId;
        let name = format!("renamed{}", self.chance.below(99));
        if self.devices.number_of(mac(device)).is_some() {
            let device = Device::new(&name, mac(device)).unwrap();
            let none = &mut || unreachable!();
            self.devices.retag(&[device], &self.prefixes, none);
        }
    }

    /// A device is found, maybe before one with a lower number is.
    fn appear(&mut self) {
        let device = 1 + self.chance.below(u64::from(DEVICES) - 1) as DeviceId;
        self.find(device..=device);
    }

    fn find(&mut self, devices: impl IntoIterator<Item = DeviceId>) {
        let found = devices
            .into_iter()
            .map(|device| (device, mac(device).octets()));
        self.found.extend(found);
        self.devices.appear(&self.found);
    }

    fn tell(&mut self) {
        self.now += 1;
        let at = Timestamp::from_second(self.now).unwrap();
        let start = Timestamp::from_second(1_000).unwrap();
        let followed = Followed {
            devices: self.devices.devices(),
            flows: &mut self.flows,
            names: &mut self.names,
            databases: &self.databases,
        };
        self.audience.tell(followed, || meta((start, at)));
    }

    fn hear(&mut self, ledger: &mut Ledger) {
        while let Ok(update) = self.updates.try_recv() {
            ledger.take_in(update);
        }
    }
}

/// A sink that keeps what it is given, unless it fails.
struct Keeper {
    bookmarks: Bookmarks,
    /// Rows of a batch, at most.
    most_rows: u64,
    delivered: Tally,
    rests: usize,
    last_until: Option<Timestamp>,
}

impl Keeper {
    fn new(ledger: &mut Ledger) -> Self {
        Self {
            bookmarks: Bookmarks::new(ledger),
            most_rows: 4,
            delivered: Tally::new(),
            rests: 0,
            last_until: None,
        }
    }

    /// Delivers a cycle; one batch in `failures` fails, and with it the cycle ends.
    fn deliver(&mut self, ledger: &mut Ledger, chance: &mut Chance, failures: u64) {
        let Some(mut cycle) = self.bookmarks.begin(ledger) else {
            return;
        };
        while let Some(batch) = cycle.batch(1 + chance.below(self.most_rows) as usize) {
            assert!(batch.since <= batch.until);
            if let Some(last) = self.last_until {
                assert_eq!(batch.since, last, "intervals follow one another");
            }
            if failures > 0 && chance.below(failures) == 0 {
                return;
            }
            for row in &batch.rows {
                self.take(row);
            }
            self.bookmarks.commit(ledger, &batch);
        }
        self.last_until = Some(cycle.until());
        self.bookmarks.end(&cycle);
    }

    fn take(&mut self, row: &Row) {
        let new = BothWays {
            up: row.up(),
            down: row.down(),
        };
        assert_ne!(new, BothWays::default(), "a row without news: {row:?}");
        self.rests += usize::from(row.flow().is_none());
        *self.delivered.entry(row.device().mac.unwrap()).or_default() += new;
    }
}

fn without_idle(mut tally: Tally) -> Tally {
    tally.retain(|_, counts| *counts != BothWays::default());
    tally
}

fn check_run(seed: u64) -> usize {
    let (mut world, mut ledger) = (World::new(seed), Ledger::default());
    let mut sinks = [Keeper::new(&mut ledger), Keeper::new(&mut ledger)];
    for _ in 0..STEPS {
        world.step(&mut ledger);
        for sink in &mut sinks {
            if world.chance.below(5) == 0 {
                sink.deliver(&mut ledger, &mut world.chance, 3);
            }
        }
    }
    world.catch_up(&mut ledger);
    // One that comes late has everything, too.
    let late = Keeper::new(&mut ledger);
    let mut rests = 0;
    for mut sink in sinks.into_iter().chain([late]) {
        sink.deliver(&mut ledger, &mut world.chance, 0);
        let counted = without_idle(world.counted.clone());
        assert_eq!(without_idle(sink.delivered), counted, "seed {seed}");
        rests += sink.rests;
    }
    rests
}

#[test]
fn what_sinks_deliver_sums_up_to_what_was_counted() {
    let rests: usize = (1..=60).map(|seed| check_run(seed * 7_919)).sum();
    assert!(rests > 100, "tables were full often: {rests}");
}

#[test]
fn what_one_update_does_not_tell_is_in_the_next_and_the_sums_are_right() {
    for seed in [1, 2] {
        let remotes = 2 * MOST_TOLD;
        let mut world = World::of(seed, 4 * MOST_TOLD, remotes as u32);
        let mut ledger = Ledger::default();
        let mut sink = Keeper::new(&mut ledger);
        sink.most_rows = 4_096;
        for _ in 0..12 {
            for _ in 0..MOST_TOLD {
                world.fold();
            }
            world.appear();
            world.tell();
            world.hear(&mut ledger);
            sink.deliver(&mut ledger, &mut world.chance, 20);
        }
        world.catch_up(&mut ledger);
        sink.deliver(&mut ledger, &mut world.chance, 0);
        assert_eq!(sink.delivered, world.counted, "seed {seed}");
        assert!(sink.rests > 0, "the window was full");
    }
}

#[test]
fn a_row_of_no_flow_has_the_device_and_the_counts_alone() {
    let device = Device::new("camera", mac(1)).unwrap();
    let new = BothWays {
        up: Traffic {
            packets: 1,
            octets: 99,
        },
        down: Traffic::default(),
    };
    let row = Row::of_rest(device, new, Timestamp::UNIX_EPOCH);
    let known = FIELDS
        .iter()
        .filter(|field| row.value(field) != Value::Null);
    let known: Vec<_> = known.map(|field| field.name).collect();
    assert_eq!(
        known.join(" "),
        "device device_mac up_packets up_octets down_packets down_octets"
    );
}

/// A batch of a flow, which is the sample's, and of a rest.
pub(crate) fn batch() -> Batch {
    let record = sample::record();
    let new = BothWays {
        up: record.up,
        down: record.down,
    };
    let rest = BothWays {
        up: Traffic::default(),
        down: Traffic {
            packets: 1,
            octets: 7,
        },
    };
    let time = |text: &str| text.parse().unwrap();
    let until = time("2026-01-02T03:09:30Z");
    Batch::for_test(
        (time("2026-01-02T03:04:00Z"), until),
        vec![
            Row::of_flow(&record, new, record.last_seen),
            Row::of_rest(record.device, rest, until),
        ],
    )
}
