//! Golden aggregates: what the kernel hands to tc in the place of several packets (GRO, GSO, TSO),
//! each counted as the packets that it stands for, headers included.

use flowwatch_tests::headers::{Extension, Ipv4, Ipv6, Tcp};
use flowwatch_tests::packet::Packet;

use super::{
    CAMERA_V4, CAMERA_V6, Extra, Fixture, MALFORMED, Outcome, REMOTE_V4, REMOTE_V6, camera,
    camera_v4, camera_v6, fixture, udp4, udp6, v4, v6,
};

pub(super) fn fixtures() -> Vec<Fixture> {
    [tcp(), udp(), big_tcp(), edges()].concat()
}

/// `segments` as the kernel has them; the wire's packets are in `expected`.
fn aggregate(
    name: &str,
    packet: &Packet,
    segment_size: u32,
    segments: u32,
    expected: Outcome,
) -> Fixture {
    Fixture {
        extra: Extra {
            segment_size,
            segments,
            tags_taken: 0,
        },
        ..fixture(name, packet, expected)
    }
}

/// TCP with timestamps, as most of it is: 32 octets of header.
fn timestamped(network: Packet, payload: usize) -> Packet {
    let packet = network.tcp(40001, 443).payload(payload);
    packet.with(|tcp: &mut Tcp| tcp.options = vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2])
}

#[rustfmt::skip]
fn tcp() -> Vec<Fixture> {
    let tagged = camera().tag(0x88a8, 1).vlan(2).ipv4(CAMERA_V4, REMOTE_V4);
    let session = camera().pppoe(3).ipv6(CAMERA_V6, REMOTE_V6);
    let with_options = camera_v4().with(|ip: &mut Ipv4| ip.options = vec![1; 8]);
    vec![
        // 3,000 octets of payload in 1,448s are three; 52 octets of headers each.
        aggregate("an aggregate of TCP over IPv4",
            &timestamped(camera_v4(), 3000), 1448, 3,
            v4(6, 40001, 443, 3000 + 3 * 52).in_packets(3)),
        aggregate("an aggregate of TCP over IPv4 without options",
            &camera_v4().tcp(40001, 443).payload(2920), 1460, 2,
            v4(6, 40001, 443, 2920 + 2 * 40).in_packets(2)),
        aggregate("an aggregate of TCP over IPv6",
            &timestamped(camera_v6(), 2856), 1428, 2,
            v6(6, 40001, 443, 2856 + 2 * 72).in_packets(2)),
        aggregate("an aggregate of TCP under two tags",
            &timestamped(tagged, 3000), 1448, 3, v4(6, 40001, 443, 3000 + 3 * 52).in_packets(3)),
        aggregate("an aggregate of TCP in a PPPoE session",
            &timestamped(session, 3000), 1420, 3, v6(6, 40001, 443, 3000 + 3 * 72).in_packets(3)),
        aggregate("an aggregate of TCP over IPv4 with options",
            &timestamped(with_options, 3000), 1440, 3,
            v4(6, 40001, 443, 3000 + 3 * 60).in_packets(3)),
        aggregate("an aggregate of TCP over IPv6 with destination options",
            &timestamped(camera_v6().destination_options(0), 2840), 1420, 2,
            v6(6, 40001, 443, 2840 + 2 * 80).in_packets(2)),
        aggregate("an aggregate whose last packet has one octet",
            &timestamped(camera_v4(), 2897), 1448, 3,
            v4(6, 40001, 443, 2897 + 3 * 52).in_packets(3)),
        aggregate("an aggregate of small packets",
            &camera_v4().tcp(40001, 443).payload(100), 1, 100,
            v4(6, 40001, 443, 100 + 100 * 40).in_packets(100)),
    ]
}

#[rustfmt::skip]
fn udp() -> Vec<Fixture> {
    vec![
        aggregate("an aggregate of UDP over IPv4",
            &camera_v4().udp(40000, 10240).payload(2500), 1000, 3,
            udp4(2500 + 3 * 28).in_packets(3)),
        aggregate("an aggregate of UDP over IPv6",
            &camera_v6().udp(40000, 443).payload(3000), 1000, 3, udp6(3000 + 3 * 48).in_packets(3)),
        aggregate("an aggregate of UDP behind hop-by-hop options",
            &camera_v6().hop_by_hop(0).udp(40000, 443).payload(2400), 1200, 2,
            udp6(2400 + 2 * 56).in_packets(2)),
    ]
}

