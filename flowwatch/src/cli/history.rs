//! The options that say what `run` records.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::plan::{HistorySettings, parse_duration, parse_kept};

/// What is recorded, how often, and for how long it is kept.
#[derive(Args, Clone, Debug)]
pub struct HistoryArgs {
    /// Record what is counted in this SQLite file, for `report` and `diff`; it is made where there is
    /// none [example: --history /var/lib/flowwatch/history.db]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Time between two transactions of the history; what is counted in between is in the journal
    /// [default: 60s] [example: --record-interval 5m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    record_interval: Option<Duration>,

    /// The folder of the journal, best one in memory [default: /run/flowwatch, or beside the history
    /// where there is no /run] [example: --journal /run/flowwatch]
    #[arg(long, value_name = "FOLDER")]
    journal: Option<PathBuf>,

    /// For how long the history keeps minutes [default: 2d] [example: --keep-minutes 12h]
    #[arg(long, value_name = "DURATION", value_parser = parse_kept)]
    keep_minutes: Option<Duration>,

    /// For how long it keeps hours [default: 14d] [example: --keep-hours 60d]
    #[arg(long, value_name = "DURATION", value_parser = parse_kept)]
    keep_hours: Option<Duration>,

    /// For how long it keeps days, and what is known of destinations [default: 3y]
    /// [example: --keep-days 400d]
    #[arg(long, value_name = "DURATION", value_parser = parse_kept)]
    keep_days: Option<Duration>,
}

impl HistoryArgs {
    /// Returns what these options say.
    pub(super) fn settings(self) -> HistorySettings {
        HistorySettings {
            file: self.history,
            record_interval: self.record_interval,
            journal: self.journal,
            minutes: self.keep_minutes,
            hours: self.keep_hours,
            days: self.keep_days,
        }
    }
}
