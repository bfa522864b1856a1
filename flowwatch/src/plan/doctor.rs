//! What `doctor` is to look at, and for how long it listens.

use std::path::PathBuf;
use std::time::Duration;

use super::{PlanError, Settings, check_devices, interfaces};
use crate::format::{FORMATS, FormatEntry};
use crate::kernel::attach::AttachMode;
use crate::model::{Device, PrefixTag};

/// Time for which devices are listened to, unless the user says otherwise.
pub const DEFAULT_LISTENING: Duration = Duration::from_secs(5);

/// Whether and for how long the user wants devices to be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// For so long.
    For(Duration),
    /// Not at all.
    Never,
}

/// What is to be looked at, complete and valid.
#[derive(Clone, Debug)]
pub struct DoctorPlan {
    /// Interfaces to look at, each once; without any, those that could be counted on.
    pub interfaces: Vec<String>,
    /// Tagged devices, as a run has them; there may be none.
    pub devices: Vec<Device>,
    /// Tags for devices that appear.
    pub prefixes: Vec<PrefixTag>,
    /// Databases of places.
    pub geo: Vec<PathBuf>,
    /// Whether the built-in database of places is used.
    pub uses_builtin_geo: bool,
    /// The history's file.
    pub history: Option<PathBuf>,
    /// Which hook is to take what devices send.
    pub attach: AttachMode,
    /// For how long devices are listened to: not at all where none is tagged, or no interface named.
    pub listen: Option<Duration>,
    /// Whether warnings fail, too.
    pub is_strict: bool,
    /// The output's format.
    pub format: &'static FormatEntry,
    /// The output's file; without it, standard output.
    pub output: Option<PathBuf>,
}

impl DoctorPlan {
    /// Makes the plan of settings; what else is set is not for a doctor.
    ///
    /// # Errors
    /// Those of interfaces and devices; that there are none is none.
    pub fn new(settings: Settings, listen: Option<Listen>) -> Result<Self, PlanError> {
        let has_devices = !(settings.devices.is_empty() && settings.prefixes.is_empty());
        if has_devices {
            check_devices(&settings.devices, &settings.prefixes)?;
        }
        let interfaces = if settings.interfaces.is_empty() {
            Vec::new()
        } else {
            interfaces::checked(settings.interfaces)?
        };
        let duration = match listen.unwrap_or(Listen::For(DEFAULT_LISTENING)) {
            Listen::For(duration) => Some(duration),
            Listen::Never => None,
        };
        Ok(Self {
            listen: duration.filter(|_| has_devices && !interfaces.is_empty()),
            interfaces,
            devices: settings.devices,
            prefixes: settings.prefixes,
            geo: settings.geo,
            uses_builtin_geo: settings.builtin_geo.unwrap_or(true),
            history: settings.history.file,
            attach: settings.attach.unwrap_or_default(),
            is_strict: false,
            format: settings.format.unwrap_or(&FORMATS[0]),
            output: settings.output,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_listened_to_where_there_are_some_and_interfaces_are_named() {
        let check = |interfaces: &[&str], devices: &[&str], listen, expected: Option<u64>| {
            let settings = Settings {
                interfaces: interfaces.iter().map(ToString::to_string).collect(),
                devices: devices.iter().map(|text| text.parse().unwrap()).collect(),
                ..Settings::default()
            };
            let plan = DoctorPlan::new(settings, listen).unwrap();
            assert_eq!(plan.listen, expected.map(Duration::from_secs));
        };
        let camera = "camera=2c:aa:8e:00:00:01";
        check(&[], &[], None, None);
        check(&["lan0"], &[], None, None);
        check(&[], &[camera], None, None);
        check(&["lan0"], &[camera], None, Some(5));
        check(&["lan0"], &[camera], Some(Listen::Never), None);
        let minute = Listen::For(Duration::from_mins(1));
        check(&["lan0"], &[camera], Some(minute), Some(60));
    }

    #[test]
    fn what_a_run_would_refuse_is_refused() {
        let settings = Settings {
            interfaces: vec!["a name too long for linux".to_owned()],
            ..Settings::default()
        };
        let error = DoctorPlan::new(settings, None).unwrap_err();
        assert!(matches!(error, PlanError::Interface(_)), "{error}");
    }
}
