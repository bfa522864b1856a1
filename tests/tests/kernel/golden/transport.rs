//! Golden frames of what IP carries: protocols with ports, protocols without, and none at all.

use std::net::Ipv4Addr;

use flowwatch_tests::headers::{Tcp, Udp};
use flowwatch_tests::packet::Packet;

use super::{
    CAMERA_V4, Fixture, TRUNCATED, camera, camera_v4, camera_v6, fixture, udp4, udp6, v4, v6,
};

pub(super) fn fixtures() -> Vec<Fixture> {
    [
        tcp(),
        udp(),
        beginnings(),
        ports_first(),
        portless(),
        cut_ports(),
    ]
    .concat()
}

#[rustfmt::skip]
fn tcp() -> Vec<Fixture> {
    let packet = |change: fn(&mut Tcp)| camera_v4().tcp(40001, 443).payload(100).with(change);
    let syn_options = vec![
        2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    vec![
        fixture("TCP over IPv4", &packet(|_| ()), v4(6, 40001, 443, 140)),
        fixture("TCP over IPv6", &camera_v6().tcp(40001, 443).payload(100), v6(6, 40001, 443, 160)),
        fixture("a TCP acknowledgment alone", &camera_v4().tcp(40001, 443), v4(6, 40001, 443, 40)),
        fixture("a TCP acknowledgment alone, padded",
            &camera_v4().tcp(40001, 443).pad_to(60), v4(6, 40001, 443, 40)),
        fixture(
            "a TCP SYN with its options",
            &camera_v4().tcp(40001, 443).with(|tcp: &mut Tcp| {
                (tcp.flags, tcp.options) = (0x02, syn_options);
            }),
            v4(6, 40001, 443, 60),
        ),
        fixture("TCP with 40 octets of options",
            &packet(|tcp| tcp.options = vec![1; 40]), v4(6, 40001, 443, 180)),
        fixture("TCP with a data offset of 0",
            &packet(|tcp| tcp.data_offset = Some(0)), v4(6, 40001, 443, 140)),
        fixture("TCP with a data offset beyond the packet",
            &camera_v4().tcp(40001, 443).with(|tcp: &mut Tcp| tcp.data_offset = Some(15)),
            v4(6, 40001, 443, 40)),
        fixture("TCP with a checksum that is wrong",
            &packet(|tcp| tcp.checksum = Some(0xdead)), v4(6, 40001, 443, 140)),
        fixture("TCP from port 0 to port 65,535", &camera_v4().tcp(0, 65535), v4(6, 0, 65535, 40)),
        fixture("TCP from port 65,535 to port 0", &camera_v6().tcp(65535, 0), v6(6, 65535, 0, 60)),
    ]
}

#[rustfmt::skip]
fn udp() -> Vec<Fixture> {
    let lying = |length| {
        let packet = camera_v4().udp(40000, 10240).payload(100);
        packet.with(move |udp: &mut Udp| udp.length = Some(length))
    };
    let loopback = Ipv4Addr::LOCALHOST;
    vec![
        fixture("UDP without payload over IPv4", &camera_v4().udp(40000, 10240), udp4(28)),
        fixture("UDP without payload over IPv6", &camera_v6().udp(40000, 443), udp6(48)),
        fixture("UDP without checksum",
            &camera_v4().udp(40000, 10240).with(|udp: &mut Udp| udp.checksum = Some(0)), udp4(28)),
        fixture("UDP that says it is shorter than IP says", &lying(8), udp4(128)),
        fixture("UDP that says it is longer than IP says", &lying(65535), udp4(128)),
        fixture("UDP between the same port",
            &camera_v4().udp(123, 123).payload(48), v4(17, 123, 123, 76)),
        fixture("UDP between the same address",
            &camera().ipv4(CAMERA_V4, CAMERA_V4).udp(40000, 10240),
            udp4(28).between(CAMERA_V4, CAMERA_V4)),
        fixture("UDP to the loopback address",
            &camera().ipv4(CAMERA_V4, loopback).udp(40000, 10240),
            udp4(28).between(CAMERA_V4, loopback)),
        fixture("UDP from no address",
            &camera().ipv4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST).udp(68, 67).payload(300),
            v4(17, 68, 67, 328).between(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)),
    ]
}

/// What connections begin with that say their name: payloads that are sampled.
#[rustfmt::skip]
fn beginnings() -> Vec<Fixture> {
    let filled = |first: &[u8], length| {
        let rest = (1..).take(length - first.len());
        first.iter().copied().chain(rest).collect::<Vec<u8>>()
    };
    let tcp = |payload| camera_v4().tcp(40000, 443).payload_octets(payload);
    // A record of 60 octets, in it a ClientHello of 56; a long header with an ID of 8 octets.
    let hello = filled(&[0x16, 3, 1, 0, 60, 1, 0, 0, 56], 65);
    let initial = filled(&[0xc0, 0, 0, 0, 1, 8], 106);
    vec![
        fixture("a ClientHello", &tcp(hello), v4(6, 40000, 443, 105)),
        fixture("an HTTP request",
            &tcp(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()), v4(6, 40000, 443, 67)),
        fixture("a QUIC Initial packet",
            &camera_v4().udp(40000, 443).payload_octets(initial), v4(17, 40000, 443, 134)),
    ]
}

