//! Captures made of octets by hand, through everything but files and formats.

use std::net::IpAddr;

use super::*;
use crate::plan::Settings;

/// A UDP packet of 29 octets with 1 of payload, from 192.168.8.214:40000 to 52.79.197.188:10240.
#[rustfmt::skip]
const PACKET: [u8; 29] = [
    0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 8, 214, 52, 79, 197, 188,
    0x9c, 0x40, 0x28, 0x00, 0, 9, 0, 0, b'!',
];
/// The answer, 30 octets.
#[rustfmt::skip]
const ANSWER: [u8; 30] = [
    0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 52, 79, 197, 188, 192, 168, 8, 214,
    0x28, 0x00, 0x9c, 0x40, 0, 10, 0, 0, b'o', b'k',
];
/// The server's answer from a name server, with 53 as its port: `gm.test` is 52.79.197.188.
#[rustfmt::skip]
const NAME: [u8; 69] = [
    0x45, 0, 0, 69, 0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 8, 1, 192, 168, 8, 214,
    0, 53, 0x9c, 0x40, 0, 49, 0, 0,
    0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 2, b'g', b'm', 4, b't', b'e', b's', b't', 0, 0, 1, 0, 1,
    0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 52, 79, 197, 188,
];
const CAMERA: [u8; 6] = [0x2c, 0xaa, 0x8e, 0, 0, 1];
const GATEWAY: [u8; 6] = [2, 0, 0, 0, 1, 0];

/// A little-endian pcap of a link type whose packets are a second apart, with some octets behind each
/// that only their length on the wire has.
fn pcap(link: u32, packets: &[Vec<u8>], missing: u32) -> Vec<u8> {
    let header = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link];
    let mut octets = header.map(u32::to_le_bytes).concat();
    for (second, packet) in (100..).zip(packets) {
        let length = packet.len() as u32;
        let record = [second, 0, length, length + missing];
        octets.extend(record.map(u32::to_le_bytes).concat());
        octets.extend(packet);
    }
    octets
}

fn ethernet(destination: [u8; 6], source: [u8; 6], packet: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &[8, 0], packet].concat()
}

/// A frame as Linux' cooked sockets have it, version 1.
fn cooked(source: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let header = [&[0, 0, 0, 1, 0, 6][..], &source, &[0, 0, 8, 0]].concat();
    [&header[..], packet].concat()
}

fn counted(octets: &[u8], devices: &[&str]) -> (Snapshot, Result<(), ReadError>) {
    let tags = devices.iter().map(|text| text.parse().unwrap()).collect();
    let plan = ReplayPlan::new("-".into(), tags, Settings::default()).unwrap();
    let mut capture = Capture::open(octets).unwrap();
    let mut counting = Counting::new(&plan.devices, &plan.prefixes);
    let outcome = count_all(&mut capture, &mut counting, &mut Progress::new(None));
    let meta = counting.meta();
    let databases = Databases::open(&[], false).unwrap();
    (snapshot(counting, &databases, meta), outcome)
}

/// A row as far as these tests go: device, remote, octets up and down.
fn rows(snapshot: &Snapshot) -> Vec<(String, String, u64, u64)> {
    assert!(snapshot.devices.iter().all(|device| device.conserved));
    let mut rows: Vec<_> = snapshot
        .flows
        .iter()
        .map(|record| {
            let remote: IpAddr = record.remote_address;
            let (up, down) = (record.up.octets, record.down.octets);
            (record.device.name.to_string(), remote.to_string(), up, down)
        })
        .collect();
    rows.sort();
    rows
}

fn row(device: &str, remote: &str, up: u64, down: u64) -> (String, String, u64, u64) {
    (device.to_owned(), remote.to_owned(), up, down)
}

fn conversation() -> Vec<Vec<u8>> {
    vec![
        ethernet(CAMERA, GATEWAY, &NAME),
        ethernet(GATEWAY, CAMERA, &PACKET),
        ethernet(CAMERA, GATEWAY, &ANSWER),
    ]
}

#[test]
fn without_tags_every_sender_is_a_device_that_goes_by_its_address() {
    let mut frames = conversation();
    // To an address that never sends, from one that is no device's.
    frames.push(ethernet([2, 0, 0, 0, 9, 9], [0; 6], &PACKET));
    let (snapshot, _) = counted(&pcap(1, &frames, 0), &[]);
    let expected = [
        row("02:00:00:00:01:00", "192.168.8.214", 69 + 30, 29),
        row("2c:aa:8e:00:00:01", "192.168.8.1", 0, 69),
        row("2c:aa:8e:00:00:01", "52.79.197.188", 29, 30),
    ];
    let rows = rows(&snapshot);
    let camera: Vec<_> = rows.iter().filter(|row| row.0 == expected[1].0).collect();
    assert_eq!(camera, [&expected[1], &expected[2]]);
    let gateway: (u64, u64) = rows
        .iter()
        .filter(|row| row.0 == expected[0].0)
        .fold((0, 0), |sum, row| (sum.0 + row.2, sum.1 + row.3));
    assert_eq!(gateway, (expected[0].2, expected[0].3));
    assert_eq!(snapshot.devices.len(), 2);
}

