//! The highest rate that the machine gives, with drains as fast as they go.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::volley::{self, Fired};

use crate::{HOOKS, Maker, run, silent_lab, specimens, streams, turn};

/// Packets of each of the six generators, and of all of them at least.
const PACKETS: u64 = 500_000;
const TOTAL: u64 = 2_000_000;
/// Drains that a second has at least.
const DRAINS: u128 = 20;
/// Drains after the last frame: the one under way, and one of each table.
const DRAINS_AT_END: u64 = 3;

const DEVICES: [&str; 3] = ["plug", "speaker", "meter"];
const MAKERS: [Maker; 3] = [specimens::ipv4, specimens::dual_stack, specimens::tagged];

fn check(attach: Attach) -> Result<()> {
    let lab = silent_lab(&DEVICES)?;
    let flowwatch = run(&lab, attach)?
        .options(&["--format", "json", "--interval", "10ms"])
        .start(&lab.gateway)?;
    let start = Instant::now();
    let fired = volley::fire(&lab, &streams(&lab, &MAKERS, PACKETS))?;
    let life = start.elapsed();
    let document = flowwatch.document()?;
    let epochs = document.meta.epochs - DRAINS_AT_END;
    report(attach, &fired, epochs, life);
    fired.check(&lab, &document)?;
    fired.check_octets(&lab, &document)?;
    ensure!(fired.frames >= TOTAL, "only {} frames", fired.frames);
    ensure!(
        u128::from(epochs) * 1000 >= DRAINS * life.as_millis(),
        "only {epochs} drains in {life:?}"
    );
    Ok(())
}

fn report(attach: Attach, fired: &Fired, epochs: u64, life: Duration) {
    let per_second = |count: u64, time: Duration| u128::from(count) * 1000 / time.as_millis();
    eprintln!(
        "{attach}: {} frames in {:.2?}, {} a second; {} flows; {epochs} drains in {life:.2?}, {} \
         a second",
        fired.frames,
        fired.elapsed,
        per_second(fired.frames, fired.elapsed),
        fired.ledger.flows().len(),
        per_second(epochs, life)
    );
}

#[test]
fn at_full_rate_every_flow_is_counted_to_the_octet() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    HOOKS.into_iter().try_for_each(check)
}
