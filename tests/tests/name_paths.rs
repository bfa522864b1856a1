//! Names, live, by whatever way the answer comes: over IPv4 and IPv6, behind tags and in a session;
//! and none where the answer came before flowwatch did.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, ensure};
use flowwatch_tests::dns::PORT;
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch, Run};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{Addressing, DeviceSpec, Lab, Resolver};
use flowwatch_tests::link;
use flowwatch_tests::packet::{Packet, TPID_SERVICE};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::specimen::{Ends, Way};

/// The ways to a device: what lies between Ethernet and IP.
const WAYS: [fn(Packet) -> Packet; 4] = [
    |link| link,
    |link| link.vlan(5),
    |link| link.tag(TPID_SERVICE, 7).vlan(5),
    |link| link.vlan(5).pppoe(99),
];

/// A device and a gateway that answer nothing.
fn lab() -> Result<Option<Lab>> {
    if !granted(&[Need::Root, Need::Flowwatch])? {
        return Ok(None);
    }
    let device = DeviceSpec::new("camera", Addressing::Bare);
    let lab = Lab::builder().device(device).resolver(Resolver::Nobody);
    let lab = lab.build()?;
    lab.gateway.silence()?;
    lab.camera().namespace.silence()?;
    Ok(Some(lab))
}

fn watch(lab: &Lab) -> Result<Flowwatch> {
    let camera = lab.camera();
    let run = Run::new()?.attach(Attach::Xdp).interface(&camera.port);
    let run = run.device(&camera.name, camera.mac);
    let options = ["--format", "json", "--no-builtin-geo"];
    run.options(&options).start(&lab.gateway)
}

fn remote(number: u8) -> IpAddr {
    Ipv4Addr::new(45, 7, 0, number).into()
}

/// Has a name server tell the camera that `nN.example` is at `remote(N)`.
fn tell(lab: &Lab, number: u8, server: IpAddr, way: fn(Packet) -> Packet) -> Result<()> {
    let camera = lab.camera();
    let name = answer::name(&[format!("n{number}").as_bytes(), b"example"]);
    let record = answer::address(&QUESTION_NAME, remote(number));
    let message = answer::response(&answer::question(&name), &[record]);
    let ends = Ends::of(camera, server, Way::Down);
    let packet = ends.udp(ends.ip(way(ends.link())), PORT);
    let frame = packet.payload_octets(message).build();
    let generator = Generator::new(&lab.gateway, &camera.port)?;
    generator.send(&[frame], 1).map(drop)
}

/// Has the camera send one datagram to each of the first remotes.
fn talk(lab: &Lab, remotes: u8) -> Result<()> {
    let camera = lab.camera();
    let before = link::statistics(&lab.gateway, &camera.port)?.rx_packets;
    let frame = |number| {
        let ends = Ends::of(camera, remote(number), Way::Up);
        ends.udp(ends.ip(ends.link()), 443).payload(9).build()
    };
    let frames: Vec<Vec<u8>> = (0..remotes).map(frame).collect();
    Generator::new(&camera.namespace, "eth0")?.send(&frames, remotes.into())?;
    link::await_received(&lab.gateway, &camera.port, before + u64::from(remotes))
}

fn name_of(document: &Document, number: u8) -> Result<Option<&str>> {
    let mut flows = document.flows.values();
    let flow = flows.find(|flow| flow.remote_address == remote(number));
    Ok(flow.context("find the flow")?.name.as_deref())
}

#[test]
fn an_answer_names_whatever_way_it_comes() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let camera = lab.camera();
    let servers = [camera.gateway_ipv4.into(), camera.gateway_ipv6.into()];
    let ways = servers.map(|server: IpAddr| WAYS.map(|way| (server, way)));
    let ways = ways.as_flattened();
    let flowwatch = watch(&lab)?;
    for (number, &(server, way)) in (0..).zip(ways) {
        tell(&lab, number, server, way)?;
    }
    talk(&lab, ways.len() as u8)?;
    let document = flowwatch.document()?;
    document.ensure_whole()?;
    for (number, (server, _)) in (0..).zip(ways) {
        let (name, expected) = (name_of(&document, number)?, format!("n{number}.example"));
        ensure!(
            name == Some(&*expected),
            "{number}, from {server}: {name:?}"
        );
    }
    Ok(())
}

#[test]
fn an_address_learned_before_counting_began_has_no_name() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let server = lab.camera().gateway_ipv4.into();
    tell(&lab, 0, server, WAYS[0])?;
    let flowwatch = watch(&lab)?;
    tell(&lab, 1, server, WAYS[0])?;
    talk(&lab, 2)?;
    let document = flowwatch.document()?;
    ensure!(name_of(&document, 0)?.is_none(), "{document:?}");
    ensure!(name_of(&document, 1)? == Some("n1.example"), "{document:?}");
    Ok(())
}
