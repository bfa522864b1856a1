//! Tests of the census, on frames written by hand.

use super::*;
use crate::model::DeviceTag;

const CAMERA: [u8; 6] = [0x2c, 0xaa, 0x8e, 1, 2, 3];
const PHONE: [u8; 6] = [0xda, 0xa1, 0x19, 1, 2, 3];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A UDP packet over IPv4 in an Ethernet frame.
fn udp(mac: [u8; 6], from: [u8; 4], ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut octets = [&[0xff; 6][..], &mac, &[8, 0, 0x45, 0]].concat();
    octets.extend((28 + payload.len() as u16).to_be_bytes());
    octets.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    octets.extend(from);
    octets.extend([224, 0, 0, 251]);
    octets.extend(ports.0.to_be_bytes());
    octets.extend(ports.1.to_be_bytes());
    octets.extend((8 + payload.len() as u16).to_be_bytes());
    octets.extend([0, 0]);
    octets.extend(payload);
    octets
}

/// A DHCP request of a client with this address and these options.
fn dhcp(client: [u8; 6], options: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 240];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[28..34].copy_from_slice(&client);
    octets[236..].copy_from_slice(&[99, 130, 83, 99]);
    octets.extend(options);
    octets
}

/// A multicast DNS response: `name` (in labels) has this address.
fn mdns(name: &[u8], address: [u8; 4]) -> Vec<u8> {
    let mut octets = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    octets.extend(name);
    octets.extend([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4]);
    octets.extend(address);
    octets
}

#[derive(Default)]
struct Lan(Census);

impl Lan {
    fn hear(&mut self, octets: &[u8], second: i64) {
        self.0.observe(octets, octets.len() as u32, at(second));
    }

    fn list(self, tags: &[&str]) -> Vec<LanDevice> {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let (devices, prefixes) = DeviceTag::split(tags);
        let tags = TaggedDevices::new(&devices, &prefixes);
        self.0.list(&VendorRegistry::empty(), &tags).devices
    }
}

fn hostname(device: &LanDevice) -> Option<(&str, &str)> {
    let name = device.hostname.as_ref()?;
    Some((&name.text, name.source.name()))
}

#[test]
fn a_device_is_listed_with_its_addresses_times_and_frames() {
    let mut lan = Lan::default();
    lan.hear(&udp(CAMERA, [0; 4], (68, 67), &[]), 3);
    lan.hear(&udp(CAMERA, [192, 168, 8, 214], (4000, 53), &[]), 9);
    lan.hear(&udp(CAMERA, [192, 168, 8, 214], (4000, 53), &[]), 5);
    let devices = lan.list(&[]);
    assert_eq!(devices.len(), 1);
    let camera = &devices[0];
    assert_eq!(camera.mac.octets(), CAMERA);
    assert_eq!(camera.ipv4_addresses, [IpAddr::from([192, 168, 8, 214])]);
    assert!(camera.ipv6_addresses.is_empty());
    assert_eq!(
        (camera.first_seen, camera.last_seen),
        (Some(at(3)), Some(at(9)))
    );
    assert_eq!((camera.frames, camera.is_randomized), (3, false));
}

#[test]
fn hostnames_are_those_of_the_best_source_and_the_newest() {
    let mut lan = Lan::default();
    let address = [192, 168, 8, 214];
    let responder = mdns(b"\x07Kitchen\x05local\0", address);
    lan.hear(&udp(CAMERA, address, (5353, 5353), &responder), 1);
    let by_mdns = lan.0.devices.values().next().unwrap().hostname.clone();
    assert_eq!(by_mdns.unwrap().text, "Kitchen");
    let full = dhcp(CAMERA, b"\x51\x0d\x00\x00\x00cam.home.x\xff");
    lan.hear(&udp(CAMERA, [0; 4], (68, 67), &full), 2);
    let request = dhcp(CAMERA, b"\x51\x0d\x00\x00\x00cam.home.x\x0c\x04cam\x00\xff");
    lan.hear(&udp(CAMERA, [0; 4], (68, 67), &request), 2);
    lan.hear(&udp(CAMERA, address, (5353, 5353), &responder), 3);
    assert_eq!(hostname(&lan.list(&[])[0]), Some(("cam", "dhcp")));
}

#[test]
fn a_lease_names_a_device_that_is_there_and_no_other() {
    let mut lan = Lan::default();
    lan.hear(&udp(CAMERA, [192, 168, 8, 214], (1, 2), &[]), 1);
    for lease in
        read_leases("1 2c:aa:8e:01:02:03 192.168.8.214 cam *\n1 02:00:00:00:00:09 1.2.3.4 gone *\n")
    {
        lan.0.lease(lease);
    }
    let devices = lan.list(&[]);
    assert_eq!(devices.len(), 1);
    assert_eq!(hostname(&devices[0]), Some(("cam", "lease")));
}

#[test]
fn a_dhcp_message_names_the_client_not_the_relay() {
    let mut lan = Lan::default();
    let request = dhcp(PHONE, b"\x0c\x05phone\xff");
    lan.hear(&udp(CAMERA, [192, 168, 8, 214], (67, 67), &request), 1);
    let devices = lan.list(&[]);
    let names: Vec<_> = devices.iter().map(hostname).collect();
    assert_eq!(names, [None, Some(("phone", "dhcp"))]);
    assert!(devices[1].is_randomized);
}

