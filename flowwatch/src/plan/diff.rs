//! What a comparison is to do: its two sides as they were named, which devices, and in what.

use std::path::PathBuf;

use super::{DEFAULT_HISTORY, DeviceChoice, Settings};
use crate::{
    diff::{KINDS, Kind, Remotes},
    format::{FORMATS, FormatEntry},
};

/// What a comparison is to do.
#[derive(Clone, Debug)]
pub struct DiffPlan {
    /// Before and after, as they were named.
    pub sides: [String; 2],
    /// The history that spans without one are of.
    pub history: PathBuf,
    /// The devices that are compared; all where none is chosen.
    pub devices: Vec<DeviceChoice>,
    /// In what they are compared, in the order of [`KINDS`].
    pub kinds: Vec<&'static Kind>,
    /// Which remotes are.
    pub remotes: Remotes,
    /// Whether a difference is to be told by the exit status.
    pub tells_by_status: bool,
    /// Databases and tags of devices for captures.
    pub counting: Settings,
    /// The output's format.
    pub format: &'static FormatEntry,
    /// The output's file; without it, standard output.
    pub output: Option<PathBuf>,
}

impl DiffPlan {
    /// Makes the plan of all kinds and the internet's remotes, of settings in which those of a
    /// configuration file may be. What else is set is not for a comparison.
    #[must_use]
    pub fn new(sides: [String; 2], devices: Vec<DeviceChoice>, settings: Settings) -> Self {
        let history = settings.history.file.clone();
        Self {
            sides,
            history: history.unwrap_or_else(|| DEFAULT_HISTORY.into()),
            devices,
            kinds: KINDS.iter().collect(),
            remotes: Remotes::default(),
            tells_by_status: false,
            format: settings.format.unwrap_or(&FORMATS[0]),
            output: settings.output.clone(),
            counting: settings,
        }
    }
}
