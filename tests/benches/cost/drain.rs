//! The drain's rate: entries a second out of the kernel's table, and into the window.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use flowwatch::kernel::load::{Loaded, program};
use flowwatch::store::FlowTable;
use flowwatch_tests::pin_folder::PinFolder;

use crate::frames;
use crate::programs;
use crate::statistics::Spread;

/// Entries in the table at a drain.
const SIZES: [u32; 2] = [10_000, 1_000_000];

/// Measures drains of each size and prints the table.
pub(crate) fn bench(rounds: usize) -> Result<()> {
    println!("\ndrain of the kernel's table, {rounds} rounds");
    println!(
        "{:<38} {:>7} {:>7} {:>7}",
        "", "minimum", "median", "maximum"
    );
    for size in SIZES {
        let mut own = programs::flowwatch(size)?;
        let pins = PinFolder::new()?;
        let folder = PathBuf::from(pins.path());
        fs::create_dir(&folder)?;
        let mut pinned = programs::pinned(size, &folder)?;
        let mut waits = Vec::new();
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let ways = [(false, false), (false, true), (true, true)];
            for (rate, (is_pinned, into_window)) in rates.iter_mut().zip(ways) {
                let loaded = if is_pinned { &mut pinned } else { &mut own };
                fill(loaded, size)?;
                let drained = drain(loaded, size, into_window)?;
                waits.push(drained.swap * 1e3);
                rate.push(f64::from(size) / drained.reading / 1e6);
            }
        }
        let [read, kept, kept_pinned] = rates.map(Spread::of);
        println!("{size} entries");
        println!("{:<38} {:.1}", "  wait for the swap, ms", Spread::of(waits));
        println!("{:<38} {read:.2}", "  read, million entries/s");
        println!("{:<38} {kept:.2}", "  read and kept, million entries/s");
        println!(
            "{:<38} {kept_pinned:.2}",
            "  pinned: read, kept, then emptied"
        );
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

/// How long the parts of a drain took, in seconds.
struct Drained {
    swap: f64,
    /// Reading, emptying and summing over the CPUs.
    reading: f64,
}

/// Drains an epoch of `size` flows of one packet each.
fn drain(loaded: &mut Loaded, size: u32, into_window: bool) -> Result<Drained> {
    let clock = loaded.programs.clock()?;
    let capacity = NonZeroUsize::new(size as usize).context("a table of nothing")?;
    let mut window = FlowTable::new(1, capacity);
    let mut packets = 0;
    let start = Instant::now();
    loaded.drain.swap()?;
    let swapped = Instant::now();
    let entries = loaded.drain.read(&clock, &mut |flow| {
        packets += flow.up.packets;
        if into_window {
            window.fold(flow);
        }
    })?;
    loaded.drain.finish()?;
    let end = Instant::now();
    ensure!(
        (entries, packets) == (size.into(), size.into()),
        "{entries} entries of {packets} packets instead of {size}"
    );
    Ok(Drained {
        swap: (swapped - start).as_secs_f64(),
        reading: (end - swapped).as_secs_f64(),
    })
}
