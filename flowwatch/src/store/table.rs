//! The window of flows in user space.
//!
//! Filled by each drain of the kernel's tables; read by `join`. Bounded: a flow that finds no room, or
//! that made room for others, adds to its device's overflow, so no octet is lost, only its destination.

use std::{net::IpAddr, num::NonZeroUsize};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};

use super::{Conservation, Marks};
use crate::observation::{DeviceId, DeviceTotals, EpochFlow, Traffic};

/// Flows that the window holds: about 100 MB when full, and three times as much again while the
/// document is made of it.
pub const WINDOW_FLOWS: NonZeroUsize = NonZeroUsize::new(1 << 20).expect("not zero");

/// Traffic in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BothWays {
    /// From the device.
    pub up: Traffic,
    /// To the device.
    pub down: Traffic,
}

impl BothWays {
    /// Returns what a device's totals say of flows.
    const fn in_flows(totals: &DeviceTotals) -> Self {
        Self {
            up: totals.up.flow_traffic,
            down: totals.down.flow_traffic,
        }
    }
}

/// A flow's sums over the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Packets and octets.
    pub traffic: BothWays,
    /// The first packet.
    pub first_seen: Timestamp,
    /// The last packet.
    pub last_seen: Timestamp,
}

/// A flow of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEntry {
    /// The device.
    pub device: DeviceId,
    /// The address at the other end.
    pub remote: IpAddr,
    /// IANA protocol number.
    pub protocol: u8,
    /// The remote's transport port; 0 where there is none.
    pub remote_port: u16,
    /// The sums.
    pub counts: Counts,
}

/// What the window knows of one device beside its flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceWindow {
    /// The kernel's totals as of the last drain.
    pub totals: DeviceTotals,
    /// What had been counted into flows before the last drain began, at least: all of it is folded. The
    /// totals' own, where nothing counts any more.
    pub due: BothWays,
    /// Everything that was folded, whether it found room or not.
    pub folded: BothWays,
    /// Of that, what is in no flow of the window: it found no room, or was forgotten.
    pub overflow: BothWays,
}

/// Flows and device totals since counting began.
#[derive(Debug)]
pub struct FlowTable {
    flows: IndexMap<FlowKey, PackedCounts, RandomState>,
    devices: Vec<DeviceWindow>,
    capacity: usize,
    /// Whether a full window makes room.
    forgets: bool,
    /// What changed since that was asked for; none where nobody asks.
    changes: Option<FlowChanges>,
}

/// Which flows changed, by their positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowChanges {
    /// Those that are new or that something was added to.
    pub counted: Marks,
    /// Of these, the known ones that turned out to have begun earlier.
    pub began_earlier: Marks,
}

/// Whole words, as a million of these are hashed and compared a second.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct FlowKey {
    /// An IPv4 address as its IPv4-mapped IPv6 address.
    remote: [u64; 2],
    /// Device, remote port, protocol, and whether the address is IPv4: a mapped address can be on
    /// the wire as IPv6, too.
    rest: u64,
}

/// [`Counts`] in fewer octets, as the window may hold a million.
#[derive(Clone, Copy, Debug)]
struct PackedCounts {
    traffic: BothWays,
    /// Microseconds since the Unix epoch; the kernel's clock is coarser.
    first_seen: i64,
    last_seen: i64,
}

impl FlowTable {
    /// Returns an empty window for `devices` devices and at most `capacity` flows.
    #[must_use]
    pub fn new(devices: usize, capacity: NonZeroUsize) -> Self {
        Self {
            flows: IndexMap::default(),
            devices: vec![DeviceWindow::default(); devices],
            capacity: capacity.get(),
            forgets: false,
            changes: None,
        }
    }

    /// Has the window, when it is full, forget the quarter of its flows that are silent for longest: for
    /// those who look at what goes on now. One that speaks again is counted from then on.
    #[must_use]
    pub fn that_forgets(mut self) -> Self {
        self.forgets = true;
        self
    }

