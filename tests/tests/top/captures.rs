//! A capture that is played: what the terminal shows, what keys do, and that the terminal is given back
//! as it was, whatever ends the program.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::capture_file::{ETHERNET, FileFormat, Recorded};
use flowwatch_tests::flowwatch::Run;
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::pseudo_terminal::resize;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::shown::{Shown, is_granted, on_terminal};

const CAMERA: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
const GATEWAY: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// Packets that the camera sends: of 100 octets of payload, 8 of UDP's header and 20 of IP's.
const SENT: u64 = 1_021;
const SENT_OCTETS: &str = "130,688 octets";
const RECEIVED: u64 = 3;
const RECEIVED_OCTETS: &str = "384 octets";

/// Has a capture played at once, in a folder of its own.
fn start() -> Result<(Shown, TempDir)> {
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("camera.pcap");
    fs::write(&capture, FileFormat::Pcap.write(ETHERNET, &frames()))?;
    let capture = capture.to_string_lossy();
    let run = Run::new()?
        .command_word("top")
        .options(&["--replay", &*capture]);
    let run = run.options(&["--speed", "max", "--interval", "50ms", "--no-builtin-geo"]);
    let mut command = on_terminal(run.device("camera", CAMERA), &[]).unplaced();
    command.current_dir(folder.path());
    Ok((Shown::start(command)?, folder))
}

fn frames() -> Vec<Recorded> {
    let (camera, remote) = ([192, 168, 8, 214].into(), [50, 7, 98, 242].into());
    let up = Packet::ethernet(CAMERA, GATEWAY).ipv4(camera, remote);
    let up = up.udp(4_000, 10_001).payload(100).build();
    let down = Packet::ethernet(GATEWAY, CAMERA).ipv4(remote, camera);
    let down = down.udp(10_001, 4_000).payload(100).build();
    let start = 1_559_347_200_000_000;
    let frame = |at: u64| {
        let octets = if at < SENT { &up } else { &down };
        Recorded::whole(start + at * 1_000, octets.clone())
    };
    (0..SENT + RECEIVED).map(frame).collect()
}

#[test]
fn a_capture_that_is_played_shows_its_octets_and_the_terminal_is_given_back() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let (mut top, _folder) = start()?;
    top.wait_for_text("END OF CAPTURE")?;
    top.wait_for_text("every frame is accounted for: 1,024 = 1,024 in flows")?;
    top.wait_for_text("(no name) 50.7.98.242")?;
    top.press("\r")?;
    top.wait_for_text(SENT_OCTETS)?;
    top.wait_for_text(RECEIVED_OCTETS)?;
    top.press("q")?;
    ensure!(top.end()? == Some(0), "{}", top.text());
    top.ensure_restored()
}

#[test]
fn a_filter_is_typed_and_what_it_lets_through_is_written() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let (mut top, folder) = start()?;
    top.wait_for_text("END OF CAPTURE")?;
    top.press("/port:1")?;
    top.wait_for_text("No destination that the filter lets through")?;
    top.press("0001\r")?;
    top.wait_for_text("1 by filter: port:10001")?;
    top.press("e")?;
    top.wait_for_text("Written to flowwatch-20190601T000001Z.csv: 1")?;
    let files = fs::read_dir(folder.path())?;
    let names: Vec<_> = files.map(|it| Ok(it?.path())).collect::<Result<_>>()?;
    let written = names
        .iter()
        .find(|it| it.extension().is_some_and(|it| it == "csv"));
    let text = fs::read_to_string(written.context("find the file")?)?;
    ensure!(text.contains(",1021,130688,3,384,"), "{text}");
    Ok(())
}

#[test]
fn signals_end_it_with_the_terminal_given_back() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut top, _folder) = start()?;
        top.wait_for_text("Destinations")?;
        top.signal(signal)?;
        ensure!(top.end()? == Some(0), "{signal}");
        top.ensure_restored()?;
    }
    Ok(())
}

#[test]
fn it_is_stopped_and_comes_back() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let (mut top, _folder) = start()?;
    top.wait_for_text("END OF CAPTURE")?;
    top.press("\u{1a}")?;
    top.ensure_restored()?;
    top.wait_for_state("T")?;
    top.signal(Signal::SIGCONT)?;
    top.wait_for("the view's screen", vt100::Screen::alternate_screen)?;
    top.wait_for_text("END OF CAPTURE")?;
    top.press("\u{3}")?;
    ensure!(top.end()? == Some(0), "{}", top.text());
    top.ensure_restored()
}

#[test]
fn another_size_is_drawn_at_once() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let (mut top, _folder) = start()?;
    top.wait_for_text("END OF CAPTURE")?;
    top.screen.screen_mut().set_size(20, 60);
    resize(&top.terminal, 20, 60)?;
    top.wait_for_text("This window has 60x20 characters")?;
    top.screen.screen_mut().set_size(40, 160);
    resize(&top.terminal, 40, 160)?;
    top.wait_for_text("130,688")
}

#[test]
fn what_is_no_terminal_or_no_capture_is_told_in_a_sentence() -> Result<()> {
    if !is_granted()? {
        return Ok(());
    }
    let run = Run::new()?.command_word("top").options(&["--replay", "x"]);
    let ended = run.end_with(Vec::new())?;
    ensure!(
        ended.status == Some(2) && ended.output.is_empty(),
        "{ended:?}"
    );
    ensure!(
        ended.errors.contains("standard output is not a terminal"),
        "{ended:?}"
    );
    Ok(())
}
