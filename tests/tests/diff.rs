//! `flowwatch diff`: the camera's two firmwares, from captures and from histories that `run` recorded
//! on the lab's gateway, and what scripts see of it.
#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module: what fails here fails the test"
)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::camera::{Camera, Contact, Transport};
use flowwatch_tests::capture_file::{ETHERNET, FileFormat, Recorded};
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::flowwatch::{Attach, Compared, Ended, Lists, Run};
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};

const CAMERA: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
const GATEWAY: Mac = Mac([2, 0, 0, 0, 1, 0]);
const CAMERA_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 214);
const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 1);
/// 2019-06-01 00:00:00 UTC, in microseconds.
const START: u64 = 1_559_347_200_000_000;
/// The write-up's table: what is gone, what is new, and what survived under another name.
const GONE_NAMES: [&str; 2] = ["cm.iotcplatform.com", "gm.iotcplatform.com"];
const NEW_NAMES: [&str; 4] = [
    "a24rq1e5m4mtei-ats.iot.us-west-2.amazonaws.com",
    "api.wyzecam.com",
    "us-master.iotcplatform.com",
    "wyze-iot.s3-us-west-2.amazonaws.com",
];
const GONE_ADDRESSES: [&str; 3] = ["120.24.59.150", "198.16.70.58", "52.79.197.188"];
const NEW_ADDRESSES: [&str; 6] = [
    "34.208.107.136",
    "35.160.15.131",
    "35.161.164.220",
    "35.167.190.246",
    "50.19.254.134",
    "52.218.160.49",
];
const KEPT_ADDRESSES: [&str; 2] = ["129.6.15.28", "50.7.98.242"];

/// The frames of a firmware: the answer for each name, and one packet each way for each contact.
fn frames(camera: &Camera) -> Vec<Recorded> {
    let mut packets = Vec::new();
    for lookup in &camera.lookups {
        let labels: Vec<&[u8]> = lookup.name.split('.').map(str::as_bytes).collect();
        let contacts = lookup.contacts.iter();
        let addresses: Vec<_> = contacts
            .map(|contact| answer::address(&QUESTION_NAME, contact.address.into()))
            .collect();
        let question = answer::question(&answer::name(&labels));
        let message = answer::response(&question, &addresses);
        let link = Packet::ethernet(GATEWAY, CAMERA).ipv4(RESOLVER, CAMERA_ADDRESS);
        packets.push(link.udp(53, 40_000).payload_octets(message));
    }
    for (_, contact) in camera.contacts() {
        packets.extend(exchange(contact));
    }
    (START..)
        .step_by(1_000)
        .zip(packets)
        .map(|(at, packet)| Recorded::whole(at, packet.build()))
        .collect()
}

/// One packet each way, of payloads that tell the contacts apart.
fn exchange(contact: &Contact) -> [Packet; 2] {
    let up = Packet::ethernet(CAMERA, GATEWAY).ipv4(CAMERA_ADDRESS, contact.address);
    let down = Packet::ethernet(GATEWAY, CAMERA).ipv4(contact.address, CAMERA_ADDRESS);
    let port = contact.port;
    let [up, down] = match contact.transport {
        Transport::Udp => [up.udp(40_000, port), down.udp(port, 40_000)],
        Transport::Tcp | Transport::Tls => [up.tcp(40_000, port), down.tcp(port, 40_000)],
    };
    let [first, .., last] = contact.address.octets();
    [up.payload(first.into()), down.payload(last.into())]
}

/// Octets up and down that [`exchange`] is by the sizes of headers: 20 of IPv4, 8 of UDP, 20 of TCP.
fn octets(contact: &Contact) -> (u64, u64) {
    let headers = match contact.transport {
        Transport::Udp => 28,
        Transport::Tcp | Transport::Tls => 40,
    };
    let [first, .., last] = contact.address.octets();
    (headers + u64::from(first), headers + u64::from(last))
}

fn by_address(camera: &Camera) -> BTreeMap<String, (u64, u64)> {
    camera
        .contacts()
        .map(|(_, contact)| (contact.address.to_string(), octets(contact)))
        .collect()
}

fn by_name(camera: &Camera) -> BTreeMap<String, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (name, contact) in camera.contacts() {
        if let Some(name) = name {
            let (up, down) = octets(contact);
            let sum: &mut (u64, u64) = sums.entry(name.to_owned()).or_default();
            *sum = (sum.0 + up, sum.1 + down);
        }
    }
    sums
}