    /// Adds a flow's counts of one epoch.
    pub fn fold(&mut self, flow: &EpochFlow) {
        let traffic = BothWays {
            up: flow.up,
            down: flow.down,
        };
        let has_room = self.enter(flow);
        let device = self.device_mut(flow.device);
        device.folded += traffic;
        if !has_room {
            device.overflow += traffic;
        }
    }

    /// Adds to the flow, or makes it; returns whether there was room for it.
    fn enter(&mut self, flow: &EpochFlow) -> bool {
        let key = FlowKey::of(flow);
        let is_full = self.flows.len() >= self.capacity;
        if is_full && self.forgets && !self.flows.contains_key(&key) {
            self.forget(self.capacity.div_ceil(4));
            return self.enter(flow);
        }
        let (at, began_earlier) = match self.flows.get_full_mut(&key) {
            Some((at, _, counts)) => (at, counts.fold(flow)),
            None if is_full => return false,
            None => (self.flows.insert_full(key, PackedCounts::of(flow)).0, false),
        };
        if let Some(changes) = &mut self.changes {
            changes.counted.set(at);
            if began_earlier {
                changes.began_earlier.set(at);
            }
        }
        true
    }

    /// Forgets so many flows, those that are silent for longest; their counts stay with their devices.
    /// Flows have other positions then: whoever follows begins anew.
    fn forget(&mut self, count: usize) {
        let mut times: Vec<_> = self.flows.values().map(|it| it.last_seen).collect();
        let (earlier, &mut latest, _) = times.select_nth_unstable(count - 1);
        let earlier = earlier.iter().filter(|time| **time < latest).count();
        let mut of_the_latest = count - earlier;
        let devices = &mut self.devices;
        self.flows.retain(|key, counts| {
            let is_one_of_the_latest = counts.last_seen == latest && of_the_latest > 0;
            of_the_latest -= usize::from(is_one_of_the_latest);
            let stays = counts.last_seen >= latest && !is_one_of_the_latest;
            if !stays && let Some(device) = devices.get_mut(usize::from(key.device())) {
                device.overflow += counts.traffic;
            }
            stays
        });
        self.changes = None;
    }

    /// Moves the times of every flow, as the clock that they are by was set.
    pub fn shift(&mut self, by: SignedDuration) {
        let microseconds = i64::try_from(by.as_micros()).unwrap_or_default();
        for counts in self.flows.values_mut() {
            counts.shift(microseconds);
        }
        if let Some(changes) = &mut self.changes {
            changes.counted.set_below(self.flows.len());
            changes.began_earlier.set_below(self.flows.len());
        }
    }

    /// Replaces a device's totals by the last ones, which are cumulative: nothing counts any more, and
    /// everything is folded.
    pub fn set_device_totals(&mut self, device: DeviceId, totals: DeviceTotals) {
        let window = self.device_mut(device);
        window.totals = totals;
        window.due = BothWays::in_flows(&totals);
    }

    /// Replaces a device's totals by newer ones, while it is counted: read after a drain, they have what
    /// passed since the drain began. What the totals before them had was counted before it, and is
    /// folded.
    pub fn set_totals_under_way(&mut self, device: DeviceId, totals: DeviceTotals) {
        let window = self.device_mut(device);
        window.due = BothWays::in_flows(&window.totals);
        window.totals = totals;
    }

    /// Returns what is known of a device beside its flows.
    #[must_use]
    pub fn device(&self, device: DeviceId) -> DeviceWindow {
        self.devices
            .get(usize::from(device))
            .copied()
            .unwrap_or_default()
    }

    /// Returns the sum over all devices of traffic in both directions: of flows and of overflow.
    #[must_use]
    pub fn traffic(&self) -> BothWays {
        self.devices
            .iter()
            .fold(BothWays::default(), |mut sum, device| {
                sum += device.folded;
                sum.up += device.totals.up.overflow;
                sum.down += device.totals.down.overflow;
                sum
            })
    }

    /// Returns whether a device's counts add up, as of the last drain.
    #[must_use]
    pub fn conservation(&self, device: DeviceId) -> Conservation {
        Conservation::of(&self.device(device))
    }