/// Ports 40000 and 10240, and what may follow them.
fn ports(length: usize) -> Vec<u8> {
    let mut octets = vec![0x9c, 0x40, 0x28, 0x00];
    octets.resize(length, 0);
    octets
}

#[rustfmt::skip]
fn ports_first() -> Vec<Fixture> {
    let over_v4 = |number| camera_v4().number(number).payload_octets(ports(12));
    let over_v6 = |number| camera_v6().number(number).payload_octets(ports(12));
    vec![
        fixture("UDP-Lite over IPv4", &over_v4(136), v4(136, 40000, 10240, 32)),
        fixture("UDP-Lite over IPv6", &over_v6(136), v6(136, 40000, 10240, 52)),
        fixture("DCCP over IPv4", &over_v4(33), v4(33, 40000, 10240, 32)),
        fixture("DCCP over IPv6", &over_v6(33), v6(33, 40000, 10240, 52)),
        fixture("SCTP over IPv4",
            &camera_v4().sctp(40002, 5060).payload(16), v4(132, 40002, 5060, 48)),
        fixture("SCTP over IPv6",
            &camera_v6().sctp(40002, 5060).payload(16), v6(132, 40002, 5060, 68)),
    ]
}

#[rustfmt::skip]
fn portless() -> Vec<Fixture> {
    let over_v4 = |number| camera_v4().number(number).payload_octets(ports(16));
    let over_v6 = |number| camera_v6().number(number).payload_octets(ports(16));
    let named = [
        ("IGMP", 2),
        ("IPv4 in IPv4", 4),
        ("EGP", 8),
        ("IPv6 in IPv4", 41),
        ("GRE", 47),
        ("ESP", 50),
        ("an authentication header over IPv4", 51),
        ("an IPv6 fragment header's number over IPv4", 44),
        ("OSPF", 89),
        ("L2TP", 115),
        ("a protocol number that nobody has", 200),
    ];
    let over_v4 =
        named.map(|(name, number)| fixture(name, &over_v4(number), v4(number as u8, 0, 0, 36)));
    let others = vec![
        fixture("a ping", &camera_v4().icmp(8, 0).payload(56), v4(1, 0, 0, 84)),
        fixture("a ping without payload", &camera_v4().icmp(8, 0), v4(1, 0, 0, 28)),
        fixture("a ping over IPv6", &camera_v6().icmpv6(128, 0).payload(56), v6(58, 0, 0, 104)),
        fixture("ICMPv6 over IPv4", &camera_v4().icmpv6(128, 0), v4(58, 0, 0, 28)),
        fixture("a neighbour solicitation behind hop-by-hop options",
            &camera_v6().hop_by_hop(0).icmpv6(135, 0).payload(16), v6(58, 0, 0, 72)),
        fixture("an ICMP error with the packet that it is about",
            &unreachable_port(), v4(1, 0, 0, 56)),
        fixture("IPv4 in IPv6", &over_v6(4), v6(4, 0, 0, 56)),
        fixture("GRE over IPv6", &over_v6(47), v6(47, 0, 0, 56)),
    ];
    [over_v4.to_vec(), others].concat()
}

/// An error message: its ports are another packet's, and none of its own.
fn unreachable_port() -> Packet {
    let about = Packet::ethernet(super::CAMERA, super::GATEWAY)
        .ipv4(super::REMOTE_V4, CAMERA_V4)
        .udp(10240, 40000)
        .build();
    camera_v4().icmp(3, 3).payload_octets(about[14..].to_vec())
}

/// The packet ends within the ports.
fn cut_ports() -> Vec<Fixture> {
    let numbers = [
        ("TCP", 6),
        ("UDP", 17),
        ("DCCP", 33),
        ("SCTP", 132),
        ("UDP-Lite", 136),
    ];
    let cut = numbers.into_iter().flat_map(|(name, number)| {
        (0..4).flat_map(move |length| {
            let payload = || ports(4)[..length].to_vec();
            [
                fixture(
                    &format!("{name} over IPv4 of {length} octets"),
                    &camera_v4().number(number).payload_octets(payload()),
                    TRUNCATED,
                ),
                fixture(
                    &format!("{name} over IPv6 of {length} octets, padded"),
                    &camera_v6()
                        .number(number)
                        .payload_octets(payload())
                        .pad_to(60),
                    TRUNCATED,
                ),
            ]
        })
    });
    let whole = numbers.into_iter().map(|(name, number)| {
        fixture(
            &format!("{name} of nothing but the ports"),
            &camera_v4().number(number).payload_octets(ports(4)),
            v4(number as u8, 40000, 10240, 24),
        )
    });
    cut.chain(whole).collect()
}
