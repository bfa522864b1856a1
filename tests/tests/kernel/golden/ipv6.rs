//! Golden frames of IPv6 (RFC 8200): extension headers, chains, fragments and lengths that lie.

use std::net::Ipv4Addr;

use flowwatch_common::abi::Reason;
use flowwatch_tests::headers::{Authentication, Extension, Fragment, Ipv6};
use flowwatch_tests::packet::Packet;

use super::{
    CAMERA_V4, CAMERA_V6, Fixture, MALFORMED, Outcome, REMOTE_V4, REMOTE_V6, TRUNCATED, camera,
    camera_v6, fixture, udp6, v6,
};

const CHAIN_TOO_LONG: Outcome = Outcome::Unaccounted(Reason::ExtensionChainTooLong);

pub(super) fn fixtures() -> Vec<Fixture> {
    [
        extensions(),
        chains(),
        fragments(),
        lengths(),
        extension_lengths(),
        mapped(),
    ]
    .concat()
}

/// 108 octets of UDP behind what comes before.
fn udp(before: Packet) -> Packet {
    before.udp(40000, 443).payload(100)
}

#[rustfmt::skip]
fn extensions() -> Vec<Fixture> {
    let of = |number| udp(camera_v6().extension(number, vec![0; 6]));
    let authentication = |check_value: usize| {
        udp(camera_v6().authentication())
            .with(|header: &mut Authentication| header.check_value = vec![0; check_value])
    };
    vec![
        fixture("hop-by-hop options", &udp(camera_v6().hop_by_hop(0)), udp6(156)),
        fixture("longer hop-by-hop options", &udp(camera_v6().hop_by_hop(3)), udp6(180)),
        fixture("a routing header", &udp(camera_v6().routing(0)), udp6(156)),
        fixture("a routing header with two addresses' room",
            &udp(camera_v6().routing(4)), udp6(188)),
        fixture("destination options", &udp(camera_v6().destination_options(0)), udp6(156)),
        fixture("destination options of 2,048 octets",
            &udp(camera_v6().destination_options(255)), udp6(2196)),
        fixture("an authentication header", &authentication(12), udp6(172)),
        fixture("an authentication header without check value", &authentication(0), udp6(160)),
        fixture("an authentication header of 32 octets more", &authentication(32), udp6(192)),
        fixture("a mobility header", &of(135), udp6(156)),
        fixture("a host identity header", &of(139), udp6(156)),
        fixture("a shim6 header", &of(140), udp6(156)),
        fixture("ESP, which hides what follows",
            &camera_v6().number(50).payload(100), v6(50, 0, 0, 140)),
        fixture("ESP behind destination options",
            &camera_v6().destination_options(0).number(50).payload(100), v6(50, 0, 0, 148)),
        fixture("no next header", &camera_v6().payload(100), v6(59, 0, 0, 140)),
        fixture("no next header, and no payload either", &camera_v6(), v6(59, 0, 0, 40)),
        fixture("no next header behind hop-by-hop options",
            &camera_v6().hop_by_hop(0), v6(59, 0, 0, 48)),
        fixture("an experimental header (253), whose form is unknown",
            &camera_v6().extension(253, vec![0; 6]).number(17).payload(8), v6(253, 0, 0, 56)),
    ]
}

#[rustfmt::skip]
fn chains() -> Vec<Fixture> {
    let options = |count| (0..count).fold(camera_v6(), |packet, _| packet.destination_options(0));
    let every_kind = |network: Packet| {
        let packet = network.hop_by_hop(0).destination_options(0).routing(0);
        packet.fragment(0, true, 9).authentication().destination_options(0)
    };
    let link = camera().tag(0x88a8, 1).vlan(2).pppoe(3);
    vec![
        fixture("the six kinds in RFC 8200's order", &udp(every_kind(camera_v6())), udp6(212)),
        fixture("the six kinds under two tags and PPPoE",
            &udp(every_kind(link.ipv6(CAMERA_V6, REMOTE_V6))), udp6(212)),
        fixture("seven extension headers", &udp(options(7)), udp6(204)),
        fixture("eight extension headers", &udp(options(8)), udp6(212)),
        fixture("eight extension headers, the last a later fragment",
            &udp(options(7).fragment(1280, true, 9)), v6(17, 0, 0, 212)),
        fixture("nine extension headers", &udp(options(9)), CHAIN_TOO_LONG),
        fixture("nine extension headers, the last a later fragment",
            &udp(options(8).fragment(1280, true, 9)), CHAIN_TOO_LONG),
        fixture("thirty extension headers", &udp(options(30)), CHAIN_TOO_LONG),
        fixture("nine extension headers of mixed kinds",
            &udp(every_kind(camera_v6()).destination_options(0).routing(0).hop_by_hop(0)),
            CHAIN_TOO_LONG),
        fixture("eight extension headers and ESP",
            &options(8).number(50).payload(40), v6(50, 0, 0, 144)),
        fixture("eight extension headers and no next header", &options(8), v6(59, 0, 0, 104)),
    ]
}

