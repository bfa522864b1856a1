//! What is said of a sink that can't deliver: at once, then at most once an hour, and once when it can
//! again.
//!
//! Pure: the caller brings the time and the failures, and says what it gets.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two complaints of one trouble.
const PATIENCE: Duration = Duration::from_hours(1);

/// What was said of a trouble.
#[derive(Debug, Default)]
pub struct Complaint {
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    said_at: Instant,
    failures: u64,
}

impl Complaint {
    /// Takes up a failure; returns what to say of it, if anything.
    pub fn failed(&mut self, error: &str, now: Instant) -> Option<String> {
        let Some(trouble) = &mut self.trouble else {
            self.trouble = Some(Trouble {
                since: now,
                said_at: now,
                failures: 1,
            });
            return Some(error.to_owned());
        };
        trouble.failures += 1;
        if now.duration_since(trouble.said_at) < PATIENCE {
            return None;
        }
        trouble.said_at = now;
        let (failures, hours) = (
            trouble.failures,
            now.duration_since(trouble.since).as_secs() / 3600,
        );
        Some(format!(
            "{error} (for {hours} h now; {failures} attempts failed)"
        ))
    }

    /// Takes up a success; returns what to say of it, if there was trouble.
    pub fn recovered(&mut self, now: Instant) -> Option<String> {
        let trouble = self.trouble.take()?;
        let seconds = now.duration_since(trouble.since).as_secs();
        Some(format!(
            "delivers again after {seconds} s and {} failed attempts",
            trouble.failures
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_at_once_then_hourly_and_its_end_once() {
        let (mut complaint, start) = (Complaint::default(), Instant::now());
        let at = |minutes: u64| start + Duration::from_mins(minutes);
        assert_eq!(complaint.recovered(at(0)), None, "there was no trouble");
        assert_eq!(complaint.failed("refused", at(0)), Some("refused".into()));
        assert_eq!(complaint.failed("refused", at(59)), None);
        let hourly = complaint.failed("refused", at(61)).unwrap();
        assert_eq!(hourly, "refused (for 1 h now; 3 attempts failed)");
        assert_eq!(complaint.failed("refused", at(90)), None);
        let again = complaint.recovered(at(91)).unwrap();
        assert_eq!(again, "delivers again after 5460 s and 4 failed attempts");
        assert_eq!(complaint.recovered(at(92)), None);
        assert_eq!(complaint.failed("gone", at(93)), Some("gone".into()));
    }
}
