//! The names in `ClientHello`s that rustls sends.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use flowwatch_tests::dns::{self, Question, Record};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::lab::{Addressing, DeviceSpec, INTERNET_IPV6, Lab, Resolver};
use flowwatch_tests::tls::{self, Client, PORT};
use flowwatch_tests::traffic::{self, Exchange, Server};

use super::{
    BOTH, CDN, EXCHANGE, at, best, counted, ensure_named, flow, is_possible, lab_of, watched,
};

/// What the devices' own resolver says of the address.
const TOLD: &str = "told.example";

fn lab_that_tells(devices: &[&str]) -> Result<Lab> {
    let record = Record::Address(TOLD.to_owned(), CDN.into());
    let lab = lab_of(devices).resolver(Resolver::Gateway);
    lab.records(vec![record]).build()
}

fn be_told(lab: &Lab) -> Result<()> {
    for device in &lab.devices {
        let server = lab.resolver_of(device);
        dns::ask(&device.namespace, server, TOLD, Question::A)?;
    }
    Ok(())
}

#[test]
fn two_devices_keep_their_own_names_for_one_address() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let names = [("camera", "one.example"), ("doorbell", "two.example")];
    let lab = lab_that_tells(&names.map(|(device, _)| device))?;
    // The camera's own servers have the port.
    let port = 8443;
    let _server = tls::serve(&lab.internet, port)?;
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            be_told(&lab)?;
            for (device, (_, name)) in lab.devices.iter().zip(names) {
                Client::of(name).exchange(&device.namespace, at(port), EXCHANGE)?;
            }
            Ok(())
        })?;
        for (device, name) in names {
            let flow = flow(&document, device, "tcp", at(port))?;
            ensure!(
                best(flow) == (Some(name), Some("sni")),
                "{attach}: {flow:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_name_that_a_connection_says_is_that_connections_alone() -> Result<()> {
    const RENDEZVOUS: u16 = 10_240;
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_that_tells(&["camera"])?;
    let camera = &lab.camera().namespace;
    let _servers = [8443, 8444].map(|port| tls::serve(&lab.internet, port));
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            be_told(&lab)?;
            Client::of("one.example").exchange(camera, at(8443), EXCHANGE)?;
            Client::nameless().exchange(camera, at(8444), EXCHANGE)?;
            traffic::udp(camera, at(RENDEZVOUS), Exchange { up: 40, down: 30 })
        })?;
        ensure_named(&document, "tcp", at(8443), "one.example", "sni")?;
        let kept = flow(&document, "camera", "tcp", at(8443))?;
        let kept = kept.name.as_deref().unwrap_or_default();
        ensure!(kept.split('|').any(|name| name == TOLD), "{kept}");
        for (protocol, port) in [("tcp", 8444), ("udp", RENDEZVOUS)] {
            let flow = flow(&document, "camera", protocol, at(port))?;
            let names = (flow.name.as_deref(), flow.name_source.as_deref());
            ensure!(names == (Some(TOLD), Some("dns")), "{attach}: {flow:?}");
        }
    }
    Ok(())
}

