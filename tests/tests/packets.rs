//! The packet builder against frames that others made: Linux's own, captured with the offloads
//! off, and tshark's judgement.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use anyhow::{Result, ensure};
use flowwatch_tests::headers::{Extension, Icmp, Ipv4, Ipv6, Tcp, Udp};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::{Packet, TPID_SERVICE};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process;

const CAMERA: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
const GATEWAY: Mac = Mac([2, 0, 0, 0, 1, 0]);
const CAMERA_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 214);
const CAMERA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 8, 0, 0, 0, 0, 0, 0xd6);
const REMOTE_V4: Ipv4Addr = Ipv4Addr::new(52, 79, 197, 188);
const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0x2600, 0x1f14, 0, 0, 0, 0, 0, 0x34);

fn frame() -> Packet {
    Packet::ethernet(CAMERA, GATEWAY)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").ok();
        text
    })
}

/// `captured`: hexadecimal octets, spaces where the headers part.
fn check(built: &Packet, captured: &str) {
    let captured = captured.replace(' ', "");
    assert_eq!(hex(&built.build()), captured);
    assert_eq!(built.l2_octets(), captured.len() as u64 / 2);
}

#[test]
fn udp_over_ipv4_is_as_linux_sends_it() {
    let built = frame()
        .ipv4(CAMERA_V4, REMOTE_V4)
        .udp(40000, 10240)
        .payload(12)
        .with(|ip: &mut Ipv4| {
            ip.identification = 0x8cf8;
            ip.dont_fragment = true;
        });
    check(
        &built,
        "0200000001002caa8e0000010800 450000288cf840004011ea42c0a808d6344fc5bc \
         9c402800001459d7 000102030405060708090a0b",
    );
    assert_eq!(built.ip_octets(), 40);
}

#[test]
fn ipv4_options_are_as_linux_sends_them() {
    let built = frame()
        .ipv4(CAMERA_V4, REMOTE_V4)
        .udp(40000, 10240)
        .payload(5)
        .with(|ip: &mut Ipv4| {
            ip.identification = 0x8d07;
            ip.dont_fragment = true;
            ip.options = vec![0x94, 4, 0, 0];
        });
    check(
        &built,
        "0200000001002caa8e0000010800 460000258d07400040115532c0a808d6344fc5bc94040000 \
         9c402800000d7205 0001020304",
    );
}

#[test]
fn tcp_syn_with_options_is_as_linux_sends_it() {
    let built = frame()
        .ipv4(CAMERA_V4, Ipv4Addr::new(50, 7, 98, 242))
        .tcp(40001, 443)
        .with(|ip: &mut Ipv4| {
            ip.identification = 0x20d7;
            ip.dont_fragment = true;
        })
        .with(|tcp: &mut Tcp| {
            tcp.sequence = 0xac3d_0946;
            tcp.acknowledgment = 0;
            tcp.flags = 0x02;
            tcp.window = 0xfaf0;
            // Maximum segment size, SACK permitted, timestamps, no operation, window scale.
            tcp.options = vec![
                2, 4, 5, 0xb4, 4, 2, 8, 0x0a, 0x3b, 0x6a, 0x02, 0xb0, 0, 0, 0, 0, 1, 3, 3, 0x0a,
            ];
        });
    check(
        &built,
        "0200000001002caa8e0000010800 4500003c20d740004006bb6dc0a808d6320762f2 \
         9c4101bbac3d094600000000a002faf05cfa0000 020405b40402080a3b6a02b0000000000103030a",
    );
}

#[test]
fn icmp_echo_reply_is_as_linux_sends_it() {
    let built = frame()
        .ipv4(CAMERA_V4, Ipv4Addr::new(192, 168, 8, 1))
        .icmp(0, 0)
        .with(|icmp: &mut Icmp| icmp.rest = [0x12, 0x34, 0, 1])
        .with(|ip: &mut Ipv4| ip.identification = 0x2840)
        .payload(9);
    check(
        &built,
        "0200000001002caa8e0000010800 4500002528400000 4001c070c0a808d6c0a80801 \
         0000d9ba12340001 000102030405060708",
    );
}

#[test]
fn udp_over_ipv6_is_as_linux_sends_it() {
    let built = frame()
        .ipv6(CAMERA_V6, REMOTE_V6)
        .udp(40000, 443)
        .with(|ip: &mut Ipv6| ip.flow_label = 0x907e4)
        .payload(7);
    check(
        &built,
        "0200000001002caa8e00000186dd 600907e4000f1140 fd0000080000000000000000000000d6 \
         26001f14000000000000000000000034 9c4001bb000f12a5 00010203040506",
    );
    assert_eq!(built.ip_octets(), 55);
}

#[test]
fn ipv6_extension_headers_are_as_linux_sends_them() {
    let built = frame()
        .ipv6(CAMERA_V6, REMOTE_V6)
        .with(|ip: &mut Ipv6| ip.flow_label = 0x907e4)
        .hop_by_hop(0)
        .destination_options(0)
        .udp(40000, 443)
        .payload(3);
    check(
        &built,
        "0200000001002caa8e00000186dd 600907e4001b0040 fd0000080000000000000000000000d6 \
         26001f14000000000000000000000034 3c00010400000000 1100010400000000 \
         9c4001bb000b1cb5 000102",
    );
}

