//! The devices that the programs found by how their addresses begin.
//!
//! The loader fills the maps before any program runs; `run` reads what was found after each drain,
//! so that every device with counts is known by then.

use std::collections::BTreeMap;
use std::ops::Range;

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, Stack};
use aya::{Ebpf, EbpfLoader};
use flowwatch_common::abi::MAX_DEVICES;
use flowwatch_common::prefix::{MAX_FOUND_DEVICES, PrefixRule, PrefixRules};

use super::load::LoadError;
use crate::observation::DeviceId;

/// Returns how many devices can be found beside those whose addresses are tagged.
#[must_use]
pub fn room(tagged: usize, rules: usize) -> u32 {
    if rules == 0 {
        return 0;
    }
    MAX_FOUND_DEVICES.min(MAX_DEVICES.saturating_sub(tagged) as u32)
}

/// Sets the maps' sizes and the number of rules.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the loader keeps the reference"
)]
pub(super) fn size<'a>(loader: &mut EbpfLoader<'a>, rules: &'a u32, room: u32) {
    loader
        .override_global("PREFIX_COUNT", rules, true)
        .map_max_entries("FOUND_DEVICES", room.max(1))
        .map_max_entries("FREE_NUMBERS", room.max(1));
}

/// Writes the rules.
pub(super) fn fill_rules(ebpf: &mut Ebpf, rules: &[PrefixRule]) -> Result<(), LoadError> {
    let name = "PREFIXES";
    let map = ebpf.map_mut(name).ok_or(LoadError::Missing(name))?;
    let filled = Array::<_, PrefixRules>::try_from(map)
        .and_then(|mut prefixes| prefixes.set(0, PrefixRules::new(rules), 0));
    filled.map_err(|source| LoadError::Fill { name, source })
}

/// Writes the numbers for the devices that match the rules.
pub(super) fn fill_numbers(ebpf: &mut Ebpf, numbers: Range<u32>) -> Result<(), LoadError> {
    let name = "FREE_NUMBERS";
    let failed = |source| LoadError::Fill { name, source };
    let map = ebpf.map_mut(name).ok_or(LoadError::Missing(name))?;
    let mut free: Stack<_, u32> = map.try_into().map_err(failed)?;
    for number in numbers.rev() {
        free.push(number, 0).map_err(failed)?;
    }
    Ok(())
}

/// The devices found so far.
pub struct FoundDevices {
    /// Numbers by address.
    pub(super) numbers: HashMap<MapData, u64, u32>,
    /// Frames of devices that found no room.
    pub(super) no_room: PerCpuArray<MapData, u64>,
    /// How many can be found: none, when there are no rules.
    pub(super) room: u32,
}

impl FoundDevices {
    /// Returns the devices found so far: their addresses by their numbers.
    ///
    /// # Errors
    /// The map's error.
    pub fn read(&self) -> Result<BTreeMap<DeviceId, [u8; 6]>, MapError> {
        let mut found = BTreeMap::new();
        // An insertion meanwhile can make the walk begin anew; it must end all the same.
        for entry in self.numbers.iter().take(self.room as usize * 4) {
            let (mac, number) = entry?;
            let [a, b, c, d, e, f, _, _] = mac.to_le_bytes();
            found.insert(number as DeviceId, [a, b, c, d, e, f]);
        }
        Ok(found)
    }

    /// Returns the frames of devices that a rule matches and that found no room. A figure that can't
    /// be read is no reason to stop.
    #[must_use]
    pub fn frames_without_room(&self) -> u64 {
        let values = self.no_room.get(&0, 0);
        values.map_or(0, |values| values.iter().sum())
    }
}
