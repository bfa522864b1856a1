//! Octets a second, both ways: of the last update, smoothed, and as they were before.
//!
//! Fed once an update by `world`; drawn as numbers and as a sparkline.

use std::collections::VecDeque;

use crate::observation::Traffic;

/// Samples of a history: one an update.
pub(super) const SAMPLES: usize = 120;
/// Seconds in which a smoothed rate forgets all but a third of what was before.
const MEMORY: f64 = 3.0;

/// Octets a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) up: f64,
    pub(super) down: f64,
}

impl Rate {
    /// Returns the rate of traffic that took so many seconds.
    pub(super) fn of((up, down): (u64, u64), seconds: f64) -> Self {
        let per_second = |octets: u64| as_f64(octets) / seconds;
        Self {
            up: per_second(up),
            down: per_second(down),
        }
    }

    /// Returns the octets that were added since a count before.
    pub(super) fn added(now: (Traffic, Traffic), before: (Traffic, Traffic)) -> (u64, u64) {
        (
            now.0.octets.saturating_sub(before.0.octets),
            now.1.octets.saturating_sub(before.1.octets),
        )
    }

    pub(super) fn total(self) -> f64 {
        self.up + self.down
    }

    /// Returns both rates times a factor.
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self {
            up: self.up * factor,
            down: self.down * factor,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            up: self.up + other.up,
            down: self.down + other.down,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates are for the eye")]
pub(super) fn as_f64(octets: u64) -> f64 {
    octets as f64
}

/// Returns what is left of a smoothed rate after so many seconds.
pub(super) fn kept_after(seconds: f64) -> f64 {
    (-seconds / MEMORY).exp()
}

/// The rates of the last updates, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Rate>,
}

impl History {
    pub(super) fn push(&mut self, rate: Rate) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(rate);
    }

    /// Returns the last rate; none where there was none.
    pub(super) fn last(&self) -> Rate {
        self.samples.back().copied().unwrap_or_default()
    }

    /// Returns the newest samples, at most so many, the oldest first.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = Rate> + '_ {
        let skipped = self.samples.len().saturating_sub(count);
        self.samples.iter().skip(skipped).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(rate: f64) -> Rate {
        Rate {
            up: rate,
            down: 0.0,
        }
    }

    #[test]
    fn a_history_keeps_the_newest_samples() {
        let mut history = History::default();
        (0..200_u32).for_each(|n| history.push(up(n.into())));
        let newest: Vec<_> = history.newest(2).map(|rate| rate.up).collect();
        assert_eq!(newest, [198.0, 199.0]);
        assert_eq!(history.newest(999).count(), SAMPLES);
        assert_eq!(history.last(), up(199.0));
    }

    #[test]
    fn a_smoothed_rate_falls_to_a_third_in_its_memory() {
        let kept = kept_after(MEMORY);
        assert!((0.36..0.37).contains(&kept), "{kept}");
    }

    #[test]
    fn a_counter_that_went_back_adds_nothing() {
        let octets = |octets| Traffic { packets: 1, octets };
        let added = Rate::added((octets(9), octets(5)), (octets(4), octets(7)));
        assert_eq!(added, (5, 0));
    }
}
