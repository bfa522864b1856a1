//! The progress of a replay: one line on a terminal, for captures that take a while.

use std::time::{Duration, Instant};

use crate::console;
use crate::format::grouped;

/// Time before the line is first shown, and between two of its changes.
const PERIOD: Duration = Duration::from_millis(250);
/// Packets between two looks at the clock.
const LOOK_EVERY: u64 = 1 << 14;

/// The line, and when it was last changed.
pub(super) struct Progress {
    is_shown: bool,
    /// The capture's octets, where they are known.
    size: Option<u64>,
    started: Instant,
    changed: Instant,
}

impl Progress {
    /// Returns a line that shows itself when standard error is a terminal.
    pub(super) fn new(size: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            is_shown: console::has_status_line(),
            size,
            started: now,
            changed: now,
        }
    }

    /// Shows how far the reading has come, if it is time.
    #[inline]
    pub(super) fn show(&mut self, packets: u64, octets: u64) {
        if self.is_shown && packets.is_multiple_of(LOOK_EVERY) {
            self.look(packets, octets);
        }
    }

    #[cold]
    fn look(&mut self, packets: u64, octets: u64) {
        let now = Instant::now();
        if now.duration_since(self.changed) >= PERIOD {
            self.changed = now;
            let elapsed = now.duration_since(self.started);
            console::show_parts(&parts(self.size, packets, octets, elapsed));
        }
    }
}

/// Returns what there is to say, the most important first.
#[expect(clippy::cast_precision_loss, reason = "figures for the eye")]
fn parts(size: Option<u64>, packets: u64, octets: u64, elapsed: Duration) -> Vec<String> {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = packets as f64 / seconds / 1e6;
    let mut parts = vec![
        format!("{} packets", grouped(packets)),
        format!("{rate:.1} million a second"),
    ];
    if let Some(size) = size {
        let share = octets as f64 / size.max(1) as f64;
        parts.insert(0, format!("{:.0} %", 100.0 * share.min(1.0)));
        let left = elapsed
            .as_secs()
            .saturating_mul(size.saturating_sub(octets))
            / octets.max(1);
        parts.push(format!("{}:{:02} left", left / 60, left % 60));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_share_packets_rate_and_time_left() {
        let line = parts(Some(800), 6_000_000, 200, Duration::from_secs(2));
        let expected = [
            "25 %",
            "6,000,000 packets",
            "3.0 million a second",
            "0:06 left",
        ];
        assert_eq!(line, expected);
        let line = parts(None, 1, 16, Duration::ZERO);
        assert_eq!(line, ["1 packets", "0.0 million a second"]);
    }
}
