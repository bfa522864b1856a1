//! `flowwatch devices`, live: hosts that say who they are, and one that says nothing, on one bridge.
#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::Run;
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, LabBuilder, Resolver};
use flowwatch_tests::link::{self, Mac};
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);
const EVERYBODY: Mac = Mac([0xff; 6]);
const FRAMES: u64 = 5_000;
/// A second router's addresses: more than a device of its own has.
const BEHIND_ROUTER: u8 = 20;

/// A DHCP request (RFC 2131) of a client that calls itself so.
fn dhcp_request(client: Mac, name: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..3].copy_from_slice(&[1, 1, 6]);
    message[28..34].copy_from_slice(&client.0);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend([53, 1, 3, 12, name.len() as u8]);
    message.extend(name);
    message.push(255);
    message
}

/// A multicast DNS response (RFC 6762): a host's own address, with the cache-flush bit.
fn mdns_response(host: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, host.len() as u8];
    message.extend(host);
    message.extend(b"\x05local\0");
    message.extend([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4]);
    message.extend(address.octets());
    message
}

fn frames_of(device: &Device, kind: &str) -> Vec<Vec<u8>> {
    let link = || Packet::ethernet(device.mac, EVERYBODY);
    let packets = match kind {
        "camera" => {
            let request = dhcp_request(device.mac, b"Wyze\x1b[2JCam");
            let any = Ipv4Addr::UNSPECIFIED;
            let asks = link().ipv4(any, Ipv4Addr::BROADCAST).udp(68, 67);
            let talks = link()
                .ipv4(device.ipv4, Ipv4Addr::BROADCAST)
                .udp(4000, 4001);
            vec![asks.payload_octets(request), talks]
        }
        "plug" => {
            let group = Ipv4Addr::new(224, 0, 0, 251);
            let response = mdns_response(b"Kitchen Plug", device.ipv4);
            let says = link().ipv4(device.ipv4, group).udp(5353, 5353);
            vec![says.payload_octets(response)]
        }
        _ => (1..=BEHIND_ROUTER)
            .map(|host| {
                let source = Ipv4Addr::new(10, 0, 0, host);
                link().ipv4(source, Ipv4Addr::BROADCAST).udp(1, 2)
            })
            .collect(),
    };
    packets.iter().map(Packet::build).collect()
}

fn lab() -> Result<Lab> {
    let names = ["camera", "plug", "router", "silent"];
    let add = |lab: LabBuilder, name: &&str| lab.device(DeviceSpec::new(name, Addressing::Bare));
    let builder = Lab::builder().bridge().resolver(Resolver::Nobody);
    let lab = names.iter().fold(builder, add).build()?;
    for device in &lab.devices {
        device.namespace.silence()?;
    }
    Ok(lab)
}

fn census(lab: &Lab, options: &[&str]) -> Result<Value> {
    let process = Run::new()?
        .command_word("devices")
        .interface("br0")
        .options(&["--duration", "5m", "--format", "json"])
        .options(options)
        .spawn(&lab.gateway)?;
    process.wait_for_line(Stream::Stderr, PATIENCE, |line| {
        line.contains("listening on")
    })?;
    for device in &lab.devices[..3] {
        let before = link::statistics(&lab.gateway, &device.port)?.rx_packets;
        let generator = Generator::new(&device.namespace, "eth0")?;
        let sent = generator.send(&frames_of(device, &device.name), FRAMES)?;
        link::await_received(&lab.gateway, &device.port, before + sent.total())?;
    }
    link::await_backlog()?;
    process.signal(Signal::SIGINT)?;
    let (status, output, errors) = process.finish(PATIENCE)?;
    ensure!(status.code() == Some(0), "{status:?}: {errors}");
    serde_json::from_str(&output).context("read the list")
}

fn device(list: &Value, mac: Mac) -> Result<&Value> {
    let devices = list["devices"].as_array().context("find the devices")?;
    let found = devices
        .iter()
        .find(|device| device["mac"] == mac.to_string());
    found.with_context(|| format!("find {mac} in {list}"))
}

#[test]
fn every_device_of_the_lan_is_listed_with_what_it_says_of_itself() -> Result<()> {
    let needs = ["ip", "ethtool"].map(Need::Program);
    if !granted(&[Need::Root, Need::Flowwatch])? || !granted(&needs)? {
        return Ok(());
    }
    let lab = lab()?;
    let [camera, plug, router, silent] = &lab.devices[..] else {
        unreachable!("four devices were asked for")
    };
    link::neighbour(&lab.gateway, "br0", silent.ipv4.into(), silent.mac)?;
    let list = census(&lab, &["--device", "kitchen=2c:aa:8e:00:00:02"])?;
    let check = |of: &Device, field: &str, expected: Value| {
        let value = &device(&list, of.mac)?[field];
        ensure!(*value == expected, "{}: {field} is {value}", of.name);
        Ok(())
    };
    check(camera, "hostname", json!("Wyze\u{1b}[2JCam"))?;
    check(camera, "hostname_source", json!("dhcp"))?;
    check(camera, "vendor", json!("Wyze Labs Inc"))?;
    check(camera, "randomized", json!(false))?;
    check(camera, "ipv4_addresses", json!([camera.ipv4]))?;
    check(
        camera,
        "option",
        json!("--device wyze-2jcam=2c:aa:8e:00:00:01"),
    )?;
    check(camera, "frames", json!(FRAMES))?;
    check(plug, "hostname", json!("Kitchen\\032Plug"))?;
    check(plug, "hostname_source", json!("mdns"))?;
    check(plug, "tag", json!("kitchen"))?;
    check(plug, "option", Value::Null)?;
    check(plug, "frames", json!(FRAMES))?;
    check(router, "note", json!("probable second router"))?;
    check(router, "frames", json!(FRAMES))?;
    check(silent, "frames", json!(0))?;
    check(silent, "last_seen", Value::Null)?;
    check(silent, "ipv4_addresses", json!([silent.ipv4]))?;
    let first = &list["devices"][0];
    ensure!(first["tag"] == "kitchen", "tagged first: {first}");
    let (from, to) = (
        &device(&list, camera.mac)?["first_seen"],
        &first["last_seen"],
    );
    ensure!(
        from.as_str() <= to.as_str() && from.is_string(),
        "{from} {to}"
    );
    ensure!(list["meta"]["sightings_without_room"] == 0, "{list}");
    // What the ring had no room for is told; some of thousands of names were taken.
    ensure!(list["meta"]["frames_without_room"].is_u64(), "{list}");
    Ok(())
}

#[test]
fn a_census_leaves_nothing_behind() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("ip")])? {
        return Ok(());
    }
    let lab = lab()?;
    let ended = Run::new()?
        .command_word("devices")
        .interface("br0")
        .options(&["--duration", "100ms", "--format", "csv"])
        .to_end(&lab.gateway)?;
    ensure!(ended.status == Some(0), "{ended:?}");
    ensure!(ended.output.starts_with("tag,mac,vendor,"), "{ended:?}");
    let links = lab.gateway.command("ip").args(["-d", "link"]).output()?;
    let links = String::from_utf8_lossy(&links.stdout).into_owned();
    ensure!(!links.contains("prog/"), "{links}");
    Ok(())
}
