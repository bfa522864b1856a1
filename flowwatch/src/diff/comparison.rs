//! The comparison of two sides: of each device, and of all devices together.

use jiff::Timestamp;

use super::{
    Destination, Difference, Kind, Octets, Remotes, Side,
    pairs::{Pair, pairs},
};
use crate::model::MacAddress;

/// Two sides, compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The first side.
    pub before: SideSummary,
    /// The second side.
    pub after: SideSummary,
    /// Which remotes were compared.
    pub remotes: Remotes,
    /// All devices together: one difference a kind, in the order of [`super::KINDS`].
    pub together: Vec<Difference>,
    /// Each device: in the order of the first side, then those that only the second has.
    pub devices: Vec<DeviceComparison>,
}

/// A side, summed.
#[derive(Clone, Debug)]
pub struct SideSummary {
    /// What the user calls it.
    pub label: String,
    /// What it was read from: `capture`, `history` or `document`.
    pub source: &'static str,
    /// When counting began.
    pub started_at: Timestamp,
    /// When counting ended.
    pub ended_at: Timestamp,
    /// How many devices there were.
    pub devices: usize,
    /// Whether nothing was counted, to or from any remote.
    pub is_empty: bool,
    /// Octets to and from the remotes that are compared.
    pub octets: Octets,
    /// Of these, those to and from remotes for which no name was seen.
    pub nameless: Octets,
}

/// A device, compared.
#[derive(Clone, Debug)]
pub struct DeviceComparison {
    /// Its name, on the second side where it is on both.
    pub name: String,
    /// Its MAC address, likewise.
    pub mac: Option<MacAddress>,
    /// Whether it is on the first side, and on the second.
    pub is_on: [bool; 2],
    /// One difference a kind, in the order of [`super::KINDS`].
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Returns the kinds in which a value is gone or new for some device.
    #[must_use]
    pub fn differing(&self) -> Vec<&'static Kind> {
        let differences = || self.devices.iter().flat_map(|device| &device.differences);
        let differs = |kind: &&Kind| {
            let mut of_kind = differences().filter(|difference| difference.kind.name == kind.name);
            of_kind.any(Difference::is_any)
        };
        let kinds = self.together.iter().map(|difference| difference.kind);
        kinds.filter(differs).collect()
    }
}

impl DeviceComparison {
    /// Returns whether a value is gone or new.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.differences.iter().any(Difference::is_any)
    }

    /// Returns whether it has a remote to compare on neither side.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut differences = self.differences.iter();
        differences.all(|difference| {
            difference.entries.is_empty() && difference.without == [Octets::default(); 2]
        })
    }
}

/// Compares two sides in these kinds.
#[must_use]
pub fn compare(
    before: &Side,
    after: &Side,
    (kinds, remotes): (&[&'static Kind], Remotes),
) -> Comparison {
    let differences = |sides: [Vec<&Destination>; 2]| -> Vec<Difference> {
        let kinds = kinds.iter().copied();
        kinds
            .map(|kind| Difference::of(kind, [&sides[0], &sides[1]]))
            .collect()
    };
    let devices = pairs(&before.devices, &after.devices);
    let devices = devices.into_iter().filter_map(|pair| {
        Some(DeviceComparison {
            differences: differences(pair.map(|device| {
                let remotes = device.map(|device| device.remotes(remotes));
                remotes.into_iter().flatten().collect()
            })),
            ..identity(pair)?
        })
    });
    Comparison {
        before: summary(before, remotes),
        after: summary(after, remotes),
        remotes,
        devices: devices.collect(),
        together: differences([before, after].map(|side| remotes_of(side, remotes))),
    }
}

fn remotes_of(side: &Side, remotes: Remotes) -> Vec<&Destination> {
    let devices = side.devices.iter();
    devices.flat_map(|device| device.remotes(remotes)).collect()
}

fn identity(pair: Pair<'_>) -> Option<DeviceComparison> {
    let [before, after] = pair;
    let device = after.or(before)?;
    Some(DeviceComparison {
        name: device.name.clone(),
        mac: device.mac,
        is_on: pair.map(|device| device.is_some()),
        differences: Vec::new(),
    })
}

fn summary(side: &Side, remotes: Remotes) -> SideSummary {
    let (mut octets, mut nameless) = (Octets::default(), Octets::default());
    for destination in remotes_of(side, remotes) {
        octets.add(destination.octets);
        if destination.names.is_empty() {
            nameless.add(destination.octets);
        }
    }
    SideSummary {
        label: side.label.clone(),
        source: side.source,
        started_at: side.started_at,
        ended_at: side.ended_at,
        devices: side.devices.len(),
        is_empty: side.is_empty(),
        octets,
        nameless,
    }
}
