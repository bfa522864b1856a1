//! What a census is to do: where to look, for how long, and what is tagged already.

use std::path::PathBuf;
use std::time::Duration;

use super::{PlanError, Settings, check_devices, interfaces};
use crate::format::{FORMATS, FormatEntry};
use crate::model::TaggedDevices;

/// Time that a census takes, unless the user says otherwise.
pub const DEFAULT_CENSUS: Duration = Duration::from_secs(10);

/// Where a census looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CensusSource {
    /// At these interfaces, for so long.
    Interfaces(Vec<String>, Duration),
    /// In this capture; `-` is standard input.
    Capture(PathBuf),
}

/// What a census is to do, complete and valid.
#[derive(Clone, Debug)]
pub struct DevicesPlan {
    /// Where it looks.
    pub source: CensusSource,
    /// What is tagged.
    pub tags: TaggedDevices,
    /// Files of leases beside those that are found where servers have them.
    pub leases: Vec<PathBuf>,
    /// The output's format.
    pub format: &'static FormatEntry,
    /// The output's file; without it, standard output.
    pub output: Option<PathBuf>,
}

impl DevicesPlan {
    /// Makes the plan of settings; what else is set is not for a census.
    ///
    /// # Errors
    /// Those of interfaces and devices; `no device` is none.
    pub fn new(
        settings: Settings,
        capture: Option<PathBuf>,
        leases: Vec<PathBuf>,
    ) -> Result<Self, PlanError> {
        if !(settings.devices.is_empty() && settings.prefixes.is_empty()) {
            check_devices(&settings.devices, &settings.prefixes)?;
        }
        let source = match capture {
            Some(capture) => CensusSource::Capture(capture),
            None => CensusSource::Interfaces(
                interfaces::checked(settings.interfaces)?,
                settings.duration.unwrap_or(DEFAULT_CENSUS),
            ),
        };
        Ok(Self {
            source,
            tags: TaggedDevices::new(&settings.devices, &settings.prefixes),
            leases,
            format: settings.format.unwrap_or(&FORMATS[0]),
            output: settings.output,
        })
    }
}
