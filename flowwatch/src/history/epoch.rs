//! What the recorder takes: one epoch's flows, and the totals as of its end.
//!
//! Made by whoever drains the kernel's tables; its generation and serial are what lets an epoch that
//! is handed over twice be counted once.

use jiff::{SignedDuration, Timestamp};

use crate::{
    model::Device,
    observation::{DeviceId, DeviceTotals, EpochFlow},
};

/// A set of kernel maps: random, made with the set. Totals are cumulative within one generation, and
/// its epochs are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GenerationId(pub u64);

/// One epoch of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Whose it is.
    pub generation: GenerationId,
    /// Its number: higher than that of every epoch of the generation that was taken before.
    pub serial: u64,
    /// When it ended. Its counts belong to the minute of this moment.
    pub ended_at: Timestamp,
    /// Whether no program counts into the generation any more, so that the totals must equal the sums
    /// of the flows.
    pub is_last: bool,
    /// What was counted. Devices are numbered as in `totals`; a flow of a device that isn't there has
    /// no owner and is left out.
    pub flows: Vec<EpochFlow>,
    /// Every device of the generation, with its totals since the generation was made.
    pub totals: Vec<(DeviceId, Device, DeviceTotals)>,
}

impl Epoch {
    /// Moves every time.
    pub(super) fn shift(&mut self, by: SignedDuration) {
        let flows = self.flows.iter_mut();
        let seen = flows.flat_map(|flow| [&mut flow.first_seen, &mut flow.last_seen]);
        for time in seen.chain([&mut self.ended_at]) {
            *time = time.checked_add(by).unwrap_or(*time);
        }
    }
}

impl GenerationId {
    /// Returns a number that no other set of maps has.
    #[must_use]
    pub fn random() -> Self {
        // The keys of the standard library's hasher are the system's random octets.
        let hasher = std::hash::RandomState::new();
        Self(std::hash::BuildHasher::hash_one(
            &hasher,
            std::process::id(),
        ))
    }
}
