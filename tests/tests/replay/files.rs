//! Captures of every kind, from a file, from standard input and from a pipe.

use std::fs;

use anyhow::{Result, ensure};
use flowwatch_tests::capture_file::{ETHERNET, FileFormat, LINUX_SLL, RAW, Recorded};
use flowwatch_tests::flowwatch::{Document, FlowKey, Run};

use crate::{CAMERA, GATEWAY, START, conversation, document_of, has_program, replayed};

/// How often the large capture has the conversation.
const TIMES: u64 = 20_000;

/// Packets and octets of the conversation's flow, up and down.
fn ensure_counted(document: &Document, up: (u64, u64), down: (u64, u64)) -> Result<()> {
    let key = FlowKey {
        device: "camera".to_owned(),
        remote: [52, 79, 197, 188].into(),
        protocol: "udp".to_owned(),
        port: 10_240,
    };
    let flows = document.traffic();
    ensure!(flows.len() == 1, "{flows:?}");
    let traffic = flows[&key];
    ensure!((traffic.up.packets, traffic.up.octets) == up, "{traffic:?}");
    let counted = (traffic.down.packets, traffic.down.octets);
    ensure!(counted == down, "{traffic:?}");
    Ok(())
}

#[test]
fn every_kind_of_file_gives_the_same_counts_and_its_own_times() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    for format in FileFormat::ALL {
        let document = replayed(format.write(ETHERNET, &conversation()))?;
        ensure_counted(&document, (1, 78), (1, 128))?;
        let flow = document.flows.values().next().map(|flow| {
            let (first, last) = (flow.first_seen.clone(), flow.last_seen.clone());
            (first, last)
        });
        let expected = ["2019-06-01T00:00:00.000Z", "2019-06-01T00:00:10.000Z"];
        let expected = expected.map(str::to_owned).into();
        ensure!(flow == Some(expected), "{format:?}: {flow:?}");
        ensure!(document.meta.started_at == "2019-06-01T00:00:00.000Z");
    }
    Ok(())
}

#[test]
fn a_file_and_a_pipe_give_the_same_document() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let octets = FileFormat::Pcap.write(ETHERNET, &conversation());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("camera.pcap");
    fs::write(&file, &octets)?;
    let file = file.display().to_string();
    let from_file = Run::replay(&file)?.options(&["--format", "json"]);
    let from_file = from_file.end_with(Vec::new())?.output;
    let piped = Run::replay("-")?.options(&["--format", "json"]);
    let piped = piped.end_with(octets)?.output;
    ensure!(from_file.contains("\"packets\":2"), "{from_file}");
    ensure!(
        piped.replace("standard input", &file) == from_file,
        "{piped}"
    );
    Ok(())
}

#[test]
fn a_capture_larger_than_any_buffer_is_counted_whole() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let frames: Vec<_> = (0..TIMES).flat_map(|_| conversation()).collect();
    for format in [FileFormat::Pcap, FileFormat::PcapngBigNano] {
        let document = replayed(format.write(ETHERNET, &frames))?;
        ensure_counted(&document, (TIMES, TIMES * 78), (TIMES, TIMES * 128))?;
    }
    Ok(())
}

#[test]
fn a_snap_length_takes_no_octet_off_a_flow() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    // Ethernet, IPv4 and the ports.
    let frames: Vec<_> = conversation().into_iter().map(|it| it.cut(38)).collect();
    let document = replayed(FileFormat::Pcap.write(ETHERNET, &frames))?;
    ensure_counted(&document, (1, 78), (1, 128))?;
    let cut = document.meta.capture.map(|capture| capture.packets_cut);
    ensure!(cut == Some(2), "{cut:?}");
    Ok(())
}

/// The conversation's packets behind another link layer's header.
fn relinked(header: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Recorded> {
    let of = |frame: Recorded| {
        let (ethernet, packet) = frame.octets.split_at(14);
        Recorded::whole(frame.at, [&header(ethernet), packet].concat())
    };
    conversation().into_iter().map(of).collect()
}

#[test]
fn cooked_and_raw_captures_give_the_same_counts() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let cooked = relinked(|ethernet| {
        let source = &ethernet[6..12];
        [&[0, 0, 0, 1, 0, 6], source, &[0, 0, 8, 0]].concat()
    });
    let document = replayed(FileFormat::Pcapng.write(LINUX_SLL, &cooked))?;
    ensure_counted(&document, (1, 78), (1, 128))?;
    let raw = relinked(|_| Vec::new());
    let run = Run::replay("-")?.options(&["--format", "json", "-d", "camera=192.168.8.214"]);
    let document = document_of(&run.end_with(FileFormat::Pcap.write(RAW, &raw))?)?;
    ensure_counted(&document, (1, 78), (1, 128))
}

#[test]
fn without_a_tag_both_ends_of_the_link_are_devices() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let run = Run::replay("-")?.options(&["--format", "json"]);
    let capture = FileFormat::Pcapng.write(ETHERNET, &conversation());
    let document = document_of(&run.end_with(capture)?)?;
    for (mac, up, down) in [(CAMERA, 78, 128), (GATEWAY, 128, 78)] {
        let device = document.device(&mac.to_string())?;
        ensure!(device.device_mac == Some(mac.to_string()));
        ensure!((device.up.octets, device.down.octets) == (up, down));
    }
    Ok(())
}

#[test]
fn times_that_go_backwards_or_cannot_be_are_times() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let mut frames = conversation();
    frames[1].at = START - 1_000_000;
    let document = replayed(FileFormat::Pcapng.write(ETHERNET, &frames))?;
    let flow = document.flows.values().next();
    ensure!(flow.is_some_and(|flow| flow.first_seen == "2019-05-31T23:59:59.000Z"));
    // The last that pcap can say, and more than a calendar has.
    frames[1].at = u64::from(u32::MAX) * 1_000_000 + 999_999;
    let document = replayed(FileFormat::Pcap.write(ETHERNET, &frames))?;
    ensure!(document.meta.ended_at == "2106-02-07T06:28:15.999Z");
    frames[0].at = u64::MAX;
    let document = replayed(FileFormat::Pcapng.write(ETHERNET, &frames))?;
    ensure_counted(&document, (1, 78), (1, 128))
}