struct Captures {
    folder: tempfile::TempDir,
}

impl Captures {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for camera in [Camera::old_firmware(), Camera::fixed_firmware()] {
            let capture = FileFormat::Pcapng.write(ETHERNET, &frames(&camera));
            std::fs::write(folder.path().join(camera.firmware), capture)?;
        }
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Compares the old firmware's capture with the fixed one's.
    fn compare(&self, options: &[&str]) -> Result<Ended> {
        let run = Run::diff(&self.path("old"), &self.path("fixed"))?;
        run.options(&["--no-builtin-geo"])
            .options(options)
            .end_with(Vec::new())
    }
}

fn values(list: &[flowwatch_tests::flowwatch::Entry]) -> Vec<&str> {
    let mut values: Vec<_> = list.iter().map(|entry| entry.value.as_str()).collect();
    values.sort_unstable();
    values
}

/// Checks names and addresses against the write-up's table.
fn check_values(compared: &Compared) {
    assert_eq!(values(&compared.names.gone), GONE_NAMES);
    assert_eq!(values(&compared.names.new), NEW_NAMES);
    assert_eq!(values(&compared.names.kept), [""; 0]);
    assert_eq!(values(&compared.addresses.gone), GONE_ADDRESSES);
    assert_eq!(values(&compared.addresses.new), NEW_ADDRESSES);
    assert_eq!(values(&compared.addresses.kept), KEPT_ADDRESSES);
    let survivor = &compared.addresses.kept[0];
    assert_eq!(survivor.value, "50.7.98.242", "the renamed one is first");
    assert_eq!(survivor.names_before, ["gm.iotcplatform.com"]);
    assert_eq!(survivor.names_after, ["us-master.iotcplatform.com"]);
}

fn has_program() -> Result<bool> {
    granted(&[Need::Flowwatch])
}

#[test]
fn two_captures_differ_as_the_write_up_says_to_the_octet() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let ended = Captures::new()?.compare(&["--format", "json"])?;
    ensure!(ended.status == Some(0), "{ended:?}");
    let compared = Compared::parse(&ended.output)?;
    check_values(&compared);
    let (old, fixed) = (Camera::old_firmware(), Camera::fixed_firmware());
    let of = |sums: BTreeMap<String, (u64, u64)>, wanted: &[&str]| {
        let wanted = wanted
            .iter()
            .map(|value| ((*value).to_owned(), sums[*value]));
        wanted.collect::<BTreeMap<_, _>>()
    };
    let Compared {
        names, addresses, ..
    } = &compared;
    assert_eq!(Lists::octets(&names.gone), of(by_name(&old), &GONE_NAMES));
    assert_eq!(Lists::octets(&names.new), of(by_name(&fixed), &NEW_NAMES));
    assert_eq!(
        Lists::octets(&addresses.gone),
        of(by_address(&old), &GONE_ADDRESSES)
    );
    assert_eq!(
        Lists::octets(&addresses.new),
        of(by_address(&fixed), &NEW_ADDRESSES)
    );
    assert_eq!(
        Lists::octets(&addresses.kept),
        of(by_address(&fixed), &KEPT_ADDRESSES)
    );
    for entry in &addresses.kept {
        let before = entry.up_octets_before.zip(entry.down_octets_before);
        assert_eq!(before, by_address(&old).get(&entry.value).copied());
    }
    // The gateway sends, too, but to nobody on the internet.
    let camera = compared.devices.iter().find(|it| !it.names.gone.is_empty());
    assert_eq!(camera.context("find the camera")?.names, compared.names);
    Ok(())
}

