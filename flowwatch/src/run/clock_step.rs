//! When the clock is set while flowwatch counts, every time so far moves with it.
//!
//! A gateway without a battery for its clock begins in 1970, and learns the time later. What was
//! counted until then is as long ago as it was, by the new clock. The window and what is pending for
//! the history move at the drain, where they are at rest.

use jiff::SignedDuration;

use super::Session;
use crate::console::tell;
use crate::kernel::clock::TickClock;

impl Session {
    /// Goes on by a new reading of the clocks.
    pub(super) fn take_up_clock(&mut self, clock: TickClock) {
        let step = clock.moment().step_since(self.clock.moment());
        self.clock = clock;
        let Some(step) = step else {
            return;
        };
        self.names.shift(step);
        self.following.shift(step);
        self.status.shift(step);
        self.supervised.shift(step);
        self.started_at = self.started_at.checked_add(step).unwrap_or(self.started_at);
        let before = self.clock_step.unwrap_or_default();
        self.clock_step = Some(before.saturating_add(step));
        tell(&told(step));
    }
}

fn told(step: SignedDuration) -> String {
    let direction = if step.is_negative() {
        "back"
    } else {
        "forward"
    };
    let length = step.unsigned_abs().as_secs();
    format!(
        "the clock was set {direction} by {length} s; what was counted before is told by the new time"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_with_its_direction() {
        let forward = told(SignedDuration::from_hours(2));
        assert!(forward.contains("set forward by 7200 s;"), "{forward}");
        let back = told(SignedDuration::from_secs(-3600));
        assert!(back.contains("set back by 3600 s;"), "{back}");
    }
}
