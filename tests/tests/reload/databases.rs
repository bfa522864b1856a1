//! Databases of places at SIGHUP: others are taken up, and a broken one leaves all as it was.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document};
use flowwatch_tests::plain::{ensure_counted, lab};
use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::json;

use super::{Bench, OLD_STAYS, PACKETS, is_possible, reload, send, told};

/// Writes a database of one country for all IPv4 addresses, under another name first, as updaters do.
fn write_country(path: &Path, code: &str) -> Result<()> {
    let mut database = Database::default();
    database.metadata.binary_format_major_version = 2;
    database.metadata.ip_version = IpVersion::V4;
    "test".clone_into(&mut database.metadata.database_type);
    let record = database.insert_value(json!({ "country_code": code }))?;
    for half in ["0.0.0.0/1", "128.0.0.0/1"] {
        database.insert_node(half.parse::<IpAddrWithMask>()?, record);
    }
    let new = path.with_extension("new");
    fs::write(&new, database.write_to(Vec::new())?)?;
    Ok(fs::rename(new, path)?)
}

fn country_of(document: &Document) -> Result<Option<&str>> {
    let mut flows = document.flows.values();
    let flow = flows.next().context("find the flow")?;
    Ok(flow.country.as_deref())
}

/// A database in each step of its life, and whose country is told at the end of it.
fn check(steps: &[(&str, &str)], broken: &str, expected: &str) -> Result<()> {
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    for (name, code) in [("a.mmdb", "KR"), ("b.mmdb", "US")] {
        write_country(&bench.folder().join(name), code)?;
    }
    fs::write(bench.folder().join("broken.mmdb"), "no database")?;
    let write = |geo: &str| {
        let settings = format!("interval = '20ms'\nbuiltin_geo = false\n{geo}");
        bench.write_with(&settings, &["lan0"], &[("camera", &mac)])
    };
    write("geo = ['a.mmdb']")?;
    let flowwatch = bench.run(Attach::Tc)?.start(&lab.gateway)?;
    send(&lab, device)?;
    for (geo, what) in steps {
        write(geo)?;
        reload(&flowwatch, what, 1)?;
    }
    if !broken.is_empty() {
        write(broken)?;
        let why = reload(&flowwatch, OLD_STAYS, 1)?;
        ensure!(
            why.contains("broken.mmdb`: not a MaxMind database"),
            "{why}"
        );
    }
    send(&lab, device)?;
    let document = flowwatch.document()?;
    ensure_counted(&document, "camera", 2 * PACKETS)?;
    let country = country_of(&document)?.unwrap_or_default();
    ensure!(country == expected, "{country}, not {expected}");
    Ok(())
}

#[test]
fn other_databases_are_taken_up_and_none() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let other = ("geo = ['b.mmdb', 'a.mmdb']", "b.mmdb`, `");
    check(&[other], "", "US")?;
    check(&[other, ("", "places nothing")], "", "")
}

#[test]
fn a_broken_database_leaves_the_old_ones_in_use() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    check(&[], "geo = ['b.mmdb', 'broken.mmdb']", "KR")
}

/// A file that was replaced under its name is not the configuration's matter: it is taken up with
/// SIGHUP and without.
#[test]
fn a_database_that_was_replaced_is_taken_up_after_a_reload_too() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    let path = bench.folder().join("a.mmdb");
    write_country(&path, "KR")?;
    let settings = "interval = '20ms'\nbuiltin_geo = false\ngeo = ['a.mmdb']";
    bench.write_with(settings, &["lan0"], &[("cam", &mac)])?;
    let flowwatch = bench.run(Attach::Tc)?.start(&lab.gateway)?;
    send(&lab, device)?;
    write_country(&path, "US")?;
    bench.write_with(settings, &["lan0"], &[("camera", &mac)])?;
    reload(&flowwatch, "calls `camera`", 1)?;
    told(&flowwatch, "took up the new geo database", 1)?;
    let document = flowwatch.document()?;
    ensure!(country_of(&document)? == Some("US"), "{:?}", document.flows);
    Ok(())
}