    /// Iterates over the flows, in the order in which they were first folded.
    #[must_use]
    pub fn flows(&self) -> impl ExactSizeIterator<Item = FlowEntry> + '_ {
        self.flows.iter().map(|(key, counts)| key.entry(counts))
    }

    /// Returns the flow at a position, which it keeps.
    #[must_use]
    pub fn flow(&self, at: usize) -> Option<FlowEntry> {
        let (key, counts) = self.flows.get_index(at)?;
        Some(key.entry(counts))
    }

    /// Begins to note which flows change, until [`Self::unfollow`].
    pub fn follow(&mut self) {
        self.changes = Some(FlowChanges::default());
    }

    /// Ends what [`Self::follow`] began.
    pub fn unfollow(&mut self) {
        self.changes = None;
    }

    /// Returns which flows changed since the last call; nothing where that was not noted, or flows
    /// have other positions now.
    pub fn take_changes(&mut self) -> Option<FlowChanges> {
        self.changes.as_mut().map(std::mem::take)
    }

    /// Returns the number of flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Returns whether nothing was folded that found room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    fn device_mut(&mut self, device: DeviceId) -> &mut DeviceWindow {
        let index = usize::from(device);
        if index >= self.devices.len() {
            self.devices.resize(index + 1, DeviceWindow::default());
        }
        &mut self.devices[index]
    }
}

impl FlowKey {
    fn of(flow: &EpochFlow) -> Self {
        let (remote, is_ipv4) = match flow.remote {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), 1),
            IpAddr::V6(address) => (address, 0),
        };
        let bits = remote.to_bits();
        Self {
            remote: [(bits >> 64) as u64, bits as u64],
            rest: u64::from(flow.device) << 32
                | u64::from(flow.remote_port) << 16
                | u64::from(flow.protocol) << 8
                | is_ipv4,
        }
    }

    const fn device(&self) -> DeviceId {
        (self.rest >> 32) as u16
    }

    fn entry(&self, counts: &PackedCounts) -> FlowEntry {
        let bits = u128::from(self.remote[0]) << 64 | u128::from(self.remote[1]);
        let remote = if self.rest & 1 == 1 {
            IpAddr::V4((bits as u32).into())
        } else {
            IpAddr::V6(bits.into())
        };
        FlowEntry {
            device: self.device(),
            remote,
            protocol: (self.rest >> 8) as u8,
            remote_port: (self.rest >> 16) as u16,
            counts: counts.unpack(),
        }
    }
}

impl PackedCounts {
    fn of(flow: &EpochFlow) -> Self {
        Self {
            traffic: BothWays {
                up: flow.up,
                down: flow.down,
            },
            first_seen: flow.first_seen.as_microsecond(),
            last_seen: flow.last_seen.as_microsecond(),
        }
    }

    /// Adds an epoch's counts; returns whether they began before all others.
    fn fold(&mut self, flow: &EpochFlow) -> bool {
        self.traffic += BothWays {
            up: flow.up,
            down: flow.down,
        };
        self.last_seen = self.last_seen.max(flow.last_seen.as_microsecond());
        let first_seen = flow.first_seen.as_microsecond();
        let began_earlier = first_seen < self.first_seen;
        self.first_seen = self.first_seen.min(first_seen);
        began_earlier
    }

    /// A time beyond the calendar stays where it is.
    fn shift(&mut self, microseconds: i64) {
        for time in [&mut self.first_seen, &mut self.last_seen] {
            let shifted = time.saturating_add(microseconds);
            if Timestamp::from_microsecond(shifted).is_ok() {
                *time = shifted;
            }
        }
    }

    fn unpack(&self) -> Counts {
        // Each came from a timestamp, so each is one.
        let time = |at| Timestamp::from_microsecond(at).unwrap_or_default();
        Counts {
            traffic: self.traffic,
            first_seen: time(self.first_seen),
            last_seen: time(self.last_seen),
        }
    }
}

