//! SIGHUP at moments that a user does not choose: as flowwatch starts, several at once, during the
//! self-test, and when others have meddled with the hooks.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Ended};
use flowwatch_tests::plain::{ensure_counted, lab};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::{Process, Stream};
use nix::sys::signal::Signal;

use super::{BOTH, Bench, PACKETS, PATIENCE, is_possible, reload, send, told};

/// Files that are written one after the other, each with a SIGHUP.
const FILES: usize = 20;

/// Waits until the process catches SIGHUP.
fn await_caught(process: &Process) -> Result<()> {
    let path = format!("/proc/{}/status", process.pid());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = fs::read_to_string(&path)?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = u64::from_str_radix(caught.unwrap_or_default().trim(), 16)?;
        if mask >> (Signal::SIGHUP as u32 - 1) & 1 == 1 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "SIGHUP is not caught");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whatever has passed when the last SIGHUP is sent, the last file is the one that holds.
#[test]
fn of_many_at_once_the_last_file_holds() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    bench.write(&["lan0"], &[("n0", &mac)])?;
    let flowwatch = bench.start(Attach::Tc)?;
    send(&lab, device)?;
    for number in 1..=FILES {
        bench.write(&["lan0"], &[(&format!("n{number}"), &mac)])?;
        flowwatch.process().signal(Signal::SIGHUP)?;
        flowwatch.process().signal(Signal::SIGHUP)?;
    }
    let last = format!("calls `n{FILES}`");
    told(&flowwatch, &last, 1)?;
    send(&lab, device)?;
    let document = flowwatch.document()?;
    ensure!(document.devices.len() == 1, "{:?}", document.devices);
    ensure_counted(&document, &format!("n{FILES}"), 2 * PACKETS)
}

/// From the moment at which it is caught, before anything is attached.
#[test]
fn one_that_comes_as_flowwatch_starts_is_kept() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    bench.write(&["lan0"], &[("camera", &mac)])?;
    let process = bench.run(Attach::Tc)?.spawn(&lab.gateway)?;
    await_caught(&process)?;
    process.signal(Signal::SIGHUP)?;
    let is_it = |line: &str| line.contains("it says nothing new");
    process.wait_for_line(Stream::Stderr, PATIENCE, is_it)?;
    send(&lab, device)?;
    process.signal(Signal::SIGINT)?;
    let ended = Ended::of(&process)?;
    ensure!(ended.status == Some(0), "{ended:?}");
    ensure_counted(&Document::parse(&ended.output)?, "camera", PACKETS)
}

/// The self-test is under way as long as nothing passes. It goes on with the new programs: those that
/// run are not complained of.
#[test]
fn during_the_self_test_no_hook_that_runs_is_complained_of() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    for attach in BOTH {
        let lab = lab(1)?;
        let device = lab.camera();
        let mac = device.mac.to_string();
        let bench = Bench::new(&lab)?;
        bench.write(&["lan0"], &[("cam", &mac)])?;
        let flowwatch = bench.start(attach)?;
        send(&lab, device)?;
        bench.write(&["lan0"], &[("camera", &mac)])?;
        reload(&flowwatch, "calls `camera`", 1)?;
        send(&lab, device)?;
        let ended = flowwatch.interrupt()?;
        ensure!(!ended.errors.contains("does not run"), "{}", ended.errors);
        ensure_counted(&Document::parse(&ended.output)?, "camera", 2 * PACKETS)?;
    }
    Ok(())
}

/// Takes the filters off, as an administrator's script might: SIGHUP puts them back, or says why not.
#[test]
fn hooks_that_somebody_took_off_are_there_again() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("tc")])? {
        return Ok(());
    }
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    bench.write(&["lan0"], &[("cam", &mac)])?;
    let run = bench.run(Attach::Tc)?.options(&["--tc-hook", "clsact"]);
    let flowwatch = run.start(&lab.gateway)?;
    send(&lab, device)?;
    let arguments = ["qdisc", "del", "dev", "lan0", "clsact"];
    lab.gateway.run("tc", &arguments)?;
    bench.write(&["lan0"], &[("camera", &mac)])?;
    reload(&flowwatch, "calls `camera`", 1)?;
    told(&flowwatch, "counting again on `lan0`", 1)?;
    send(&lab, device)?;
    ensure_counted(&flowwatch.document()?, "camera", 2 * PACKETS)
}
