//! What a run is to record: the settings of `[history]`, and the recorder's options made of them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{PersistSettings, ValueError, parse_duration};
use crate::history::{RecorderOptions, Retention};

/// The history that is read unless the user names another: the service's.
pub const DEFAULT_HISTORY: &str = "/var/lib/flowwatch/history.db";

/// Time between two transactions, unless the user says otherwise: an SD card is written as often.
pub const DEFAULT_RECORD_INTERVAL: Duration = Duration::from_mins(1);

/// Where the journal is, where the system has such a folder: in memory.
const JOURNAL: &str = "/run/flowwatch";

/// What one place says of the history; unset is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistorySettings {
    /// The history's file; without it, nothing is recorded.
    pub file: Option<PathBuf>,
    /// Time between two transactions.
    pub record_interval: Option<Duration>,
    /// The folder of what is not in the file yet.
    pub journal: Option<PathBuf>,
    /// For how long minutes are kept.
    pub minutes: Option<Duration>,
    /// For how long hours are kept.
    pub hours: Option<Duration>,
    /// For how long days are kept.
    pub days: Option<Duration>,
}

impl HistorySettings {
    /// Returns these settings over others: what is said here wins.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            file: self.file.or(base.file),
            record_interval: self.record_interval.or(base.record_interval),
            journal: self.journal.or(base.journal),
            minutes: self.minutes.or(base.minutes),
            hours: self.hours.or(base.hours),
            days: self.days.or(base.days),
        }
    }

    /// Returns how to record; nothing without a file. The journal is in the run directory, where
    /// the user named one and no other folder for it.
    #[must_use]
    pub fn into_options(self, persist: &PersistSettings) -> Option<RecorderOptions> {
        let history = self.file?;
        let kept = Retention::default();
        Some(RecorderOptions {
            journal: self
                .journal
                .or_else(|| persist.run_directory.clone())
                .unwrap_or_else(|| journal_of(&history)),
            interval: self.record_interval.unwrap_or(DEFAULT_RECORD_INTERVAL),
            retention: Retention {
                minutes: self.minutes.unwrap_or(kept.minutes),
                hours: self.hours.unwrap_or(kept.hours),
                days: self.days.unwrap_or(kept.days),
            },
            history,
        })
    }
}

/// Returns the journal's folder: in memory, or beside the history where there is no such place.
fn journal_of(history: &Path) -> PathBuf {
    let memory = Path::new(JOURNAL);
    if memory.parent().is_some_and(Path::is_dir) {
        return memory.to_owned();
    }
    let beside = history
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    beside.unwrap_or(Path::new(".")).to_owned()
}

/// Returns for how long something is to be kept, by a text such as `48h`, `60d` or `3y`.
///
/// # Errors
/// `Kept`.
pub fn parse_kept(text: &str) -> Result<Duration, ValueError> {
    const DAY: u32 = 24 * 60 * 60;
    let text = text.trim();
    let times = |number: &str, seconds: u32| {
        let number: u32 = number.trim().parse().ok().filter(|&number| number > 0)?;
        Some(Duration::from_secs(u64::from(number) * u64::from(seconds)))
    };
    let kept = match (text.strip_suffix('d'), text.strip_suffix('y')) {
        (Some(days), _) => times(days, DAY),
        (_, Some(years)) => times(years, 365 * DAY),
        _ => parse_duration(text).ok(),
    };
    kept.ok_or_else(|| ValueError::Kept(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_years_are_lengths_of_time_too() {
        let check = |text: &str, hours: Option<u64>| {
            let kept = parse_kept(text).ok();
            assert_eq!(kept, hours.map(Duration::from_hours), "{text}");
        };
        check("48h", Some(48));
        check("60d", Some(60 * 24));
        check("3y", Some(3 * 365 * 24));
        check("0d", None);
        check("-1d", None);
        check("d", None);
        check("99999999999y", None);
    }

    #[test]
    fn without_a_file_nothing_is_recorded() {
        assert!(
            HistorySettings::default()
                .into_options(&PersistSettings::default())
                .is_none()
        );
        let named = HistorySettings {
            file: Some("h.db".into()),
            hours: Some(Duration::from_hours(5)),
            ..HistorySettings::default()
        };
        let options = named.into_options(&PersistSettings::default()).unwrap();
        assert_eq!(options.interval, Duration::from_mins(1));
        assert_eq!(options.retention.hours, Duration::from_hours(5));
        assert_eq!(options.retention.days, Retention::default().days);
    }
}