#[test]
fn a_name_is_found_on_any_port_over_both_families_in_any_pieces() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let camera = DeviceSpec::new("camera", Addressing::Dual);
    let lab = Lab::builder().device(camera).resolver(Resolver::Nobody);
    let lab = lab.build()?;
    let clients = [
        (4433, Client::of("whole.example")),
        (18_883, Client::of("large.example").post_quantum()),
        (9, Client::of("pieces.example").in_pieces(&[6, 1, 60])),
        (
            5223,
            Client::of("large-pieces.example")
                .post_quantum()
                .in_pieces(&[90, 700, 1]),
        ),
    ];
    let _servers: Vec<Server> = clients
        .iter()
        .map(|(port, _)| tls::serve(&lab.internet, *port))
        .collect::<Result<_>>()?;
    let servers = |port| [at(port), SocketAddr::new(INTERNET_IPV6.into(), port)];
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            for (port, client) in &clients {
                for server in servers(*port) {
                    client.exchange(&lab.camera().namespace, server, EXCHANGE)?;
                }
            }
            Ok(())
        })?;
        let names = ["whole", "large", "pieces", "large-pieces"];
        for ((port, _), name) in clients.iter().zip(names) {
            for server in servers(*port) {
                let name = format!("{name}.example");
                ensure_named(&document, "tcp", server, &name, "sni").context(attach)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_name_is_found_where_the_first_octets_come_one_by_one() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    let _server = tls::serve(&lab.internet, 8443)?;
    let client = Client::of("torn.example").in_pieces(&[1, 1, 3, 1]);
    for attach in BOTH {
        // What such a stream is can't be told from its first segment: some of what follows is taken
        // for a part of the hello, and what is too much of it is said to be missed.
        let document = counted(&lab, attach, || {
            client.exchange(&lab.camera().namespace, at(8443), EXCHANGE)
        })?;
        ensure_named(&document, "tcp", at(8443), "torn.example", "sni").context(attach)?;
    }
    Ok(())
}

#[test]
fn a_hidden_name_is_not_guessed_and_its_cover_is_called_one() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    let camera = &lab.camera().namespace;
    let _servers = [8443, 8444].map(|port| tls::listen(&lab.internet, port));
    let hidden = Client::of("secret.example").hidden_under("public.example");
    let greased = Client::of("greased.example").greased().post_quantum();
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            tls::send_alone(camera, at(8443), &hidden.hello()?, &[])?;
            tls::send_alone(camera, at(8444), &greased.hello()?, &[100])
        })?;
        ensure_named(&document, "tcp", at(8443), "public.example", "ech").context(attach)?;
        ensure_named(&document, "tcp", at(8444), "greased.example", "ech").context(attach)?;
    }
    Ok(())
}

/// The samples of a connection of so many octets.
fn samples(lab: &Lab, attach: Attach, exchange: Exchange) -> Result<u64> {
    let client = Client::of("bulk.example").post_quantum();
    let document = watched(lab, attach, || {
        client.exchange(&lab.camera().namespace, at(8443), exchange)
    })?;
    ensure_named(&document, "tcp", at(8443), "bulk.example", "sni").context(attach)?;
    Ok(document.meta.names.samples)
}

#[test]
fn what_follows_the_handshake_is_not_sampled() -> Result<()> {
    const BULK: Exchange = Exchange {
        up: 50_000_000,
        down: 50_000_000,
    };
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    let _server = tls::serve(&lab.internet, 8443)?;
    for attach in BOTH {
        let (few, many) = (
            samples(&lab, attach, EXCHANGE)?,
            samples(&lab, attach, BULK)?,
        );
        ensure!(
            few == many && (1..=4).contains(&few),
            "{attach}: {few}, then {many}"
        );
    }
    Ok(())
}

#[test]
fn names_of_one_service_are_all_kept_the_newest_first() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    let _server = tls::serve(&lab.internet, 8443)?;
    for attach in BOTH {
        let camera = &lab.camera().namespace;
        let document = watched(&lab, attach, || {
            Client::of("first.example").exchange(camera, at(8443), EXCHANGE)?;
            Client::of("second.example").exchange(camera, at(8443), EXCHANGE)
        })?;
        let flow = flow(&document, "camera", "tcp", at(8443))?;
        let names = flow.name.as_deref();
        ensure!(
            names == Some("second.example|first.example"),
            "{attach}: {flow:?}"
        );
    }
    Ok(())
}

#[test]
fn the_usual_port_is_no_other() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    // The camera's own server has the port; a hello is a request that it makes nothing of.
    let hello = Client::of("usual.example").hello()?;
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            tls::send_alone(&lab.camera().namespace, at(PORT), &hello, &[])
        })?;
        ensure_named(&document, "tcp", at(PORT), "usual.example", "sni").context(attach)?;
    }
    Ok(())
}