impl std::ops::AddAssign for BothWays {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.down += other.down;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(device: DeviceId, remote: &str, octets: u64) -> EpochFlow {
        EpochFlow {
            device,
            remote: remote.parse().unwrap(),
            protocol: 17,
            remote_port: 53,
            up: Traffic { packets: 1, octets },
            down: Traffic {
                packets: 2,
                octets: 10 * octets,
            },
            first_seen: Timestamp::from_millisecond(5_000).unwrap(),
            last_seen: Timestamp::from_millisecond(6_000).unwrap(),
        }
    }

    fn table(capacity: usize) -> FlowTable {
        FlowTable::new(2, NonZeroUsize::new(capacity).unwrap())
    }

    #[test]
    fn epochs_of_one_flow_are_summed_and_its_times_span_them() {
        let mut table = table(9);
        table.fold(&flow(0, "192.0.2.1", 100));
        let mut earlier = flow(0, "192.0.2.1", 7);
        earlier.first_seen = Timestamp::from_millisecond(4_001).unwrap();
        earlier.last_seen = Timestamp::from_millisecond(4_002).unwrap();
        table.fold(&earlier);

        let flows: Vec<_> = table.flows().collect();
        assert_eq!(flows.len(), 1);
        assert_eq!(flows[0].remote, "192.0.2.1".parse::<IpAddr>().unwrap());
        assert_eq!(
            (flows[0].device, flows[0].protocol, flows[0].remote_port),
            (0, 17, 53)
        );
        let counts = flows[0].counts;
        assert_eq!(
            counts.traffic.up,
            Traffic {
                packets: 2,
                octets: 107
            }
        );
        assert_eq!(
            counts.traffic.down,
            Traffic {
                packets: 4,
                octets: 1070
            }
        );
        assert_eq!(counts.first_seen.as_millisecond(), 4_001);
        assert_eq!(counts.last_seen.as_millisecond(), 6_000);
    }

    #[test]
    fn what_the_totals_before_had_must_be_in_flows_while_it_counts() {
        let mut table = table(9);
        let up = |octets| {
            let mut totals = DeviceTotals::default();
            totals.up.flow_traffic = Traffic { packets: 0, octets };
            totals
        };
        let due = |table: &FlowTable| table.device(1).due.up.octets;
        table.set_totals_under_way(1, up(100));
        assert_eq!(due(&table), 0);
        table.set_totals_under_way(1, up(130));
        assert_eq!(due(&table), 100);
        table.set_device_totals(1, up(140));
        assert_eq!(due(&table), 140);
    }

    #[test]
    fn flows_follow_the_clock_when_it_is_set() {
        let check = |by: SignedDuration, expected: [i64; 2]| {
            let mut table = table(9);
            table.fold(&flow(0, "192.0.2.1", 100));
            table.shift(by);
            let counts = table.flows().next().unwrap().counts;
            let seen = [counts.first_seen, counts.last_seen];
            assert_eq!(seen.map(Timestamp::as_millisecond), expected);
        };
        let half_a_century = SignedDuration::from_secs(1_795_000_000);
        check(half_a_century, [1_795_000_005_000, 1_795_000_006_000]);
        check(SignedDuration::from_hours(-1), [-3_595_000, -3_594_000]);
        check(SignedDuration::MAX, [5_000, 6_000]);
    }

    #[test]
    fn every_part_of_the_key_keeps_flows_apart() {
        let mut table = table(99);
        let base = flow(0, "192.0.2.1", 1);
        let remotes = [
            "::ffff:192.0.2.1",
            "192.0.2.2",
            "2001:db8::1",
            "2001:db8:1::1",
        ];
        let mut all: Vec<_> = remotes.iter().map(|remote| flow(0, remote, 1)).collect();
        all.push(base);
        all.push(EpochFlow { device: 1, ..base });
        all.push(EpochFlow {
            device: 65_535,
            ..base
        });
        all.push(EpochFlow {
            protocol: 6,
            ..base
        });
        all.push(EpochFlow {
            remote_port: 65_535,
            ..base
        });
        for flow in &all {
            table.fold(flow);
        }
        let back: Vec<_> = table
            .flows()
            .map(|f| (f.device, f.remote, f.protocol, f.remote_port))
            .collect();
        let sent: Vec<_> = all
            .iter()
            .map(|f| (f.device, f.remote, f.protocol, f.remote_port))
            .collect();
        assert_eq!(back, sent);
    }

