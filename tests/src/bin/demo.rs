//! The demo: the camera of the write-up behind a gateway with flowwatch, all in namespaces.
//!
//! Prints flowwatch's table, and under it what the lab itself counted on the gateway's LAN
//! interface beside flowwatch's figures, remote by remote. Fails when they differ by one octet.
#![expect(clippy::print_stdout, reason = "printing is what a demo does")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::camera::Camera;
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::process::{Process, Stream};
use flowwatch_tests::witness::{Heard, Traffic, UpDown, Witness};
use nix::sys::signal::Signal;
use serde_json::Value;

/// How long any one thing in the lab may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Countries that no database has ever disagreed about.
const CERTAIN_COUNTRIES: [(&str, &str); 4] = [
    ("52.79.197.188", "KR"),
    ("120.24.59.150", "CN"),
    ("50.7.98.242", "US"),
    ("50.19.254.134", "US"),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--")
        .collect();
    let program = arguments
        .first()
        .context("usage: demo FLOWWATCH [xdp|tc|auto]")?;
    let attach = arguments.get(1).map_or("xdp", String::as_str);
    println!("A camera, its gateway, a name server and an \"internet\", in network namespaces.\n");
    let (table, document, heard) = watch_camera(program, attach)?;
    println!("{table}");
    let rows: Value = serde_json::from_str(&document).context("read flowwatch's JSON")?;
    check_countries(&rows)?;
    compare(&counted(&rows)?, &heard)
}

/// Runs two flowwatches beside the witness, one for each format, while the camera acts.
fn watch_camera(program: &str, attach: &str) -> Result<(String, String, Heard)> {
    let lab = Lab::builder().resolver(Resolver::Gateway).build()?;
    let device = lab.camera();
    let folder = tempfile::tempdir()?;
    let document = folder.path().join("flows.json");
    let start = |attach: &str, format: &[&str]| -> Result<Process> {
        let mut command = lab.gateway.command(program);
        let tag = format!("camera={}", device.mac);
        command.args([
            "run",
            "--interface",
            &device.port,
            "--device",
            &tag,
            "--attach",
            attach,
        ]);
        command.args(format).env("COLUMNS", "150");
        let flowwatch = Process::spawn(command)?;
        flowwatch.wait_for_line(Stream::Stderr, PATIENCE, |line| {
            line.contains("counting on")
        })?;
        Ok(flowwatch)
    };
    let shown = start(attach, &["--format", "table"])?;
    // The XDP slot takes one program; tc takes any number, and counts the same.
    let recorded = start(
        "tc",
        &["--format", "json", "--output", &document.to_string_lossy()],
    )?;
    println!("{}", shown.output(Stream::Stderr).trim_end());
    let witness = Witness::start(&lab.gateway, &device.port, device.mac)?;
    Camera::old_firmware().act(&device.namespace, lab.resolver_of(device))?;
    let heard = witness.finish()?;
    let table = stop(shown)?;
    stop(recorded)?;
    Ok((table, std::fs::read_to_string(document)?, heard))
}

/// Ends a flowwatch as Ctrl-C does, and returns what it printed.
fn stop(flowwatch: Process) -> Result<String> {
    flowwatch.signal(Signal::SIGINT)?;
    let (status, printed, errors) = flowwatch.finish(PATIENCE)?;
    ensure!(status.success(), "flowwatch ended with {status}: {errors}");
    Ok(printed)
}

/// Sums flowwatch's rows by remote address.
fn counted(document: &Value) -> Result<BTreeMap<IpAddr, UpDown>> {
    let mut remotes: BTreeMap<IpAddr, UpDown> = BTreeMap::new();
    for row in document["flows"].as_array().context("find the flows")? {
        let address = row["remote_address"]
            .as_str()
            .context("find an address")?
            .parse()?;
        let number = |field: &str| row[field].as_u64().with_context(|| format!("find {field}"));
        let sum = remotes.entry(address).or_default();
        sum.up.packets += number("up_packets")?;
        sum.up.octets += number("up_octets")?;
        sum.down.packets += number("down_packets")?;
        sum.down.octets += number("down_octets")?;
    }
    Ok(remotes)
}

fn check_countries(document: &Value) -> Result<()> {
    let rows = document["flows"].as_array().context("find the flows")?;
    for (address, country) in CERTAIN_COUNTRIES {
        for row in rows.iter().filter(|row| row["remote_address"] == address) {
            ensure!(
                row["country"] == country,
                "{address} is in {country}, not {}",
                row["country"]
            );
        }
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
        "{:<16} {:>11} {:>11} {:>13} {:>13}  {}",
        "address", "lab up", "flowwatch", "lab down", "flowwatch", "octets and packets"
    );
    let none = UpDown::default();
    let mut is_equal = true;
    let addresses: std::collections::BTreeSet<_> =
        counted.keys().chain(heard.remotes.keys()).collect();
    for address in addresses {
        let own = heard.remotes.get(address).unwrap_or(&none);
        let flowwatch = counted.get(address).unwrap_or(&none);
        let is_same = same(&own.up, &flowwatch.up) && same(&own.down, &flowwatch.down);
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

fn same(own: &Traffic, flowwatch: &Traffic) -> bool {
    own.packets == flowwatch.packets && own.octets == flowwatch.octets
}
