//! Captures that end early: cut off, damaged, or while Ctrl-C is pressed. What came before counts.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::{Result, ensure};
use flowwatch_tests::capture_file::{ETHERNET, FileFormat};
use flowwatch_tests::flowwatch::{Document, Ended, Run};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::{conversation, has_program};

const FAILED: i32 = 1;

/// Fails unless the replay failed with one sentence, and printed the first packet's counts.
fn ensure_counted_up_to(ended: &Ended, part: &str) -> Result<()> {
    ensure!(ended.status == Some(FAILED), "{ended:?}");
    ensure!(ended.errors.lines().count() == 1, "{}", ended.errors);
    ensure!(ended.errors.contains(part), "{}", ended.errors);
    let document = Document::parse(&ended.output)?;
    document.ensure_whole()?;
    let capture = document.meta.capture;
    let packets = capture.as_ref().map(|capture| capture.packets);
    ensure!(packets == Some(1), "{capture:?}");
    let why = capture.and_then(|capture| capture.ended_early);
    ensure!(why.is_some_and(|why| why.contains(part)));
    Ok(())
}

#[test]
fn a_capture_that_is_cut_off_counts_up_to_there() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    for format in FileFormat::ALL {
        let mut octets = format.write(ETHERNET, &conversation());
        octets.pop();
        let run = Run::replay("-")?.options(&["--format", "json"]);
        ensure_counted_up_to(&run.end_with(octets)?, "cut off")?;
    }
    Ok(())
}

#[test]
fn a_capture_that_is_damaged_counts_up_to_there() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let frames = conversation();
    for format in FileFormat::ALL {
        let first = format.write(ETHERNET, &frames[..1]).len();
        let mut octets = format.write(ETHERNET, &frames);
        // Of pcap's header, the captured length; of a block's, its own.
        octets[first + 4..first + 12].fill(0xff);
        let run = Run::replay("-")?.options(&["--format", "json"]);
        ensure_counted_up_to(&run.end_with(octets)?, &format!("octet {first}"))?;
    }
    Ok(())
}

#[test]
fn ctrl_c_prints_what_was_counted_while_nothing_comes() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU)?;
    let name = pipe.display().to_string();
    let run = Run::replay(&name)?.options(&["--format", "json"]);
    let process = run.spawn_with(Vec::new())?;
    // Waits for the program to open it.
    let mut writer = OpenOptions::new().write(true).open(&pipe)?;
    let mut octets = FileFormat::Pcap.write(ETHERNET, &conversation());
    // The last packet is under way.
    octets.pop();
    // A pipe holds 65,536 octets: when the last write returns, all before them were read.
    let header = octets.split_off(24);
    writer.write_all(&octets)?;
    for _ in 0..1_000 {
        writer.write_all(&FileFormat::Pcap.write(ETHERNET, &conversation())[24..])?;
    }
    writer.write_all(&header)?;
    process.signal(Signal::SIGINT)?;
    let ended = Ended::of(&process)?;
    ensure!(ended.status == Some(0), "{ended:?}");
    let document = Document::parse(&ended.output)?;
    document.ensure_whole()?;
    let packets = document.meta.capture.map(|capture| capture.packets);
    ensure!(
        packets.is_some_and(|packets| packets > 1_000),
        "{packets:?}"
    );
    drop(writer);
    Ok(())
}
