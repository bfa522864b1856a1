//! The demo: the camera of the write-up behind a gateway with flowwatch, all in namespaces, first
//! with its old firmware, then with the fixed one.
//!
//! Prints flowwatch's table, and under it what the lab itself counted on the gateway's LAN
//! interface beside flowwatch's figures, remote by remote; then what `flowwatch diff` says of the two
//! firmwares, each recorded in a history of its own. Fails when a count differs by one octet, or when
//! what is gone, new and kept is not what the camera was told to do.
#![expect(clippy::print_stdout, reason = "printing is what a demo does")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::camera::Camera;
use flowwatch_tests::flowwatch::{Attach, Compared, Document, Entry, Lists, Run};
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::process::Stream;
use flowwatch_tests::witness::{Heard, UpDown, Witness};

/// Columns where there is no terminal: the table's longest rows fit.
const WIDTH_ELSEWHERE: u16 = 180;

/// Countries that no database has ever disagreed about.
const CERTAIN_COUNTRIES: [(&str, &str); 4] = [
    ("52.79.197.188", "KR"),
    ("120.24.59.150", "CN"),
    ("50.7.98.242", "US"),
    ("50.19.254.134", "US"),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let program = arguments
        .first()
        .context("usage: demo FLOWWATCH [xdp|tc|auto]")?;
    let attach = arguments.get(1).map_or("xdp", String::as_str);
    println!("A camera, its gateway, a name server and an \"internet\", in network namespaces.\n");
    let histories = tempfile::tempdir().context("make a folder for the histories")?;
    let (table, document, heard) = watch_camera(program, attach, histories.path())?;
    print!("{table}");
    check_countries(&document)?;
    compare(&counted(&document), &heard)?;
    compare_firmwares(program, histories.path(), &heard)
}

/// Runs two flowwatches beside the witness, one for each format, while the camera acts, and one for
/// each firmware that records it.
fn watch_camera(
    program: &str,
    attach: &str,
    histories: &Path,
) -> Result<(String, Document, Heard)> {
    let lab = Lab::builder().resolver(Resolver::Gateway).build()?;
    let device = lab.camera();
    let run = Run::of(program)
        .interface(&device.port)
        .device("camera", device.mac)
        .variable("COLUMNS", &columns().to_string());
    let table = run.clone().options(&["--attach", attach]);
    let shown = table.start(&lab.gateway)?;
    // The XDP slot takes one program; tc takes any number, and counts the same.
    let beside = run.attach(Attach::Tc);
    let document = beside.clone().options(&["--format", "json"]);
    let recorded = document.start(&lab.gateway)?;
    println!("{}", shown.process().output(Stream::Stderr).trim_end());
    let witness = Witness::start(&lab.gateway, &device.port, device.mac)?;
    let journal = histories.display().to_string();
    for camera in [Camera::old_firmware(), Camera::fixed_firmware()] {
        let history = histories.join(history_of(&camera)).display().to_string();
        let options = ["--history", &history, "--journal", &journal];
        let memory = beside.clone().options(&options).start(&lab.gateway)?;
        camera.act(&device.namespace, lab.resolver_of(device))?;
        memory.stop()?;
    }
    let heard = witness.finish()?;
    Ok((shown.stop()?, recorded.document()?, heard))
}

/// Returns how wide flowwatch's table may be: as this program's terminal, which flowwatch, talking to
/// a pipe, can't see.
fn columns() -> u16 {
    terminal_size::terminal_size().map_or(WIDTH_ELSEWHERE, |(width, _)| width.0)
}

/// Sums flowwatch's rows by remote address.
fn counted(document: &Document) -> BTreeMap<IpAddr, UpDown> {
    let mut remotes: BTreeMap<IpAddr, UpDown> = BTreeMap::new();
    for flow in document.flows.values() {
        *remotes.entry(flow.remote_address).or_default() += flow.traffic();
    }
    remotes
}

fn check_countries(document: &Document) -> Result<()> {
    for (address, country) in CERTAIN_COUNTRIES {
        let address: IpAddr = address.parse()?;
        let mut flows = document.flows.values();
        let flow = flows.find(|flow| flow.remote_address == address);
        let flow = flow.with_context(|| format!("find {address} in flowwatch's rows"))?;
        ensure!(
            flow.country.as_deref() == Some(country),
            "{address} is in {country}, not {:?}",
            flow.country
        );
    }
    Ok(())
}