#[test]
fn names_and_times_are_the_captures() {
    let (snapshot, _) = counted(&pcap(1, &conversation(), 0), &["camera=2c:aa:8e:00:00:01"]);
    let flow = snapshot
        .flows
        .iter()
        .find(|flow| flow.remote_port == 10_240);
    let flow = flow.unwrap();
    assert_eq!(flow.names(), ["gm.test"]);
    assert_eq!(flow.first_seen, Timestamp::from_second(101).unwrap());
    assert_eq!(flow.last_seen, Timestamp::from_second(102).unwrap());
    let capture = snapshot.meta.capture.unwrap();
    assert_eq!((capture.packets, capture.packets_of_no_device), (3, 0));
    assert_eq!(
        snapshot.meta.started_at,
        Timestamp::from_second(100).unwrap()
    );
}

#[test]
fn a_frame_between_two_devices_counts_for_both() {
    let devices = ["camera=2c:aa:8e:00:00:01", "gateway=02:00:00:00:01:00"];
    let frames = [ethernet(GATEWAY, CAMERA, &PACKET)];
    let (snapshot, _) = counted(&pcap(1, &frames, 0), &devices);
    let expected = [
        row("camera", "52.79.197.188", 29, 0),
        row("gateway", "192.168.8.214", 0, 29),
    ];
    assert_eq!(rows(&snapshot), expected);
}

#[test]
fn a_frame_cut_by_the_snap_length_counts_with_its_length_on_the_wire() {
    // Twenty octets of Ethernet and IP are not enough; the whole headers are.
    let whole = ethernet(GATEWAY, CAMERA, &PACKET);
    let frames = [whole[..42].to_vec(), whole[..30].to_vec()];
    let (snapshot, _) = counted(&pcap(1, &frames, 1), &["camera=2c:aa:8e:00:00:01"]);
    assert_eq!(rows(&snapshot), [row("camera", "52.79.197.188", 29, 0)]);
    let device = &snapshot.devices[0];
    assert_eq!(device.up.frames_seen, 2);
    assert_eq!(device.up.l2_octets_seen, 43 + 31);
    assert_eq!(snapshot.unaccounted[0].reason, "truncated");
    assert_eq!(snapshot.meta.capture.unwrap().packets_cut, 2);
}

#[test]
fn a_check_sequence_is_no_part_of_a_frame() {
    let mut frame = ethernet(GATEWAY, CAMERA, &PACKET);
    frame.extend([1, 2, 3, 4]);
    let fcs_of_four = 1 | 1 << 26 | 2 << 28;
    let device = ["camera=2c:aa:8e:00:00:01"];
    let (snapshot, _) = counted(&pcap(fcs_of_four, &[frame.clone()], 0), &device);
    assert_eq!(rows(&snapshot), [row("camera", "52.79.197.188", 29, 0)]);
    assert_eq!(snapshot.devices[0].up.l2_octets_seen, 43);
    // A packet that claims octets which are the check sequence's claims too many.
    frame[17] += 1;
    let (snapshot, _) = counted(&pcap(fcs_of_four, &[frame], 0), &device);
    assert_eq!(snapshot.unaccounted[0].reason, "truncated");
}

#[test]
fn in_a_cooked_capture_what_a_device_receives_is_told_by_the_address_it_sends_from() {
    let frames = [
        cooked(GATEWAY, &ANSWER),
        cooked(CAMERA, &PACKET),
        cooked(GATEWAY, &ANSWER),
    ];
    let (snapshot, _) = counted(&pcap(113, &frames, 0), &["camera=2c:aa:8e:00:00:01"]);
    // The first answer comes before the camera has sent anything.
    assert_eq!(rows(&snapshot), [row("camera", "52.79.197.188", 29, 30)]);
    let device = &snapshot.devices[0];
    assert_eq!(
        (device.up.l2_octets_seen, device.down.l2_octets_seen),
        (29, 30)
    );
    assert_eq!(snapshot.meta.capture.unwrap().packets_of_no_device, 1);
}

#[test]
fn in_a_raw_capture_a_device_is_told_by_its_address() {
    let packets = [PACKET.to_vec(), ANSWER.to_vec()];
    for link in [101, 12, 14, 228] {
        let (snapshot, _) = counted(&pcap(link, &packets, 0), &["camera=192.168.8.214"]);
        assert_eq!(rows(&snapshot), [row("camera", "52.79.197.188", 29, 30)]);
        assert_eq!(snapshot.devices[0].device_mac, None);
    }
    let capture = pcap(101, &packets, 0);
    let capture = Capture::open(&capture[..]).unwrap();
    let error = refuse_unsupported(&capture, &Counting::new(&[], &[])).unwrap_err();
    assert!(
        error.to_string().contains("--device camera=192.168.8.214"),
        "{error}"
    );
}

#[test]
fn what_was_read_before_a_cut_is_counted_and_the_cut_is_an_error() {
    let octets = pcap(1, &conversation(), 0);
    let (snapshot, outcome) = counted(&octets[..octets.len() - 1], &[]);
    assert_eq!(snapshot.meta.capture.unwrap().packets, 2);
    assert!(matches!(outcome, Err(ReadError::Cut { .. })));
}

#[test]
fn packets_of_a_link_type_that_is_not_supported_are_counted_as_such() {
    let capture = pcap(220, &[vec![0; 64]], 0);
    let (snapshot, _) = counted(&capture, &[]);
    let unsupported = snapshot.meta.capture.unwrap().unsupported;
    assert_eq!(
        (&*unsupported[0].link_type, unsupported[0].packets),
        ("USB", 1)
    );
    let capture = Capture::open(&capture[..]).unwrap();
    let error = refuse_unsupported(&capture, &Counting::new(&[], &[])).unwrap_err();
    assert!(error.to_string().contains("USB"), "{error}");
}
