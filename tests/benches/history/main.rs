//! What a history costs: a home's year is generated, and its size, the time of its transactions and
//! the time of its reports are told. `cargo xtask bench history` runs it.

#![expect(clippy::print_stdout, reason = "its figures are for who runs it")]
#![expect(
    clippy::cast_precision_loss,
    reason = "what is printed has three digits"
)]

mod home;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use flowwatch::geo::Databases;
use flowwatch::history::{Archive, History, Known, Retention, Span, Step};
use flowwatch::names::NameTable;
use flowwatch::store::Losses;
use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

use crate::home::Home;

const USAGE: &str = "usage: cargo xtask bench history [--days 365] [--devices 50] \
                     [--destinations 200000] [--new-percent 5] [--file /tmp/history.db]; \
                     with --days 0, the reports of such a file";

/// The first day of the year that is generated.
const START: &str = "2025-01-01T00:00:00Z";

struct Options {
    days: u32,
    devices: u16,
    destinations: u32,
    new_percent: u32,
    file: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = options(std::env::args().skip(1))?;
    let folder = tempfile::tempdir()?;
    let path = options.file.clone();
    let path = path.unwrap_or_else(|| folder.path().join("history.db"));
    if options.days > 0 {
        write(&options, &path, START.parse()?)?;
    }
    let octets = fs::metadata(&path)?.len();
    println!(
        "size: {octets} octets ({:.2} GiB)",
        octets as f64 / f64::from(1 << 30)
    );
    let day = SignedDuration::from_hours(24);
    let history = History::open(&path)?;
    let end = history
        .span()?
        .context("there is nothing in the history")?
        .until;
    for (name, since) in [
        ("last day", end - day),
        ("last week", end - day * 7),
        ("last 30 days", end - day * 30),
    ] {
        let span = Span { since, until: end };
        let (clock, worked) = (Instant::now(), processor_time()?);
        let snapshot = history.snapshot(span)?;
        let bars = history.series(span, Step::Hour)?.len();
        println!(
            "{name}: {} flows and {bars} bars in {:.2?}, of the processor's {:.2?}",
            snapshot.flows.len(),
            clock.elapsed(),
            processor_time()?.saturating_sub(worked)
        );
    }
    let (clock, worked) = (Instant::now(), processor_time()?);
    let names = history.remembered(end)?;
    println!(
        "for a run that begins: {} names in {:.2?}, of the processor's {:.2?}",
        names.values().map(Vec::len).sum::<usize>(),
        clock.elapsed(),
        processor_time()?.saturating_sub(worked)
    );
    Ok(())
}

/// Returns how long a processor has worked for this program: on a busy machine, less than what passed.
fn processor_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

fn write(options: &Options, path: &Path, start: Timestamp) -> Result<()> {
    let mut home = Home::new(options.devices, options.destinations, options.new_percent);
    let databases = Databases::open(&[], true)?;
    let mut names = NameTable::default();
    let mut archive = Archive::open(path)?;
    let retention = Retention::default();
    let (mut rows, mut longest, mut all) = (0, Duration::ZERO, Duration::ZERO);
    for day in 0..options.days {
        home.begin_day();
        for hour in 0..24 {
            let at = start + SignedDuration::from_hours(i64::from(day) * 24 + hour);
            let epoch = home.hour(hour.unsigned_abs() as u32, at, &mut names);
            rows += epoch.flows.len();
            archive.add(&epoch);
            let known = Known {
                devices: home.devices(),
                names: &names,
                databases: &databases,
                interfaces: &[],
                losses: Losses::default(),
            };
            let clock = Instant::now();
            archive.write(&known, epoch.ended_at, Some(&retention))?;
            let taken = clock.elapsed();
            longest = longest.max(taken);
            all += taken;
        }
    }
    println!(
        "{} days, {} destinations a day, {}% of them new; {rows} rows of minutes in {all:.0?}: \
         {:.1} us a row; the longest transaction {longest:.2?}",
        options.days,
        options.destinations,
        options.new_percent,
        all.as_secs_f64() * 1e6 / rows as f64
    );
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        days: 365,
        devices: 50,
        destinations: 200_000,
        new_percent: 5,
        file: None,
    };
    while let Some(name) = arguments.next() {
        // cargo's own word for every bench.
        if name == "--bench" {
            continue;
        }
        let value = arguments.next().context(USAGE)?;
        match name.as_str() {
            "--days" => options.days = value.parse().context(USAGE)?,
            "--devices" => options.devices = value.parse().context(USAGE)?,
            "--destinations" => options.destinations = value.parse().context(USAGE)?,
            "--new-percent" => options.new_percent = value.parse().context(USAGE)?,
            "--file" => options.file = Some(value.into()),
            _ => anyhow::bail!("no option `{name}`; {USAGE}"),
        }
    }
    Ok(options)
}
