//! The kernel's tick counter as wall-clock time.
//!
//! Counting reads the tick counter (jiffies), which costs one load; a clock costs more than the
//! rest of the parser. Each drain reads both, and the clock that nobody sets, so that a clock that
//! was set is known from one that went on: counts of before can then follow it.

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

/// A difference that is smaller than this is the clock's being steered, not set.
const LEAST_STEP: SignedDuration = SignedDuration::from_secs(1);

/// Readings of the clocks before one is taken that something came in between of.
const READINGS: usize = 8;

/// Between the readings of the two clocks of one moment, at most, where it can be had.
const CLOSE: Duration = Duration::from_micros(50);

/// One moment by the wall clock, which can be set, and by the time since the machine started, which
/// can't: it goes on at the same rate, also while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    at: Timestamp,
    since_boot: Duration,
}

impl Moment {
    /// Returns the moment of these two times.
    #[must_use]
    pub const fn new(at: Timestamp, since_boot: Duration) -> Self {
        Self { at, since_boot }
    }

    /// Returns this moment.
    #[must_use]
    pub fn now() -> Self {
        let mut before = since_boot();
        let mut at = Timestamp::now();
        for _ in 1..READINGS {
            if since_boot().saturating_sub(before) <= CLOSE {
                break;
            }
            before = since_boot();
            at = Timestamp::now();
        }
        Self::new(at, before)
    }

    /// Returns what time it is now by this moment's clock, whatever it was set to since.
    #[must_use]
    pub fn time_now(&self) -> Timestamp {
        let passed = since_boot().saturating_sub(self.since_boot);
        self.at.checked_add(passed).unwrap_or(self.at)
    }

    /// Returns by how much the wall clock was set since an earlier moment; nothing where it just
    /// went on.
    #[must_use]
    pub fn step_since(&self, earlier: &Self) -> Option<SignedDuration> {
        let by_wall = self.at.duration_since(earlier.at);
        let passed = SignedDuration::try_from(self.since_boot)
            .ok()?
            .checked_sub(SignedDuration::try_from(earlier.since_boot).ok()?)?;
        let step = by_wall.checked_sub(passed)?;
        (step.abs() >= LEAST_STEP).then_some(step)
    }
}

/// One moment on all clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickClock {
    tick: u64,
    moment: Moment,
    tick_length: Duration,
}

impl TickClock {
    /// Returns the clock on which `tick` is now `moment`.
    #[must_use]
    pub const fn new(tick: u64, moment: Moment, tick_length: Duration) -> Self {
        Self {
            tick,
            moment,
            tick_length,
        }
    }

    /// Returns the moment of the reading.
    #[must_use]
    pub const fn moment(&self) -> &Moment {
        &self.moment
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
        let moment = Moment::now();
        let tick = map.get(&0, 0).map_err(ClockError::Read)?;
        Ok(Self::new(tick, moment, tick_length()))
    }

    /// Returns when a tick was. Ticks after the reading are in its future.
    #[must_use]
    pub fn time_of(&self, tick: u64) -> Timestamp {
        let ticks = i128::from(tick) - i128::from(self.tick);
        let nanoseconds = ticks.saturating_mul(self.tick_length.as_nanos().cast_signed());
        let clamped = nanoseconds.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        let offset = SignedDuration::from_nanos(clamped);
        let at = self.moment.at;
        at.checked_add(offset).unwrap_or(at)
    }
}

/// Returns the time since the machine started, sleep included.
#[expect(unsafe_code, reason = "clock_gettime writes through a pointer")]
fn since_boot() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec of this frame. Cannot fail on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
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

    fn moment(at: i64, since_boot: u64) -> Moment {
        let at = Timestamp::from_second(at).unwrap();
        Moment::new(at, Duration::from_secs(since_boot))
    }

    #[test]
    fn a_clock_that_is_set_is_known_from_one_that_goes_on() {
        let check = |earlier: Moment, later: Moment, step: Option<i64>| {
            let step = step.map(SignedDuration::from_secs);
            assert_eq!(later.step_since(&earlier), step);
        };
        check(moment(100, 5), moment(160, 65), None);
        // Half a century, as on a gateway without a battery once it has asked for the time.
        check(
            moment(100, 5),
            moment(1_795_000_000, 65),
            Some(1_794_999_840),
        );
        check(moment(7_200, 5), moment(3_610, 15), Some(-3_600));
        check(moment(100, 5), moment(36_100, 36_005), None);
    }

    #[test]
    fn this_machines_clocks_go_on_together() {
        let earlier = Moment::now();
        let spent = since_boot() + Duration::from_millis(3);
        while since_boot() < spent {}
        assert_eq!(Moment::now().step_since(&earlier), None);
    }

    #[test]
    fn a_clock_that_was_set_goes_on_as_it_was() {
        let of_1970 = Moment::new(Timestamp::UNIX_EPOCH, since_boot());
        let passed = of_1970.time_now().duration_since(Timestamp::UNIX_EPOCH);
        let sleepy = SignedDuration::from_mins(5);
        assert!(
            (SignedDuration::ZERO..sleepy).contains(&passed),
            "{passed:?}"
        );
    }

    fn clock() -> TickClock {
        TickClock::new(1000, moment(50, 7), Duration::from_millis(4))
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
        let ancient = TickClock::new(
            u64::MAX,
            Moment::new(Timestamp::MIN, Duration::ZERO),
            Duration::from_millis(4),
        );
        assert_eq!(ancient.time_of(0), Timestamp::MIN);
    }

    #[test]
    fn the_kernel_says_how_long_a_tick_is() {
        let known = [1, 2, 3, 4, 10].map(Duration::from_millis);
        assert!(known.contains(&Duration::from_millis(tick_length().as_millis() as u64)));
    }
}
