//! The self-test, live: a program that was attached and does not run is told of.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Ended, Run};
use flowwatch_tests::lab::Lab;
use flowwatch_tests::plain;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;

/// Less than the ten seconds after which the self-test gives a quiet interface up.
const PATIENCE: Duration = Duration::from_secs(8);
const PACKETS: u64 = 500;
const COMPLAINT: &str = "the ingress program on `lan0` does not run";

/// A gateway that answers nothing.
fn lab() -> Result<Option<Lab>> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("tc")])? {
        return Ok(None);
    }
    plain::lab(1).map(Some)
}

fn run(lab: &Lab, attach: Attach) -> Result<Run> {
    let camera = lab.camera();
    let run = Run::new()?.attach(attach).interface(&camera.port);
    let options = ["--format", "json", "--no-builtin-geo"];
    Ok(run.device(&camera.name, camera.mac).options(&options))
}

/// Takes the filters off, with what they hang on, as an administrator's script might.
fn take_off(lab: &Lab) -> Result<()> {
    let port = &lab.camera().port;
    let arguments = ["qdisc", "del", "dev", port, "clsact"];
    lab.gateway.run("tc", &arguments).map(drop)
}

fn complaints(ended: &Ended) -> Vec<&str> {
    let lines = ended.errors.lines();
    lines.filter(|line| line.contains("does not run")).collect()
}

/// Returns how many packets a complaint says have passed the interface.
fn passed(complaint: &str) -> Option<u64> {
    let (before, _) = complaint.split_once(" packets passed")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_program_that_does_not_run_is_told_of_while_counting() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let run = run(&lab, Attach::Tc)?.options(&["--tc-hook", "clsact"]);
    let flowwatch = run.start(&lab.gateway)?;
    take_off(&lab)?;
    plain::send(lab.camera(), PACKETS)?;
    let process = flowwatch.process();
    process.wait_for_line(Stream::Stderr, PATIENCE, |line| line.contains(COMPLAINT))?;
    let ended = flowwatch.interrupt()?;
    let told = complaints(&ended);
    ensure!(told.len() == 1, "once, and of no quiet hook: {told:?}");
    // A look may fall amid the sending.
    let passed = passed(told[0]).with_context(|| format!("no packets in {told:?}"))?;
    ensure!((1..=PACKETS).contains(&passed), "{told:?}");
    Ok(())
}

#[test]
fn a_program_that_never_ran_is_told_of_at_an_early_end() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let run = run(&lab, Attach::Tc)?.options(&["--tc-hook", "clsact"]);
    let flowwatch = run.start(&lab.gateway)?;
    take_off(&lab)?;
    plain::send(lab.camera(), PACKETS)?;
    let ended = flowwatch.interrupt()?;
    let told = complaints(&ended);
    ensure!(told.len() == 1 && told[0].contains(COMPLAINT), "{ended:?}");
    Ok(())
}

#[test]
fn programs_that_run_are_not_complained_of() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    for attach in [Attach::Xdp, Attach::Tc] {
        let flowwatch = run(&lab, attach)?.start(&lab.gateway)?;
        plain::send(lab.camera(), PACKETS)?;
        let ended = flowwatch.interrupt()?;
        ensure!(complaints(&ended).is_empty(), "{ended:?}");
        let document = Document::parse(&ended.output)?;
        let counted = document.device("d0")?.up.packets;
        ensure!(counted == PACKETS, "{counted} of {PACKETS}");
    }
    Ok(())
}