#[test]
fn a_multicast_name_of_another_address_is_not_the_senders() {
    let mut lan = Lan::default();
    let other = mdns(b"\x07Printer\x05local\0", [192, 168, 8, 9]);
    lan.hear(&udp(CAMERA, [192, 168, 8, 214], (5353, 5353), &other), 1);
    assert_eq!(hostname(&lan.list(&[])[0]), None);
}

#[test]
fn a_device_with_very_many_addresses_is_a_probable_router() {
    let heard = |count: u8, from: fn(u8) -> [u8; 4]| {
        let mut lan = Lan::default();
        for number in 1..=count {
            lan.hear(&udp(CAMERA, from(number), (1, 2), &[]), 1);
        }
        lan.list(&[])[0].note()
    };
    assert_eq!(heard(16, |n| [10, 0, 0, n]), None);
    assert_eq!(heard(17, |n| [10, 0, 0, n]), Some("probable second router"));
    assert_eq!(heard(99, |n| [169, 254, 0, n]), None, "link-local");
}

#[test]
fn a_device_that_sends_from_the_lan_and_from_the_internet_is_a_probable_router() {
    let heard = |addresses: &[[u8; 4]]| {
        let mut lan = Lan::default();
        for from in addresses {
            lan.hear(&udp(CAMERA, *from, (1, 2), &[]), 1);
        }
        lan.list(&[]).remove(0)
    };
    let own = [[9, 9, 9, 9], [192, 168, 8, 1]];
    let device = heard(&own);
    assert_eq!(device.note(), None);
    let listed = [own[1], own[0]].map(IpAddr::from);
    assert_eq!(device.ipv4_addresses, listed, "the LAN's come first");
    assert_eq!(
        heard(&[own[0], [8, 8, 8, 8]]).note(),
        None,
        "a modem's host"
    );
    let router = heard(&[own[0], own[1], [8, 8, 8, 8]]);
    assert_eq!(router.note(), Some("probable second router"));
}

#[test]
fn neighbours_that_are_silent_are_listed_after_those_that_speak() {
    let mut lan = Lan::default();
    lan.0.know(PHONE, Some(IpAddr::from([192, 168, 8, 3])));
    lan.0.know([0xff; 6], None);
    lan.0.know([0; 6], None);
    lan.hear(&udp(CAMERA, [192, 168, 8, 214], (1, 2), &[]), 1);
    let devices = lan.list(&[]);
    let macs: Vec<_> = devices.iter().map(|device| device.mac.octets()).collect();
    assert_eq!(macs, [CAMERA, PHONE]);
    assert_eq!((devices[1].frames, devices[1].last_seen), (0, None));
}

#[test]
fn tagged_devices_come_first_and_others_get_an_option_of_their_own() {
    let mut lan = Lan::default();
    let [other, third] = [4, 5].map(|last| [0x02, 0, 0, 0, 0, last]);
    for (mac, second) in [(PHONE, 9), (CAMERA, 1), (other, 8), (third, 7)] {
        lan.hear(&udp(mac, [192, 168, 8, 1], (1, 2), &[]), second);
    }
    for mac in [PHONE, other] {
        let request = dhcp(mac, b"\x0c\x0dMy Phone';rm \xff");
        lan.hear(&udp(mac, [0; 4], (68, 67), &request), 6);
    }
    let devices = lan.list(&["cam=2c:aa:8e:*", "device=02:00:00:00:00:77"]);
    let listed: Vec<_> = devices
        .iter()
        .map(|device| (device.tag.as_deref(), device.option.as_deref()))
        .collect();
    let expected = [
        (Some("cam-01:02:03"), None),
        (None, Some("--device my-phone-rm=da:a1:19:01:02:03")),
        (None, Some("--device my-phone-rm-2=02:00:00:00:00:04")),
        (None, Some("--device device-2=02:00:00:00:00:05")),
    ];
    assert_eq!(listed, expected);
}

#[test]
fn hostile_names_are_kept_as_sent_and_bounded() {
    let check = |sent: &[u8], kept: Option<&str>| {
        let mut lan = Lan::default();
        let options = [&[12, sent.len() as u8], sent, &[255]].concat();
        lan.hear(&udp(CAMERA, [0; 4], (68, 67), &dhcp(CAMERA, &options)), 1);
        assert_eq!(hostname(&lan.list(&[])[0]).map(|(name, _)| name), kept);
    };
    check(b"\x1b[2Jevil", Some("\u{1b}[2Jevil"));
    check(b"=cmd|' /C calc'!A0", Some("=cmd|' /C calc'!A0"));
    check(b"\xff\xfe", Some("\u{fffd}\u{fffd}"));
    check(&[b'.'; 255], None);
    check(b"\0\0", None);
    check(b"", None);
}

#[test]
fn tables_have_hard_bounds() {
    let mut lan = Lan::default();
    for number in 0..MAX_DEVICES as u32 + 3 {
        let [_, a, b, c] = number.to_be_bytes();
        lan.0.know([2, 0, 0, a, b, c | 1], None);
        lan.0.know([2, 0, 1, a, b, c], None);
    }
    assert_eq!(lan.0.devices.len(), MAX_DEVICES);
    assert!(lan.0.without_room > 0);
    let mut entry = Entry::default();
    for number in 1..=255 {
        entry.add_address(IpAddr::from([10, 0, 0, number]));
    }
    assert_eq!(entry.addresses[0].len(), MAX_ADDRESSES);
}
