//! The table `[history]` of the configuration file.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer};

use super::{duration, parsed};
use crate::plan::{HistorySettings, parse_kept};

/// The table's keys.
pub(super) const KEYS: &[&str] = &[
    "file",
    "record_interval",
    "journal",
    "minutes",
    "hours",
    "days",
];

/// The table, as the file has it.
#[derive(Default, Deserialize)]
pub(super) struct HistoryTable {
    file: Option<PathBuf>,
    #[serde(default, deserialize_with = "duration")]
    record_interval: Option<Duration>,
    journal: Option<PathBuf>,
    #[serde(default, deserialize_with = "kept")]
    minutes: Option<Duration>,
    #[serde(default, deserialize_with = "kept")]
    hours: Option<Duration>,
    #[serde(default, deserialize_with = "kept")]
    days: Option<Duration>,
}

impl HistoryTable {
    /// Returns what the table says; paths are relative to the folder.
    pub(super) fn into_settings(self, folder: &Path) -> HistorySettings {
        HistorySettings {
            file: self.file.map(|path| folder.join(path)),
            record_interval: self.record_interval,
            journal: self.journal.map(|path| folder.join(path)),
            minutes: self.minutes,
            hours: self.hours,
            days: self.days,
        }
    }
}

fn kept<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    parsed(deserializer, parse_kept)
}
