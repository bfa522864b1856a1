//! What the updates told: the flows by number, the devices with their rates, the circumstances.
//!
//! Takes `live::Update`s; the only clock is theirs. Read by `listing` and `draw`. While the screen is
//! paused, a copy of it is shown, and this one takes in what comes.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};

use super::flow::Flow;
use super::rate::{History, Rate, kept_after};
use crate::live::{FlowNumber, Update};
use crate::model::FlowRecord;
use crate::observation::Traffic;
use crate::store::{DeviceResolving, DeviceSummary, Meta, UnaccountedRow, WINDOW_FLOWS};

/// For how long a destination counts as new.
pub(super) const NEW_FOR: SignedDuration = SignedDuration::from_secs(60);

/// Flows and devices that are taken in, at most: more than one who counts has, so that what is no such
/// one can't fill the memory.
const MOST_FLOWS: usize = WINDOW_FLOWS.get();
const MOST_DEVICES: usize = 1 << 14;

/// A device's position in [`World::devices`], for good.
pub(super) type Slot = u32;

/// Everything that was told.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    /// The circumstances as of the last update; none before the first.
    pub(super) meta: Option<Meta>,
    /// The devices, in the order in which they were first told.
    pub(super) devices: Vec<DeviceState>,
    /// The devices of the last update, in the user's order.
    pub(super) listed: Vec<Slot>,
    slots: HashMap<Arc<str>, Slot, RandomState>,
    pub(super) flows: IndexMap<FlowNumber, Flow, RandomState>,
    pub(super) unaccounted: Vec<UnaccountedRow>,
    pub(super) resolving: Vec<DeviceResolving>,
    /// The flow whose rates are kept one by one.
    pub(super) tracked: Option<Tracked>,
    /// All devices' rates.
    pub(super) total: History,
    /// The first update's time.
    first_at: Timestamp,
    /// Which counting it is that was told, from 0.
    pub(super) counting: u32,
}

/// A device, and its rates.
#[derive(Clone, Debug)]
pub(super) struct DeviceState {
    /// Its sums; none while flows alone told of it.
    pub(super) summary: Option<DeviceSummary>,
    pub(super) history: History,
}

/// The rates of one flow since somebody looks at it.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) number: FlowNumber,
    before: (Traffic, Traffic),
    pub(super) history: History,
}

/// The time between the last two updates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elapsed {
    /// The update before; none before the second.
    since: Option<Timestamp>,
    seconds: f64,
    /// What is left of smoothed rates.
    kept: f64,
}

impl Elapsed {
    fn of(since: Option<Timestamp>, at: Timestamp) -> Self {
        let seconds = since.map_or(0.0, |since| at.duration_since(since).as_secs_f64());
        // Two updates of one drain are one: what both told has the time of the first.
        let since = since.filter(|_| seconds > 0.0);
        Self {
            since,
            seconds,
            kept: kept_after(seconds.max(0.0)),
        }
    }

    /// Returns the rate of octets that were added meanwhile.
    pub(super) fn rate(self, added: (u64, u64)) -> Option<Rate> {
        self.since.map(|_| Rate::of(added, self.seconds))
    }

    /// Returns a smoothed rate with a new one taken in.
    pub(super) fn smoothed(self, decayed: Rate, rate: Rate) -> Rate {
        decayed.plus(rate.scaled(1.0 - self.kept))
    }

    /// Returns whether a time lies in it.
    pub(super) fn holds(self, time: Timestamp) -> bool {
        // First packets are known to the kernel's tick.
        let slack = SignedDuration::from_millis(50);
        self.since
            .is_some_and(|since| since.duration_since(time) <= slack)
    }
}

impl World {
    /// Takes in an update.
    pub(super) fn take_in(&mut self, update: Update) {
        let elapsed = Elapsed::of(self.at(), update.at);
        if self.meta.is_none() {
            self.first_at = update.at;
        }
        for flow in self.flows.values_mut() {
            flow.smoothed = flow.smoothed.scaled(elapsed.kept);
        }
        for number in &update.forgotten {
            self.flows.swap_remove(number);
        }
        for (number, record) in update.told {
            self.take_in_flow(number, record, elapsed);
        }
        for changed in &update.changed {
            if let Some(flow) = self.flows.get_mut(&changed.flow) {
                flow.change(changed, elapsed);
            }
        }
        self.take_in_devices(update.devices, elapsed);
        self.follow_tracked(elapsed);
        self.unaccounted = update.unaccounted;
        self.resolving = update.resolving;
        self.meta = Some(update.meta);
    }

