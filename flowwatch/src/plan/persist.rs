//! Whether counting outlives the process, and where what that takes is kept.

use std::path::PathBuf;

use crate::history::RecorderOptions;
use crate::kernel::pins::DEFAULT_PIN_DIRECTORY;

/// Where a run says that it runs, unless the user says otherwise.
pub const DEFAULT_RUN_DIRECTORY: &str = "/run/flowwatch";

/// What one place says of it; unset is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistSettings {
    /// Whether counting outlives the process.
    pub persist: Option<bool>,
    /// The folder of the pins, on a BPF file system.
    pub pin_directory: Option<PathBuf>,
    /// The folder of what says that a flowwatch runs, and of the journal.
    pub run_directory: Option<PathBuf>,
}

impl PersistSettings {
    /// Returns these settings over others: what is said here wins.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            persist: self.persist.or(base.persist),
            pin_directory: self.pin_directory.or(base.pin_directory),
            run_directory: self.run_directory.or(base.run_directory),
        }
    }

    /// Returns the options, with the defaults of what is not said.
    #[must_use]
    pub fn options(&self) -> PersistOptions {
        let or_default = |folder: &Option<PathBuf>, default: &str| {
            folder.clone().unwrap_or_else(|| default.into())
        };
        PersistOptions {
            is_wanted: self.persist.unwrap_or_default(),
            pins: or_default(&self.pin_directory, DEFAULT_PIN_DIRECTORY),
            run_directory: or_default(&self.run_directory, DEFAULT_RUN_DIRECTORY),
        }
    }
}

/// Whether counting outlives the process, and where what that takes is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistOptions {
    /// Whether it does.
    pub is_wanted: bool,
    /// The folder of the pins, which another run may have, too.
    pub pins: PathBuf,
    /// The folder of what says that a flowwatch runs.
    pub run_directory: PathBuf,
}

/// What `flowwatch detach` is to do.
#[derive(Clone, Debug)]
pub struct DetachPlan {
    /// The folder of the pins.
    pub pins: PathBuf,
    /// The run directory.
    pub run_directory: PathBuf,
    /// Whether a flowwatch that runs is to be ended first.
    pub stops_running: bool,
    /// Where to record what was counted last; nothing when it is only told.
    pub history: Option<RecorderOptions>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_first_wins_and_what_nobody_says_has_a_default() {
        let line = PersistSettings {
            persist: Some(true),
            ..PersistSettings::default()
        };
        let file = PersistSettings {
            persist: Some(false),
            pin_directory: Some("/mnt/bpf/own".into()),
            run_directory: None,
        };
        let expected = PersistOptions {
            is_wanted: true,
            pins: "/mnt/bpf/own".into(),
            run_directory: "/run/flowwatch".into(),
        };
        assert_eq!(line.over(file).options(), expected);
        assert!(!PersistSettings::default().options().is_wanted);
    }
}
