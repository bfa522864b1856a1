//! A history that is written at times of the caller's: what was counted elsewhere, or generated.
//!
//! The recorder's transactions without its journal and its thread.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Epoch, HistoryError, Known, Retention, batch::Batch, catalogue::Catalogue, file,
    pending::Pending, recording,
};

/// A history, opened for writing at any time.
#[derive(Debug)]
pub struct Archive {
    connection: Connection,
    path: PathBuf,
    catalogue: Catalogue,
    pending: Pending,
}

impl Archive {
    /// Opens the history, or makes it.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        Ok(Self {
            connection: file::open_to_write(path)?,
            path: path.to_owned(),
            catalogue: Catalogue::default(),
            pending: Pending::default(),
        })
    }

    /// Adds an epoch that was not added before.
    pub fn add(&mut self, epoch: &Epoch) {
        self.pending.fold(epoch);
    }

    /// Writes what was added, as of `now`; removes what is older than `retention` lets it be, if that
    /// is given.
    ///
    /// # Errors
    /// When it can't be written; nothing of it is then, and what was added is gone.
    pub fn write(
        &mut self,
        known: &Known<'_>,
        now: Timestamp,
        retention: Option<&Retention>,
    ) -> Result<(), HistoryError> {
        let batch = Batch::of(&mut self.pending, known, now);
        let written =
            recording::write(&mut self.connection, &mut self.catalogue, &batch, retention);
        if written.is_err() {
            self.catalogue = Catalogue::default();
        }
        written.map_err(file::failed("write", &self.path))
    }
}
