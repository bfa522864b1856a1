//! A generation that no program counts into any more: what is left to drain of it, by what its
//! descriptor says, whichever version made it.

use std::collections::BTreeMap;
use std::io;

use super::batch::Access;
use super::descriptor::{DescriptorError, Tags};
use super::drain::{Drain, DrainError, TABLES};
use super::layout::Layout;
use super::pins::{PinnedGeneration, PinsError};
use super::raw_map::RawMap;
use crate::observation::{DeviceId, DeviceTotals, DirectionTotals};

/// The pin of the devices' totals.
const TOTALS: &str = "DEVICE_COUNTERS";
/// The pin of the devices that appeared.
const FOUND: &str = "FOUND_DEVICES";
/// Devices that are looked for: more than there are numbers.
const MOST_FOUND: usize = 1 << 16;

/// What is left of a generation.
pub struct Retired {
    /// Its number.
    pub generation: u64,
    /// The history that its counts are for, by its own number.
    pub history: u64,
    /// Its flow tables.
    pub drain: Drain,
    /// What was counted.
    pub tags: Tags,
    layout: Layout,
    totals: RawMap,
    found: RawMap,
}

/// A generation can't be drained.
#[derive(Debug, thiserror::Error)]
pub enum RetiredError {
    /// Its maps are not as it says.
    #[error("{0}")]
    Pins(#[from] PinsError),
    /// Its tables can't be opened.
    #[error("{0}")]
    Drain(#[from] DrainError),
    /// Its totals or devices can't be read.
    #[error("read the pinned map `{name}`")]
    Read {
        /// The map.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Retired {
    /// Opens a generation's maps.
    ///
    /// # Errors
    /// [`RetiredError`] when they are not there, or not as the descriptor says.
    pub fn open(pinned: &PinnedGeneration) -> Result<Self, RetiredError> {
        let folder = &pinned.folder;
        let not_understood = |why| PinsError::NotUnderstood {
            folder: folder.clone(),
            why,
        };
        let open = |name: &'static str| {
            let map = RawMap::open(&folder.join(name));
            map.map_err(|error| not_understood(DescriptorError::Read(error)))
        };
        let layout = pinned.descriptor.layout.clone();
        let (flows, totals, found) = (&layout.flows, &layout.totals, &layout.found);
        let totals_map = open(TOTALS)?;
        let found_map = open(FOUND)?;
        let key_and_value = |key: u16, value: u16| (usize::from(key), usize::from(value));
        let is_as_told = totals_map.octets() == key_and_value(4, totals.value_octets)
            && found_map.octets() == key_and_value(found.key_octets, found.value_octets)
            && open(TABLES[0])?.octets() == key_and_value(flows.key_octets, flows.value_octets)
            && open(TABLES[1])?.octets() == key_and_value(flows.key_octets, flows.value_octets);
        if !is_as_told {
            return Err(not_understood(DescriptorError::Maps).into());
        }
        Ok(Self {
            generation: pinned.descriptor.generation,
            history: pinned.descriptor.history,
            drain: Drain::resume(folder, Access::Batch, Some(layout.flows))?,
            tags: pinned.descriptor.tags.clone(),
            layout,
            totals: totals_map,
            found: found_map,
        })
    }

    /// Returns the devices that appeared: their addresses by their numbers.
    ///
    /// # Errors
    /// [`RetiredError::Read`].
    pub fn found(&self) -> Result<BTreeMap<DeviceId, [u8; 6]>, RetiredError> {
        let mut devices = BTreeMap::new();
        let walked = self.found.walk(MOST_FOUND, &mut |key, value| {
            devices.extend(self.layout.found.device_of(key, value));
        });
        let name = FOUND;
        walked.map_err(|source| RetiredError::Read { name, source })?;
        Ok(devices)
    }

    /// Returns a device's totals.
    ///
    /// # Errors
    /// [`RetiredError::Read`].
    pub fn totals(&self, device: DeviceId) -> Result<DeviceTotals, RetiredError> {
        let layout = &self.layout.totals;
        Ok(DeviceTotals {
            up: self.direction(device, layout.up)?,
            down: self.direction(device, layout.down)?,
        })
    }

    fn direction(&self, device: DeviceId, entry: u32) -> Result<DirectionTotals, RetiredError> {
        let layout = &self.layout.totals;
        let index = u32::from(device).checked_mul(layout.entries);
        let index = index.and_then(|index| index.checked_add(entry));
        let values = self.totals.element(index.unwrap_or(u32::MAX));
        let name = TOTALS;
        let values = values.map_err(|source| RetiredError::Read { name, source })?;
        Ok(values
            .and_then(|values| layout.totals_of(&values))
            .unwrap_or_default())
    }
}
