//! `kill -9` under full load, at random moments: while it counts, and while it starts.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Run};
use nix::sys::signal::Signal;

use crate::record::Record;
use crate::scene::{PATIENCE, Scene, await_counting, kill, stop_whole, turn};

/// Kills of each hook; `FLOWWATCH_KILLS` says another number.
const KILLS: u32 = 4;
/// The longest time that a flowwatch lives after it began to count, or after it was started.
const LIFE: Duration = Duration::from_millis(1500);

/// Pseudo-random numbers (xorshift64, Marsaglia 2003), from a seed that is told.
pub(crate) struct Moments(u64);

impl Moments {
    pub(crate) fn new() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seed = now.as_nanos() as u64 | 1;
        eprintln!("seed {seed}");
        Ok(Self(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A time up to the longest life.
    fn life(&mut self) -> Duration {
        Duration::from_micros(self.next() % LIFE.as_micros() as u64)
    }
}

/// How programs are attached, in the program's own words.
#[derive(Clone, Copy)]
struct Hooks {
    attach: Attach,
    tc: &'static str,
}

impl Hooks {
    fn run(self, scene: &Scene) -> Result<Run> {
        Ok(scene.run(self.attach)?.options(&["--tc-hook", self.tc]))
    }
}

/// Starts and kills; returns for how long altogether nothing ran that counted.
fn kill_again_and_again(scene: &Scene, run: &Run, kills: u32) -> Result<Duration> {
    let mut moments = Moments::new()?;
    let mut down = Duration::ZERO;
    for _ in 0..kills {
        let killed_at = Instant::now();
        let process = run.spawn(&scene.lab.gateway)?;
        // Every other one is killed at a moment of its life, the rest at one of their start.
        if moments.next() % 2 == 0 {
            await_counting(&process)?;
            down += killed_at.elapsed();
        }
        thread::sleep(moments.life());
        process.signal(Signal::SIGKILL)?;
        let status = process.wait(PATIENCE)?;
        ensure!(status.code().is_none(), "it ended by itself: {status}");
    }
    Ok(down)
}

fn check(hooks: Hooks, kills: u32) -> Result<()> {
    let scene = Scene::new()?;
    let run = hooks.run(&scene)?;
    let start = Instant::now();
    // What passes before the first program is attached is nobody's.
    let first = run.start(&scene.lab.gateway)?;
    let (mut fired, down) = scene.under_load(|| {
        kill(&first)?;
        kill_again_and_again(&scene, &run, kills - 1)
    })?;
    // The last one takes over amid frames, too, and says itself that its counts add up.
    let (more, last) = scene.under_load(|| run.start(&scene.lab.gateway))?;
    fired.extend(more);
    stop_whole(&last)?;
    scene.detach()?;
    let sent = Record::of_sent(&fired);
    let recorded = Record::read(&scene.history())?;
    let (expected, total) = (sent.total(), recorded.total());
    eprintln!(
        "{} {}: {kills} kills in {:.1?}, down for {down:.1?} of it; packets {} sent and {} \
         recorded, octets {} sent and {} recorded, in {} flows",
        hooks.attach,
        hooks.tc,
        start.elapsed(),
        expected.packets,
        total.packets,
        expected.octets,
        total.octets,
        recorded.flows.len(),
    );
    recorded.ensure_equal(&sent)
}

#[test]
fn killed_at_random_moments_it_loses_no_octet_and_counts_none_twice() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let kills = match std::env::var("FLOWWATCH_KILLS") {
        Ok(number) => number.parse().context("read FLOWWATCH_KILLS")?,
        Err(_) => KILLS,
    };
    for (attach, tc) in [
        (Attach::Xdp, "tcx"),
        (Attach::Tc, "tcx"),
        (Attach::Tc, "clsact"),
    ] {
        check(Hooks { attach, tc }, kills)?;
    }
    Ok(())
}