/// Prints both counts side by side and says whether they are equal.
fn compare(counted: &BTreeMap<IpAddr, UpDown>, heard: &Heard) -> Result<()> {
    ensure!(
        heard.drops == 0,
        "the lab's own count missed {} frames",
        heard.drops
    );
    println!("\nThe lab's own count of what the camera sent and received, beside flowwatch's:\n");
    println!(
        "{:<16} {:>11} {:>11} {:>13} {:>13}  octets and packets",
        "address", "lab up", "flowwatch", "lab down", "flowwatch"
    );
    let none = UpDown::default();
    let mut is_equal = true;
    let addresses: BTreeSet<_> = counted.keys().chain(heard.remotes.keys()).collect();
    for address in addresses {
        let own = heard.remotes.get(address).unwrap_or(&none);
        let flowwatch = counted.get(address).unwrap_or(&none);
        let is_same = own == flowwatch;
        is_equal &= is_same;
        println!(
            "{:<16} {:>11} {:>11} {:>13} {:>13}  {}",
            address.to_string(),
            own.up.octets,
            flowwatch.up.octets,
            own.down.octets,
            flowwatch.down.octets,
            if is_same { "equal" } else { "DIFFERENT" }
        );
    }
    ensure!(is_equal, "flowwatch and the lab counted differently");
    println!("\nEqual to the octet.");
    Ok(())
}

/// Returns the name of the history in which a firmware is recorded.
fn history_of(camera: &Camera) -> String {
    format!("{}.sqlite", camera.firmware)
}

/// Prints what flowwatch says of the two firmwares, and checks it against what the camera was told to
/// do and what the lab heard of it.
fn compare_firmwares(program: &str, histories: &Path, heard: &Heard) -> Result<()> {
    let cameras = [Camera::old_firmware(), Camera::fixed_firmware()];
    let [old, fixed] = cameras.each_ref().map(history_of);
    let folder = histories.display().to_string();
    let run = Run::of(program)
        .comparing(&old, &fixed)
        .through(&["env", "-C", &folder]);
    let said = |run: Run| -> Result<String> {
        let ended = run.end_with(Vec::new())?;
        ensure!(ended.status == Some(0), "flowwatch diff: {}", ended.errors);
        Ok(ended.output)
    };
    println!("\nThe two firmwares, by `flowwatch diff {old} {fixed}`:\n");
    let columns = columns().to_string();
    print!("{}", said(run.clone().variable("COLUMNS", &columns))?);
    let compared = Compared::parse(&said(run.options(&["--format", "json"]))?)?;
    let names = cameras.each_ref().map(|camera| {
        let names = camera.contacts().filter_map(|(name, _)| name);
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    });
    check_lists(&compared.names, &names)?;
    let addresses = cameras.each_ref().map(|camera| {
        let contacts = camera.contacts();
        contacts
            .map(|(_, contact)| contact.address.to_string())
            .collect()
    });
    check_lists(&compared.addresses, &addresses)?;
    check_octets(&compared.addresses, heard)?;
    println!("\nGone, new and kept as the two firmwares have it, and equal to the octet.");
    Ok(())
}

/// Checks that each list has what it should of what was there before and what is there after.
fn check_lists(lists: &Lists, [before, after]: &[BTreeSet<String>; 2]) -> Result<()> {
    let check = |list: &[Entry], expected: Vec<&String>| {
        let values: BTreeSet<&String> = list.iter().map(|entry| &entry.value).collect();
        ensure!(
            values.iter().eq(&expected),
            "{values:?} are told, not {expected:?}"
        );
        Ok(())
    };
    check(&lists.gone, before.difference(after).collect())?;
    check(&lists.new, after.difference(before).collect())?;
    check(&lists.kept, before.intersection(after).collect())
}

/// Checks the octets of each address, before and after together, against what the lab heard.
fn check_octets(addresses: &Lists, heard: &Heard) -> Result<()> {
    for entry in [&addresses.gone, &addresses.new, &addresses.kept]
        .into_iter()
        .flatten()
    {
        let own = heard.remotes.get(&entry.value.parse::<IpAddr>()?);
        let own = own.with_context(|| format!("find {} in the lab's count", entry.value))?;
        let up = entry.up_octets + entry.up_octets_before.unwrap_or_default();
        let down = entry.down_octets + entry.down_octets_before.unwrap_or_default();
        ensure!(
            (up, down) == (own.up.octets, own.down.octets),
            "{}: {up} and {down} octets are told, and the lab heard {} and {}",
            entry.value,
            own.up.octets,
            own.down.octets
        );
    }
    Ok(())
}