#[test]
fn the_exit_status_is_5_where_a_firmware_differs_in_what_is_asked() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let captures = Captures::new()?;
    let check = |before: &str, after: &str, options: &[&str], expected: i32| -> Result<()> {
        let run = Run::diff(&captures.path(before), &captures.path(after))?;
        let ended = run.options(options).end_with(Vec::new())?;
        ensure!(ended.status == Some(expected), "{options:?}: {ended:?}");
        ensure!(
            ended.output.is_empty() == matches!(expected, 1..=3),
            "{ended:?}"
        );
        let has_told = ended.errors.starts_with("flowwatch: ") && ended.errors.lines().count() == 1;
        ensure!(has_told == (expected != 0), "{ended:?}");
        Ok(())
    };
    check("old", "fixed", &["--exit-code"], 5)?;
    check("old", "fixed", &[], 0)?;
    check("old", "old", &["--exit-code"], 0)?;
    // Without a database of places, there are no countries to differ in.
    let countries = ["--exit-code", "--no-builtin-geo", "--only", "countries"];
    check("old", "fixed", &countries, 0)?;
    check(
        "old",
        "fixed",
        &["--exit-code", "--only", "names,countries"],
        5,
    )?;
    check("old", "nowhere", &["--exit-code"], 2)?;
    check("old", "fixed", &["--exit-code", "--device", "plug"], 2)?;
    check(
        "old",
        "7d..1d",
        &["--history", "/nowhere/history.sqlite"],
        2,
    )
}

#[test]
fn a_capture_is_compared_with_the_document_of_a_replay_and_with_standard_input() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let captures = Captures::new()?;
    let replay = Run::replay(&captures.path("old"))?;
    let document = replay
        .options(&["--format", "json", "--no-builtin-geo"])
        .end_with(Vec::new())?;
    std::fs::write(captures.path("old.json"), document.output)?;
    let options = ["--format", "json", "--no-builtin-geo"];
    let compare = |before: &str, after: &str, input: Vec<u8>| -> Result<Compared> {
        let ended = Run::diff(before, after)?
            .options(&options)
            .end_with(input)?;
        ensure!(ended.status == Some(0), "{ended:?}");
        Compared::parse(&ended.output)
    };
    let expected = Compared::parse(&captures.compare(&["--format", "json"])?.output)?;
    let (document, fixed) = (captures.path("old.json"), captures.path("fixed"));
    assert_eq!(compare(&document, &fixed, Vec::new())?, expected);
    assert_eq!(compare(&document, "-", std::fs::read(&fixed)?)?, expected);
    Ok(())
}

#[test]
fn a_capture_that_is_cut_is_compared_up_to_there_and_ends_with_1() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let captures = Captures::new()?;
    let whole = std::fs::read(captures.path("fixed"))?;
    std::fs::write(captures.path("fixed"), &whole[..whole.len() - 5])?;
    let ended = captures.compare(&["--format", "json", "--exit-code"])?;
    ensure!(ended.status == Some(1), "{ended:?}");
    let compared = Compared::parse(&ended.output)?;
    assert_eq!(values(&compared.names.gone), GONE_NAMES);
    Ok(())
}

/// Records one firmware in a history of its own.
fn record(lab: &Lab, camera: &Camera, folder: &Path) -> Result<String> {
    let device = lab.camera();
    let history = folder.join(camera.firmware).display().to_string();
    let journal = folder.display().to_string();
    let run = Run::new()?
        .interface(&device.port)
        .device("camera", device.mac)
        .attach(Attach::Tc)
        .options(&["--history", &history, "--journal", &journal]);
    let flowwatch = run.start(&lab.gateway)?;
    camera.act(&device.namespace, lab.resolver_of(device))?;
    flowwatch.stop()?;
    Ok(history)
}

#[test]
fn two_recorded_histories_differ_as_the_write_up_says() -> Result<()> {
    if !granted(&[Need::Root, Need::Program("dnsmasq"), Need::Flowwatch])? {
        return Ok(());
    }
    let lab = Lab::builder().resolver(Resolver::Gateway).build()?;
    let folder = tempfile::tempdir()?;
    let old = record(&lab, &Camera::old_firmware(), folder.path())?;
    let fixed = record(&lab, &Camera::fixed_firmware(), folder.path())?;
    let compare = |before: &str, after: &str| -> Result<Compared> {
        let run = Run::diff(before, after)?;
        let ended = run.options(&["--format", "json"]).end_with(Vec::new())?;
        ensure!(ended.status == Some(0), "{ended:?}");
        Compared::parse(&ended.output)
    };
    check_values(&compare(&old, &fixed)?);
    // Everything was within the hour, and nothing the day before.
    let recent = compare(&format!("{old}@1h.."), &format!("{fixed}@1h.."))?;
    check_values(&recent);
    let nothing = compare(&format!("{old}@..1d"), &fixed)?;
    assert_eq!(nothing.names.gone.len() + nothing.names.kept.len(), 0);
    Ok(())
}