    fn take_in_flow(&mut self, number: FlowNumber, record: FlowRecord, elapsed: Elapsed) {
        let Some(slot) = self.slot_of(&record.device.name) else {
            return;
        };
        let has_room = self.flows.len() < MOST_FLOWS;
        match self.flows.get_mut(&number) {
            Some(flow) => flow.retell(record, slot, elapsed),
            None if has_room => drop(self.flows.insert(number, Flow::new(record, slot, elapsed))),
            None => {}
        }
    }

    /// Forgets all but the devices' rates, as another counting is told of from now on.
    pub(super) fn forget(&mut self) {
        self.flows.clear();
        self.tracked = None;
        self.meta = None;
        self.counting += 1;
    }

    fn take_in_devices(&mut self, summaries: Vec<DeviceSummary>, elapsed: Elapsed) {
        self.listed.clear();
        let mut total = Rate::default();
        for summary in summaries {
            let Some(slot) = self.slot_of(&Arc::from(&*summary.device)) else {
                continue;
            };
            let device = &mut self.devices[slot as usize];
            let added = Rate::added(traffic(&summary), device.traffic());
            let rate = elapsed.rate(added);
            device.summary = Some(summary);
            if let Some(rate) = rate {
                device.history.push(rate);
                total = total.plus(rate);
            }
            self.listed.push(slot);
        }
        if elapsed.since.is_some() {
            self.total.push(total);
        }
    }

    /// Keeps a flow's rates from now on, and no other's.
    pub(super) fn track(&mut self, number: FlowNumber) {
        if self.tracked.as_ref().is_some_and(|it| it.number == number) {
            return;
        }
        let flow = self.flows.get(&number);
        self.tracked = flow.map(|flow| Tracked {
            number,
            before: (flow.record.up, flow.record.down),
            history: History::default(),
        });
    }

    fn follow_tracked(&mut self, elapsed: Elapsed) {
        let Some(tracked) = &mut self.tracked else {
            return;
        };
        let Some(flow) = self.flows.get(&tracked.number) else {
            self.tracked = None;
            return;
        };
        let now = (flow.record.up, flow.record.down);
        if let Some(rate) = elapsed.rate(Rate::added(now, tracked.before)) {
            tracked.history.push(rate);
            tracked.before = now;
        }
    }

    fn slot_of(&mut self, device: &Arc<str>) -> Option<Slot> {
        if let Some(slot) = self.slots.get(device) {
            return Some(*slot);
        }
        if self.devices.len() == MOST_DEVICES {
            return None;
        }
        let slot = self.devices.len() as Slot;
        self.devices.push(DeviceState {
            summary: None,
            history: History::default(),
        });
        self.slots.insert(Arc::clone(device), slot);
        Some(slot)
    }

    /// Returns the last update's time.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.meta.as_ref().map(|meta| meta.ended_at)
    }

    /// Returns whether a flow began after the first look, not long ago.
    pub(super) fn is_new(&self, flow: &Flow) -> bool {
        let first_seen = flow.record.first_seen;
        let age = self.at().map(|at| at.duration_since(first_seen));
        first_seen > self.first_at && age.is_some_and(|age| age < NEW_FOR)
    }

    /// Returns the sums of all devices: octets up and down.
    pub(super) fn octets(&self) -> (u64, u64) {
        let summaries = self.summaries();
        summaries.fold((0, 0), |(up, down), it| {
            (up + it.up.octets, down + it.down.octets)
        })
    }

    /// Iterates over the listed devices' sums.
    pub(super) fn summaries(&self) -> impl Iterator<Item = &DeviceSummary> {
        let listed = self.listed.iter();
        listed.filter_map(|slot| self.devices.get(*slot as usize)?.summary.as_ref())
    }

    /// Returns for each slot whether its device is listed: one that a capture alone knows of as a
    /// receiver is not.
    pub(super) fn listed_slots(&self) -> Vec<bool> {
        let mut listed = vec![false; self.devices.len()];
        for slot in &self.listed {
            listed[*slot as usize] = true;
        }
        listed
    }
}

impl DeviceState {
    fn traffic(&self) -> (Traffic, Traffic) {
        self.summary.as_ref().map(traffic).unwrap_or_default()
    }
}

fn traffic(summary: &DeviceSummary) -> (Traffic, Traffic) {
    let of = |packets, octets| Traffic { packets, octets };
    let DeviceSummary { up, down, .. } = summary;
    (of(up.packets, up.octets), of(down.packets, down.octets))
}
