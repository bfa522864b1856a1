//! The kernel's tick counter as wall-clock time.
//!
//! Counting reads the tick counter (jiffies), which costs one load; a clock costs more than the
//! rest of the parser. Each drain reads both, so clock steps and drift are taken up.

use std::time::Duration;

use aya::maps::{Array, MapData};
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use jiff::{SignedDuration, Timestamp};

/// A frame for the clock program to run on; the kernel wants one that is longer than a header.
const FRAME: [u8; 64] = [0; 64];

/// The clock could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The clock program did not run.
    #[error("run the clock program")]
    Run(#[source] aya::programs::ProgramError),
    /// Its map could not be read.
    #[error("read the clock map")]
    Read(#[source] aya::maps::MapError),
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickClock {
    tick: u64,
    at: Timestamp,
    tick_length: Duration,
}

impl TickClock {
    /// Returns the clock on which `tick` is now `at`.
    #[must_use]
    pub fn new(tick: u64, at: Timestamp, tick_length: Duration) -> Self {
        Self {
            tick,
            at,
            tick_length,
        }
    }

    /// Reads both clocks.
    ///
    /// # Errors
    /// [`ClockError`] when the kernel refuses to run the program or to show the map.
    pub fn read(program: &SchedClassifier, map: &Array<MapData, u64>) -> Result<Self, ClockError> {
        let options = TestRunOptions {
            data_in: Some(&FRAME),
            ..TestRunOptions::default()
        };
        program.test_run(options).map_err(ClockError::Run)?;
        let at = Timestamp::now();
        let tick = map.get(&0, 0).map_err(ClockError::Read)?;
        Ok(Self::new(tick, at, tick_length()))
    }

    /// Returns when a tick was. Ticks after the reading are in its future.
    #[must_use]
    pub fn time_of(&self, tick: u64) -> Timestamp {
        let ticks = i128::from(tick) - i128::from(self.tick);
        let nanoseconds = ticks.saturating_mul(self.tick_length.as_nanos().cast_signed());
        let clamped = nanoseconds.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        let offset = SignedDuration::from_nanos(clamped);
        self.at.checked_add(offset).unwrap_or(self.at)
    }
}

/// Returns the length of the kernel's tick: what the coarse clocks have as their resolution
/// (kernel/time/posix-timers.c, `KTIME_LOW_RES`).
#[expect(unsafe_code, reason = "clock_getres writes through a pointer")]
fn tick_length() -> Duration {
    let mut resolution = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec of this frame.
    let status = unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut resolution) };
    match u32::try_from(resolution.tv_nsec) {
        Ok(nanoseconds) if status == 0 && nanoseconds > 0 => {
            Duration::from_nanos(u64::from(nanoseconds))
        }
        // Cannot fail on Linux; 4 ms is what most distributions build with.
        _ => Duration::from_millis(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> TickClock {
        TickClock::new(
            1000,
            Timestamp::from_second(50).unwrap(),
            Duration::from_millis(4),
        )
    }

    #[test]
    fn a_tick_before_the_reading_is_in_its_past() {
        assert_eq!(clock().time_of(750), Timestamp::from_second(49).unwrap());
        assert_eq!(clock().time_of(1250), Timestamp::from_second(51).unwrap());
    }

    #[test]
    fn ticks_beyond_any_calendar_do_not_panic() {
        // 292 years are what nanoseconds in an i64 can say.
        assert!(clock().time_of(u64::MAX) > Timestamp::from_second(9_000_000_000).unwrap());
        let ancient = TickClock::new(u64::MAX, Timestamp::MIN, Duration::from_millis(4));
        assert_eq!(ancient.time_of(0), Timestamp::MIN);
    }

    #[test]
    fn the_kernel_says_how_long_a_tick_is() {
        let known = [1, 2, 3, 4, 10].map(Duration::from_millis);
        assert!(known.contains(&Duration::from_millis(tick_length().as_millis() as u64)));
    }
}
