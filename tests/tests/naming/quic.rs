//! The names in QUIC's first packets: quinn's, and those laid out by hand.

#![expect(
    clippy::single_range_in_vec_init,
    reason = "a list of parts may have one alone"
)]

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context, Result};
use flowwatch_tests::lab::{Addressing, DeviceSpec, INTERNET_IPV6, Lab, Resolver};
use flowwatch_tests::quic::initial::{Beginning, Initial, SHORTEST_DATAGRAM, Version};
use flowwatch_tests::quic::{self, PORT, Server};
use flowwatch_tests::tls::Client;
use flowwatch_tests::traffic;

use super::{BOTH, EXCHANGE, at, ensure_named, is_possible, lab_of, watched};

#[test]
fn a_connections_first_packets_name_it() -> Result<()> {
    const OTHER: u16 = 8443;
    if !is_possible()? {
        return Ok(());
    }
    let camera = DeviceSpec::new("camera", Addressing::Dual);
    let lab = Lab::builder().device(camera).resolver(Resolver::Nobody);
    let lab = lab.build()?;
    let _servers = [PORT, OTHER].map(|port| Server::start(&lab.internet, port));
    let six = SocketAddr::new(INTERNET_IPV6.into(), PORT);
    let connections = [
        (at(PORT), "one.example", Client::of("one.example")),
        // Its hello takes two packets.
        (
            at(OTHER),
            "two.example",
            Client::of("two.example").post_quantum(),
        ),
        (six, "six.example", Client::of("six.example").post_quantum()),
    ];
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            for (server, _, client) in &connections {
                quic::exchange(client, &lab.camera().namespace, *server, EXCHANGE)?;
            }
            Ok(())
        })?;
        for (server, name, _) in &connections {
            ensure_named(&document, "udp", *server, name, "quic").context(attach)?;
        }
    }
    Ok(())
}

/// A packet: the Destination Connection ID in its header, its number, and the parts of the hello in
/// its frames.
type Packet = (&'static [u8], u16, Vec<Range<usize>>);

const FIRST: &[u8] = b"the first";
const LATER: &[u8] = b"a later";

/// Datagrams of one connection, each of one packet or more, of a hello of this length.
fn layouts(length: usize) -> Vec<Vec<Vec<Packet>>> {
    let packet = |number, parts: &[Range<usize>]| (FIRST, number, parts.to_vec());
    vec![
        // In order; the later one first; frames in the wrong order within each.
        vec![vec![packet(0, &[0..900])], vec![packet(1, &[900..length])]],
        vec![vec![packet(1, &[900..length])], vec![packet(0, &[0..900])]],
        vec![
            vec![packet(0, &[500..1000, 3..200])],
            vec![packet(1, &[1000..length, 0..3, 200..500])],
        ],
        // Overlapping, and one twice.
        vec![
            vec![packet(0, &[0..500, 300..900])],
            vec![packet(0, &[0..500, 300..900])],
            vec![packet(1, &[600..length])],
        ],
        // Two packets in one datagram, then one more.
        vec![
            vec![packet(0, &[0..400]), packet(1, &[400..900])],
            vec![packet(2, &[900..length])],
        ],
        // The server has answered: its identifier takes the first one's place, and the keys stay.
        vec![
            vec![packet(0, &[0..900])],
            vec![(LATER, 1, vec![900..length])],
        ],
    ]
}

/// Seals the packets of a datagram, which together fill it.
fn datagram(beginning: &Beginning, packets: &[Packet]) -> Result<Vec<u8>> {
    let length = SHORTEST_DATAGRAM / packets.len();
    let mut octets = Vec::new();
    for (destination, number, parts) in packets {
        octets.extend(beginning.seal(&Initial {
            destination,
            token: b"",
            number: *number,
            parts,
            length,
        })?);
    }
    Ok(octets)
}

#[test]
fn a_hello_is_put_together_of_any_packets_of_either_version() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    let count = layouts(0).len() as u16;
    let connections = || {
        let versions = [(Version::One, "one", 4000), (Version::Two, "two", 5000)];
        versions.into_iter().flat_map(move |(version, word, port)| {
            (0..count).map(move |index| (version, format!("{word}{index}.example"), port + index))
        })
    };
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            for (index, (version, name, port)) in connections().enumerate() {
                let client = Client::of(&name).post_quantum();
                let beginning = Beginning::new(&client, version, FIRST)?;
                let layout = layouts(beginning.hello().len());
                let layout = &layout[index % usize::from(count)];
                let datagrams = layout.iter().map(|packets| datagram(&beginning, packets));
                let datagrams: Vec<_> = datagrams.collect::<Result<_>>()?;
                traffic::udp_alone(&lab.camera().namespace, at(port), &datagrams)?;
            }
            // What was sent is through when what is sent behind it is answered.
            let exchange = traffic::Exchange { up: 40, down: 30 };
            traffic::udp(&lab.camera().namespace, at(10_240), exchange)
        })?;
        for (version, name, port) in connections() {
            let what = || format!("{attach}, {version:?}");
            ensure_named(&document, "udp", at(port), &name, "quic").with_context(what)?;
        }
    }
    Ok(())
}
