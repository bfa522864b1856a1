//! The golden frames in a capture: each is counted as is written beside it, for a device of its own.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use flowwatch::model::protocol_name;
use flowwatch::observation::Traffic;
use flowwatch_common::abi::Direction;
use flowwatch_tests::capture_file::{ETHERNET, FileFormat, Recorded};
use flowwatch_tests::flowwatch::{Document, Run};
use flowwatch_tests::link::Mac;

use crate::golden::{self, Fixture};
use crate::{START, document_of, has_program};

/// What became of a device's one frame: the flow that it is in, and its traffic up and down; or the
/// reason why it is in none.
type Outcome = Result<((IpAddr, u8, u16), Traffic), String>;

/// The fixtures that a capture can hold: it says neither of aggregates nor of tags that are gone, and
/// it has no hook against whose direction a frame could pass.
fn fixtures() -> Vec<Fixture> {
    let mut fixtures = golden::all();
    fixtures.retain(|fixture| {
        let is_plain = fixture.extra == golden::Extra::default();
        is_plain && !fixture.frame.starts_with(&golden::CAMERA.0)
    });
    fixtures
}

fn mac_of(index: usize, direction: Direction) -> Mac {
    let [high, low] = (index as u16).to_be_bytes();
    Mac([2, 0xf1, 0, direction as u8, high, low])
}

/// Returns what a document says of a device.
fn counted(document: &Document, device: &str, direction: Direction) -> Result<Option<Outcome>> {
    let sums = document.device(device)?;
    let side = match direction {
        Direction::Up => sums.up,
        Direction::Down => sums.down,
    };
    let flows = document.flows.values().filter(|flow| flow.device == device);
    let flow = flows.into_iter().next();
    let reasons = document.unaccounted.iter();
    let mut reasons = reasons.filter(|(key, _)| key.device == device);
    Ok(match (side.frames_seen, flow, reasons.next()) {
        (0, None, None) => None,
        (1, Some(flow), None) => {
            let traffic = match direction {
                Direction::Up => flow.traffic().up,
                Direction::Down => flow.traffic().down,
            };
            let name = (
                flow.remote_address,
                number_of(&flow.protocol)?,
                flow.remote_port,
            );
            let traffic = Traffic {
                packets: traffic.packets,
                octets: traffic.octets,
            };
            Some(Ok((name, traffic)))
        }
        (1, None, Some((key, _))) => Some(Err(key.reason.clone())),
        other => Some(Err(format!("{other:?}"))),
    })
}

/// Returns the number of a protocol by the program's own word for it, whose tests are elsewhere.
fn number_of(word: &str) -> Result<u8> {
    let number = (0..=u8::MAX).find(|number| protocol_name(*number) == word);
    number.with_context(|| format!("find the protocol {word}"))
}

fn check(format: FileFormat) -> Result<()> {
    let fixtures = fixtures();
    let directions = [Direction::Up, Direction::Down];
    let (mut frames, mut settings) = (Vec::new(), String::new());
    for (index, fixture) in fixtures.iter().enumerate() {
        for direction in directions {
            let mac = mac_of(index, direction);
            let at = START + frames.len() as u64;
            frames.push(Recorded::whole(at, fixture.frame_of(mac.0, direction)));
            writeln!(
                settings,
                "[[device]]\nname = \"{index} {direction:?}\"\nmac = \"{mac}\""
            )?;
        }
    }
    let folder = tempfile::tempdir()?;
    let (file, capture) = (folder.path().join("fw.toml"), folder.path().join("golden"));
    fs::write(&file, settings)?;
    fs::write(&capture, format.write(ETHERNET, &frames))?;
    let run = Run::replay(&capture.display().to_string())?;
    let run = run.options(&["--config", &file.display().to_string(), "--format", "json"]);
    let document = document_of(&run.end_with(Vec::new())?)?;
    let mut differences = Vec::new();
    for (index, fixture) in fixtures.iter().enumerate() {
        for direction in directions {
            let device = format!("{index} {direction:?}");
            let counted = counted(&document, &device, direction)?;
            let written: Option<Outcome> = fixture.expected_in(direction).map(|outcome| {
                let outcome = outcome.map(|counted| (counted.flow, counted.traffic));
                outcome.map_err(|reason| reason.name().to_owned())
            });
            if counted != written {
                let name = &fixture.name;
                differences.push(format!("{name}: {counted:?}, written {written:?}"));
            }
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    ensure!(fixtures.len() > 60, "only {} fixtures", fixtures.len());
    Ok(())
}

#[test]
fn every_golden_frame_of_a_capture_is_counted_as_written() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    FileFormat::ALL.into_iter().try_for_each(check)
}