#[rustfmt::skip]
fn fragments() -> Vec<Fixture> {
    let cut = udp(camera_v6()).fragments(64, 5);
    let [first, last] = cut.as_slice() else {
        panic!("108 octets are two fragments of 64");
    };
    let later = |protocol| {
        let packet = camera_v6().fragment(1280, false, 5).payload(64);
        packet.with(move |header: &mut Fragment| header.next_header = Some(protocol))
    };
    vec![
        fixture("a packet's first IPv6 fragment", first, udp6(112)),
        fixture("a packet's last IPv6 fragment", last, v6(17, 0, 0, 92)),
        fixture("an IPv6 fragment of the whole packet (RFC 6946)",
            &udp(camera_v6().fragment(0, false, 5)), udp6(156)),
        fixture("a later IPv6 fragment of 8 octets' offset",
            &udp(camera_v6().fragment(8, true, 5)), v6(17, 0, 0, 156)),
        fixture("a later IPv6 fragment of 32,768 octets' offset",
            &udp(camera_v6().fragment(32768, true, 5)), v6(17, 0, 0, 156)),
        fixture("a later IPv6 fragment of the largest offset",
            &udp(camera_v6().fragment(65528, false, 5)), v6(17, 0, 0, 156)),
        fixture("a later IPv6 fragment behind hop-by-hop options",
            &udp(camera_v6().hop_by_hop(0).fragment(1280, false, 5)), v6(17, 0, 0, 164)),
        // What the number announces is in the first fragment: here, there is only data.
        fixture("a later IPv6 fragment of a packet that begins with destination options",
            &later(60), v6(60, 0, 0, 112)),
        fixture("a later IPv6 fragment of TCP", &later(6), v6(6, 0, 0, 112)),
        fixture("a first IPv6 fragment that ends before the ports",
            &camera_v6().fragment(0, true, 5).number(17), TRUNCATED),
        fixture("a first IPv6 fragment that ends within the ports",
            &camera_v6().fragment(0, true, 5).number(17).payload(3), TRUNCATED),
        fixture("a first IPv6 fragment of nothing but the ports",
            &camera_v6().fragment(0, true, 5).number(17).payload(4), v6(17, 0x0001, 0x0203, 52)),
    ]
}

#[rustfmt::skip]
fn lengths() -> Vec<Fixture> {
    let version = |version| udp(camera_v6()).with(|ip: &mut Ipv6| ip.version = version);
    let length = |length| udp(camera_v6()).with(|ip: &mut Ipv6| ip.payload_length = Some(length));
    vec![
        fixture("IPv6 of version 0", &version(0), MALFORMED),
        fixture("IPv6 of version 4", &version(4), MALFORMED),
        fixture("IPv6 of version 7", &version(7), MALFORMED),
        fixture("IPv6 of one octet more than the frame has", &length(109), TRUNCATED),
        fixture("IPv6 of payload length 65,535", &length(65535), TRUNCATED),
        fixture("IPv6 of one octet less than the frame has", &length(107), udp6(147)),
        fixture("IPv6 that ends behind the ports", &length(4), udp6(44)),
        fixture("IPv6 that ends within the ports", &length(3), TRUNCATED),
        fixture("IPv6 that ends before the ports", &length(0), TRUNCATED),
        fixture("IPv6 of every flag and label",
            &udp(camera_v6()).with(|ip: &mut Ipv6| {
                (ip.traffic_class, ip.flow_label, ip.hop_limit) = (0xff, 0xf_ffff, 0);
            }), udp6(148)),
    ]
}

#[rustfmt::skip]
fn extension_lengths() -> Vec<Fixture> {
    let claims = |length, payload_length| {
        udp(camera_v6().destination_options(0))
            .with(|header: &mut Extension| header.length = Some(length))
            .with(|ip: &mut Ipv6| ip.payload_length = Some(payload_length))
    };
    let jumbo = |[a, b, c, d]: [u8; 4]| {
        udp(camera_v6().extension(0, vec![0xc2, 4, a, b, c, d]))
            .with(|ip: &mut Ipv6| ip.payload_length = Some(0))
    };
    vec![
        fixture("an extension header beyond the payload", &claims(255, 116), TRUNCATED),
        fixture("an extension header one unit beyond the payload", &claims(14, 116), TRUNCATED),
        // 13 units of 8 and the first 8: 112 of 116. The ports are the payload's last four octets.
        fixture("an extension header that takes the whole payload but the ports",
            &claims(13, 116), v6(17, 0x6061, 0x6263, 156)),
        fixture("an extension header longer than the payload that the header gives",
            &claims(0, 7), TRUNCATED),
        fixture("an extension header and a payload that ends with it", &claims(0, 8), TRUNCATED),
        fixture("an extension header that the frame's end cuts off",
            &udp(camera_v6().destination_options(0)).truncate(57), TRUNCATED),
        fixture("a payload length of 0 with hop-by-hop options that are no jumbo option",
            &udp(camera_v6().hop_by_hop(0)).with(|ip: &mut Ipv6| ip.payload_length = Some(0)),
            MALFORMED),
        fixture("a jumbogram longer than the frame", &jumbo([0, 1, 0, 0]), TRUNCATED),
        fixture("a jumbogram of 2^32 - 1 octets", &jumbo([0xff; 4]), TRUNCATED),
        fixture("a jumbo option that the frame's end cuts off",
            &jumbo([0, 1, 0, 0]).truncate(60), TRUNCATED),
    ]
}

/// IPv4 addresses in IPv6 packets: other flows than those of IPv4 packets.
#[rustfmt::skip]
fn mapped() -> Vec<Fixture> {
    let mapped = |address: Ipv4Addr| address.to_ipv6_mapped();
    let (source, destination) = (mapped(CAMERA_V4), mapped(REMOTE_V4));
    let compatible = "::52.79.197.188".parse::<std::net::Ipv6Addr>().unwrap();
    vec![
        fixture("IPv6 between IPv4-mapped addresses",
            &udp(camera().ipv6(source, destination)), udp6(148).between(source, destination)),
        fixture("IPv6 to an IPv4-compatible address",
            &udp(camera().ipv6(source, compatible)), udp6(148).between(source, compatible)),
    ]
}
