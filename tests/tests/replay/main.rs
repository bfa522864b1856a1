//! `flowwatch replay`: the counts, the names and the words of a capture, from files of every kind;
//! and that a capture gives what the kernel's programs count of the same frames.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module: what fails here fails the test"
)]

mod ends;
mod files;
mod golden_frames;
mod same_rows;
mod words;

// The golden frames of the kernel's tests, with what becomes of each written beside it.
#[path = "../kernel/golden/mod.rs"]
mod golden;
mod tally;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::capture_file::Recorded;
use flowwatch_tests::flowwatch::{Document, Ended, Run};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};

const CAMERA: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
const GATEWAY: Mac = Mac([2, 0, 0, 0, 1, 0]);
/// 2019-06-01 00:00:00 UTC, in microseconds.
const START: u64 = 1_559_347_200_000_000;

/// Returns whether there is a program to test.
fn has_program() -> Result<bool> {
    granted(&[Need::Flowwatch])
}

/// A question and an answer over UDP, ten seconds apart: 78 octets up, 128 down.
fn conversation() -> Vec<Recorded> {
    let (camera, server) = ([192, 168, 8, 214].into(), [52, 79, 197, 188].into());
    let up = Packet::ethernet(CAMERA, GATEWAY).ipv4(camera, server);
    let down = Packet::ethernet(GATEWAY, CAMERA).ipv4(server, camera);
    let up = up.udp(40_000, 10_240).payload(50).build();
    let down = down.udp(10_240, 40_000).payload(100).build();
    vec![
        Recorded::whole(START, up),
        Recorded::whole(START + 10_000_000, down),
    ]
}

/// Replays a capture from standard input, for the camera alone.
fn replayed(capture: Vec<u8>) -> Result<Document> {
    let device = format!("camera={CAMERA}");
    let run = Run::replay("-")?.options(&["--device", &device, "--format", "json"]);
    document_of(&run.end_with(capture)?)
}

/// Returns the document of a replay that went well.
fn document_of(ended: &Ended) -> Result<Document> {
    ensure!(ended.status == Some(0), "{ended:?}");
    let document = Document::parse(&ended.output).with_context(|| format!("{ended:?}"))?;
    document.ensure_whole()?;
    Ok(document)
}
