//! The lab's clients and servers against each other, with tshark as a witness of what they say.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, bail, ensure};
use flowwatch_tests::capture::{Capture, Captured};
use flowwatch_tests::dhcp::{self, Called};
use flowwatch_tests::dns::stream::TruncatingServer;
use flowwatch_tests::dns::{self, Question, answer};
use flowwatch_tests::lab::{
    Addressing, DeviceSpec, INTERNET_IPV6, Lab, OUTSIDE_NAME_SERVER, Resolver,
};
use flowwatch_tests::link;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::quic::initial::{Beginning, Initial, SHORTEST_DATAGRAM, Version};
use flowwatch_tests::stream::Stream;
use flowwatch_tests::tls::Client;
use flowwatch_tests::traffic::Exchange;
use flowwatch_tests::{http, quic, tls, traffic};

const EXCHANGE: Exchange = Exchange {
    up: 30_000,
    down: 50_000,
};
/// One of the internet's addresses.
const REMOTE: [u8; 4] = [52, 79, 197, 188];

fn lab() -> Result<Option<Lab>> {
    if !granted(&[Need::Root, Need::Program("tshark")])? {
        return Ok(None);
    }
    let camera = DeviceSpec::new("camera", Addressing::Dual);
    let lab = Lab::builder().device(camera).resolver(Resolver::Nobody);
    Ok(Some(lab.build()?))
}

fn remote(port: u16) -> SocketAddr {
    SocketAddr::new(REMOTE.into(), port)
}

/// Captures what the camera's port carries during `work`.
fn captured(lab: &Lab, work: impl FnOnce() -> Result<()>) -> Result<Captured> {
    let capture = Capture::start(&lab.gateway, &lab.camera().port)?;
    work()?;
    capture.finish()
}

/// The names that tshark finds in the TLS and QUIC handshakes.
fn names(captured: &Captured, options: &[&str]) -> Result<Vec<String>> {
    let hello = "tls.handshake.type == 1";
    captured.field(options, hello, "tls.handshake.extensions_server_name")
}

#[test]
fn tls_clients_say_what_they_are_told_to() -> Result<()> {
    const PORT: u16 = 4433;
    let Some(lab) = lab()? else { return Ok(()) };
    let camera = &lab.camera().namespace;
    let _server = tls::serve(&lab.internet, PORT)?;
    let clients = [
        Client::of("one.example"),
        Client::of("two.example").post_quantum(),
        Client::of("three.example")
            .post_quantum()
            .in_pieces(&[1, 500, 7]),
        Client::of("four.example").greased(),
        Client::nameless(),
    ];
    let captured = captured(&lab, || {
        for client in &clients {
            client.exchange(camera, remote(PORT), EXCHANGE)?;
        }
        clients[0].exchange(
            camera,
            SocketAddr::new(INTERNET_IPV6.into(), PORT),
            EXCHANGE,
        )
    })?;
    let options = ["-d", "tcp.port==4433,tls"];
    let expected = ["one", "two", "three", "four", "", "one"].map(|name| match name {
        "" => String::new(),
        name => format!("{name}.example"),
    });
    ensure!(
        names(&captured, &options)? == expected,
        "{:?}",
        names(&captured, &options)?
    );
    let hello = "tls.handshake.type == 1";
    let lengths = captured.field(&options, hello, "tls.handshake.length")?;
    let lengths: Vec<u32> = lengths
        .iter()
        .map(|l| l.parse())
        .collect::<Result<_, _>>()?;
    ensure!(lengths[0] < 300 && lengths[1] > 1300, "{lengths:?}");
    let extensions = captured.field(&options, hello, "tls.handshake.extension.type")?;
    let is_hiding = extensions
        .iter()
        .map(|types| types.split(',').any(|t| t == "65037"));
    let is_hiding: Vec<bool> = is_hiding.collect();
    ensure!(
        is_hiding == [false, false, false, true, false, false],
        "{extensions:?}"
    );
    let segments = captured.field(
        &[],
        "tcp.stream == 2 && tcp.len > 0 && ip.src == 192.168.8.0/24",
        "tcp.len",
    )?;
    ensure!(segments[..3] == ["1", "500", "7"], "{segments:?}");
    Ok(())
}

