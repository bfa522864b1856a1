//! What the three devices send and receive: every header that is parsed, in sizes from the least
//! frame to the largest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flowwatch_tests::headers::{Ipv4, Udp};
use flowwatch_tests::lab::Device;
use flowwatch_tests::packet::{Packet, TPID_CUSTOMER, TPID_SERVICE};
use flowwatch_tests::specimen::{Ends, Specimen, Way};

/// The least frame without its check sequence.
const LEAST: usize = 60;
/// Remotes of each device with one plain flow each: every epoch makes that many entries anew.
const REMOTES: u16 = 1000;
/// Payloads over UDP and IPv4 whose frames have 60 to 1,514 octets.
const PAYLOADS: [usize; 5] = [1, 18, 300, 1000, 1472];

fn ipv4_remote(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(45, 7, high, low).into()
}

fn ipv6_remote(number: u16) -> IpAddr {
    Ipv6Addr::new(0x2600, 0x1f14, 0, 0, 0, 0, 7, number).into()
}

/// Plain UDP flows, one a remote, of all sizes.
fn plain(
    device: &Device,
    way: Way,
    remote: fn(u16) -> IpAddr,
    tagged: fn(Packet) -> Packet,
) -> Vec<Specimen> {
    let specimen = |number| {
        let ends = Ends::of(device, remote(number), way);
        let port = 1000 + number;
        let packet = ends.udp(ends.ip(tagged(ends.link())), port);
        let payload = PAYLOADS[usize::from(number) % PAYLOADS.len()].min(1452);
        let packet = packet.payload(payload).pad_to(LEAST);
        Specimen::in_flow(&packet, ends.remote, "udp", port)
    };
    (0..REMOTES).map(specimen).collect()
}

/// A device with IPv4 alone: plain flows, options, fragments, every transport.
pub(crate) fn ipv4(device: &Device, way: Way) -> Vec<Specimen> {
    let mut specimens = plain(device, way, ipv4_remote, |link| link);
    let ends = Ends::of(device, ipv4_remote(9_999), way);
    let ip = || ends.ip(ends.link());
    for payload in PAYLOADS {
        // One flow of many sizes.
        let packet = ends.udp(ip(), 443).payload(payload).pad_to(LEAST);
        specimens.push(Specimen::in_flow(&packet, ends.remote, "udp", 443));
    }
    let packets = [
        (ends.tcp(ip(), 443).payload(1460), "tcp", 443),
        (ends.tcp(ip(), 80), "tcp", 80),
        (ends.sctp(ip(), 3868).payload(64), "sctp", 3868),
        (ip().icmp(8, 0).payload(56), "icmp", 0),
        (ip().number(47).payload(90), "gre", 0),
        (ip().number(253).payload(400), "253", 0),
        (with_options(ends.udp(ip(), 5000)).payload(7), "udp", 5000),
    ];
    for (packet, protocol, port) in packets {
        let packet = packet.pad_to(LEAST);
        specimens.push(Specimen::in_flow(&packet, ends.remote, protocol, port));
    }
    let whole = ends.udp(ip(), 6000).payload(3000);
    specimens.extend(fragments(&whole, ends.remote, 6000));
    specimens
}

fn with_options(packet: Packet) -> Packet {
    // Four no-operations and a router alert.
    packet.with(|ip: &mut Ipv4| ip.options = vec![1, 1, 1, 1, 148, 4, 0, 0])
}

/// The ports are in the first fragment alone; the others count under port 0.
fn fragments(whole: &Packet, remote: IpAddr, port: u16) -> Vec<Specimen> {
    let pieces = whole.fragments(1400, 77);
    let specimen = |(index, piece): (usize, &Packet)| {
        let port = if index == 0 { port } else { 0 };
        Specimen::in_flow(piece, remote, "udp", port)
    };
    pieces.iter().enumerate().map(specimen).collect()
}

/// A device with both families: IPv6 with extension headers and fragments beside the IPv4 above.
pub(crate) fn dual_stack(device: &Device, way: Way) -> Vec<Specimen> {
    let mut specimens = ipv4(device, way);
    specimens.extend(plain(device, way, ipv6_remote, |link| link));
    let ends = Ends::of(device, ipv6_remote(9_999), way);
    let ip = || ends.ip(ends.link());
    let chain = || {
        ip().hop_by_hop(0)
            .destination_options(3)
            .routing(2)
            .destination_options(0)
    };
    let packets = [
        (ends.udp(ip().hop_by_hop(1), 7001).payload(100), "udp", 7001),
        (ends.tcp(chain(), 7002).payload(900), "tcp", 7002),
        (
            ends.udp(ip().authentication(), 7003).payload(1),
            "udp",
            7003,
        ),
        (ip().icmpv6(128, 0).payload(56), "ipv6-icmp", 0),
        (ends.sctp(ip(), 7004).payload(1), "sctp", 7004),
        // An atomic fragment is whole, and has its ports.
        (
            ends.udp(ip().fragment(0, false, 5), 7005).payload(4),
            "udp",
            7005,
        ),
        (ends.tcp(ip(), 7006).payload(1440), "tcp", 7006),
    ];
    for (packet, protocol, port) in packets {
        specimens.push(Specimen::in_flow(&packet, ends.remote, protocol, port));
    }
    let whole = ends.udp(ip().destination_options(0), 7007).payload(2500);
    specimens.extend(fragments(&whole, ends.remote, 7007));
    specimens
}

/// A device behind a tag, or two.
pub(crate) fn tagged(device: &Device, way: Way) -> Vec<Specimen> {
    let mut specimens = plain(device, way, ipv4_remote, |link| link.vlan(5));
    specimens.extend(plain(device, way, ipv6_remote, |link| link.vlan(5)));
    let ends = Ends::of(device, ipv4_remote(9_999), way);
    let two = || ends.link().tag(TPID_SERVICE, 7).tag(TPID_CUSTOMER, 0x2005);
    let session = || ends.link().vlan(5).pppoe(99);
    let packets = [
        (ends.udp(ends.ip(two()), 8001).payload(1200), "udp", 8001),
        (ends.tcp(ends.ip(two()), 8002), "tcp", 8002),
        (
            ends.udp(ends.ip(session()), 8003).payload(1400),
            "udp",
            8003,
        ),
        // A length that the frame exceeds by its padding alone.
        (
            ends.udp(ends.ip(ends.link().vlan(5)), 8004)
                .with(|udp: &mut Udp| udp.checksum = Some(0))
                .payload(2),
            "udp",
            8004,
        ),
    ];
    for (packet, protocol, port) in packets {
        let packet = packet.pad_to(LEAST);
        specimens.push(Specimen::in_flow(&packet, ends.remote, protocol, port));
    }
    specimens
}
