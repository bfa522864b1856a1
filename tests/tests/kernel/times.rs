//! When a flow was first and last seen: the kernel's ticks as times of day.

use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use flowwatch_tests::privilege::{Need, granted};

use crate::hook::XDP;
use crate::programs::{Choice, Programs};
use crate::traffic::send;

/// The kernel's longest tick, by which a time may be off.
const TICK: Duration = Duration::from_millis(10);

/// When something began and ended, in nanoseconds since the epoch.
#[derive(Clone, Copy)]
struct Span {
    began: i128,
    ended: i128,
}

impl Span {
    fn of(act: impl FnOnce()) -> Self {
        let began = now();
        act();
        Self {
            began,
            ended: now(),
        }
    }

    /// Whether `at` is inside, give or take `slack`.
    fn holds(self, at: i128, slack: i128) -> bool {
        (self.began - slack..=self.ended + slack).contains(&at)
    }
}

fn now() -> i128 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_nanos().cast_signed()
}

#[test]
fn a_flow_knows_its_first_and_its_last_packet() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let tick = TICK.as_nanos().cast_signed();
    let mut programs = Programs::load(Choice {
        hooks: &[&XDP],
        ..Choice::of_devices(1)
    });
    let first = Span::of(|| send(&programs, 0..1));
    // So that the two ends of the flow can't be taken for one another.
    thread::sleep(5 * TICK);
    let last = Span::of(|| send(&programs, 0..1));
    let mut flows = Vec::new();
    let reading = Span::of(|| flows = programs.drain());
    let [flow] = flows.as_slice() else {
        panic!("{flows:?}");
    };
    // The drain reads two clocks, one after the other; in between, the machine may do another thing.
    let slack = tick + reading.ended - reading.began;
    let (seen_first, seen_last) = (
        flow.first_seen.as_nanosecond(),
        flow.last_seen.as_nanosecond(),
    );
    assert!(first.holds(seen_first, slack), "{flow:?}");
    assert!(last.holds(seen_last, slack), "{flow:?}");
    // Both are read on one clock, so that their distance is exact to the tick.
    let apart = seen_last - seen_first;
    assert!(apart >= last.began - first.ended - tick, "{flow:?}");
    assert!(apart <= last.ended - first.began + tick, "{flow:?}");
    Ok(())
}
