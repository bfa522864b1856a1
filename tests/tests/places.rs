//! Places, live: databases of every schema and family together, ones that are replaced while
//! flowwatch runs, and broken ones.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Flow, Flowwatch, Run};
use flowwatch_tests::lab::{Addressing, DeviceSpec, INTERNET_IPV6, Lab, Resolver};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use flowwatch_tests::traffic::{self, Exchange, Server};
use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::{Value, json};
use tempfile::TempDir;

const EXCHANGE: Exchange = Exchange { up: 40, down: 30 };
const PATIENCE: Duration = Duration::from_secs(30);
/// The port of the camera's rendezvous servers, and one of them.
const RENDEZVOUS: u16 = 10_240;
const SEOUL: [u8; 4] = [52, 79, 197, 188];

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch])
}

fn octets_of(ip_version: IpVersion, networks: &[(&str, Value)]) -> Result<Vec<u8>> {
    let mut database = Database::default();
    database.metadata.binary_format_major_version = 2;
    database.metadata.ip_version = ip_version;
    "test".clone_into(&mut database.metadata.database_type);
    database.metadata.build_epoch = 1_709_208_000;
    for (network, record) in networks {
        let record = database.insert_value(record)?;
        database.insert_node(network.parse::<IpAddrWithMask>()?, record);
    }
    Ok(database.write_to(Vec::new())?)
}

/// A database of one country for all IPv4 addresses.
fn country(code: &str) -> Result<Vec<u8>> {
    let record = json!({ "country_code": code });
    octets_of(
        IpVersion::V4,
        &[("0.0.0.0/1", record.clone()), ("128.0.0.0/1", record)],
    )
}

fn written(folder: &TempDir, name: &str, octets: &[u8]) -> Result<PathBuf> {
    let path = folder.path().join(name);
    fs::write(&path, octets)?;
    Ok(path)
}

/// Replaces a file as updaters do: under another name first.
fn replace(path: &Path, octets: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, octets)?;
    Ok(fs::rename(new, path)?)
}

fn lab() -> Result<Lab> {
    Lab::builder()
        .device(DeviceSpec::new("camera", Addressing::Dual))
        .resolver(Resolver::Nobody)
        .build()
}

fn watch(lab: &Lab, geo: &[&Path]) -> Result<Flowwatch> {
    let device = lab.camera();
    let run = Run::new()?.attach(Attach::Tc).interface(&device.port);
    let run = run
        .device("camera", device.mac)
        .options(&["--format", "json", "--no-builtin-geo"]);
    let run = geo.iter().fold(run, |run, path| {
        run.options(&["--geo", &path.to_string_lossy()])
    });
    run.start(&lab.gateway)
}

fn talk(lab: &Lab, address: IpAddr) -> Result<()> {
    let remote = SocketAddr::new(address, RENDEZVOUS);
    traffic::udp(&lab.camera().namespace, remote, EXCHANGE)
}

fn flow_to(document: &Document, address: IpAddr) -> Result<&Flow> {
    let mut flows = document.flows.values();
    let flow = flows.find(|flow| flow.remote_address == address);
    flow.with_context(|| format!("find the flow to {address}"))
}

fn await_told(flowwatch: &Flowwatch, part: &str) -> Result<String> {
    flowwatch
        .process()
        .wait_for_line(Stream::Stderr, PATIENCE, |line| line.contains(part))
}

#[test]
fn of_each_field_the_first_database_that_knows_it_wins() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let folder = TempDir::new()?;
    // Flat and of IPv4 alone, with an empty text for unknown; flat and of IPv6 alone; nested and of
    // both, in which IPv4 lies where MaxMind has it.
    let flat = json!({"country_code": "", "city": "Incheon", "as_name": "-"});
    let flat = octets_of(IpVersion::V4, &[("52.0.0.0/8", flat)])?;
    let six = json!({"country": "US", "asn": "AS16509", "org": "Amazon.com, Inc."});
    let six = octets_of(IpVersion::V6, &[("2600::/12", six)])?;
    let nested = |code: &str, name: &str| {
        json!({"country": {"iso_code": code, "names": {"en": name}}, "city": {"names": {"en": "Seoul"}},
            "autonomous_system_number": 16509, "autonomous_system_organization": "AMAZON-02"})
    };
    let both = octets_of(
        IpVersion::V6,
        &[
            ("::52.0.0.0/104", nested("KR", "South Korea")),
            ("2600::/12", nested("IE", "Ireland")),
        ],
    )?;
    let files = [
        written(&folder, "flat.mmdb", &flat)?,
        written(&folder, "six.mmdb", &six)?,
        written(&folder, "both.mmdb", &both)?,
    ];
    let lab = lab()?;
    let _server = Server::udp(&lab.internet, &[INTERNET_IPV6.into()], RENDEZVOUS)?;
    let flowwatch = watch(&lab, &files.each_ref().map(PathBuf::as_path))?;
    talk(&lab, SEOUL.into())?;
    talk(&lab, INTERNET_IPV6.into())?;
    let document = flowwatch.document()?;
    document.ensure_whole()?;
    let place = |address: IpAddr| -> Result<_> {
        let flow = flow_to(&document, address)?;
        let texts = [
            &flow.country,
            &flow.country_name,
            &flow.city,
            &flow.organization,
        ];
        Ok((texts.map(|text| text.clone().unwrap_or_default()), flow.asn))
    };
    let seoul = ["KR", "South Korea", "Incheon", "AMAZON-02"].map(str::to_owned);
    ensure!(
        place(SEOUL.into())? == (seoul, Some(16509)),
        "{:?}",
        place(SEOUL.into())?
    );
    let oregon = ["US", "United States", "Seoul", "Amazon.com, Inc."].map(str::to_owned);
    let six = place(INTERNET_IPV6.into())?;
    ensure!(six == (oregon, Some(16509)), "{six:?}");
    Ok(())
}

