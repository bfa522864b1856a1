//! What places cost: the time to open the built-in database, the memory that it holds, and a look-up.
//!
//! Run it with `cargo run --release -p flowwatch --example geo_cost`.

#![expect(clippy::print_stdout, reason = "its figures are for who runs it")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result};
use flowwatch::geo::Databases;

const ROUNDS: usize = 11;
const LOOKUPS: u32 = 1_000_000;

fn main() -> Result<()> {
    let before = memory_kib()?;
    let databases = Databases::open(&[], true)?;
    let after = memory_kib()?;
    println!(
        "resident after opening: {} KiB more, of which anonymous: {} KiB",
        after.0 - before.0,
        after.1 - before.1
    );
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| opening_time()).collect::<Result<_>>()?;
    times.sort_unstable();
    println!(
        "opening: median {:.1?} of processor time, fastest {:.1?}, of {ROUNDS}",
        times[ROUNDS / 2],
        times[0]
    );
    println!(
        "look-up: {:.2?} of processor time each, of {LOOKUPS} spread over IPv4",
        lookup_time(&databases)?
    );
    for description in databases.descriptions() {
        println!("{description:?}");
    }
    Ok(())
}

fn opening_time() -> Result<Duration> {
    let start = processor_time()?;
    Databases::open(&[], true)?;
    Ok(processor_time()?.saturating_sub(start))
}

fn lookup_time(databases: &Databases) -> Result<Duration> {
    // An odd multiplier visits addresses all over the space, none twice.
    let addresses = (0..LOOKUPS).map(|index| Ipv4Addr::from(index.wrapping_mul(2_654_435_761)));
    let start = processor_time()?;
    for address in addresses {
        std::hint::black_box(databases.place_of(IpAddr::V4(address)));
    }
    Ok(processor_time()?.saturating_sub(start) / LOOKUPS)
}

/// Returns the time that this thread has spent on a processor: a busy machine doesn't distort it.
fn processor_time() -> Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let statistics = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let nanoseconds = statistics
        .split_whitespace()
        .next()
        .context("no figure")?
        .parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Returns this process's resident memory, all of it and the part that no file backs, in KiB.
fn memory_kib() -> Result<(i64, i64)> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let field = |name: &str| -> Result<i64> {
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .context("no such line")?;
        Ok(line
            .split_whitespace()
            .nth(1)
            .context("no figure")?
            .parse()?)
    };
    Ok((field("VmRSS:")?, field("RssAnon:")?))
}
