//! What hosts are called, where a real DHCP server gave them their addresses: by what they said in
//! asking, and by the server's own file.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flowwatch::format::FORMATS;
use flowwatch_tests::dhcp::{self, Called};
use flowwatch_tests::flowwatch::Run;
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, Resolver};
use flowwatch_tests::process::{Process, Stream};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::is_possible;

const PATIENCE: Duration = Duration::from_mins(1);
/// A name that clears the screen and sets its title, and its text.
const HOSTILE: &[u8] = b"\x1b[2J\x1b]0;x\x07<b>=1+1";

/// A home of two devices without addresses yet.
fn home() -> Result<Lab> {
    let device = |name| DeviceSpec::new(name, Addressing::Bare);
    let lab = Lab::builder().resolver(Resolver::Gateway).bridge();
    lab.device(device("early")).device(device("late")).build()
}

/// Starts a census of the home.
fn census(lab: &Lab, format: &str) -> Result<Process> {
    let leases = lab.lease_file.display().to_string();
    let run = Run::new()?.command_word("devices").interface("br0");
    let options = ["--duration", "5m", "--leases", &leases, "--format", format];
    let process = run.options(&options).spawn(&lab.gateway)?;
    let is_begun = |line: &str| line.contains("listening on");
    process.wait_for_line(Stream::Stderr, PATIENCE, is_begun)?;
    Ok(process)
}

fn end(process: &Process) -> Result<String> {
    process.signal(Signal::SIGINT)?;
    let (status, output, errors) = process.finish(PATIENCE)?;
    ensure!(status.success(), "{status}: {errors}");
    Ok(output)
}

/// A device's name and where it is from.
fn hostname(list: &Value, device: &Device) -> Result<(Value, Value)> {
    let devices = list["devices"].as_array().context("find the devices")?;
    let is_it = |found: &&Value| found["mac"] == device.mac.to_string();
    let found = devices.iter().find(is_it);
    let found = found.with_context(|| format!("find {} in {list}", device.name))?;
    let address = found["ipv4_addresses"].to_string();
    ensure!(address.contains(&device.ipv4.to_string()), "{found}");
    Ok((found["hostname"].clone(), found["hostname_source"].clone()))
}

#[test]
fn a_host_is_called_what_it_said_in_asking_or_what_the_server_has_it_down_as() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = home()?;
    let [early, late] = &lab.devices[..] else {
        unreachable!("two devices were asked for")
    };
    let called = |host| Called {
        host: Some(host),
        full: None,
    };
    dhcp::lease(early, called(b"early-cam"))?;
    let census = census(&lab, "json")?;
    dhcp::lease(late, called(b"late-cam"))?;
    let list: Value = serde_json::from_str(&end(&census)?).context("read the list")?;
    let (name, source) = hostname(&list, early)?;
    ensure!(name == "early-cam" && source == "lease", "{list}");
    let (name, source) = hostname(&list, late)?;
    ensure!(name == "late-cam", "{list}");
    ensure!(source == "dhcp" || source == "lease", "{list}");
    Ok(())
}

#[test]
fn a_host_that_calls_itself_something_else_does_nothing_to_a_terminal() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    for format in FORMATS {
        let lab = home()?;
        let census = census(&lab, format.name)?;
        let called = Called {
            host: Some(HOSTILE),
            full: None,
        };
        dhcp::lease(&lab.devices[1], called)?;
        let list = end(&census)?;
        let is_bad =
            |c: &char| c.is_control() && !(*c == '\n' || *c == '\r' && format.name == "csv");
        ensure!(
            list.chars().find(is_bad).is_none(),
            "{}: {list:?}",
            format.name
        );
        let is_markup = format.name == "markdown" && list.contains("<b>");
        ensure!(!is_markup, "{list}");
        ensure!(list.contains("1+1"), "{}: {list}", format.name);
    }
    Ok(())
}