#[test]
fn icmpv6_echo_request_is_as_linux_sends_it() {
    let built = frame()
        .ipv6(CAMERA_V6, REMOTE_V6)
        .with(|ip: &mut Ipv6| ip.flow_label = 0x1895b)
        .icmpv6(128, 0)
        .with(|icmp: &mut Icmp| icmp.rest = [0x12, 0x34, 0, 1])
        .payload(9);
    check(
        &built,
        "0200000001002caa8e00000186dd 6001895b00113a40 fd0000080000000000000000000000d6 \
         26001f14000000000000000000000034 8000164812340001 000102030405060708",
    );
}

/// 1600 octets as the captured fragments carry them.
fn long_payload() -> Vec<u8> {
    (0..1600_u16).map(|at| (at % 200) as u8).collect()
}

fn check_fragments(
    built: &Packet,
    (size, identification): (u16, u16),
    captured: [(&str, usize); 2],
) {
    let fragments = built.fragments(size, identification);
    let heads: Vec<_> = fragments.iter().map(Packet::build).collect();
    let begins: Vec<_> = heads
        .iter()
        .map(|frame| (hex(frame), frame.len()))
        .collect();
    assert_eq!(begins.len(), captured.len());
    for ((built, length), (captured, captured_length)) in begins.iter().zip(captured) {
        let captured = captured.replace(' ', "");
        assert_eq!(built[..captured.len()], captured);
        assert_eq!(*length, captured_length);
    }
}

#[test]
fn ipv4_fragments_are_as_linux_sends_them() {
    let built = frame()
        .ipv4(CAMERA_V4, REMOTE_V4)
        .udp(40000, 10240)
        .payload_octets(long_payload());
    let first = "0200000001002caa8e0000010800 450005dc8ea12000401102e6c0a808d6344fc5bc \
                 9c4028000648d1dc 0001020304";
    let second = "0200000001002caa8e0000010800 450000948ea100b940112775c0a808d6344fc5bc 48494a4b";
    check_fragments(
        &built,
        (1480, 0x8ea1),
        [(first, 14 + 0x5dc), (second, 14 + 0x94)],
    );
}

#[test]
fn ipv6_fragments_are_as_linux_sends_them() {
    let built = frame()
        .ipv6(CAMERA_V6, REMOTE_V6)
        .with(|ip: &mut Ipv6| ip.flow_label = 0x907e4)
        .udp(40000, 443)
        .payload_octets(long_payload());
    let addresses = "fd0000080000000000000000000000d6 26001f14000000000000000000000034";
    // The captured identification has 32 bits; its upper half is left out here.
    let first = format!(
        "0200000001002caa8e00000186dd 600907e405b02c40 {addresses} 11000001000034a6 \
         9c4001bb06487885 00010203"
    );
    let second = format!(
        "0200000001002caa8e00000186dd 600907e400a82c40 {addresses} 110005a8000034a6 28292a2b"
    );
    check_fragments(
        &built,
        (1448, 0x34a6),
        [(&first, 54 + 0x5b0), (&second, 54 + 0xa8)],
    );
}

#[test]
fn tags_and_sessions_precede_the_ip_header() {
    let inner =
        "450000288cf840004011ea42c0a808d6344fc5bc 9c402800001459d7 000102030405060708090a0b";
    let ip = |packet: Packet| {
        packet
            .ipv4(CAMERA_V4, REMOTE_V4)
            .udp(40000, 10240)
            .payload(12)
            .with(|ip: &mut Ipv4| {
                ip.identification = 0x8cf8;
                ip.dont_fragment = true;
            })
    };
    let ethernet = "0200000001002caa8e000001";
    let tagged = ip(frame().tag(TPID_SERVICE, 0x6064).vlan(5));
    check(
        &tagged,
        &format!("{ethernet} 88a8 6064 8100 0005 0800 {inner}"),
    );
    // RFC 2516: the length covers the PPP protocol number, 0x0021, and what follows.
    let session = ip(frame().pppoe(0x1234));
    check(
        &session,
        &format!("{ethernet} 8864 1100 1234 002a 0021 {inner}"),
    );
    assert_eq!((tagged.ip_octets(), session.ip_octets()), (40, 40));
}

#[test]
fn lies_stay_as_they_are_told() {
    let lie = frame()
        .ipv4(CAMERA_V4, REMOTE_V4)
        .with(|ip: &mut Ipv4| (ip.total_length, ip.header_words) = (Some(9), Some(15)))
        .udp(1, 2)
        .with(|udp: &mut Udp| udp.checksum = Some(0xbeef))
        .payload(20);
    let octets = lie.build();
    assert_eq!(
        (octets[14], &octets[16..18], &octets[40..42]),
        (0x4f, &[0, 9][..], &[0xbe, 0xef][..])
    );
    assert_eq!(lie.ip_octets(), 48);
    let cut = lie.clone().truncate(20).patch(12, &[0x12, 0x34]).build();
    assert_eq!((cut.len(), &cut[12..14]), (20, &[0x12, 0x34][..]));
    assert_eq!(
        frame().number(0x0806).payload(28).pad_to(60).l2_octets(),
        60
    );
}

