//! Golden frames that end too early: at every octet of every kind of header.

use flowwatch_tests::packet::Packet;

use super::{
    CAMERA_V4, CAMERA_V6, Fixture, Outcome, REMOTE_V4, REMOTE_V6, TRUNCATED, camera, camera_v4,
    camera_v6, fixture,
};

pub(super) fn fixtures() -> Vec<Fixture> {
    let v4 = camera_v4().udp(40000, 10240).payload(100);
    let tcp = camera_v4().tcp(40001, 443).payload(100);
    let v6 = camera_v6().hop_by_hop(0).udp(40000, 443).payload(100);
    let fragment = camera_v6()
        .fragment(0, true, 9)
        .tcp(40001, 443)
        .payload(100);
    let authentication = camera_v6().authentication().tcp(40001, 443);
    let tagged_v4 = camera().vlan(5).ipv4(CAMERA_V4, REMOTE_V4);
    let tagged_v4 = tagged_v4.udp(40000, 10240).payload(100);
    let tagged_v6 = camera().vlan(5).ipv6(CAMERA_V6, REMOTE_V6);
    let tagged_v6 = tagged_v6.hop_by_hop(0).udp(40000, 443).payload(100);
    let tags = camera().tag(0x88a8, 5).vlan(6).number(0x0800);
    let session = camera().pppoe(7).number(0x0021);
    [
        (0..14)
            .map(|length| cut("Ethernet", &v4, length, Outcome::NobodysFrame))
            .collect(),
        // Ethernet ends at 14, IPv4 at 34, UDP at 42, the packet at 142.
        cut_at("IPv4 and UDP", &v4, (14..44).chain([100, 141])),
        // IPv4 ends at 34, the ports at 38, TCP at 54, the packet at 154.
        cut_at("TCP", &tcp, (34..56).chain([153])),
        // IPv6 ends at 54, the options at 62, UDP at 70, the packet at 170.
        cut_at("IPv6 with hop-by-hop options", &v6, (14..72).chain([169])),
        // The kernel makes no untagged frame for tc that ends within its IP header.
        cut_at("IPv4 under a tag", &tagged_v4, 18..48),
        cut_at("IPv6 under a tag", &tagged_v6, 18..76),
        // IPv6 ends at 54, the fragment header at 62, the ports at 66.
        cut_at("an IPv6 fragment", &fragment, 54..68),
        // IPv6 ends at 54, the authentication header at 78.
        cut_at("an authentication header", &authentication, 54..80),
        // The tags end at 18 and 22.
        cut_at("two tags", &tags, 14..23),
        // The session header ends at 20, PPP's number at 22.
        cut_at("a PPPoE session", &session, 14..23),
    ]
    .concat()
}

fn cut_at(what: &str, packet: &Packet, lengths: impl IntoIterator<Item = usize>) -> Vec<Fixture> {
    let lengths = lengths.into_iter();
    lengths
        .map(|length| cut(what, packet, length, TRUNCATED))
        .collect()
}

fn cut(what: &str, packet: &Packet, length: usize, expected: Outcome) -> Fixture {
    let name = format!("{what}, cut off after {length} octets");
    fixture(&name, &packet.clone().truncate(length), expected)
}
