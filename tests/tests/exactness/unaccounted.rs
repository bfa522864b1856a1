//! Frames of a device that are in no flow: each under exactly one reason, beside those that are in
//! one, and all of them together what the interface counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::headers::{Ethernet, Extension, Ipv4, Ipv6, Pppoe};
use flowwatch_tests::lab::Device;
use flowwatch_tests::packet::{Packet, TPID_SERVICE};
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::volley;

use crate::{HOOKS, Maker, run, silent_lab, streams, turn};

const PACKETS: u64 = 30_000;
/// Not a name server's: answers at this rate would find no room in the sample ring.
const PORT: u16 = 4053;
const DEVICE: &str = "oddity";
const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::new(45, 8, 0, 1));
const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2600, 0x1f14, 0, 0, 0, 0, 8, 1));
/// Octets of an Ethernet header, of an IPv4 header and of an IPv6 header.
const ETHERNET: usize = 14;
const HEADERS: [usize; 2] = [ETHERNET + 20, ETHERNET + 40];

fn of_reason(reason: &'static str, packets: &[Packet]) -> Vec<Specimen> {
    packets
        .iter()
        .map(|packet| Specimen::unaccounted(packet, reason))
        .collect()
}

fn not_ip(link: &Packet) -> Vec<Specimen> {
    let with_type = |ether_type| link.clone().number(ether_type).payload(46);
    let length = |ethernet: &mut Ethernet| ethernet.ether_type = Some(46);
    of_reason(
        "not_ip",
        &[
            // ARP, EAPOL, LLDP and PPPoE's discovery.
            with_type(0x0806),
            with_type(0x888e),
            with_type(0x88cc),
            with_type(0x8863),
            // An LLC frame, whose type field is a length: a spanning tree's.
            link.clone()
                .payload_octets([&[0x42, 0x42, 3][..], &[0; 43]].concat())
                .with(length),
            link.clone().vlan(5).number(0x0806).payload(46),
            // PPP's link control protocol in a session.
            link.clone().pppoe(9).number(0xc021).payload(40),
        ],
    )
}

fn truncated(ipv4: &Ends, ipv6: &Ends) -> Vec<Specimen> {
    let (v4, v6) = (ipv4.ip(ipv4.link()), ipv6.ip(ipv6.link()));
    let [v4_header, v6_header] = HEADERS;
    let udp = || ipv4.udp(v4.clone(), PORT).payload(100);
    of_reason(
        "truncated",
        &[
            // In the IP header, in the ports, in the payload.
            udp().truncate(v4_header - 1),
            udp().truncate(v4_header + 3),
            udp().truncate(v4_header + 107),
            ipv6.udp(v6.clone(), PORT).truncate(v6_header - 5),
            // A datagram whose own length leaves no room for ports.
            v4.clone().number(17).payload(2),
            // In an extension header, and an extension header longer than the packet.
            v6.clone().hop_by_hop(4).truncate(v6_header + 3),
            v6.extension(60, vec![0; 6])
                .with(|header: &mut Extension| header.length = Some(9)),
            // In a session's header.
            ipv4.link().pppoe(9).truncate(ETHERNET + 5),
        ],
    )
}

fn malformed(ipv4: &Ends, ipv6: &Ends) -> Vec<Specimen> {
    let (v4, v6) = (ipv4.ip(ipv4.link()), ipv6.ip(ipv6.link()));
    let v4 = ipv4.udp(v4, PORT).payload(60);
    let v6 = ipv6.udp(v6, PORT).payload(60);
    let session = ipv4.udp(ipv4.ip(ipv4.link().pppoe(9)), PORT).payload(60);
    of_reason(
        "malformed",
        &[
            v4.clone().with(|ip: &mut Ipv4| ip.version = 5),
            v4.clone().with(|ip: &mut Ipv4| ip.header_words = Some(4)),
            v4.with(|ip: &mut Ipv4| ip.total_length = Some(19)),
            v6.with(|ip: &mut Ipv6| ip.version = 4),
            session.clone().with(|header: &mut Pppoe| header.code = 7),
            session.with(|header: &mut Pppoe| header.version_type = 0x12),
        ],
    )
}

fn beyond_limits(ipv4: &Ends, ipv6: &Ends) -> Vec<Specimen> {
    let three = ipv4.link().tag(TPID_SERVICE, 1).vlan(2).vlan(3);
    let mut specimens = of_reason(
        "too_many_tags",
        &[ipv4.udp(ipv4.ip(three), PORT).payload(60)],
    );
    let chain = |headers: usize| {
        (0..headers).fold(ipv6.ip(ipv6.link()), |packet, _| {
            packet.destination_options(0)
        })
    };
    let (longest, longer) = (ipv6.udp(chain(8), PORT), ipv6.udp(chain(9), PORT));
    specimens.push(Specimen::in_flow(&longest, IPV6, "udp", PORT));
    specimens.extend(of_reason("extension_chain_too_long", &[longer]));
    specimens
}

fn oddities(device: &Device, way: Way) -> Vec<Specimen> {
    let (ipv4, ipv6) = (Ends::of(device, IPV4, way), Ends::of(device, IPV6, way));
    let sound = ipv4.udp(ipv4.ip(ipv4.link()), PORT).payload(60);
    let mut specimens = vec![Specimen::in_flow(&sound, IPV4, "udp", PORT)];
    specimens.extend(not_ip(&ipv4.link()));
    specimens.extend(truncated(&ipv4, &ipv6));
    specimens.extend(malformed(&ipv4, &ipv6));
    specimens.extend(beyond_limits(&ipv4, &ipv6));
    specimens
}

fn check(attach: Attach) -> Result<()> {
    let lab = silent_lab(&[DEVICE])?;
    let flowwatch = run(&lab, attach)?
        .options(&["--format", "json", "--interval", "10ms"])
        .start(&lab.gateway)?;
    let makers: [Maker; 1] = [oddities];
    let fired = volley::fire(&lab, &streams(&lab, &makers, PACKETS))?;
    let document = flowwatch.document()?;
    fired.check(&lab, &document)?;
    fired.check_octets(&lab, &document)?;
    ensure!(
        document.unaccounted.len() == 5 * 2,
        "five reasons a direction"
    );
    Ok(())
}

#[test]
fn every_frame_without_a_flow_is_under_one_reason() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    HOOKS.into_iter().try_for_each(check)
}
