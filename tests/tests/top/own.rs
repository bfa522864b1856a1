//! Counting by itself, where there is no daemon: what the generator sent is shown, nothing is said over
//! the screen, and nothing is left attached.

use anyhow::{Context as _, Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use flowwatch_tests::flowwatch::{Attach, Run};
use flowwatch_tests::lab::Lab;
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::plain;
use nix::sys::signal::Signal;

use super::shown::{Shown, is_granted_live, on_terminal};

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
/// Packets of 128 octets: 20 of IP, 8 of UDP, 100 of payload.
const SENT: u64 = 1_024;
const SENT_OCTETS: &str = "131,072 octets";
const WHOLE: &str = "every frame is accounted for: 1,024 = 1,024 in flows";

fn start(lab: &Lab, attach: Attach) -> Result<Shown> {
    let device = lab.camera();
    let run = Run::new()?.command_word("top").interface(&device.port);
    let run = run.device("camera", device.mac).attach(attach);
    let run = run.options(&["--interval", "50ms", "--no-builtin-geo"]);
    let run = run.options(&["--socket", "/nonexistent/live.sock"]);
    Shown::start(on_terminal(run, &[]).command(&lab.gateway))
}

/// How many programs an interface has: XDP's, and those of both directions of tcx.
fn programs_at(namespace: &Namespace, interface: &str) -> Result<usize> {
    let link = namespace.run("ip", &["-details", "link", "show", "dev", interface])?;
    let mut found = link.matches("prog/xdp").count();
    for side in [TcAttachType::Ingress, TcAttachType::Egress] {
        let programs = namespace.enter(|| SchedClassifier::query_tcx(interface, side))?;
        found += programs.context("query tcx")?.1.len();
    }
    Ok(found)
}

fn ensure_attached(lab: &Lab, expected: usize) -> Result<()> {
    let found = programs_at(&lab.gateway, &lab.camera().port)?;
    ensure!(found == expected, "{found} programs are attached");
    Ok(())
}

/// Fails unless it ended well, with the terminal given back and nothing left in the kernel.
fn ensure_gone(top: &mut Shown, lab: &Lab) -> Result<()> {
    let (status, errors) = top.end_with_errors()?;
    ensure!(status == Some(0), "{status:?}: {errors}");
    ensure!(
        errors.lines().count() == 1 && errors.contains("counting on `lan0`"),
        "{errors}"
    );
    top.ensure_restored()?;
    ensure_attached(lab, 0)
}

#[test]
fn what_was_sent_is_shown_and_nothing_is_left_attached() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    for attach in BOTH {
        let lab = plain::lab(1)?;
        let mut top = start(&lab, attach)?;
        top.wait_for_text("counting here")?;
        ensure_attached(&lab, 2)?;
        plain::send(lab.camera(), SENT)?;
        top.wait_for_text(WHOLE)?;
        top.press("\r")?;
        top.wait_for_text(SENT_OCTETS)?;
        top.press("q")?;
        ensure_gone(&mut top, &lab)?;
    }
    Ok(())
}

#[test]
fn signals_and_keys_end_it_in_order() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut top = start(&lab, Attach::Xdp)?;
        top.wait_for_text("counting here")?;
        top.signal(signal)?;
        ensure_gone(&mut top, &lab).with_context(|| signal.to_string())?;
    }
    let mut top = start(&lab, Attach::Xdp)?;
    top.wait_for_text("counting here")?;
    top.press("\u{3}")?;
    ensure_gone(&mut top, &lab)
}

#[test]
fn a_terminal_that_is_closed_ends_it_with_nothing_left_attached() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    let mut top = start(&lab, Attach::Tc)?;
    top.wait_for_text("counting here")?;
    ensure_attached(&lab, 2)?;
    top.take_terminal()?;
    ensure_attached(&lab, 0)
}

#[test]
fn an_interface_that_goes_is_told_on_the_screen() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    let mut top = start(&lab, Attach::Tc)?;
    top.wait_for_text("counting here")?;
    lab.gateway.run("ip", &["link", "delete", "lan0"])?;
    top.wait_for_text("no interface is left to count on")?;
    top.press("q")?;
    let (status, errors) = top.end_with_errors()?;
    ensure!(status == Some(0), "{status:?}: {errors}");
    ensure!(
        errors.contains("warning: ") || errors.contains("warn: "),
        "{errors}"
    );
    Ok(())
}

#[test]
fn without_an_interface_it_is_told_what_is_missing() -> Result<()> {
    if !is_granted_live()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    let run = Run::new()?.command_word("top");
    let run = run.device("camera", lab.camera().mac);
    let run = run.options(&["--socket", "/nonexistent/live.sock"]);
    let mut top = Shown::start(on_terminal(run, &[]).command(&lab.gateway))?;
    let (status, errors) = top.end_with_errors()?;
    ensure!(
        status == Some(2) && errors.lines().count() == 1,
        "{status:?}: {errors}"
    );
    let expected = "as no flowwatch runs (none at `/nonexistent/live.sock`): no interface";
    ensure!(errors.contains(expected), "{errors}");
    Ok(())
}
