//! Golden frames of IPv4 (RFC 791): options, lengths that lie, and fragments.

use flowwatch_tests::headers::Ipv4;
use flowwatch_tests::packet::Packet;

use super::{Fixture, MALFORMED, TRUNCATED, camera_v4, fixture, udp4, v4};

pub(super) fn fixtures() -> Vec<Fixture> {
    [options(), lengths(), fragments()].concat()
}

/// 128 octets of UDP over IPv4, changed.
fn changed(change: impl FnOnce(&mut Ipv4)) -> Packet {
    camera_v4().udp(40000, 10240).payload(100).with(change)
}

#[rustfmt::skip]
fn options() -> Vec<Fixture> {
    let with_options = |octets: usize| changed(|ip| ip.options = vec![1; octets]);
    vec![
        fixture("IPv4 with 4 octets of options", &with_options(4), udp4(132)),
        fixture("IPv4 with 8 octets of options", &with_options(8), udp4(136)),
        fixture("IPv4 with 20 octets of options", &with_options(20), udp4(148)),
        fixture("IPv4 with 36 octets of options", &with_options(36), udp4(164)),
        fixture("IPv4 with 40 octets of options", &with_options(40), udp4(168)),
        fixture(
            "IPv4 with options and no payload but the ports' header",
            &camera_v4()
                .udp(40000, 10240)
                .with(|ip: &mut Ipv4| ip.options = vec![1; 40]),
            udp4(68),
        ),
        fixture("IPv4 with options that claim the packet's end",
            &changed(|ip| (ip.header_words, ip.total_length) = (Some(15), Some(60))), TRUNCATED),
        fixture("IPv4 with options that leave two octets",
            &changed(|ip| (ip.header_words, ip.total_length) = (Some(15), Some(62))), TRUNCATED),
    ]
}

#[rustfmt::skip]
fn lengths() -> Vec<Fixture> {
    let words = |words| changed(|ip| ip.header_words = Some(words));
    let version = |version| changed(|ip| ip.version = version);
    let total = |total| changed(|ip| ip.total_length = Some(total));
    let numbered = |protocol| {
        let packet = camera_v4().number(protocol);
        packet.with(|ip: &mut Ipv4| ip.total_length = Some(20))
    };
    vec![
        fixture("IPv4 with a header of 0 words", &words(0), MALFORMED),
        fixture("IPv4 with a header of 1 word", &words(1), MALFORMED),
        fixture("IPv4 with a header of 4 words", &words(4), MALFORMED),
        fixture("IPv4 with a header longer than the packet",
            &changed(|ip| (ip.header_words, ip.total_length) = (Some(15), Some(40))), MALFORMED),
        fixture("IPv4 of version 0", &version(0), MALFORMED),
        fixture("IPv4 of version 5", &version(5), MALFORMED),
        fixture("IPv4 of version 15", &version(15), MALFORMED),
        fixture("IPv4 of total length 0", &total(0), MALFORMED),
        fixture("IPv4 of total length 19", &total(19), MALFORMED),
        fixture("IPv4 of one octet less than its header with options",
            &changed(|ip| (ip.options, ip.total_length) = (vec![1; 40], Some(59))), MALFORMED),
        fixture("IPv4 of one octet more than the frame has", &total(129), TRUNCATED),
        fixture("IPv4 of total length 65,535", &total(65535), TRUNCATED),
        fixture("IPv4 of one octet less than the frame has", &total(127), udp4(127)),
        fixture("IPv4 that ends behind the ports", &total(24), udp4(24)),
        fixture("IPv4 that ends within the ports", &total(23), TRUNCATED),
        fixture("IPv4 that ends before the ports", &total(20), TRUNCATED),
        fixture("IPv4 of a header alone, a protocol without ports",
            &numbered(253), v4(253, 0, 0, 20)),
        fixture("IPv4 of a header alone, protocol 0", &numbered(0), v4(0, 0, 0, 20)),
        fixture("IPv4 of a header alone, protocol 255, padded",
            &numbered(255).pad_to(60), v4(255, 0, 0, 20)),
        fixture("IPv4 with a checksum that is wrong",
            &changed(|ip| ip.checksum = Some(0xdead)), udp4(128)),
        fixture("IPv4 with a time to live of 0", &changed(|ip| ip.ttl = 0), udp4(128)),
    ]
}

#[rustfmt::skip]
fn fragments() -> Vec<Fixture> {
    let piece = |offset, more| {
        changed(|ip| (ip.offset, ip.more_fragments, ip.identification) = (offset, more, 77))
    };
    let cut = camera_v4()
        .udp(40000, 10240)
        .payload(3000)
        .fragments(1480, 78);
    let [first, middle, last] = cut.as_slice() else {
        panic!("3,008 octets are three fragments of 1,480");
    };
    let tiny = |octets| {
        let ip = camera_v4().number(17).payload(octets);
        ip.with(|ip: &mut Ipv4| ip.more_fragments = true)
    };
    vec![
        fixture("IPv4 that must not be fragmented",
            &changed(|ip| ip.dont_fragment = true), udp4(128)),
        fixture("a packet's first IPv4 fragment", first, udp4(1500)),
        fixture("a packet's second IPv4 fragment", middle, v4(17, 0, 0, 1500)),
        fixture("a packet's last IPv4 fragment", last, v4(17, 0, 0, 68)),
        fixture("a later IPv4 fragment of 8 octets' offset", &piece(8, true), v4(17, 0, 0, 128)),
        fixture("a later IPv4 fragment of 32,768 octets' offset",
            &piece(32768, true), v4(17, 0, 0, 128)),
        fixture("a later IPv4 fragment of the largest offset",
            &piece(65528, false), v4(17, 0, 0, 128)),
        fixture("a later IPv4 fragment that must not be fragmented",
            &piece(1480, true).with(|ip: &mut Ipv4| ip.dont_fragment = true), v4(17, 0, 0, 128)),
        fixture("a later IPv4 fragment without payload",
            &camera_v4().number(6).with(|ip: &mut Ipv4| ip.offset = 1480), v4(6, 0, 0, 20)),
        fixture(
            "a first IPv4 fragment of 8 octets",
            &tiny(8),
            // The payload counts up: 0x0001 and 0x0203.
            v4(17, 0x0001, 0x0203, 28),
        ),
        fixture("a first IPv4 fragment of 3 octets", &tiny(3), TRUNCATED),
        fixture("a later IPv4 fragment with options",
            &piece(1480, false).with(|ip: &mut Ipv4| ip.options = vec![1; 8]), v4(17, 0, 0, 136)),
        fixture("a later IPv4 fragment longer than the frame",
            &piece(1480, false).with(|ip: &mut Ipv4| ip.total_length = Some(1500)), TRUNCATED),
        fixture("an IPv4 fragment of a ping",
            &camera_v4().icmp(8, 0).payload(56).with(|ip: &mut Ipv4| ip.more_fragments = true),
            v4(1, 0, 0, 84)),
    ]
}
