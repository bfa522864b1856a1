//! The ticks at which the kernel's counters are read.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

/// Returns the ticks of an interval, the first of which is over: it is at once, and an epoch that has
/// only begun has nothing to drain.
pub(super) async fn interval_of(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    ticks
}
