//! What counting costs: nanoseconds a packet in the kernel, beside a minimal counter's, and the
//! drain's rate. `cargo xtask bench` runs it.
//!
//! Every figure is the median of several rounds; rounds of different programs are interleaved, and
//! a ratio is taken within a round, so that a machine whose speed drifts does not decide it.

#![expect(clippy::print_stdout, reason = "its figures are for who runs it")]

mod drain;
mod frames;
mod packets;
mod programs;
mod statistics;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// What the command line says.
struct Options {
    /// Rounds of the packet programs.
    rounds: usize,
    /// Runs of a program in a round.
    repeat: u32,
    /// Rounds of the drain.
    drain_rounds: usize,
}

const USAGE: &str = "usage: cargo xtask bench [--rounds 11] [--repeat 1000000] [--drain-rounds 5]";

fn main() -> Result<()> {
    let options = options(std::env::args().skip(1))?;
    ensure!(
        nix::unistd::geteuid().is_root(),
        "only root may load BPF programs"
    );
    stay_on_this_cpu()?;
    packets::bench(options.rounds, options.repeat)?;
    drain::bench(options.drain_rounds)
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        rounds: 11,
        repeat: 1_000_000,
        drain_rounds: 5,
    };
    while let Some(name) = arguments.next() {
        // cargo's own word for every bench.
        if name == "--bench" {
            continue;
        }
        let value = arguments.next().context(USAGE)?;
        match name.as_str() {
            "--rounds" => options.rounds = value.parse().context(USAGE)?,
            "--repeat" => options.repeat = value.parse().context(USAGE)?,
            "--drain-rounds" => options.drain_rounds = value.parse().context(USAGE)?,
            _ => anyhow::bail!("no option `{name}`; {USAGE}"),
        }
    }
    ensure!(
        options.rounds > 0 && options.repeat > 0 && options.drain_rounds > 0,
        USAGE
    );
    Ok(options)
}

/// A program that wanders between CPUs finds its caches cold.
fn stay_on_this_cpu() -> Result<()> {
    let mut own = CpuSet::new();
    own.set(sched_getcpu().context("ask for this CPU")?)?;
    sched_setaffinity(Pid::from_raw(0), &own).context("stay on this CPU")
}
