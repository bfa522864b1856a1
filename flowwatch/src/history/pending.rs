//! What was taken and not handed to the writer yet: flows and totals by minute, and how far each
//! generation has come.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
};

use jiff::{SignedDuration, Timestamp};

use super::{Epoch, GenerationId, Step, totals};
use crate::{
    model::{Device, MacAddress},
    observation::{DeviceId, DeviceTotals, EpochFlow},
    store::{BothWays, FlowTable},
};

/// Flows that may be pending. When the disk takes nothing for so long that there are more, what comes
/// then is recorded under the last minute that had room.
const MOST_FLOWS: usize = 1 << 20;

/// Flows of one minute; beyond it, a flow's device is recorded without its destination.
const FLOWS_A_MINUTE: NonZeroUsize = NonZeroUsize::new(MOST_FLOWS).expect("not zero");

/// What one minute added.
#[derive(Debug)]
pub(super) struct Minute {
    /// Flows, by the numbers of [`Pending::devices`].
    pub(super) flows: FlowTable,
    /// By how much the kernel's totals grew, likewise.
    pub(super) growth: BTreeMap<DeviceId, DeviceTotals>,
}

/// How far a generation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) serial: u64,
    /// Epochs since the last batch.
    pub(super) epochs: u64,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) is_over: bool,
    pub(super) devices: BTreeMap<DeviceId, Recorded>,
    /// The device that each address was last.
    pub(super) last: HashMap<MacAddress, DeviceId>,
}

/// What is recorded of one device of one generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recorded {
    /// The kernel's totals.
    pub(super) totals: DeviceTotals,
    /// The sum of the flows.
    pub(super) drained: BothWays,
}

impl Recorded {
    fn frames(&self) -> u64 {
        let (up, down) = (&self.totals.up.seen, &self.totals.down.seen);
        up.frames.saturating_add(down.frames)
    }
}

/// All that is pending.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Devices by the recorder's own numbers, which stay when the user's list changes.
    pub(super) devices: Vec<Device>,
    pub(super) minutes: BTreeMap<i64, Minute>,
    pub(super) generations: HashMap<GenerationId, Generation>,
    flows: usize,
}

impl Pending {
    /// Returns the device's number here; it gets one.
    pub(super) fn number_of(&mut self, device: &Device) -> DeviceId {
        let known = self.devices.iter().position(|known| known == device);
        let number = known.unwrap_or_else(|| {
            self.devices.push(device.clone());
            self.devices.len() - 1
        });
        DeviceId::try_from(number).unwrap_or(DeviceId::MAX)
    }

    /// Returns what is recorded of a device of a generation.
    pub(super) fn recorded(&self, generation: GenerationId, device: &Device) -> Option<Recorded> {
        let number = self.devices.iter().position(|known| known == device)?;
        let devices = &self.generations.get(&generation)?.devices;
        devices.get(&DeviceId::try_from(number).ok()?).copied()
    }

    /// Returns whether nothing was taken since the last batch.
    pub(super) fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }

    /// Adds an epoch that was not added before.
    pub(super) fn fold(&mut self, epoch: &Epoch) {
        let devices: HashMap<_, _> = epoch
            .totals
            .iter()
            .map(|(id, device, totals)| (*id, (self.number_of(device), *totals)))
            .collect();
        let mut minute = Step::Minute.bucket_of(epoch.ended_at);
        if self.flows >= MOST_FLOWS
            && let Some((&last, _)) = self.minutes.last_key_value()
        {
            minute = last;
        }
        let count = self.devices.len();
        let minute = self.minutes.entry(minute).or_insert_with(|| Minute {
            flows: FlowTable::new(count, FLOWS_A_MINUTE),
            growth: BTreeMap::new(),
        });
        let generation = self.generations.entry(epoch.generation);
        let generation = generation.or_insert_with(|| Generation::new(epoch.ended_at));
        generation.take_note(epoch);
        for (id, device, _) in &epoch.totals {
            if let (Some(mac), Some((number, _))) = (device.mac, devices.get(id)) {
                generation.go_on_as(*number, mac);
            }
        }
        let before = minute.flows.len();
        for flow in &epoch.flows {
            let Some(&(device, _)) = devices.get(&flow.device) else {
                continue;
            };
            minute.flows.fold(&EpochFlow { device, ..*flow });
            generation.devices.entry(device).or_default().drained += BothWays {
                up: flow.up,
                down: flow.down,
            };
        }
        self.flows += minute.flows.len() - before;
        for (device, now) in devices.into_values() {
            let recorded = &mut generation.devices.entry(device).or_default().totals;
            let growth = totals::growth(recorded, &now);
            *recorded = now;
            let sum = minute.growth.entry(device).or_default();
            *sum = totals::sum(sum, &growth);
        }
    }

    /// Moves every time, as the clock was set.
    pub(super) fn shift(&mut self, by: SignedDuration) {
        let minutes = by.as_secs().div_euclid(Step::Minute.seconds());
        for (number, mut minute) in std::mem::take(&mut self.minutes) {
            minute.flows.shift(by);
            let mut number = number.saturating_add(minutes).max(0);
            // Only before 1970, where minutes have no numbers, can one meet another.
            while self.minutes.contains_key(&number) {
                number += 1;
            }
            self.minutes.insert(number, minute);
        }
        for generation in self.generations.values_mut() {
            for time in [&mut generation.since, &mut generation.until] {
                *time = time.checked_add(by).unwrap_or(*time);
            }
        }
    }

    /// Takes the minutes out for a batch.
    pub(super) fn take_minutes(&mut self) -> BTreeMap<i64, Minute> {
        self.flows = 0;
        std::mem::take(&mut self.minutes)
    }
}

