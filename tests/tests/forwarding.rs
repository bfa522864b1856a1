//! Forwarding is not changed by being watched: what passed the gateway before passes it with
//! flowwatch attached, and programs beside it get every frame.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Run};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::link::{self, Statistics};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::specimen::{Ends, Way};
use flowwatch_tests::traffic::{self, Exchange, Server};

const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(52, 79, 197, 188));
const PORT: u16 = 5001;
const EXCHANGE: Exchange = Exchange {
    up: 4_000_000,
    down: 4_000_000,
};
const ECHOES: u64 = 500;

fn ready() -> Result<bool> {
    let needs = ["ip", "ethtool", "nft", "dnsmasq"].map(Need::Program);
    Ok(granted(&[Need::Root, Need::Flowwatch])? && granted(&needs)?)
}

fn lab() -> Result<Lab> {
    Lab::builder().resolver(Resolver::Nobody).build()
}

fn run(lab: &Lab) -> Result<Run> {
    let device = lab.camera();
    Ok(Run::new()?
        .interface(&device.port)
        .device(&device.name, device.mac)
        .options(&["--format", "json"]))
}

fn exchange(lab: &Lab) -> Result<()> {
    let _server = Server::tcp(&lab.internet, PORT)?;
    let remote = SocketAddr::new(REMOTE, PORT);
    traffic::tcp(&lab.camera().namespace, remote, EXCHANGE)?;
    echo(lab)
}

/// Sends echo requests through the gateway; returns when as many replies have come.
fn echo(lab: &Lab) -> Result<()> {
    let device = lab.camera();
    let ends = Ends::of(device, REMOTE, Way::Up);
    let request = ends.ip(ends.link()).icmp(8, 0).payload(56).build();
    let before = link::statistics(&device.namespace, "eth0")?;
    // Below what the shortest queue on the way holds at once.
    let generator = Generator::new(&device.namespace, "eth0")?.rate(5_000);
    generator.send(&[request], ECHOES)?;
    link::await_received(&device.namespace, "eth0", before.rx_packets + ECHOES)
}

/// What the gateway dropped at either of its ports.
fn dropped(lab: &Lab) -> Result<u64> {
    let of = |port: &str| link::statistics(&lab.gateway, port);
    let sum = |it: Statistics| it.rx_dropped + it.tx_dropped;
    Ok(sum(of("lan0")?) + sum(of("wan0")?))
}

fn check(attach: Option<Attach>) -> Result<()> {
    let lab = lab()?;
    let flowwatch = attach.map(|attach| run(&lab)?.attach(attach).start(&lab.gateway));
    let flowwatch = flowwatch.transpose()?;
    exchange(&lab).with_context(|| format!("with flowwatch by {attach:?}"))?;
    ensure!(
        dropped(&lab)? == 0,
        "{attach:?}: the gateway dropped frames"
    );
    let Some(flowwatch) = flowwatch else {
        return Ok(());
    };
    let document = flowwatch.document()?;
    document.ensure_whole()?;
    let echoes = document.traffic();
    let echoes = echoes.iter().find(|(key, _)| key.protocol == "icmp");
    let (_, both) = echoes.context("find the echoes")?;
    ensure!(
        both.up == both.down && both.up.packets == ECHOES,
        "{both:?}"
    );
    // Nothing stays behind in the way.
    exchange(&lab).context("after flowwatch")
}

#[test]
fn what_passed_before_passes_with_flowwatch() -> Result<()> {
    if !ready()? {
        return Ok(());
    }
    [None, Some(Attach::Xdp), Some(Attach::Tc)]
        .into_iter()
        .try_for_each(check)
}

#[test]
fn a_second_flowwatch_counts_the_same() -> Result<()> {
    if !ready()? {
        return Ok(());
    }
    for hook in ["tcx", "clsact"] {
        let lab = lab()?;
        let run = run(&lab)?.attach(Attach::Tc).options(&["--tc-hook", hook]);
        let (first, second) = (run.start(&lab.gateway)?, run.start(&lab.gateway)?);
        exchange(&lab)?;
        let documents = [second.document()?, first.document()?];
        for document in &documents {
            document.ensure_whole()?;
            ensure!(document.flows.len() == 2, "{hook}: {document:?}");
        }
        let [second, first] = documents.map(|document| document.traffic());
        ensure!(first == second, "{hook}: {first:?}, {second:?}");
    }
    Ok(())
}