#[test]
fn a_hidden_name_is_not_on_the_wire_and_the_public_one_is() -> Result<()> {
    let client = Client::of("secret.example").hidden_under("public.example");
    let hello = client.hello()?;
    let is_there = |name: &str| hello.windows(name.len()).any(|at| at == name.as_bytes());
    ensure!(is_there("public.example") && !is_there("secret.example"));
    let renamed = tls::renamed(
        Client::of("a.example").hello()?,
        "a.example",
        b"\x1b[2J\xff<b>\0",
    )?;
    ensure!(!renamed.windows(9).any(|at| at == b"a.example"));
    Ok(())
}

#[test]
fn quic_clients_say_what_they_are_told_to() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let camera = &lab.camera().namespace;
    let _server = quic::Server::start(&lab.internet, quic::PORT)?;
    let clients = [
        Client::of("one.example"),
        Client::of("two.example").post_quantum(),
        Client::nameless(),
    ];
    let captured = captured(&lab, || {
        for client in &clients {
            quic::exchange(client, camera, remote(quic::PORT), EXCHANGE)?;
        }
        let six = SocketAddr::new(INTERNET_IPV6.into(), quic::PORT);
        quic::exchange(&clients[0], camera, six, EXCHANGE)
    })?;
    let seen = names(&captured, &[])?;
    ensure!(
        seen == ["one.example", "two.example", "", "one.example"],
        "{seen:?}"
    );
    let initials = "udp.stream == 1 && quic.long.packet_type == 0 && ip.src == 192.168.8.0/24";
    let lengths = captured.field(&[], initials, "quic.crypto.length")?;
    ensure!(lengths.len() > 1, "{lengths:?}");
    Ok(())
}

#[test]
fn packets_laid_out_by_hand_are_what_another_program_reads() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let camera = &lab.camera().namespace;
    let captured = captured(&lab, || {
        let versions = [(Version::One, b"identity"), (Version::Two, b"another.")];
        for (version, destination) in versions {
            let client = Client::of("hand.example").post_quantum();
            let beginning = Beginning::new(&client, version, destination)?;
            let length = beginning.hello().len();
            let packet = |number, parts: &[_]| {
                beginning.seal(&Initial {
                    destination,
                    token: b"",
                    number,
                    parts,
                    length: SHORTEST_DATAGRAM,
                })
            };
            let first = packet(0, &[600..length, 3..5])?;
            let second = packet(1, &[5..600, 0..3])?;
            traffic::udp_alone(camera, remote(quic::PORT), &[first, second])?;
        }
        Ok(())
    })?;
    // Nobody listens there, and the errors that come back quote what was sent.
    let packets = "quic && !icmp";
    let seen = captured.field(&[], packets, "quic.version")?;
    let expected = ["0x00000001", "0x00000001", "0x6b3343cf", "0x6b3343cf"];
    ensure!(seen == expected, "{seen:?}");
    let parts = captured.field(&[], packets, "quic.crypto.offset")?;
    ensure!(parts == ["600,3", "5,0", "600,3", "5,0"], "{parts:?}");
    let seen = captured.field(&[], "!icmp", "tls.handshake.extensions_server_name")?;
    ensure!(seen == ["", "hand.example", "", "hand.example"], "{seen:?}");
    Ok(())
}

#[test]
fn http_names_a_host() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let camera = &lab.camera().namespace;
    let _server = http::serve(&lab.internet, http::PORT)?;
    let captured = captured(&lab, || {
        for pieces in [&[][..], &[30, 9]] {
            http::upload(
                camera,
                remote(http::PORT),
                b"host.example",
                EXCHANGE,
                pieces,
            )?;
        }
        Ok(())
    })?;
    let seen = captured.field(&[], "http.request", "http.host")?;
    ensure!(seen == ["host.example"; 2], "{seen:?}");
    Ok(())
}