#[test]
fn a_database_that_is_replaced_is_taken_up_after_a_broken_one_was_refused() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let folder = TempDir::new()?;
    let path = written(&folder, "a.mmdb", &country("KR")?)?;
    let lab = lab()?;
    let flowwatch = watch(&lab, &[&path])?;
    talk(&lab, SEOUL.into())?;
    replace(&path, b"garbage")?;
    let told = await_told(&flowwatch, "the old one stays in use")?;
    ensure!(
        told.contains("a.mmdb") && told.starts_with("flowwatch: warn: "),
        "{told}"
    );
    // What is truncated in place, under the reader, harms nobody.
    let whole = country("US")?;
    fs::write(&path, &whole[..whole.len() / 2])?;
    replace(&path, &whole)?;
    await_told(&flowwatch, "took up the new geo database")?;
    let ended = flowwatch.interrupt()?;
    let refusals = ended.errors.matches("the old one stays in use").count();
    ensure!((1..=2).contains(&refusals), "{}", ended.errors);
    let document = Document::parse(&ended.output)?;
    let flow = flow_to(&document, SEOUL.into())?;
    ensure!(flow.country.as_deref() == Some("US"), "{flow:?}");
    Ok(())
}

#[test]
fn a_broken_replacement_is_told_once_and_the_old_database_answers() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let folder = TempDir::new()?;
    let path = written(&folder, "a.mmdb", &country("KR")?)?;
    let other = written(&folder, "b.mmdb", &country("FR")?)?;
    let lab = lab()?;
    let flowwatch = watch(&lab, &[&path, &other])?;
    talk(&lab, SEOUL.into())?;
    fs::remove_file(&path)?;
    await_told(&flowwatch, "the old one stays in use")?;
    // Taking up another one takes two more looks.
    replace(&other, &country("US")?)?;
    await_told(&flowwatch, "took up the new geo database")?;
    let ended = flowwatch.interrupt()?;
    ensure!(
        ended.errors.matches("stays in use").count() == 1,
        "{}",
        ended.errors
    );
    let document = Document::parse(&ended.output)?;
    let flow = flow_to(&document, SEOUL.into())?;
    ensure!(flow.country.as_deref() == Some("KR"), "{flow:?}");
    Ok(())
}

#[test]
fn a_database_cut_anywhere_is_refused_and_one_with_a_flipped_octet_ends_nothing() -> Result<()> {
    const PLACES: usize = 12;
    if !is_possible()? {
        return Ok(());
    }
    let folder = TempDir::new()?;
    let lab = lab()?;
    let whole = country("KR")?;
    let ended = |octets: &[u8]| {
        let path = written(&folder, "a.mmdb", octets)?;
        let run = Run::new()?
            .interface("lan0")
            .device("camera", lab.camera().mac);
        let path = path.to_string_lossy();
        run.options(&[
            "--geo",
            &path,
            "--no-builtin-geo",
            "--attach",
            "tc",
            "--duration",
            "1ms",
        ])
        .to_end(&lab.gateway)
    };
    for at in (0..whole.len()).step_by(whole.len() / PLACES) {
        let refused = ended(&whole[..at])?;
        ensure!(refused.status == Some(2), "cut at {at}: {refused:?}");
        ensure!(refused.errors.lines().count() == 1, "{}", refused.errors);
        ensure!(
            refused.errors.contains("geo database"),
            "{}",
            refused.errors
        );
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        let survived = ended(&flipped)?;
        ensure!(
            matches!(survived.status, Some(0 | 2)),
            "flipped at {at}: {survived:?}"
        );
        ensure!(!survived.errors.contains("panicked"), "{}", survived.errors);
    }
    Ok(())
}
