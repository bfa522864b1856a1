//! How far a generation's losses are told: figures beside its maps, so that whoever takes the maps over
//! tells what came after, and that once.

use std::path::Path;

use aya::maps::{Array, MapData, MapError};
use aya::pin::PinError;

use super::drain::{self, DrainError};

/// The figures' pin.
const NOTED: &str = "NOTED";

/// The generation's counters of losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounters {
    /// Samples that did not arrive.
    pub samples_dropped: u64,
    /// Frames of devices that a prefix tags and that found no room.
    pub prefix_frames: u64,
}

/// The figures.
pub struct Noted {
    map: Array<MapData, u64>,
    counters: LossCounters,
}

/// The figures can't be kept.
#[derive(Debug, thiserror::Error)]
#[error("note the losses that were told")]
pub enum NotedError {
    /// Their map can't be made or written.
    Map(#[from] MapError),
    /// It can't be pinned.
    Pin(#[from] PinError),
}

impl Noted {
    /// Pins figures of nothing in a folder.
    ///
    /// # Errors
    /// [`NotedError`].
    pub fn pin(folder: &Path) -> Result<(), NotedError> {
        let map: Array<MapData, u64> = Array::create(2, 0)?;
        Ok(map.pin(folder.join(NOTED))?)
    }

    /// Opens those that are pinned in a folder.
    ///
    /// # Errors
    /// [`DrainError::Open`].
    pub fn open(folder: &Path) -> Result<Self, DrainError> {
        let map: Array<MapData, u64> = drain::open(folder, NOTED)?;
        let figure = |index| map.get(&index, 0).unwrap_or_default();
        let counters = LossCounters {
            samples_dropped: figure(0),
            prefix_frames: figure(1),
        };
        Ok(Self { map, counters })
    }

    /// Returns the counters as they were when they were told last.
    #[must_use]
    pub const fn counters(&self) -> LossCounters {
        self.counters
    }

    /// Notes that these were told.
    ///
    /// # Errors
    /// [`NotedError::Map`].
    pub fn note(&mut self, counters: LossCounters) -> Result<(), NotedError> {
        if self.counters != counters {
            self.map.set(0, counters.samples_dropped, 0)?;
            self.map.set(1, counters.prefix_frames, 0)?;
            self.counters = counters;
        }
        Ok(())
    }
}
