//! Destinations with series of their own, and the rest: every octet is in exactly one series, for ever.
//!
//! What is new of a flow is added to the series of its destination, or, while there is no room for one,
//! to the device's `other`. Nothing ever moves from one series to another: a destination that gets
//! series of its own has what is counted from then on, and when it was idle for long its series end with
//! what they have. So each series rises as long as it lives, rates add up to the device's, and the
//! series and the expired ones ([`Sums::expired`]) add up to what was counted of the device.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::export::Row;
use crate::model::MacAddress;
use crate::store::BothWays;

/// How many series there may be, and how long they live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Destinations of one device.
    pub(super) per_device: usize,
    /// Time without traffic after which a destination's series end.
    pub(super) expiry: Duration,
}

impl Limits {
    /// Destinations of all devices: at 300 octets a series, a page has some megabytes.
    pub(super) const MOST_IN_ALL: usize = 10_000;
}

/// What a destination goes by. Texts are as they were observed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Destination {
    /// The best name; empty where none was seen.
    pub(super) name: Arc<str>,
    /// ISO 3166-1 alpha-2; empty where it is unknown.
    pub(super) country: Arc<str>,
    /// Likewise empty.
    pub(super) organization: Arc<str>,
}

/// The name under which the destinations are that have no series of their own.
pub(super) const OTHER: &str = "other";

impl Destination {
    /// Returns a row's; nothing where it has none, or one that can't be told from `other`.
    fn of(row: &Row) -> Option<Self> {
        let flow = row.flow()?;
        let of = |text: &Option<Arc<str>>| text.clone().unwrap_or_default();
        let destination = Self {
            name: flow.names().first().copied().unwrap_or_default().into(),
            country: of(&flow.place.country),
            organization: of(&flow.place.organization),
        };
        (destination != Self::other()).then_some(destination)
    }

    /// Returns the labels of those that have no series of their own.
    pub(super) fn other() -> Self {
        Self {
            name: OTHER.into(),
            country: Arc::default(),
            organization: Arc::default(),
        }
    }
}

/// One device's sums.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Everything.
    pub(super) total: BothWays,
    /// What has no series of its own.
    pub(super) other: BothWays,
    /// What was in series that have ended.
    pub(super) expired: BothWays,
    destinations: HashMap<Destination, Series, RandomState>,
}

#[derive(Debug)]
struct Series {
    traffic: BothWays,
    /// The last scrape that brought something new.
    alive_at: Instant,
}

impl Sums {
    /// Returns the destinations with series of their own, sorted, so that pages can be compared.
    pub(super) fn destinations(&self) -> Vec<(&Destination, BothWays)> {
        let series = self.destinations.iter();
        let mut series: Vec<_> = series.map(|(it, series)| (it, series.traffic)).collect();
        series.sort_unstable_by_key(|(destination, _)| *destination);
        series
    }

    /// Returns how many those are.
    pub(super) fn len(&self) -> usize {
        self.destinations.len()
    }
}

/// The sums of all devices. A device without an address, as captures alone have them, has none.
#[derive(Debug)]
pub(super) struct Destinations {
    limits: Limits,
    devices: HashMap<MacAddress, Sums, RandomState>,
    /// Destinations with series of their own, of all devices.
    count: usize,
}

impl Destinations {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            devices: HashMap::default(),
            count: 0,
        }
    }

    /// Returns a device's sums.
    pub(super) fn of(&self, device: Option<MacAddress>) -> Option<&Sums> {
        self.devices.get(&device?)
    }

    /// Adds what is new.
    pub(super) fn add(&mut self, row: &Row, now: Instant) {
        let Some(mac) = row.device().mac else {
            return;
        };
        let new = BothWays {
            up: row.up(),
            down: row.down(),
        };
        let sums = self.devices.entry(mac).or_default();
        sums.total += new;
        let Some(destination) = Destination::of(row) else {
            sums.other += new;
            return;
        };
        if let Some(series) = sums.destinations.get_mut(&destination) {
            series.traffic += new;
            series.alive_at = now;
            return;
        }
        let has_room = sums.len() < self.limits.per_device && self.count < Limits::MOST_IN_ALL;
        if !has_room {
            sums.other += new;
            return;
        }
        self.count += 1;
        let series = Series {
            traffic: new,
            alive_at: now,
        };
        sums.destinations.insert(destination, series);
    }

    /// Ends the series of destinations that were idle for long.
    pub(super) fn expire(&mut self, now: Instant) {
        let expiry = self.limits.expiry;
        for sums in self.devices.values_mut() {
            let Sums {
                destinations,
                expired,
                ..
            } = sums;
            destinations.retain(|_, series| {
                let is_alive = now.duration_since(series.alive_at) < expiry;
                if !is_alive {
                    *expired += series.traffic;
                    self.count -= 1;
                }
                is_alive
            });
        }
    }
}