/// Every kind of header that the builder knows, well-formed.
fn one_of_each() -> Vec<Packet> {
    let v4 = || frame().ipv4(CAMERA_V4, REMOTE_V4);
    let v6 = || frame().ipv6(CAMERA_V6, REMOTE_V6);
    // One DATA chunk (RFC 9260 §3.3.1) of 4 octets.
    let chunk = vec![0, 3, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    let mut packets = vec![
        v4().udp(40000, 40001).payload(31),
        v4().tcp(40000, 40001).payload(32),
        v4().icmp(8, 0).payload(33),
        v4().sctp(40000, 40001).payload_octets(chunk.clone()),
        v4().number(253).payload(34),
        v4().with(|ip: &mut Ipv4| ip.options = vec![0x94, 4, 0, 0, 1])
            .udp(40000, 40001)
            .payload(1),
        v6().udp(40000, 40001).payload(35),
        v6().tcp(40000, 40001).payload(36),
        v6().icmpv6(128, 0).payload(37),
        v6().sctp(40000, 40001).payload_octets(chunk),
        v6().hop_by_hop(1)
            .routing(2)
            .destination_options(33)
            .udp(40000, 40001)
            .payload(38),
        v6().destination_options(40).tcp(40000, 40001).payload(39),
        v6().authentication().udp(40000, 40001).payload(40),
        frame()
            .vlan(5)
            .ipv4(CAMERA_V4, REMOTE_V4)
            .udp(40000, 40001)
            .payload(41),
        frame()
            .tag(TPID_SERVICE, 7)
            .vlan(5)
            .ipv6(CAMERA_V6, REMOTE_V6)
            .udp(40000, 40001)
            .payload(4),
        frame()
            .pppoe(1)
            .ipv6(CAMERA_V6, REMOTE_V6)
            .tcp(40000, 40001)
            .payload(43),
        v4().udp(40000, 40001).payload(1).pad_to(60),
    ];
    packets.extend(v4().udp(40000, 40001).payload(3000).fragments(1480, 77));
    packets.extend(
        v6().hop_by_hop(0)
            .udp(40000, 40001)
            .payload(3000)
            .fragments(1448, 78),
    );
    packets
}

/// Returns the numbers of the frames that tshark finds fault with.
fn faults(packets: &[Packet]) -> Result<Vec<String>> {
    let frames: Vec<_> = packets.iter().map(Packet::build).collect();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), capture_file(&frames))?;
    let mut tshark = Command::new("tshark");
    tshark
        .arg("-r")
        .arg(file.path())
        .args(["-T", "fields", "-e", "frame.number"]);
    for option in [
        "ip.check_checksum",
        "udp.check_checksum",
        "tcp.check_checksum",
    ] {
        tshark.arg("-o").arg(format!("{option}:TRUE"));
    }
    tshark.args(["-o", "sctp.checksum:CRC-32c"]);
    let bad =
        ["ip", "udp", "tcp", "icmp", "icmpv6", "sctp"].map(|p| format!("{p}.checksum.status == 0"));
    tshark.args(["-Y", &format!("_ws.malformed || {}", bad.join(" || "))]);
    let printed = process::output_of(tshark, "")?;
    Ok(printed.lines().map(ToOwned::to_owned).collect())
}

/// A pcap file of Ethernet frames.
fn capture_file(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 1] {
        octets.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = frame.len() as u32;
        for word in [1_500_000_000, 0, length, length] {
            octets.extend(word.to_le_bytes());
        }
        octets.extend(frame);
    }
    octets
}

#[test]
fn tshark_finds_no_fault() -> Result<()> {
    if !granted(&[Need::Program("tshark")])? {
        return Ok(());
    }
    let found = faults(&one_of_each())?;
    ensure!(
        found.is_empty(),
        "tshark finds fault with the frames {found:?}"
    );
    Ok(())
}

#[test]
fn tshark_finds_the_faults_that_were_built() -> Result<()> {
    if !granted(&[Need::Program("tshark")])? {
        return Ok(());
    }
    let sound = frame()
        .ipv4(CAMERA_V4, REMOTE_V4)
        .udp(40000, 40001)
        .payload(9);
    let v6 = frame()
        .ipv6(CAMERA_V6, REMOTE_V6)
        .hop_by_hop(0)
        .udp(40000, 40001)
        .payload(9);
    let packets = [
        sound.clone(),
        sound.clone().with(|ip: &mut Ipv4| ip.checksum = Some(1)),
        sound.with(|udp: &mut Udp| udp.checksum = Some(1)),
        v6.with(|extension: &mut Extension| extension.length = Some(200)),
    ];
    assert_eq!(faults(&packets)?, ["2", "3", "4"]);
    Ok(())
}
