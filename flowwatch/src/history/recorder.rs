//! The recorder: takes epochs over from the kernel's tables for good.
//!
//! Fed by `run` after each drain; what is pending goes to the history once a record interval.

use std::collections::HashMap;

use super::{Epoch, GenerationId, HistoryError};

/// Takes epochs over and records them.
#[derive(Debug, Default)]
pub struct Recorder {
    pending: Vec<Epoch>,
    taken: HashMap<GenerationId, u64>,
}

impl Recorder {
    /// Takes an epoch over. When this returns `Ok`, the epoch survives the process's death, and the
    /// kernel's quiet table may be emptied. An epoch that was taken before is left out.
    ///
    /// # Errors
    /// When the journal can't be written: the epoch is not taken, and the quiet table has to keep it.
    pub fn take(&mut self, epoch: Epoch) -> Result<(), HistoryError> {
        let last = self.last_taken(epoch.generation);
        if last.is_none_or(|last| epoch.serial > last) {
            self.taken.insert(epoch.generation, epoch.serial);
            self.pending.push(epoch);
        }
        Ok(())
    }

    /// Returns the highest serial of the generation that was taken, whether it is in the journal or
    /// already in the history.
    #[must_use]
    pub fn last_taken(&self, generation: GenerationId) -> Option<u64> {
        self.taken.get(&generation).copied()
    }
}
