//! The difference in one kind: each value once, with its octets on both sides.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Destination, Kind};

/// Octets of IP packets in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Octets {
    /// From the device.
    #[serde(rename = "up_octets")]
    pub up: u64,
    /// To the device.
    #[serde(rename = "down_octets")]
    pub down: u64,
}

/// What became of a value from the first side to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is on the first side alone.
    Gone,
    /// It is on the second side alone.
    New,
    /// It is on both.
    Kept,
}

/// A value of one kind, and what it stood for on each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value: exact, as it came.
    pub value: Arc<str>,
    /// What people call it, where that is something else: of a country, its name.
    pub title: Option<Arc<str>>,
    /// Its octets on the first side; nothing where it isn't there.
    pub before: Option<Octets>,
    /// Its octets on the second side, likewise.
    pub after: Option<Octets>,
    /// The names that its destinations went by on the first side, where the kind has them.
    pub names_before: BTreeSet<Arc<str>>,
    /// The names on the second side.
    pub names_after: BTreeSet<Arc<str>>,
}

/// All values of one kind that are on either side.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The kind.
    pub kind: &'static Kind,
    /// The values: those that are gone, then the new ones, then those that are kept, of which those
    /// under other names come first; else the one with the most octets does.
    pub entries: Vec<Entry>,
    /// Octets of destinations that stand for no value: first side, second side.
    pub without: [Octets; 2],
}

impl Change {
    /// Every change, in the order of every format.
    pub const ALL: [Self; 3] = [Self::Gone, Self::New, Self::Kept];

    /// Returns its name, a key of the `json` format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::New => "new",
            Self::Kept => "kept",
        }
    }
}

impl Octets {
    pub(super) fn add(&mut self, other: Self) {
        self.up = self.up.saturating_add(other.up);
        self.down = self.down.saturating_add(other.down);
    }

    /// Returns the sum of several.
    #[must_use]
    pub fn sum_of(several: impl Iterator<Item = Self>) -> Self {
        several.fold(Self::default(), |mut sum, octets| {
            sum.add(octets);
            sum
        })
    }

    /// Returns the octets of both directions.
    #[must_use]
    pub const fn sum(self) -> u64 {
        self.up.saturating_add(self.down)
    }
}

impl Entry {
    /// Returns what became of it.
    #[must_use]
    pub const fn change(&self) -> Change {
        match (self.before, self.after) {
            (Some(_), Some(_)) => Change::Kept,
            (Some(_), None) => Change::Gone,
            (None, _) => Change::New,
        }
    }

    /// Returns its octets on the side that it is on; on the second, where it is on both.
    #[must_use]
    pub fn octets(&self) -> Octets {
        self.after.or(self.before).unwrap_or_default()
    }

    /// Returns whether it is on both sides, under other names on the second.
    #[must_use]
    pub fn is_renamed(&self) -> bool {
        self.change() == Change::Kept && self.names_before != self.names_after
    }
}

impl Difference {
    /// Compares the destinations of both sides.
    pub(super) fn of(kind: &'static Kind, sides: [&[&Destination]; 2]) -> Self {
        let mut values: BTreeMap<Arc<str>, Entry> = BTreeMap::new();
        let mut without = [Octets::default(); 2];
        for (position, destinations) in sides.into_iter().enumerate() {
            for destination in destinations {
                let stands_for = (kind.values)(destination);
                if stands_for.is_empty() {
                    without[position].add(destination.octets);
                }
                for (rank, value) in stands_for.into_iter().enumerate() {
                    let entry = values.entry(value);
                    let entry = entry.or_insert_with_key(Entry::new);
                    entry.add(kind, position, destination, rank == 0);
                }
            }
        }
        let mut entries: Vec<_> = values.into_values().collect();
        // Stable: values of as many octets stay in their order.
        entries.sort_by_key(|entry| {
            let octets = entry.octets().sum();
            (
                entry.change() as u8,
                !entry.is_renamed(),
                std::cmp::Reverse(octets),
            )
        });
        Self {
            kind,
            entries,
            without,
        }
    }

    /// Returns the values of which this became.
    pub fn with(&self, change: Change) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter();
        entries.filter(move |entry| entry.change() == change)
    }

    /// Returns whether a value is gone or new.
    #[must_use]
    pub fn is_any(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.change() != Change::Kept)
    }

    /// Returns the octets of all destinations: first side, second side.
    #[must_use]
    pub fn totals(&self) -> [Octets; 2] {
        let [mut before, mut after] = self.without;
        before.add(Octets::sum_of(
            self.entries.iter().filter_map(|entry| entry.before),
        ));
        after.add(Octets::sum_of(
            self.entries.iter().filter_map(|entry| entry.after),
        ));
        [before, after]
    }
}

impl Entry {
    fn new(value: &Arc<str>) -> Self {
        Self {
            value: Arc::clone(value),
            title: None,
            before: None,
            after: None,
            names_before: BTreeSet::new(),
            names_after: BTreeSet::new(),
        }
    }

    /// Adds a destination of a side. One that stands for several values counts under the first, so
    /// that no octet counts twice; the others are there all the same.
    fn add(&mut self, kind: &Kind, side: usize, destination: &Destination, has_octets: bool) {
        let (octets, names) = match side {
            0 => (&mut self.before, &mut self.names_before),
            _ => (&mut self.after, &mut self.names_after),
        };
        let octets = octets.get_or_insert_default();
        if has_octets {
            octets.add(destination.octets);
        }
        if kind.has_names {
            names.extend(destination.names.iter().cloned());
        }
        if let Some(title) = (kind.title)(destination) {
            self.title = Some(title);
        }
    }
}
