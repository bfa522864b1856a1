//! What was counted of one device, and whether all of it is known.

use std::sync::Arc;

use crate::model::{Device, MacAddress};
use crate::observation::Traffic;
use crate::store::{BothWays, DeviceSummary};

/// What was counted of a device.
#[derive(Clone, Debug)]
pub struct Account {
    /// The device, by the name that it has now.
    pub device: Device,
    /// Everything that was counted of it.
    pub totals: BothWays,
    /// Of that, what is in no flow of the window, as was told last.
    overflow: BothWays,
    /// The same when all flows were told, last.
    rest: BothWays,
    /// The sum of the flows that were told of this window.
    in_flows: BothWays,
    /// Whether its total was told: a flow can be told of a device that has gone.
    has_total: bool,
}

impl Account {
    /// Returns what is in no flow: what found no room in the tables, and what flows had that made room.
    #[must_use]
    pub const fn rest(&self) -> BothWays {
        self.rest
    }

    pub(super) fn new(device: Device) -> Self {
        Self {
            device,
            totals: BothWays::default(),
            overflow: BothWays::default(),
            rest: BothWays::default(),
            in_flows: BothWays::default(),
            has_total: false,
        }
    }

    /// Takes up what was told of the device as a whole.
    pub(super) fn sum_up(&mut self, device: Device, summary: &DeviceSummary) {
        let [totals, overflow] = [
            [summary.up, summary.down].map(|it| (it.packets, it.octets)),
            [summary.up, summary.down].map(|it| (it.overflow_packets, it.overflow_octets)),
        ]
        .map(|directions| {
            let [up, down] = directions.map(|(packets, octets)| Traffic { packets, octets });
            BothWays { up, down }
        });
        self.device = device;
        self.totals = totals;
        self.overflow = overflow;
        self.has_total = true;
    }

    /// Takes up what is new of a flow.
    pub(super) fn add(&mut self, new: BothWays) {
        self.in_flows += new;
    }

    /// Begins another window, whose flows are told next.
    pub(super) fn begin_window(&mut self) {
        self.in_flows = BothWays::default();
    }

    /// Returns whether every flow was told: they and the overflow are the total.
    pub(super) fn is_whole(&self) -> bool {
        let mut sum = self.in_flows;
        sum += self.overflow;
        sum == self.totals || !self.has_total
    }

    /// Notes that every flow was told.
    pub(super) fn settle(&mut self) {
        self.rest = self.overflow;
    }
}

/// A device that is known by its address, or by its name where it has none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Mac(MacAddress),
    Name(Arc<str>),
}

impl Holder {
    pub(super) fn of(device: &Device) -> Self {
        let name = || Self::Name(Arc::clone(&device.name));
        device.mac.map_or_else(name, Self::Mac)
    }
}
