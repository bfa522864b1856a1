//! MQTT: Mosquitto has each device's totals as retained messages, also after it was away, and says so
//! when flowwatch is no more.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::lab::Lab;
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::privilege::Need;
use flowwatch_tests::process::{Process, Stream};
use flowwatch_tests::specimen::Way;
use flowwatch_tests::volley::Fired;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{DEVICES, PATIENCE, end, fire, is_possible, lab, start};

const NEEDS: &[Need] = &[Need::Program("mosquitto"), Need::Program("mosquitto_sub")];
const BROKER: &str = "mqtt://127.0.0.1";

/// A Mosquitto in a namespace, without a memory: what is retained there was published to this one.
fn broker(namespace: &Namespace, folder: &Path) -> Result<Process> {
    let config = folder.join("mosquitto.conf");
    let settings = "listener 1883 127.0.0.1\nallow_anonymous true\nuser root\npersistence false\n";
    fs::write(&config, settings)?;
    let mut command = namespace.command("mosquitto");
    command.arg("-v").arg("-c").arg(&config);
    let process = Process::spawn(command)?;
    let runs = |line: &str| line.contains("running");
    process.wait_for_line(Stream::Stderr, PATIENCE, runs)?;
    Ok(process)
}

/// Subscribes to a topic; what is retained there comes at once, and then what is new.
fn subscribe(namespace: &Namespace, topic: &str) -> Result<Process> {
    let mut command = namespace.command("mosquitto_sub");
    command.args(["-h", "127.0.0.1", "-q", "1", "-F", "%t %r %p", "-t", topic]);
    Process::spawn(command)
}

/// Waits until a device's topic says what was sent.
fn ensure_published(lab: &Lab, fired: &[&Fired]) -> Result<()> {
    for device in &lab.devices {
        let mac = device.mac.to_string();
        let topic = format!("flowwatch/device/{}", mac.replace(':', ""));
        let subscribed = subscribe(&lab.gateway, &topic)?;
        let sent = |way| {
            let traffic = fired
                .iter()
                .map(|it| it.ledger.sum(&device.name, way).traffic);
            traffic.fold((0, 0), |(packets, octets), it| {
                (packets + it.packets, octets + it.octets)
            })
        };
        let says_it = |line: &str| {
            let text = line.splitn(3, ' ').nth(2).unwrap_or_default();
            let Ok(state) = serde_json::from_str::<Value>(text) else {
                return false;
            };
            let of = |name: &str| {
                let number = |unit: &str| state[format!("{name}_{unit}")].as_u64();
                number("packets").zip(number("octets"))
            };
            let totals = [of("up"), of("down")];
            totals == [Some(sent(Way::Up)), Some(sent(Way::Down))] && state["conserved"] == true
        };
        let what = || format!("{}: {:?}", device.name, Way::BOTH.map(sent));
        let line = subscribed.wait_for_line(Stream::Stdout, PATIENCE, says_it);
        let line = line.with_context(what)?;
        ensure!(
            line.contains(&format!("\"device\":\"{}\"", device.name)),
            "{line}"
        );
    }
    Ok(())
}

#[test]
fn mosquitto_has_each_devices_totals_also_after_it_was_away() -> Result<()> {
    if !is_possible(NEEDS)? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let first = broker(&lab.gateway, folder.path())?;
    let flowwatch = start(&lab, &["--mqtt", BROKER])?;
    let before = fire(&lab)?;
    ensure_published(&lab, &[&before])?;
    first.signal(Signal::SIGKILL)?;
    let process = flowwatch.process();
    let is_told = |line: &str| line.contains("export to mqtt") && line.contains("tried again");
    process.wait_for_line(Stream::Stderr, PATIENCE, is_told)?;
    let meanwhile = fire(&lab)?;
    let second = broker(&lab.gateway, folder.path())?;
    ensure_published(&lab, &[&before, &meanwhile])?;
    let configs = subscribe(&lab.gateway, "homeassistant/sensor/#")?;
    let sensors = DEVICES.len() * 3;
    configs.wait_for_nth_line(Stream::Stdout, PATIENCE, sensors, |line| {
        line.contains("/config 1 {")
    })?;
    let status = subscribe(&lab.gateway, "flowwatch/status")?;
    let online = |line: &str| line == "flowwatch/status 1 online";
    status.wait_for_line(Stream::Stdout, PATIENCE, online)?;
    end(&flowwatch)?;
    let offline = |line: &str| line == "flowwatch/status 0 offline";
    status.wait_for_line(Stream::Stdout, PATIENCE, offline)?;
    second.signal(Signal::SIGTERM)
}

#[test]
fn the_broker_says_that_a_flowwatch_which_was_killed_is_no_more() -> Result<()> {
    if !is_possible(NEEDS)? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let _broker = broker(&lab.gateway, folder.path())?;
    let flowwatch = start(&lab, &["--mqtt", BROKER])?;
    let status = subscribe(&lab.gateway, "flowwatch/status")?;
    status.wait_for_line(Stream::Stdout, PATIENCE, |line| line.ends_with("online"))?;
    flowwatch.process().signal(Signal::SIGKILL)?;
    status.wait_for_line(Stream::Stdout, PATIENCE, |line| line.ends_with("offline"))?;
    Ok(())
}