/// Aggregates beyond 64 KiB, whose length fields say nothing; here as short as a test run takes.
#[rustfmt::skip]
fn big_tcp() -> Vec<Fixture> {
    let silent_v4 = |packet: Packet| packet.with(|ip: &mut Ipv4| ip.total_length = Some(0));
    let silent_v6 = |packet: Packet| packet.with(|ip: &mut Ipv6| ip.payload_length = Some(0));
    // 8 octets of the option's header, 32 of TCP's and 2,856 of payload: 2,896, 0x0b50.
    let jumbo = || camera_v6().extension(0, vec![0xc2, 4, 0, 0, 0x0b, 0x50]);
    let tiny = camera_v6().extension(0, vec![0xc2, 4, 0, 0, 0, 128]);
    let lying = jumbo().with(|option: &mut Extension| option.content[1] = 6);
    let short = camera_v4().with(|ip: &mut Ipv4| ip.header_words = Some(15));
    let tagged = camera().vlan(2).ipv4(CAMERA_V4, REMOTE_V4);
    vec![
        aggregate("BIG TCP over IPv4",
            &silent_v4(timestamped(camera_v4(), 2896)), 1448, 2,
            v4(6, 40001, 443, 2896 + 2 * 52).in_packets(2)),
        aggregate("BIG TCP over IPv4 under a tag",
            &silent_v4(timestamped(tagged, 3000)), 1448, 3,
            v4(6, 40001, 443, 3000 + 3 * 52).in_packets(3)),
        // The option is the aggregate's own: the wire's packets are without it.
        aggregate("BIG TCP over IPv6 with the jumbo option",
            &silent_v6(timestamped(jumbo(), 2856)), 1428, 2,
            v6(6, 40001, 443, 2856 + 2 * 72).in_packets(2)),
        // 8, 20 and 100 octets: 128.
        aggregate("BIG TCP over IPv6 that is not big",
            &silent_v6(tiny.tcp(40001, 443).payload(100)), 50, 2,
            v6(6, 40001, 443, 100 + 2 * 60).in_packets(2)),
        aggregate("BIG TCP over IPv6 without the jumbo option (Linux 7.0)",
            &silent_v6(timestamped(camera_v6(), 2856)), 1428, 2,
            v6(6, 40001, 443, 2856 + 2 * 72).in_packets(2)),
        aggregate("BIG TCP over IPv6 with another option in the jumbo option's place",
            &silent_v6(timestamped(camera_v6().hop_by_hop(0), 2856)), 1428, 2, MALFORMED),
        aggregate("BIG TCP over IPv6 with a jumbo option of a wrong length",
            &silent_v6(timestamped(lying, 2856)), 1428, 2, MALFORMED),
        aggregate("BIG TCP over IPv4 that is shorter than its options",
            &silent_v4(short.tcp(40001, 443)), 1448, 2, MALFORMED),
    ]
}

#[rustfmt::skip]
fn edges() -> Vec<Fixture> {
    let lying = camera_v4().tcp(40001, 443).payload(10);
    let lying = lying.with(|tcp: &mut Tcp| tcp.data_offset = Some(15));
    vec![
        aggregate("an aggregate of one packet",
            &timestamped(camera_v4(), 1448), 1448, 1, v4(6, 40001, 443, 1500)),
        aggregate("an aggregate shorter than a segment",
            &timestamped(camera_v4(), 500), 1448, 1, v4(6, 40001, 443, 552)),
        aggregate("an aggregate without payload",
            &timestamped(camera_v4(), 0), 1448, 1, v4(6, 40001, 443, 52)),
        aggregate("an aggregate, padded",
            &camera_v4().tcp(40001, 443).pad_to(60), 1448, 1, v4(6, 40001, 443, 40)),
        aggregate("an aggregate whose TCP header claims more than the packet",
            &lying, 4, 3, v4(6, 40001, 443, 50)),
        aggregate("an aggregate that ends behind the ports",
            &camera_v4().tcp(40001, 443).with(|ip: &mut Ipv4| ip.total_length = Some(24)), 1448, 1,
            v4(6, 40001, 443, 24)),
        aggregate("an aggregate that ends within the ports",
            &camera_v4().tcp(40001, 443).with(|ip: &mut Ipv4| ip.total_length = Some(22)), 1448, 1,
            super::TRUNCATED),
        aggregate("an aggregate of the largest segment size",
            &timestamped(camera_v4(), 3000), 65535, 1, v4(6, 40001, 443, 3052)),
        aggregate("an aggregate's ARP",
            &camera().number(0x0806).payload(46), 1448, 1, super::NOT_IP),
    ]
}
