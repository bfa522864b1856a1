//! The packet fuzzer's seeds: golden frames as files, whose octets this keeps equal.
//!
//! `FLOWWATCH_WRITE_SEEDS=1 cargo test -p flowwatch-tests --test kernel seeds` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::golden::{self, Fixture};

/// The variable that has the files written instead of compared.
const WRITE: &str = "FLOWWATCH_WRITE_SEEDS";

/// Where they are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/packet");

/// The files, and the golden frames in them: small ones, and of each header one at least.
const SEEDS: [(&str, &str); 40] = [
    ("arp", "ARP"),
    (
        "big-tcp-v4-short",
        "BIG TCP over IPv4 that is shorter than its options",
    ),
    ("big-tcp-v6", "BIG TCP over IPv6 that is not big"),
    (
        "chain-of-eight",
        "eight extension headers and no next header",
    ),
    ("chain-of-nine", "nine extension headers"),
    ("chain-of-six-kinds", "the six kinds in RFC 8200's order"),
    ("dccp", "DCCP over IPv6"),
    ("esp", "ESP behind destination options"),
    ("four-tags", "four tags"),
    ("fragment-v4-first", "a first IPv4 fragment of 8 octets"),
    ("fragment-v4-last", "a packet's last IPv4 fragment"),
    ("fragment-v6-first", "a packet's first IPv6 fragment"),
    ("fragment-v6-last", "a packet's last IPv6 fragment"),
    ("gre", "GRE"),
    ("host-identity", "a host identity header"),
    ("icmp", "a ping without payload"),
    (
        "icmp-error",
        "an ICMP error with the packet that it is about",
    ),
    (
        "icmpv6",
        "a neighbour solicitation behind hop-by-hop options",
    ),
    ("igmp", "IGMP"),
    ("jumbo-lie", "a jumbogram longer than the frame"),
    (
        "llc",
        "LLC: a spanning tree's length instead of an EtherType",
    ),
    ("mapped", "IPv6 between IPv4-mapped addresses"),
    ("mobility", "a mobility header"),
    ("no-next-header", "no next header behind hop-by-hop options"),
    (
        "options-v4",
        "IPv4 with options and no payload but the ports' header",
    ),
    ("padded-v4", "a short packet over IPv4, padded to 60 octets"),
    ("padded-v6", "a short packet over IPv6, padded to 64 octets"),
    ("pppoe-v4", "a PPPoE session's short packet, padded"),
    ("pppoe-v6-two-tags", "a PPPoE session under two tags"),
    ("ppp-control", "PPP's link control"),
    ("sctp", "SCTP over IPv4"),
    ("tcp-hello", "a ClientHello"),
    ("tcp-request", "an HTTP request"),
    ("tcp-syn", "a TCP SYN with its options"),
    ("tcp-v6", "TCP from port 65,535 to port 0"),
    ("two-tags", "a service's and a customer's tag"),
    ("udp-lite", "UDP-Lite over IPv4"),
    ("udp-quic", "a QUIC Initial packet"),
    ("udp-v4", "UDP without payload over IPv4"),
    ("udp-v6", "UDP without payload over IPv6"),
];

fn frame_named<'a>(fixtures: &'a [Fixture], name: &str) -> Result<&'a [u8]> {
    let fixture = fixtures.iter().find(|fixture| fixture.name == name);
    Ok(&fixture
        .context(format!("no golden frame is \"{name}\""))?
        .frame)
}

#[test]
fn the_packet_fuzzers_seeds_are_golden_frames() -> Result<()> {
    let folder = Path::new(FOLDER);
    let fixtures = golden::all();
    let is_writing = std::env::var_os(WRITE).is_some_and(|value| value == "1");
    fs::create_dir_all(folder)?;
    for (file, name) in SEEDS {
        let frame = frame_named(&fixtures, name)?;
        let path = folder.join(file);
        if is_writing {
            fs::write(&path, frame)?;
        }
        let there = fs::read(&path).with_context(|| path.display().to_string())?;
        ensure!(
            there == frame,
            "{file} isn't \"{name}\": write it anew with {WRITE}=1"
        );
    }
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        there.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    assert_eq!(there, SEEDS.map(|(file, _)| file.to_owned()).into());
    Ok(())
}
