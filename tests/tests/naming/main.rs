//! Names of what devices say themselves and of what they are told in other ways than one datagram,
//! live: by real clients and servers, at both hooks, with counting held against the witness.

mod captured;
mod flood;
mod hostile;
mod hosts;
mod http;
mod quic;
mod resolver;
mod resolving;
mod segments;
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Flow, FlowKey, Flowwatch, Run};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, LabBuilder, Resolver};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::traffic::Exchange;
use flowwatch_tests::witness::{UpDown, Witness};

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
const EXCHANGE: Exchange = Exchange {
    up: 3_000,
    down: 20_000,
};
/// An address of the internet's that stands for many names.
const CDN: Ipv4Addr = Ipv4Addr::new(50, 7, 98, 242);

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Program("dnsmasq"), Need::Flowwatch])
}

/// A lab of these devices without name servers.
fn lab_of(devices: &[&str]) -> LabBuilder {
    let device = |name: &&str| DeviceSpec::new(name, Addressing::Ipv4);
    let lab = Lab::builder().resolver(Resolver::Nobody);
    devices.iter().map(device).fold(lab, LabBuilder::device)
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(CDN.into(), port)
}

fn watch(lab: &Lab, attach: Attach) -> Result<Flowwatch> {
    let options = ["--format", "json", "--no-builtin-geo"];
    let run = Run::new()?.attach(attach).options(&options);
    let run = lab.devices.iter().fold(run, |run, device| {
        run.interface(&device.port).device(&device.name, device.mac)
    });
    run.start(&lab.gateway)
}

/// Has flowwatch watch the devices during `work`, and holds its counts against the witness's. Fails
/// when it says that it missed something.
fn watched(lab: &Lab, attach: Attach, work: impl FnOnce() -> Result<()>) -> Result<Document> {
    let document = counted(lab, attach, work)?;
    document.ensure_whole()?;
    Ok(document)
}

/// As [`watched`], where flowwatch may say that it missed samples.
fn counted(lab: &Lab, attach: Attach, work: impl FnOnce() -> Result<()>) -> Result<Document> {
    let flowwatch = watch(lab, attach)?;
    let listen = |device: &Device| Witness::start(&lab.gateway, &device.port, device.mac);
    let witnesses: Vec<_> = lab.devices.iter().map(listen).collect::<Result<_>>()?;
    work().with_context(|| format!("act before {attach}"))?;
    let heard = witnesses.into_iter().map(Witness::finish);
    let heard: Vec<_> = heard.collect::<Result<_>>()?;
    let document = flowwatch.document()?;
    document.ensure_conserved()?;
    for (device, heard) in lab.devices.iter().zip(heard) {
        ensure!(
            heard.drops == 0,
            "the witness missed {} frames",
            heard.drops
        );
        let mut counted: BTreeMap<IpAddr, UpDown> = BTreeMap::new();
        for (key, traffic) in document.traffic() {
            if key.device == device.name {
                *counted.entry(key.remote).or_default() += traffic;
            }
        }
        ensure!(
            counted == heard.remotes,
            "{attach}: {}: {counted:?}, but heard was {:?}",
            device.name,
            heard.remotes
        );
    }
    Ok(document)
}

/// The flow of a device with a server.
fn flow<'a>(
    document: &'a Document,
    device: &str,
    protocol: &str,
    server: SocketAddr,
) -> Result<&'a Flow> {
    let key = FlowKey {
        device: device.to_owned(),
        remote: server.ip(),
        protocol: protocol.to_owned(),
        port: server.port(),
    };
    let flow = document.flows.get(&key);
    flow.with_context(|| format!("find {key:?} among {:?}", document.flows.keys()))
}

/// A flow's best name and its source.
fn best(flow: &Flow) -> (Option<&str>, Option<&str>) {
    let names = flow.name.as_deref();
    let best = names.and_then(|names| names.split('|').next());
    (best, flow.name_source.as_deref())
}

/// Fails unless the camera's flow with a server has this name first, of this source.
fn ensure_named(
    document: &Document,
    protocol: &str,
    server: SocketAddr,
    name: &str,
    source: &str,
) -> Result<()> {
    let flow = flow(document, "camera", protocol, server)?;
    ensure!(
        best(flow) == (Some(name), Some(source)),
        "{protocol} {server} is {:?} by {:?}, not {name} by {source}; {:?}",
        flow.name,
        flow.name_source,
        document.meta.names
    );
    Ok(())
}

fn address(last: u8) -> IpAddr {
    [45, 7, 0, last].into()
}
