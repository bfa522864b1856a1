//! What the live view is to show: the counting of a daemon, its own, or that of a capture.

use std::path::PathBuf;
use std::time::Duration;

use super::{
    CaptureTag, DEFAULT_INTERVAL, HistorySettings, PersistSettings, PlanError, ReplayPlan, RunPlan,
    Settings, ValueError,
};
use crate::export::ExportSettings;
use crate::live::Speed;
use crate::model::DeviceTag;

/// Where what is shown comes from.
#[derive(Clone, Debug)]
pub enum TopPlan {
    /// A capture.
    Capture(PlayPlan),
    /// A daemon, or the program's own counting.
    Counting(Box<WatchPlan>),
}

/// A counting that is to be watched: a daemon's where there is one.
#[derive(Clone, Debug)]
pub struct WatchPlan {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// Time between two updates, at least `MIN_INTERVAL`.
    pub interval: Duration,
    /// What to count where there is no daemon: told to nobody else, and not recorded.
    pub own: Result<RunPlan, PlanError>,
    /// Whether the command line says what to count, which a daemon doesn't go by.
    pub says_what_to_count: bool,
}

impl WatchPlan {
    /// Makes the plan of the command line's tags and settings and of a configuration file's.
    ///
    /// # Errors
    /// `ByAddress`; what is wrong with the own counting is known where there is to be one.
    pub fn new(tags: Vec<CaptureTag>, line: Settings, file: Settings) -> Result<Self, PlanError> {
        let tags: Vec<_> = tags
            .into_iter()
            .map(CaptureTag::on_lan)
            .collect::<Result<_, _>>()?;
        let (devices, prefixes) = DeviceTag::split(tags);
        let line = Settings {
            devices,
            prefixes,
            ..line
        };
        let says_what_to_count = !line.interfaces.is_empty()
            || !line.devices.is_empty()
            || !line.prefixes.is_empty()
            || line.attach.is_some()
            || line.flow_table_size.is_some();
        // A file says what a daemon does; the view's pace is the user's who looks at it.
        let interval = line.interval.unwrap_or(DEFAULT_INTERVAL);
        let settings = Settings {
            interval: Some(interval),
            duration: None,
            history: HistorySettings::default(),
            export: ExportSettings::default(),
            persist: PersistSettings::default(),
            ..line.over(file)
        };
        let socket = settings.socket.path().to_owned();
        let own = RunPlan::try_from(settings).map(|plan| RunPlan {
            socket: None,
            ..plan
        });
        Ok(Self {
            socket,
            interval,
            own,
            says_what_to_count,
        })
    }
}

/// A capture that is to be played.
#[derive(Clone, Debug)]
pub struct PlayPlan {
    /// Whose frames count, and where places are from.
    pub replay: ReplayPlan,
    /// How fast it is played at first.
    pub speed: Speed,
    /// Time between two updates, at least `MIN_INTERVAL`.
    pub interval: Duration,
}

impl PlayPlan {
    /// Makes the plan of the command line's tags and of settings, as `ReplayPlan` does.
    ///
    /// # Errors
    /// Those of devices.
    pub fn new(
        capture: PathBuf,
        tags: Vec<CaptureTag>,
        speed: Option<Speed>,
        settings: Settings,
    ) -> Result<Self, PlanError> {
        let interval = settings.interval.unwrap_or(DEFAULT_INTERVAL);
        Ok(Self {
            replay: ReplayPlan::new(capture, tags, settings)?,
            speed: speed.unwrap_or(Speed::Times(1.0)),
            interval,
        })
    }
}

/// Returns the speed that a text says: a number, or `max`.
///
/// # Errors
/// `Speed`.
pub fn parse_speed(text: &str) -> Result<Speed, ValueError> {
    if text == "max" {
        return Ok(Speed::Unbounded);
    }
    let times = text.parse::<f64>().ok();
    let times = times.filter(|times| times.is_finite() && *times > 0.0);
    times
        .map(Speed::Times)
        .ok_or_else(|| ValueError::Speed(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_more_than_none() {
        assert_eq!(parse_speed("max"), Ok(Speed::Unbounded));
        assert_eq!(parse_speed("0.5"), Ok(Speed::Times(0.5)));
        for text in ["", "0", "-1", "inf", "NaN", "fast", "2x"] {
            let error = parse_speed(text).unwrap_err().to_string();
            assert!(error.contains("write a number"), "{error}");
        }
    }
}