#[test]
fn an_answer_without_room_is_asked_for_again_over_tcp() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let camera = &lab.camera().namespace;
    let server = SocketAddr::new(OUTSIDE_NAME_SERVER.into(), dns::PORT);
    let address: IpAddr = REMOTE.into();
    let answer = move |question: &[u8]| {
        let record = answer::address(&answer::QUESTION_NAME, address);
        answer::response(question, &[record])
    };
    let _server = TruncatingServer::start(&lab.internet, server, &[1, 20], answer)?;
    let captured = captured(&lab, || {
        let name = "long.example";
        let answered = dns::stream::ask_again(camera, server.ip(), name, Question::A)?;
        ensure!(answered == [address], "{answered:?}");
        Ok(())
    })?;
    let answers = "dns.flags.response == 1";
    let seen = captured.field(&[], answers, "dns.flags.truncated")?;
    ensure!(seen == ["1", "0"], "{seen:?}");
    let seen = captured.field(&[], answers, "dns.a")?;
    ensure!(seen == ["", "52.79.197.188"], "{seen:?}");
    let pieces = captured.field(&[], "tcp.srcport == 53 && tcp.len > 0", "tcp.len")?;
    ensure!(pieces[..2] == ["1", "20"], "{pieces:?}");
    Ok(())
}

#[test]
fn segments_written_by_hand_make_a_stream() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let device = lab.camera();
    lab.gateway.silence()?;
    device.namespace.silence()?;
    let hello = Client::of("hand.example").post_quantum().hello()?;
    let captured = captured(&lab, || {
        let stream = Stream {
            lab: &lab,
            device,
            server: remote(tls::PORT),
            local_port: 40_000,
            // It wraps around within the hello.
            sequence: u32::MAX - 700,
        };
        stream.open()?;
        let parts = [900..hello.len(), 0..600, 300..900];
        stream.say(&hello, &parts)?;
        link::await_received(&lab.gateway, &device.port, 5)
    })?;
    let reordered = ["-o", "tcp.reassemble_out_of_order:TRUE"];
    let seen = names(&captured, &reordered)?;
    ensure!(seen == ["hand.example"], "{seen:?}");
    Ok(())
}

#[test]
fn a_device_is_given_its_address_and_says_what_it_is_called() -> Result<()> {
    let needs = [
        Need::Root,
        Need::Program("tshark"),
        Need::Program("dnsmasq"),
    ];
    if !granted(&needs)? {
        return Ok(());
    }
    let lab = Lab::builder()
        .device(DeviceSpec::new("camera", Addressing::Bare))
        .device(DeviceSpec::new("plug", Addressing::Bare))
        .build()?;
    let [device, plug] = &lab.devices[..] else {
        bail!("two devices")
    };
    let captured = captured(&lab, || {
        let called = Called {
            host: Some(b"cam-12"),
            full: Some(b"cam.home.example"),
        };
        let lease = dhcp::lease(device, called)?;
        ensure!(lease.address == device.ipv4, "{lease:?}");
        ensure!(lease.name_servers == [device.gateway_ipv4], "{lease:?}");
        dhcp::lease(
            plug,
            Called {
                host: Some(b"plug"),
                ..Called::default()
            },
        )?;
        let server = lease.name_servers[0].into();
        let answered = dns::ask(
            &device.namespace,
            server,
            "cm.iotcplatform.com",
            Question::A,
        )?;
        ensure!(answered.len() == 1, "{answered:?}");
        Ok(())
    })?;
    let seen = captured.field(&[], "dhcp.option.dhcp == 3", "dhcp.option.hostname")?;
    ensure!(seen == ["cam-12"], "{seen:?}");
    let seen = captured.field(&[], "dhcp.option.dhcp == 3", "dhcp.fqdn.name")?;
    ensure!(seen == ["cam.home.example"], "{seen:?}");
    let leases = std::fs::read_to_string(&lab.lease_file)?;
    for (device, name) in [(device, "cam"), (plug, "plug")] {
        let wanted = format!(" {} {} {name}", device.mac, device.ipv4);
        ensure!(
            leases.lines().any(|line| line.contains(&wanted)),
            "{leases}"
        );
    }
    Ok(())
}
