//! Playing a capture: its packets are counted as its time passes, and what changed is told.
//!
//! The counting is `replay`'s. Time is the capture's, at a pace that the one who watches may change;
//! a packet that is dated back counts at once.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::counting::Counting;
use super::input::{self, Input};
use super::{refuse_unsupported, span_of, usage};
use crate::capture::{Capture, ReadError};
use crate::geo::Databases;
use crate::join::Sources;
use crate::live::{Feed, Followed, Pace, Speed, Teller, Update};
use crate::plan::ReplayPlan;
use crate::store::{CaptureMeta, Meta};

/// Packets between two looks at the clock where the pace is unbounded.
const LOOK_EVERY: u64 = 1 << 10;

/// What takes the updates; returns whether it wants more.
type Tell<'a> = &'a mut dyn FnMut(Update) -> bool;

/// A capture that is ready to be played.
pub struct Playing {
    capture: Capture<Input>,
    counting: Counting,
    databases: Databases,
    /// What is known of the capture from the start.
    known: CaptureMeta,
    stopped: Arc<AtomicBool>,
}

impl Playing {
    /// Opens a capture as planned.
    ///
    /// # Errors
    /// What keeps reading from starting.
    pub fn open(plan: &ReplayPlan) -> anyhow::Result<Self> {
        let databases = Databases::open(&plan.geo, plan.uses_builtin_geo)?;
        let name = input::name_of(&plan.capture);
        let input = Input::open(&plan.capture).map_err(usage)?;
        let stopped = input.stopped();
        let capture = Capture::open(input).map_err(usage);
        let capture = capture.with_context(|| format!("read the capture `{name}`"))?;
        let counting = Counting::new(&plan.devices, &plan.prefixes);
        refuse_unsupported(&capture, &counting).with_context(|| format!("read `{name}`"))?;
        let known = CaptureMeta {
            file: name,
            format: capture.format(),
            ..CaptureMeta::default()
        };
        Ok(Self {
            capture,
            counting,
            databases,
            known,
            stopped,
        })
    }

    /// Plays it: an update each `interval` of the player's own time.
    ///
    /// # Errors
    /// Where reading broke off; what came before has been told.
    pub fn play(mut self, pace: &Pace, interval: Duration, tell: Tell<'_>) -> anyhow::Result<()> {
        let name = self.known.file.clone();
        let mut player = Player {
            counting: self.counting,
            feed: Feed::new(&self.databases),
            teller: Teller::new(),
            databases: &self.databases,
            known: self.known,
            pace,
            interval,
            clock: None,
            updates: 0,
            tell,
        };
        let ended = player.play(&mut self.capture);
        // Where a signal ended it, the last packet may well be cut.
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        player.known.ended_early = ended.as_ref().err().map(ToString::to_string);
        player.end();
        ended.with_context(|| format!("read `{name}`"))
    }
}

/// A capture that is being played.
struct Player<'a> {
    counting: Counting,
    feed: Feed,
    teller: Teller,
    databases: &'a Databases,
    known: CaptureMeta,
    pace: &'a Pace,
    interval: Duration,
    clock: Option<Clock>,
    updates: u64,
    tell: Tell<'a>,
}

/// The capture's time, beside the player's.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// The capture's.
    now: Timestamp,
    /// When it was that time.
    set: Instant,
    /// When the next update is due.
    due: Instant,
}

