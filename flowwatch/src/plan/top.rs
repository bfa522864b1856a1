//! What the live view is to show: the counting of a daemon, its own, or that of a capture.

use std::path::PathBuf;
use std::time::Duration;

use super::{CaptureTag, DEFAULT_INTERVAL, PlanError, ReplayPlan, Settings, ValueError};
use crate::live::Speed;

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
