//! Golden frames of the link layer: addresses, EtherTypes, tags, PPPoE and padding.

use std::net::Ipv4Addr;

use flowwatch_common::abi::Reason;
use flowwatch_tests::headers::{Ethernet, Pppoe, Tag};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;

use super::{
    CAMERA, CAMERA_V4, CAMERA_V6, Extra, Fixture, GATEWAY, MALFORMED, NOT_IP, Outcome, REMOTE_V4,
    REMOTE_V6, STRANGER, TRUNCATED, camera, camera_v4, camera_v6, fixture, udp4, udp6, v4,
};

const TOO_MANY_TAGS: Outcome = Outcome::Unaccounted(Reason::TooManyTags);

pub(super) fn fixtures() -> Vec<Fixture> {
    [ethernet(), addresses(), tags(), taken_tags(), pppoe()].concat()
}

/// UDP over IPv4: 20 octets, 8, and the payload.
fn udp_in(link: Packet, payload: usize) -> Packet {
    let packet = link.ipv4(CAMERA_V4, REMOTE_V4);
    packet.udp(40000, 10240).payload(payload)
}

/// UDP over IPv6: 40 octets, 8, and the payload.
fn udp6_in(link: Packet, payload: usize) -> Packet {
    let packet = link.ipv6(CAMERA_V6, REMOTE_V6);
    packet.udp(40000, 443).payload(payload)
}

#[rustfmt::skip]
fn ethernet() -> Vec<Fixture> {
    let llc = vec![0x42, 0x42, 3, 0, 0, 0, 0, 0];
    let eapol = camera().number(0x888e).payload(46);
    let length_field = |packet: Packet, length| {
        packet.with(|ethernet: &mut Ethernet| ethernet.ether_type = Some(length))
    };
    vec![
        fixture("UDP over IPv4", &udp_in(camera(), 100), udp4(128)),
        fixture("UDP over IPv6", &udp6_in(camera(), 100), udp6(148)),
        fixture("ARP", &camera().number(0x0806).payload(28), NOT_IP),
        fixture("ARP, padded", &camera().number(0x0806).payload(28).pad_to(60), NOT_IP),
        fixture("EAPOL", &eapol, NOT_IP),
        fixture("LLC: a spanning tree's length instead of an EtherType",
            &length_field(camera().payload_octets(llc), 8).pad_to(60), NOT_IP),
        fixture("LLC of the longest length", &length_field(camera().payload(1500), 1500), NOT_IP),
        fixture("an EtherType that nobody has", &camera().payload(46), NOT_IP),
        fixture("an Ethernet header and one octet", &camera().number(0x0806).payload(1), NOT_IP),
        fixture("a short packet over IPv4, padded to 60 octets",
            &udp_in(camera(), 1).pad_to(60), udp4(29)),
        fixture("a short packet over IPv6, padded to 64 octets",
            &udp6_in(camera(), 1).pad_to(64), udp6(49)),
        fixture("a packet with a trailer of 1,000 octets",
            &udp_in(camera(), 10).pad_to(1052), udp4(38)),
        fixture("a packet of 1,500 octets", &udp_in(camera(), 1472), udp4(1500)),
        fixture("a packet that fills one buffer", &udp_in(camera(), 3400), udp4(3428)),
        fixture("a jumbo frame of 9,000 octets", &udp_in(camera(), 8972), udp4(9000)),
        fixture("a jumbo frame of 9,000 octets over IPv6", &udp6_in(camera(), 8952), udp6(9000)),
    ]
}

#[rustfmt::skip]
fn addresses() -> Vec<Fixture> {
    let group_v4 = Ipv4Addr::new(224, 0, 0, 251);
    let group = |to: Mac, address| {
        let packet = Packet::ethernet(CAMERA, to).ipv4(CAMERA_V4, address);
        packet.udp(5353, 5353).payload(20)
    };
    let multicast = Mac([1, 0, 0x5e, 0, 0, 0xfb]);
    let neighbour = "192.168.8.7".parse::<Ipv4Addr>().unwrap();
    vec![
        fixture("a multicast",
            &group(multicast, group_v4), v4(17, 5353, 5353, 48).between(CAMERA_V4, group_v4)),
        fixture("a broadcast",
            &group(Mac::BROADCAST, Ipv4Addr::BROADCAST),
            v4(17, 5353, 5353, 48).between(CAMERA_V4, Ipv4Addr::BROADCAST)),
        fixture("a packet to a neighbour",
            &Packet::ethernet(CAMERA, STRANGER).ipv4(CAMERA_V4, neighbour).icmp(8, 0).payload(56),
            v4(1, 0, 0, 84).between(CAMERA_V4, neighbour)),
        fixture("a frame between strangers",
            &udp_in(Packet::ethernet(STRANGER, GATEWAY), 100), Outcome::NobodysFrame),
        fixture("a frame that passes against the hook's direction",
            &udp_in(Packet::ethernet(GATEWAY, CAMERA), 100), Outcome::NobodysFrame),
        fixture("a stranger's broken frame",
            &udp_in(Packet::ethernet(STRANGER, GATEWAY), 100).truncate(20), Outcome::NobodysFrame),
        fixture("a frame from an address of zeros",
            &udp_in(Packet::ethernet(Mac([0; 6]), GATEWAY), 100), Outcome::NobodysFrame),
    ]
}