impl Player<'_> {
    fn play<R: Read>(&mut self, capture: &mut Capture<R>) -> Result<(), ReadError> {
        while let Some(frame) = capture.next_frame()? {
            if let Some(at) = frame.at {
                self.wait_for(at);
            }
            if self.pace.is_stopped() {
                break;
            }
            self.counting.count(&frame);
        }
        Ok(())
    }

    /// Waits until the capture's time is a packet's, and tells meanwhile what is due.
    fn wait_for(&mut self, at: Timestamp) {
        if self.clock.is_none() {
            self.begin(at);
        }
        while let Some(clock) = self.clock {
            if self.pace.is_stopped() {
                return;
            }
            let speed = self.pace.speed();
            let is_unbounded = speed == Some(Speed::Unbounded);
            if is_unbounded {
                self.pass_to(at);
                if self.counting.packets().is_multiple_of(LOOK_EVERY) {
                    self.tell_if_due();
                }
                return;
            }
            if at <= clock.now {
                return;
            }
            let arrives = speed.and_then(|speed| clock.moment_of(at, speed));
            let moment = arrives.map_or(clock.due, |arrives| arrives.min(clock.due));
            self.pace.wait_until(moment);
            self.pass(speed);
            self.tell_if_due();
        }
    }

    /// Begins with the first packet's time: told before it is counted, so that all that comes has a
    /// rate.
    fn begin(&mut self, at: Timestamp) {
        let now = Instant::now();
        self.clock = Some(Clock {
            now: at,
            set: now,
            due: now + self.interval,
        });
        self.tell_all(at);
    }

    /// Lets the capture's time pass as the player's did since the last time.
    fn pass(&mut self, speed: Option<Speed>) {
        let Some(clock) = &mut self.clock else { return };
        let now = Instant::now();
        let passed = now.duration_since(clock.set);
        clock.set = now;
        if let Some(Speed::Times(times)) = speed {
            let passed = passed.as_secs_f64() * times;
            let passed = SignedDuration::try_from_secs_f64(passed).unwrap_or_default();
            clock.now = clock.now.checked_add(passed).unwrap_or(Timestamp::MAX);
        }
    }

    /// Sets the capture's time to a later packet's.
    fn pass_to(&mut self, at: Timestamp) {
        if let Some(clock) = &mut self.clock {
            clock.now = clock.now.max(at);
            clock.set = Instant::now();
        }
    }

    fn tell_if_due(&mut self) {
        let Some(clock) = &mut self.clock else { return };
        let now = Instant::now();
        if now < clock.due {
            return;
        }
        clock.due = (clock.due + self.interval).max(now);
        let at = clock.now;
        if self.pace.speed().is_some() {
            self.tell_all(at);
        }
    }

    /// Tells what is left at the capture's end, at its last packet's time.
    fn end(&mut self) {
        let last = span_of(&self.counting.meta()).1;
        let now = self.clock.map_or(last, |clock| clock.now);
        self.tell_all(now.max(last));
    }

    /// Tells all that changed until a time of the capture.
    fn tell_all(&mut self, at: Timestamp) {
        let counting = &mut self.counting;
        let flows = counting.ledger.settle();
        let news = self.feed.take_up(Followed {
            devices: counting.devices.list(),
            flows,
            names: &mut counting.names,
            databases: self.databases,
        });
        self.teller.hear(&news);
        self.updates += 1;
        loop {
            let update = self.update(at);
            if !(self.tell)(update) {
                self.pace.stop();
                return;
            }
            if !self.teller.is_behind(self.counting.ledger.settle().len()) {
                return;
            }
        }
    }

    fn update(&mut self, at: Timestamp) -> Update {
        let counting = &mut self.counting;
        let capture = CaptureMeta {
            file: self.known.file.clone(),
            format: self.known.format,
            ended_early: self.known.ended_early.clone(),
            ..counting.meta()
        };
        let (started_at, _) = span_of(&capture);
        let started_at = if self.updates > 1 { started_at } else { at };
        let meta = Meta {
            capture: Some(capture),
            ..Meta::new(
                (started_at, at),
                self.updates,
                Vec::new(),
                counting.samples_dropped(),
            )
        };
        let sources = Sources {
            devices: counting.devices.list(),
            flows: counting.ledger.settle(),
            names: &counting.names,
            databases: self.databases,
        };
        let mut update = self.feed.update(&mut self.teller, sources, meta);
        if counting.devices.are_adopted() {
            // That an address was sent something does not make it a device.
            update.devices.retain(|device| device.up.frames_seen > 0);
        }
        update
    }
}

impl Clock {
    /// Returns when it will be a later time.
    fn moment_of(self, at: Timestamp, speed: Speed) -> Option<Instant> {
        let Speed::Times(times) = speed else {
            return Some(self.set);
        };
        let seconds = at.duration_since(self.now).as_secs_f64() / times;
        let wait = Duration::try_from_secs_f64(seconds).ok()?;
        self.set.checked_add(wait)
    }
}