    #[test]
    fn what_does_not_fit_goes_to_the_devices_overflow() {
        let mut table = table(1);
        table.fold(&flow(0, "192.0.2.1", 100));
        table.fold(&flow(1, "192.0.2.2", 30));
        table.fold(&flow(1, "192.0.2.2", 4));
        // A flow that is in the window still finds its place.
        table.fold(&flow(0, "192.0.2.1", 1));

        assert_eq!(table.len(), 1);
        assert_eq!(table.device(0).overflow, BothWays::default());
        assert_eq!(
            table.device(1).overflow.up,
            Traffic {
                packets: 2,
                octets: 34
            }
        );
        assert_eq!(
            table.device(1).overflow.down,
            Traffic {
                packets: 4,
                octets: 340
            }
        );
        assert_eq!(table.traffic().up.octets, 135);
    }

    #[test]
    fn a_window_that_forgets_keeps_the_latest_flows_and_every_octet() {
        let mut table = table(8).that_forgets();
        table.follow();
        let seen_at = |second: i64, number: u32| EpochFlow {
            remote: std::net::Ipv4Addr::from(0xc000_0200 + number).into(),
            last_seen: Timestamp::from_second(second).unwrap(),
            ..flow((number % 2) as DeviceId, "192.0.2.1", u64::from(number))
        };
        // The first three are of one moment, of which two are forgotten.
        for (number, second) in (1..).zip([50, 50, 50, 90, 80, 70, 60, 100]) {
            table.fold(&seen_at(second, number));
        }
        table.fold(&seen_at(100, 8));
        assert_eq!(table.len(), 8, "a flow that is known needs no room");
        table.fold(&seen_at(101, 9));

        let octets = table.flows().map(|it| it.counts.traffic.up.octets);
        assert_eq!(octets.collect::<Vec<_>>(), [3, 4, 5, 6, 7, 16, 9]);
        assert_eq!(table.device(1).overflow.up.octets, 1);
        assert_eq!(table.device(0).overflow.up.octets, 2);
        assert_eq!(table.traffic().up.octets, (1..=9).sum::<u64>() + 8);
        assert_eq!(table.take_changes(), None, "positions are others");
        table.fold(&seen_at(102, 10));
        table.fold(&seen_at(102, 1));
        assert_eq!(table.len(), 7, "those of 50 and 60 seconds made room");
    }

    #[test]
    fn a_follower_is_told_which_flows_changed_since_it_asked() {
        let mut table = table(2);
        table.fold(&flow(0, "192.0.2.1", 100));
        assert_eq!(table.take_changes(), None, "nobody follows");
        table.follow();
        table.fold(&flow(0, "192.0.2.2", 1));
        // Finds no room.
        table.fold(&flow(0, "192.0.2.3", 1));
        let mut earlier = flow(0, "192.0.2.1", 1);
        earlier.first_seen = Timestamp::UNIX_EPOCH;
        let positions = |marks: &Marks| marks.iter().collect::<Vec<_>>();
        let changes = table.take_changes().unwrap();
        assert_eq!(positions(&changes.counted), [1]);
        table.fold(&earlier);
        let changes = table.take_changes().unwrap();
        assert_eq!(positions(&changes.counted), [0]);
        assert_eq!(positions(&changes.began_earlier), [0]);
        table.fold(&earlier);
        assert!(table.take_changes().unwrap().began_earlier.is_empty());
        table.unfollow();
        assert_eq!(table.take_changes(), None);
        assert_eq!(
            table.flow(1).map(|flow| flow.remote),
            "192.0.2.2".parse().ok()
        );
        assert_eq!(table.flow(2), None);
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<FlowKey>() + size_of::<PackedCounts>(), 24 + 48);
    }
}