#[rustfmt::skip]
fn tags() -> Vec<Fixture> {
    let inner = |tpid, control| camera().tag(0x88a8, 100).tag(tpid, control);
    let announced = |ether_type| {
        camera()
            .vlan(5)
            .with(|tag: &mut Tag| tag.ether_type = Some(ether_type))
            .payload(46)
    };
    vec![
        fixture("a customer's tag", &udp_in(camera().vlan(5), 100), udp4(128)),
        fixture("a tag with priority 7, drop eligibility and identifier 4,095",
            &udp_in(camera().tag(0x8100, 0xffff), 100), udp4(128)),
        fixture("a priority tag (identifier 0)", &udp_in(camera().vlan(0), 100), udp4(128)),
        fixture("a service tag", &udp_in(camera().tag(0x88a8, 5), 100), udp4(128)),
        fixture("the older service tag", &udp_in(camera().tag(0x9100, 5), 100), udp4(128)),
        fixture("a service's and a customer's tag", &udp_in(inner(0x8100, 5), 100), udp4(128)),
        fixture("two customer's tags", &udp6_in(camera().vlan(5).vlan(6), 100), udp6(148)),
        fixture("two service tags over IPv6", &udp6_in(inner(0x88a8, 5), 100), udp6(148)),
        fixture("an older and a customer's tag",
            &udp6_in(camera().tag(0x9100, 5).vlan(6), 100), udp6(148)),
        fixture("a short packet under a tag, padded to 64 octets",
            &udp_in(camera().vlan(5), 1).pad_to(64), udp4(29)),
        fixture("three tags", &udp_in(inner(0x8100, 5).vlan(6), 100), TOO_MANY_TAGS),
        fixture("four tags", &udp_in(inner(0x8100, 5).vlan(6).vlan(7), 100), TOO_MANY_TAGS),
        fixture("three tags, and the frame's end behind the second",
            &udp_in(inner(0x8100, 5).vlan(6), 100).truncate(22), TOO_MANY_TAGS),
        fixture("ARP under a tag", &camera().vlan(5).number(0x0806).payload(46), NOT_IP),
        fixture("LLC under a tag", &announced(46), NOT_IP),
        fixture("a tag of a kind that is none (0x9200)",
            &udp_in(camera().tag(0x9200, 5), 100), NOT_IP),
    ]
}

/// What a test run can't have, so that these are parsed natively alone.
#[rustfmt::skip]
fn taken_tags() -> Vec<Fixture> {
    let taken = |name: &str, packet: &Packet, expected| Fixture {
        extra: Extra {
            tags_taken: 1,
            ..Extra::default()
        },
        ..fixture(name, packet, expected)
    };
    vec![
        taken("a tag that the card took off", &udp_in(camera(), 100), udp4(128)),
        taken("a tag that the card took off before another",
            &udp_in(camera().vlan(5), 100), udp4(128)),
        taken("a tag that the card took off before two others",
            &udp_in(camera().vlan(5).vlan(6), 100), TOO_MANY_TAGS),
    ]
}

#[rustfmt::skip]
fn pppoe() -> Vec<Fixture> {
    let changed = |change: fn(&mut Pppoe)| udp_in(camera().pppoe(7), 100).with(change);
    let control = |protocol| camera().pppoe(7).number(protocol).payload(40);
    vec![
        fixture("a PPPoE session with IPv4", &udp_in(camera().pppoe(7), 100), udp4(128)),
        fixture("a PPPoE session with IPv6", &udp6_in(camera().pppoe(7), 100), udp6(148)),
        fixture("a PPPoE session under a tag", &udp_in(camera().vlan(5).pppoe(7), 100), udp4(128)),
        fixture("a PPPoE session under two tags",
            &udp6_in(camera().tag(0x88a8, 5).vlan(6).pppoe(7), 100), udp6(148)),
        fixture("a PPPoE session's short packet, padded",
            &udp_in(camera().pppoe(7), 1).pad_to(60), udp4(29)),
        fixture("PPP's link control", &control(0xc021), NOT_IP),
        fixture("PPP's IPv4 control", &control(0x8021), NOT_IP),
        fixture("PPPoE's discovery", &camera().number(0x8863).payload(46), NOT_IP),
        fixture("PPPoE of version 2", &changed(|pppoe| pppoe.version_type = 0x21), MALFORMED),
        fixture("PPPoE of type 2", &changed(|pppoe| pppoe.version_type = 0x12), MALFORMED),
        fixture("a PPPoE session with a discovery code",
            &changed(|pppoe| pppoe.code = 0xa7), MALFORMED),
        fixture("a PPPoE session with IPv4 under IPv6's number",
            &changed(|pppoe| pppoe.protocol = Some(0x0057)), MALFORMED),
        fixture("PPPoE that ends within its header",
            &udp_in(camera().pppoe(7), 100).truncate(21), TRUNCATED),
        fixture("IPv4 announced as IPv6", &mislabelled(&camera_v4(), 0x86dd), MALFORMED),
        fixture("IPv6 announced as IPv4", &mislabelled(&camera_v6(), 0x0800), MALFORMED),
    ]
}

fn mislabelled(packet: &Packet, ether_type: u16) -> Packet {
    let packet = packet.clone().udp(40000, 443).payload(60);
    packet.with(|ethernet: &mut Ethernet| ethernet.ether_type = Some(ether_type))
}
