//! The golden frames through the parser natively and through every program in the kernel: each
//! gives what is written beside it.

use std::collections::HashSet;
use std::fmt::Write as _;

use anyhow::Result;
use flowwatch_common::abi::Direction;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::{self, Fixture};
use crate::hook::{HOOKS, Hook};
use crate::native;
use crate::programs::{Choice, Programs, device_mac};
use crate::tally::Tally;

/// Every kind of header, truncation and limit takes so many at least.
const FEWEST: usize = 60;

/// Returns the tally that the fixture must give.
fn expected(fixture: &Fixture, direction: Direction) -> Tally {
    let mut tally = Tally::default();
    if let Some(outcome) = fixture.expected_in(direction) {
        tally.add(direction, l2_octets(fixture), outcome);
    }
    tally
}

/// Returns what the parser gives natively.
fn natively(fixture: &Fixture, direction: Direction, mac: [u8; 6]) -> Tally {
    let frame = fixture.frame_of(mac, direction);
    let mut tally = Tally::default();
    if let Some(outcome) = native::count(&frame, fixture.extra, direction, mac) {
        tally.add(direction, l2_octets(fixture), outcome);
    }
    tally
}

/// The frame's octets and those of the tag that the card took off.
fn l2_octets(fixture: &Fixture) -> u64 {
    fixture.frame.len() as u64 + 4 * u64::from(fixture.extra.tags_taken)
}

/// Describes a difference, with everything that is needed to look into it.
fn difference(fixture: &Fixture, hook: &str, outcomes: &[(&str, &Tally)]) -> String {
    let mut text = format!("{} ({hook})\n  frame ", fixture.name);
    for octet in &fixture.frame {
        write!(text, "{octet:02x}").ok();
    }
    writeln!(text, "\n  {:?}", fixture.extra).ok();
    for (whose, tally) in outcomes {
        writeln!(text, "  {whose} {tally:?}").ok();
    }
    text
}

fn fail_with(differences: &[String]) {
    let count = differences.len();
    assert!(count == 0, "{count} differ:\n{}", differences.join("\n"));
}

#[test]
fn every_golden_frame_has_a_name_of_its_own() {
    let fixtures = golden::all();
    assert!(fixtures.len() >= FEWEST);
    let names: HashSet<&str> = fixtures.iter().map(|fixture| &*fixture.name).collect();
    let twice = fixtures.len() - names.len();
    assert_eq!(twice, 0, "names stand twice");
}

#[test]
fn the_parser_gives_what_is_written_of_every_golden_frame() {
    let mut differences = Vec::new();
    for fixture in &golden::all() {
        for direction in [Direction::Up, Direction::Down] {
            let written = expected(fixture, direction);
            let native = natively(fixture, direction, golden::CAMERA.0);
            if native != written {
                let outcomes = [("written", &written), ("native", &native)];
                differences.push(difference(fixture, "native", &outcomes));
            }
        }
    }
    fail_with(&differences);
}

/// Every fixture has a device for each hook, so that one drain is enough for all.
fn device_of(fixture: usize, hook: usize) -> u16 {
    (fixture * HOOKS.len() + hook) as u16
}

fn check(fixture: &Fixture, hook: &Hook, device: u16, counted: &Tally) -> Option<String> {
    let written = expected(fixture, hook.direction);
    let native = natively(fixture, hook.direction, device_mac(device));
    let outcomes = [
        ("written", &written),
        ("native ", &native),
        ("kernel ", counted),
    ];
    (written != native || native != *counted).then(|| difference(fixture, hook.program, &outcomes))
}

#[test]
fn every_program_gives_what_is_written_of_every_golden_frame() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let fixtures = golden::all();
    let mut programs = Programs::load(Choice::of_devices(device_of(fixtures.len(), 0)));
    let mut runs = Vec::new();
    for (at, fixture) in fixtures.iter().enumerate() {
        for (number, hook) in HOOKS.into_iter().enumerate() {
            if hook.takes(&fixture.frame, fixture.extra) {
                let device = device_of(at, number);
                let frame = fixture.frame_of(device_mac(device), hook.direction);
                programs.run(hook, &frame, fixture.extra);
                runs.push((fixture, hook, device));
            }
        }
    }
    let flows = programs.drain();
    let differences: Vec<String> = runs
        .iter()
        .filter_map(|(fixture, hook, device)| {
            let counted = Tally::of_kernel(&programs, &flows, *device);
            check(fixture, hook, *device, &counted)
        })
        .collect();
    fail_with(&differences);
    let (frames, runs) = (fixtures.len(), runs.len());
    println!(
        "{frames} golden frames, {runs} runs of {} programs",
        HOOKS.len()
    );
    Ok(())
}
