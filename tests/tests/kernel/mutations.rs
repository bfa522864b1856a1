//! Random mutations of the golden frames: whatever the octets are, the parser and every program
//! count the same of them.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use flowwatch_common::abi::Direction;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::{self, Extra};
use crate::hook::{HOOKS, Hook};
use crate::mutation::{Mutant, Mutator};
use crate::native;
use crate::programs::{Choice, Programs, device_mac};
use crate::tally::Tally;

/// Mutants that are compared at least.
const MUTANTS: usize = 200_000;
/// Mutants that are counted together: a drain waits some 20 ms for the kernel, and the flow table
/// has room for a flow of each mutant at each hook.
const BATCH: usize = 4000;
/// Another seed, in decimal.
const SEED: &str = "FLOWWATCH_MUTATION_SEED";
/// The seed without it.
const DEFAULT_SEED: u64 = 20_190_214;

/// The programs, and devices that nothing was counted of yet.
struct Bench {
    programs: Programs,
    next_device: u16,
}

/// Devices for the batches, and for looking for the mutants that differ.
const DEVICES: u16 = 1024;

impl Bench {
    /// Counts mutants at a hook natively and in the kernel, each on a device of its own.
    fn count(&mut self, mutants: &[Mutant]) -> Vec<(&'static Hook, Tally, Tally)> {
        let first = self.next_device;
        self.next_device += HOOKS.len() as u16;
        let devices = || (first..).zip(HOOKS);
        let native: Vec<Tally> = devices()
            .map(|(device, hook)| self.run(mutants, hook, device))
            .collect();
        let flows = self.programs.drain();
        devices()
            .zip(native)
            .map(|((device, hook), native)| {
                let kernel = Tally::of_kernel(&self.programs, &flows, device);
                (hook, native, kernel)
            })
            .collect()
    }

    /// Runs the hook's program on the mutants; returns what the parser gives natively.
    fn run(&self, mutants: &[Mutant], hook: &Hook, device: u16) -> Tally {
        let mac = device_mac(device);
        let mut native = Tally::default();
        for mutant in mutants {
            let frame = addressed(&mutant.frame, mac, hook.direction);
            let extra = if hook.is_tc {
                mutant.extra
            } else {
                Extra::default()
            };
            if !hook.takes(&frame, extra) {
                continue;
            }
            self.programs.run(hook, &frame, extra);
            if let Some(outcome) = native::count(&frame, extra, hook.direction, mac) {
                native.add(hook.direction, frame.len() as u64, outcome);
            }
        }
        native
    }

    /// Returns a description of the first mutant, of some of which one differs, that does.
    fn find(&mut self, mutants: &[Mutant]) -> Option<String> {
        let differing: Vec<_> = self
            .count(mutants)
            .into_iter()
            .filter(|(_, native, kernel)| native != kernel)
            .collect();
        if differing.is_empty() {
            return None;
        }
        let (left, right) = mutants.split_at(mutants.len() / 2);
        if left.is_empty() {
            return Some(describe(&right[0], &differing));
        }
        let of_halves = self.find(left).or_else(|| self.find(right));
        Some(of_halves.unwrap_or_else(|| "a difference that needs several mutants".to_owned()))
    }
}

/// Puts the device's address where the golden frame has it, if it is still there.
fn addressed(frame: &[u8], mac: [u8; 6], direction: Direction) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if frame[6..12] == golden::CAMERA.0 {
        frame[6..12].copy_from_slice(&mac);
    }
    if direction == Direction::Down {
        let (destination, source) = frame.split_at_mut(6);
        destination.swap_with_slice(&mut source[..6]);
    }
    frame
}

fn describe(mutant: &Mutant, differing: &[(&Hook, Tally, Tally)]) -> String {
    let mut text = format!("of \"{}\", {:?}:\n  ", mutant.of, mutant.extra);
    for octet in &mutant.frame {
        write!(text, "{octet:02x}").ok();
    }
    for (hook, native, kernel) in differing {
        let name = hook.program;
        write!(
            text,
            "\n  {name}: native {native:?}\n  {name}: kernel {kernel:?}"
        )
        .ok();
    }
    text
}

#[test]
fn every_program_counts_what_the_parser_counts_of_mutated_frames() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().context(SEED)?,
        Err(_) => DEFAULT_SEED,
    };
    println!("{SEED}={seed}");
    let fixtures = golden::all();
    let mut mutator = Mutator::new(&fixtures, seed);
    let programs = Programs::load(Choice::of_devices(DEVICES));
    let mut bench = Bench {
        programs,
        next_device: 0,
    };
    let mut outcomes = Outcomes::default();
    for _ in 0..MUTANTS / BATCH {
        let mutants: Vec<Mutant> = (0..BATCH).map(|_| mutator.mutant()).collect();
        for (hook, native, kernel) in bench.count(&mutants) {
            outcomes.add(&kernel);
            if native != kernel {
                let found = bench.find(&mutants);
                panic!("{}: {}", hook.program, found.unwrap_or_default());
            }
        }
    }
    outcomes.check();
    Ok(())
}

/// How often each outcome came up, so that a mutator that only makes rubbish is noticed.
#[derive(Default)]
struct Outcomes {
    seen: u64,
    in_flows: u64,
    unaccounted: [u64; 5],
}

impl Outcomes {
    fn add(&mut self, tally: &Tally) {
        for totals in [tally.totals.up, tally.totals.down] {
            self.seen += totals.seen.frames;
            self.in_flows += totals.in_flows.frames;
            for (sum, frames) in self.unaccounted.iter_mut().zip(totals.unaccounted) {
                *sum += frames.frames;
            }
        }
    }

    /// Nearly all are the device's; a third at least are in flows, and each reason that the parser
    /// gives has its share.
    fn check(&self) {
        let Self {
            seen,
            in_flows,
            unaccounted,
        } = self;
        println!("{MUTANTS} mutants: {seen} frames counted, {in_flows} in flows, {unaccounted:?}");
        let runs = (MUTANTS * HOOKS.len()) as u64;
        assert!(*seen > runs * 8 / 10 && *in_flows > seen / 3);
        assert!(unaccounted.iter().all(|frames| *frames > seen / 2000));
    }
}
