//! The drain's rate: entries a second out of the kernel's table, and into the window.

use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use flowwatch::kernel::load::{Loaded, program};
use flowwatch::store::FlowTable;

use crate::frames;
use crate::programs;
use crate::statistics::Spread;

/// Entries in the table at a drain.
const SIZES: [u32; 2] = [10_000, 1_000_000];

/// Measures drains of each size and prints the table.
pub(crate) fn bench(rounds: usize) -> Result<()> {
    println!("\ndrain, {rounds} rounds: swap, read and empty the table, sum over the CPUs");
    println!(
        "{:<34} {:>7} {:>7} {:>7}",
        "", "minimum", "median", "maximum"
    );
    for size in SIZES {
        let mut loaded = programs::flowwatch(size)?;
        let mut rates = [Vec::new(), Vec::new()];
        let mut waits = Vec::new();
        for _ in 0..rounds {
            waits.push(empty_drain(&mut loaded)? * 1e3);
            for (rate, into_window) in rates.iter_mut().zip([false, true]) {
                fill(&loaded, size)?;
                rate.push(f64::from(size) / drain(&mut loaded, size, into_window)? / 1e6);
            }
        }
        let [read, folded] = rates.map(Spread::of);
        println!("{size} entries");
        println!(
            "{:<34} {:.1}",
            "  swap of an empty table, ms",
            Spread::of(waits)
        );
        println!("{:<34} {read:.2}", "  read, million entries/s");
        println!("{:<34} {folded:.2}", "  read and kept, million entries/s");
    }
    Ok(())
}

/// Counts one packet to each of `size` remotes.
fn fill(loaded: &Loaded, size: u32) -> Result<()> {
    for number in 0..size {
        let frame = frames::to_remote(number);
        programs::cost(&loaded.programs.ebpf, program::XDP_FRAGMENTS, &frame, 1)?;
    }
    Ok(())
}

/// Ends an epoch in which nothing was counted; returns how long the swap took, in seconds.
fn empty_drain(loaded: &mut Loaded) -> Result<f64> {
    let clock = loaded.programs.clock()?;
    let start = Instant::now();
    let entries = loaded.drain.end_epoch(&clock, &mut |_| {})?;
    ensure!(entries == 0, "{entries} entries in an empty table");
    Ok(start.elapsed().as_secs_f64())
}

/// Ends an epoch of `size` flows; returns the seconds from its first entry to its last, which
/// leaves the wait for the swap out.
fn drain(loaded: &mut Loaded, size: u32, into_window: bool) -> Result<f64> {
    let clock = loaded.programs.clock()?;
    let capacity = NonZeroUsize::new(size as usize).context("a table of nothing")?;
    let mut window = FlowTable::new(1, capacity);
    let mut packets = 0;
    let swapped = Instant::now();
    let entries = loaded.drain.end_epoch(&clock, &mut |flow| {
        packets += flow.up.packets;
        if into_window {
            window.fold(flow);
        }
    })?;
    ensure!(
        (entries, packets) == (size.into(), size.into()),
        "{entries} entries of {packets} packets instead of {size}"
    );
    Ok(swapped.elapsed().as_secs_f64())
}
