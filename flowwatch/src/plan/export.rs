//! What a run is to export: the setting that no sink has for itself.

use std::time::Duration;

use super::parse_duration;
use crate::export::TargetError;

/// The least time between two deliveries.
const MIN_EXPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Returns the time between two deliveries that a text says.
///
/// # Errors
/// Where it is none, or too short.
pub fn parse_export_interval(text: &str) -> Result<Duration, TargetError> {
    let Ok(interval) = parse_duration(text) else {
        return Err(TargetError::new(
            text,
            "is not a length of time; write a number with a unit: 10s, 1m or 1h",
        ));
    };
    if interval < MIN_EXPORT_INTERVAL {
        return Err(TargetError::new(text, "is too short; the least is 1s"));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_interval_is_a_second_at_least() {
        let check = |text: &str, expected: Result<u64, &str>| {
            let interval = parse_export_interval(text).map(|it| it.as_secs());
            let interval = interval.map_err(|error| error.to_string());
            assert_eq!(interval, expected.map_err(str::to_owned));
        };
        check("1s", Ok(1));
        check("5m", Ok(300));
        check("999ms", Err("`999ms` is too short; the least is 1s"));
        let none = "`soon` is not a length of time; write a number with a unit: 10s, 1m or 1h";
        check("soon", Err(none));
    }
}