impl Generation {
    fn new(at: Timestamp) -> Self {
        Self {
            serial: 0,
            epochs: 0,
            since: at,
            until: at,
            is_over: false,
            devices: BTreeMap::new(),
            last: HashMap::new(),
        }
    }

    /// Has a device whose address had another name go on from what is recorded under that: its totals
    /// do.
    fn go_on_as(&mut self, number: DeviceId, mac: MacAddress) {
        let former = self.last.insert(mac, number);
        let former = former.filter(|former| *former != number);
        if let Some(recorded) = former.and_then(|former| self.devices.get(&former)) {
            self.devices.insert(number, *recorded);
        }
    }

    /// Takes up what is recorded of a device. Of several names of one address, the last has most.
    pub(super) fn take_up(
        &mut self,
        number: DeviceId,
        mac: Option<MacAddress>,
        recorded: &Recorded,
    ) {
        self.devices.insert(number, *recorded);
        let Some(mac) = mac else { return };
        let last = self.last.get(&mac).and_then(|last| self.devices.get(last));
        if last.is_none_or(|last| last.frames() <= recorded.frames()) {
            self.last.insert(mac, number);
        }
    }

    fn take_note(&mut self, epoch: &Epoch) {
        self.serial = epoch.serial;
        self.epochs += 1;
        self.since = self.since.min(epoch.ended_at);
        self.until = self.until.max(epoch.ended_at);
        self.is_over = epoch.is_last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::samples::{at, camera, epoch, totals};

    /// An epoch of a camera that is called so.
    fn epoch_of(serial: u64, name: &str) -> Epoch {
        let device = Device {
            name: name.into(),
            ..camera()
        };
        Epoch {
            totals: vec![(0, device, totals(serial, 100))],
            ..epoch(1, serial, 100)
        }
    }

    fn grown(pending: &Pending) -> Vec<(&str, u64)> {
        let minute = pending.minutes.values().next().unwrap();
        let of = |(number, device): (DeviceId, _)| {
            let Device { name, .. }: &Device = device;
            (&**name, minute.growth[&number].up.seen.frames)
        };
        (0..).zip(&pending.devices).map(of).collect()
    }

    #[test]
    fn a_device_that_gets_another_name_is_counted_once() {
        let mut pending = Pending::default();
        for (serial, name) in (1..).zip(["cam", "camera", "cam", "cam"]) {
            pending.fold(&epoch_of(serial, name));
        }
        let frames = totals(1, 100).up.seen.frames;
        let expected = [("cam", 3 * frames), ("camera", frames)];
        assert_eq!(grown(&pending), expected);
        let generation = &pending.generations[&GenerationId(1)];
        let recorded = generation.devices[&0];
        assert_eq!(recorded.totals, totals(4, 100));
        assert_eq!(recorded.drained.up, recorded.totals.up.flow_traffic);
    }

    #[test]
    fn a_device_that_had_several_names_goes_on_from_the_last_after_a_restart() {
        let mut before = Pending::default();
        for (serial, name) in (1..).zip(["camera", "cam"]) {
            before.fold(&epoch_of(serial, name));
        }
        let mut generation = Generation::new(at("2026-03-02T12:00:00Z"));
        for (number, recorded) in &before.generations[&GenerationId(1)].devices {
            generation.take_up(*number, camera().mac, recorded);
        }
        let mut pending = Pending {
            devices: before.devices,
            ..Pending::default()
        };
        pending.generations.insert(GenerationId(1), generation);
        pending.fold(&epoch_of(3, "camera"));
        pending.fold(&epoch_of(3, "cam"));
        let frames = totals(1, 100).up.seen.frames;
        assert_eq!(grown(&pending), [("camera", frames), ("cam", 0)]);
    }

    /// The minutes in which two epochs are pending that ended at these times, after the clock was
    /// set by so much.
    fn check(ends: [&str; 2], by: SignedDuration, expected: &[&str]) {
        let mut pending = Pending::default();
        for (serial, ended_at) in (1..).zip(ends.map(at)) {
            pending.fold(&Epoch {
                ended_at,
                ..epoch(1, serial, 100)
            });
        }
        let first_seen = at("2026-03-02T12:00:01.5Z");
        pending.shift(by);
        let minutes = pending.minutes.keys();
        let minutes: Vec<_> = minutes.map(|it| Step::Minute.start_of(*it)).collect();
        let expected: Vec<_> = expected.iter().map(|text| at(text)).collect();
        assert_eq!(minutes, expected);
        for minute in pending.minutes.values() {
            let flow = minute.flows.flows().next().unwrap();
            assert_eq!(flow.counts.first_seen, first_seen + by);
        }
    }

    #[test]
    fn what_is_pending_follows_the_clock_when_it_is_set() {
        let to_2026 = at("2026-03-02T12:00:00Z").duration_since(Timestamp::UNIX_EPOCH);
        check(
            ["1970-01-01T00:00:10Z", "1970-01-01T00:01:10Z"],
            to_2026,
            &["2026-03-02T12:00:00Z", "2026-03-02T12:01:00Z"],
        );
        check(
            ["2026-03-02T12:00:10Z", "2026-03-02T12:00:40Z"],
            SignedDuration::from_hours(-1),
            &["2026-03-02T11:00:00Z"],
        );
    }

    #[test]
    fn minutes_before_1970_stay_apart() {
        check(
            ["2026-03-02T12:00:10Z", "2026-03-02T12:01:10Z"],
            SignedDuration::from_hours(-1_000_000),
            &["1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z"],
        );
    }
}
