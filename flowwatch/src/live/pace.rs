//! The pace at which a capture is played: set by who watches, kept by who plays.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The slowest and the fastest pace that steps lead to.
const SLOWEST: f64 = 1.0 / 64.0;
const FASTEST: f64 = 65_536.0;

/// How fast a capture is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Seconds of the capture in a second; more than 0.
    Times(f64),
    /// As fast as it can be read.
    Unbounded,
}

/// A pace that several share.
#[derive(Debug)]
pub struct Pace {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct State {
    speed: Speed,
    is_held: bool,
    is_stopped: bool,
}

impl Pace {
    /// Returns a pace.
    #[must_use]
    pub fn new(speed: Speed) -> Self {
        Self {
            state: Mutex::new(State {
                speed,
                is_held: false,
                is_stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Doubles the speed.
    pub fn faster(&self) {
        self.change(|state| {
            state.speed = match state.speed {
                Speed::Times(times) if times < FASTEST => Speed::Times(times * 2.0),
                _ => Speed::Unbounded,
            };
        });
    }

    /// Halves the speed.
    pub fn slower(&self) {
        self.change(|state| {
            state.speed = match state.speed {
                Speed::Times(times) => Speed::Times((times / 2.0).max(SLOWEST)),
                Speed::Unbounded => Speed::Times(FASTEST),
            };
        });
    }

    /// Holds the playing, or lets it go on.
    pub fn hold(&self, is_held: bool) {
        self.change(|state| state.is_held = is_held);
    }

    /// Ends the playing.
    pub fn stop(&self) {
        self.change(|state| state.is_stopped = true);
    }

    /// Returns whether the playing is to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state().is_stopped
    }

    /// Returns how fast it goes now; none while it is held.
    #[must_use]
    pub fn speed(&self) -> Option<Speed> {
        let state = self.state();
        (!state.is_held).then_some(state.speed)
    }

    /// Waits until a moment, or until the pace changes; while it is held, for a change alone.
    pub fn wait_until(&self, moment: Instant) {
        let state = self.state();
        if state.is_stopped {
            return;
        }
        if state.is_held {
            drop(self.changed.wait(state));
        } else {
            let left = moment.saturating_duration_since(Instant::now());
            if left > Duration::ZERO {
                drop(self.changed.wait_timeout(state, left));
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Three words, each of which is right by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state().speed {
            Speed::Times(times) if times < 1.0 => write!(f, "x1/{:.0}", 1.0 / times),
            Speed::Times(times) => write!(f, "x{times}"),
            Speed::Unbounded => f.write_str("as fast as possible"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_and_halve_between_two_ends() {
        let pace = Pace::new(Speed::Times(1.0));
        pace.faster();
        assert_eq!(pace.to_string(), "x2");
        (0..99).for_each(|_| pace.slower());
        assert_eq!(pace.to_string(), "x1/64");
        (0..99).for_each(|_| pace.faster());
        assert_eq!(pace.to_string(), "as fast as possible");
        pace.slower();
        assert_eq!(pace.to_string(), "x65536");
    }

    #[test]
    fn a_held_pace_waits_for_a_change() {
        let pace = Pace::new(Speed::Times(1.0));
        pace.hold(true);
        assert_eq!(pace.speed(), None);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                while pace.speed().is_none() && !pace.is_stopped() {
                    pace.wait_until(Instant::now());
                }
            });
            pace.stop();
            waits.join().unwrap();
        });
        assert!(pace.is_stopped());
    }
}
