//! How devices resolve names: whom they ask, by what protocol, and whether the network gave it; and
//! what they reach without asking anybody.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use flowwatch_tests::dhcp::{self, Called};
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::dns::{self, Question, ScriptedServer};
use flowwatch_tests::flowwatch::{Document, ResolverSeen};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, Resolver};
use flowwatch_tests::tls::{self, Client};
use flowwatch_tests::traffic::{self, Exchange};
use flowwatch_tests::{link, quic};

use super::{BOTH, CDN, EXCHANGE, address, at, is_possible, watched};

/// Google's, and its name; one that is asked over TLS, and one over QUIC.
const GOOGLE: [u8; 4] = [8, 8, 8, 8];
const GOOGLE_NAME: &str = "dns.google";
const CLOUDFLARE: [u8; 4] = [1, 1, 1, 1];
const ADGUARD: [u8; 4] = [94, 140, 14, 14];
/// DNS over TLS and over QUIC.
const ENCRYPTED: u16 = 853;
const RENDEZVOUS: u16 = 10_240;

/// A home: dnsmasq gives addresses and resolves. Beyond it are resolvers of the world's.
fn home() -> Result<Lab> {
    let remotes = [GOOGLE, CLOUDFLARE, ADGUARD].map(IpAddr::from);
    let lab = Lab::builder()
        .device(DeviceSpec::new("camera", Addressing::Bare))
        .resolver(Resolver::Gateway)
        .addresses(remotes.to_vec())
        .build()?;
    link::own_prefix(&lab.internet, "45.7.0.0/24")?;
    Ok(lab)
}

fn resolver(address: IpAddr, transport: &str, given: bool) -> (IpAddr, String, Option<bool>) {
    (address, transport.to_owned(), Some(given))
}

/// The camera's resolvers, without their names.
fn resolvers(document: &Document) -> Result<Vec<(IpAddr, String, Option<bool>)>> {
    let resolving = document.resolving.get("camera");
    let resolving = resolving.context("find the camera's way of resolving")?;
    let short = |seen: &ResolverSeen| (seen.address, seen.transport.clone(), seen.given);
    let mut resolvers: Vec<_> = resolving.resolvers.iter().map(short).collect();
    resolvers.sort();
    Ok(resolvers)
}

/// Takes an address, then asks the network's resolver, Google's directly, and others in secret.
fn resolve_in_all_ways(device: &Device) -> Result<()> {
    let camera = &device.namespace;
    let lease = dhcp::lease(device, Called::default())?;
    let own = lease.name_servers[0].into();
    dns::ask(camera, own, "cm.iotcplatform.com", Question::A)?;
    dns::ask(camera, GOOGLE.into(), "direct.example", Question::A)?;
    let at = |address: [u8; 4], port| SocketAddr::new(address.into(), port);
    let dot = Client::of("one.one.one.one");
    dot.exchange(camera, at(CLOUDFLARE, ENCRYPTED), EXCHANGE)?;
    let doq = Client::of("dns.adguard-dns.com").post_quantum();
    quic::exchange(&doq, camera, at(ADGUARD, ENCRYPTED), EXCHANGE)?;
    // To a resolver's own address, and to another's under its name.
    let doh = Client::of(GOOGLE_NAME).hello()?;
    tls::send_alone(camera, at(GOOGLE, tls::PORT), &doh, &[])?;
    tls::send_alone(camera, SocketAddr::new(address(1), tls::PORT), &doh, &[])?;
    // Neither.
    let other = Client::of("other.example").hello()?;
    tls::send_alone(camera, SocketAddr::new(address(2), tls::PORT), &other, &[])
}

#[test]
fn each_way_of_asking_is_told_and_whether_the_network_gave_it() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    for attach in BOTH {
        // A lease is taken anew each time.
        let lab = home()?;
        let google = SocketAddr::new(GOOGLE.into(), dns::PORT);
        let _google = ScriptedServer::start(&lab.internet, google, |question| {
            let record = answer::address(&QUESTION_NAME, CDN.into());
            Some(answer::response(question, &[record]))
        })?;
        let _dot = tls::serve(&lab.internet, ENCRYPTED)?;
        let _doq = quic::Server::start(&lab.internet, ENCRYPTED)?;
        let device = lab.camera();
        let document = watched(&lab, attach, || resolve_in_all_ways(device))?;
        let own = IpAddr::from(device.gateway_ipv4);
        let mut expected = vec![
            resolver(own, "udp", true),
            resolver(GOOGLE.into(), "udp", false),
            resolver(CLOUDFLARE.into(), "dot", false),
            resolver(ADGUARD.into(), "doq", false),
            resolver(GOOGLE.into(), "doh", false),
            resolver(address(1), "doh", false),
        ];
        expected.sort();
        let seen = resolvers(&document)?;
        ensure!(seen == expected, "{attach}: {:?}", document.resolving);
        let resolving = &document.resolving["camera"];
        ensure!(resolving.offered == [own], "{attach}: {resolving:?}");
        let is_google = |seen: &&ResolverSeen| {
            seen.address == IpAddr::from(GOOGLE) && seen.name.as_deref() == Some(GOOGLE_NAME)
        };
        let named = resolving.resolvers.iter().filter(is_google).count();
        ensure!(named == 2, "{attach}: {resolving:?}");
    }
    Ok(())
}

#[test]
fn a_name_that_was_never_asked_for_is_marked_and_so_is_a_remote_without_one() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = super::lab_of(&["camera"]).resolver(Resolver::Gateway);
    let record = dns::Record::Address("asked.example".to_owned(), CDN.into());
    let lab = lab.records(vec![record]).build()?;
    let _servers = [8443, 8444].map(|port| tls::serve(&lab.internet, port));
    let (camera, server) = (&lab.camera().namespace, lab.resolver_of(lab.camera()));
    let time_server = SocketAddr::new([129, 6, 15, 28].into(), 123);
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            dns::ask(camera, server, "asked.example", Question::A)?;
            Client::of("asked.example").exchange(camera, at(8443), EXCHANGE)?;
            Client::of("never.example").exchange(camera, at(8444), EXCHANGE)?;
            traffic::udp(camera, time_server, Exchange { up: 48, down: 48 })
        })?;
        let asked = |port| -> Result<Option<bool>> {
            let flow = super::flow(&document, "camera", "tcp", at(port))?;
            let first = flow.names.first().context("find the name's details")?;
            ensure!(first.source == "sni", "{flow:?}");
            Ok(first.asked)
        };
        ensure!(asked(8443)? == Some(true), "{attach}");
        ensure!(asked(8444)? == Some(false), "{attach}");
        let flow = super::flow(&document, "camera", "udp", time_server)?;
        ensure!(flow.name.is_none() && flow.names.is_empty(), "{flow:?}");
    }
    Ok(())
}

#[test]
fn a_name_that_does_not_exist_is_told() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = super::lab_of(&["camera"])
        .resolver(Resolver::Gateway)
        .build()?;
    let device = lab.camera();
    let server = lab.resolver_of(device);
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            let found = dns::resolve(&device.namespace, server, "gone.example")?;
            ensure!(found.is_empty(), "{found:?}");
            let talk = SocketAddr::new(CDN.into(), RENDEZVOUS);
            traffic::udp(&device.namespace, talk, Exchange { up: 40, down: 30 })
        })?;
        let resolving = document.resolving.get("camera");
        let resolving = resolving.context("find the camera's way of resolving")?;
        ensure!(
            resolving.unresolved == ["gone.example"],
            "{attach}: {resolving:?}"
        );
    }
    Ok(())
}
