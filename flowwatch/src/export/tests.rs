//! Whether what sinks deliver sums up to what was counted, whatever happens meanwhile.
//!
//! Long random runs of a small world: full tables, windows that forget, devices that get other names, a
//! ledger that hears of the counting late, and sinks whose deliveries fail. What is expected is summed
//! by the test itself, packet by packet.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Batch, Bookmarks, Ledger, Row};
use crate::format::sample;
use crate::geo::Databases;
use crate::live::{Audience, Followed, Update, View};
use crate::model::{Device, FIELDS, MacAddress, Value};
use crate::names::NameTable;
use crate::observation::{DeviceId, DeviceTotals, EpochFlow, Traffic};
use crate::store::{BothWays, FlowTable, Meta};

/// Flows that the window has room for: fewer than there are.
const ROOM: usize = 12;
const DEVICES: u16 = 3;
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

/// A small window, one of two kinds.
fn table(seed: u64) -> FlowTable {
    let table = FlowTable::new(DEVICES.into(), NonZeroUsize::new(ROOM).unwrap());
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
    devices: Vec<Device>,
    audience: Audience,
    updates: mpsc::Receiver<Update>,
    now: i64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let (view, updates) = View::within(Duration::ZERO);
        let mut audience = Audience::default();
        audience.join(view);
        let device = |number| Device::new(&format!("d{number}"), mac(number)).unwrap();
        Self {
            chance: Chance(seed),
            counted: Tally::new(),
            flows: table(seed),
            overflows: vec![DeviceTotals::default(); DEVICES.into()],
            names: NameTable::default(),
            databases: Databases::open(&[], false).unwrap(),
            devices: (0..DEVICES).map(device).collect(),
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
            _ => self.tell(),
        }
        // Now and then it hears of nothing for a while.
        if self.chance.below(3) == 0 {
            self.hear(ledger);
        }
    }

    /// Has the ledger hear of everything.
    pub(super) fn catch_up(&mut self, ledger: &mut Ledger) {
        self.hear(ledger);
        self.tell();
        self.hear(ledger);
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
        let remote = self.chance.below(9) as u8;
        let BothWays { up, down } = self.count(device);
        self.now += 7;
        let at = Timestamp::from_second(self.now).unwrap();
        self.flows.fold(&EpochFlow {
            device,
            remote: [9, 9, 9, remote].into(),
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
        self.devices[usize::from(device)] = Device::new(&name, mac(device)).unwrap();
    }

    fn tell(&mut self) {
        self.now += 1;
        let at = Timestamp::from_second(self.now).unwrap();
        let start = Timestamp::from_second(1_000).unwrap();
        let followed = Followed {
            devices: &self.devices,
            flows: &mut self.flows,
            names: &mut self.names,
            databases: &self.databases,
        };
        self.audience
            .tell(followed, || Meta::new((start, at), 1, Vec::new(), 0));
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
    delivered: Tally,
    rests: usize,
    last_until: Option<Timestamp>,
}

impl Keeper {
    fn new(ledger: &mut Ledger) -> Self {
        Self {
            bookmarks: Bookmarks::new(ledger),
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
        while let Some(batch) = cycle.batch(1 + chance.below(4) as usize) {
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
