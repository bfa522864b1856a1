//! The demo: the camera of the write-up behind a gateway with flowwatch, all in namespaces, first
//! with its old firmware, then with the fixed one.
//!
//! Prints flowwatch's table, and under it what the lab itself counted on the gateway's LAN
//! interface beside flowwatch's figures, remote by remote. Fails when they differ by one octet.
#![expect(clippy::print_stdout, reason = "printing is what a demo does")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::camera::Camera;
use flowwatch_tests::flowwatch::{Attach, Document, Run};
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
    let (table, document, heard) = watch_camera(program, attach)?;
    print!("{table}");
    check_countries(&document)?;
    compare(&counted(&document), &heard)
}

/// Runs two flowwatches beside the witness, one for each format, while the camera acts.
fn watch_camera(program: &str, attach: &str) -> Result<(String, Document, Heard)> {
    let lab = Lab::builder().resolver(Resolver::Gateway).build()?;
    let device = lab.camera();
    let run = Run::of(program)
        .interface(&device.port)
        .device("camera", device.mac)
        .variable("COLUMNS", &columns().to_string());
    let table = run.clone().options(&["--attach", attach]);
    let shown = table.start(&lab.gateway)?;
    // The XDP slot takes one program; tc takes any number, and counts the same.
    let document = run.attach(Attach::Tc).options(&["--format", "json"]);
    let recorded = document.start(&lab.gateway)?;
    println!("{}", shown.process().output(Stream::Stderr).trim_end());
    let witness = Witness::start(&lab.gateway, &device.port, device.mac)?;
    for camera in [Camera::old_firmware(), Camera::fixed_firmware()] {
        camera.act(&device.namespace, lab.resolver_of(device))?;
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
    let addresses: std::collections::BTreeSet<_> =
        counted.keys().chain(heard.remotes.keys()).collect();
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
