//! Names from strangers that no resolver would carry, in a hello, a QUIC packet, a request and a
//! DHCP message: they stay names in every format, and say nothing to a terminal.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use flowwatch::format::FORMATS;
use flowwatch_tests::dhcp::{self, Called};
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch, Run};
use flowwatch_tests::lab::{Addressing, DeviceSpec, Lab, Resolver};
use flowwatch_tests::quic::initial::{Beginning, Initial, SHORTEST_DATAGRAM, Version};
use flowwatch_tests::tls::{self, Client};
use flowwatch_tests::traffic::{self, Exchange};
use flowwatch_tests::{http, link};

use super::{address, is_possible};

/// Names, and their text (RFC 1035 §5.1's escapes, in lower case).
const NAMES: [(&[u8], &str); 7] = [
    (b"\x1b[31mred\x1b[2J.test", r"\027[31mred\027[2j.test"),
    (
        b"\x9b31m\x9d0;title\x07.test",
        r"\15531m\1570;title\007.test",
    ),
    (b"=cmd|'/C calc'!A0", r"=cmd|'/c\032calc'!a0"),
    (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
    (b"a\r\nb,\"c\"\0d", r#"a\013\010b,"c"\000d"#),
    (
        b"\xff\xfe\xc3\x28.\xe2\x80\xae",
        r"\255\254\195(.\226\128\174",
    ),
    (b"`*_[x](y)&amp;|#{7*7}", "`*_[x](y)&amp;|#{7*7}"),
];

/// The ways in which a device says a name, each with the port that it is said to.
const TLS: u16 = 8443;
const QUIC: u16 = 8444;
const HTTP: u16 = 8080;

fn server(index: usize, port: u16) -> SocketAddr {
    SocketAddr::new(address(index as u8), port)
}

/// A name of letters, as long as `name`.
fn placeholder(name: &[u8]) -> String {
    let length = name.len();
    format!("{}.x", "a".repeat(length - 2))
}

/// Has the camera say every name in every way.
fn say(lab: &Lab) -> Result<()> {
    let device = lab.camera();
    let camera = &device.namespace;
    let called = Called {
        host: Some(NAMES[0].0),
        full: Some(NAMES[2].0),
    };
    dhcp::lease(device, called)?;
    for (index, (name, _)) in NAMES.iter().enumerate() {
        let harmless = placeholder(name);
        let client = Client::of(&harmless);
        let hello = tls::renamed(client.hello()?, &harmless, name)?;
        tls::send_alone(camera, server(index, TLS), &hello, &[])?;
        let beginning = Beginning::new(&client, Version::One, b"identity")?;
        let hello = tls::renamed(beginning.hello().to_vec(), &harmless, name)?;
        let whole = 0..hello.len();
        let packet = beginning.with_hello(hello).seal(&Initial {
            destination: b"identity",
            token: b"",
            number: 0,
            parts: std::slice::from_ref(&whole),
            length: SHORTEST_DATAGRAM,
        })?;
        traffic::udp_alone(camera, server(index, QUIC), &[packet])?;
        let exchange = Exchange { up: 16, down: 16 };
        http::upload(camera, server(index, HTTP), name, exchange, &[])?;
    }
    Ok(())
}

/// One document of each format.
fn documents() -> Result<Vec<String>> {
    let lab = Lab::builder()
        .device(DeviceSpec::new("camera", Addressing::Bare))
        .resolver(Resolver::Gateway)
        .build()?;
    link::own_prefix(&lab.internet, "45.7.0.0/24")?;
    let _tls = tls::listen(&lab.internet, TLS)?;
    let _http = http::serve(&lab.internet, HTTP)?;
    let device = lab.camera();
    let start = |format: &str| -> Result<Flowwatch> {
        let run = Run::new()?.interface(&device.port).attach(Attach::Tc);
        let run = run.device("camera", device.mac);
        let run = run.options(&["--no-builtin-geo", "--format", format]);
        run.start(&lab.gateway)
    };
    let flowwatches = FORMATS.iter().map(|format| start(format.name));
    let flowwatches: Vec<_> = flowwatches.collect::<Result<_>>()?;
    say(&lab)?;
    flowwatches.into_iter().map(Flowwatch::stop).collect()
}

fn check_json(json: &str) -> Result<()> {
    let document = Document::parse(json)?;
    for (index, (_, text)) in NAMES.iter().enumerate() {
        // A name's own separator is escaped where several names may stand.
        let text = text.replace('|', r"\x7c");
        for (protocol, port) in [("tcp", TLS), ("udp", QUIC)] {
            let flow = super::flow(&document, "camera", protocol, server(index, port))?;
            ensure!(flow.name.as_deref() == Some(&text), "{flow:?}");
        }
        // A line of a request ends with a line feed: that Host, and perhaps others, is no name.
        let flow = super::flow(&document, "camera", "tcp", server(index, HTTP))?;
        let is_name = |name: &str| name == text;
        ensure!(flow.name.as_deref().is_none_or(is_name), "{flow:?}");
    }
    Ok(())
}

#[test]
fn what_strangers_call_themselves_is_shown_and_does_nothing() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    for (format, document) in FORMATS.iter().zip(documents()?) {
        let is_bad =
            |c: &char| c.is_control() && !(*c == '\n' || *c == '\r' && format.name == "csv");
        ensure!(
            document.chars().find(is_bad).is_none(),
            "{}: {document:?}",
            format.name
        );
        // Whatever the format: the first of them is there, as text.
        let first = NAMES[0].1;
        let is_there = document.contains(first)
            || document.contains(&first.replace('\\', r"\\"))
            || document.contains(&first.replace('\\', r"\\").replace('[', r"\["));
        ensure!(is_there, "{}: {document}", format.name);
        if format.name == "json" {
            check_json(&document).context("json")?;
        }
    }
    Ok(())
}
