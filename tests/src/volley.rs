//! Volleys: several generators at once, on devices and on the gateway's ports, and the ledger of
//! what passed the ports, held against the ports' own counters.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::flowwatch::{Attached, Document};
use crate::generator::{Generator, Sent};
use crate::lab::{Device, Lab};
use crate::ledger::Ledger;
use crate::link::{self, Statistics};
use crate::specimen::{Specimen, Way};

/// Octets of an Ethernet header.
const ETHERNET: u64 = 14;

/// What one generator sends.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    /// The device that sends or receives it.
    pub device: &'a Device,
    /// Up: out of the device's own interface. Down: out of the gateway's port.
    pub way: Way,
    /// The frames, in turn.
    pub specimens: Vec<Specimen>,
    /// How many in all.
    pub packets: u64,
}

/// What a volley came to.
#[derive(Clone, Debug)]
pub struct Fired {
    /// What is to be counted.
    pub ledger: Ledger,
    /// What each stream came to.
    pub sent: Vec<Sent>,
    /// Frames that passed the gateway's ports.
    pub frames: u64,
    /// From the first to the last.
    pub elapsed: Duration,
    /// Octets of the largest frame.
    largest: u64,
    /// What the ports' own counters gained.
    ports: BTreeMap<String, Statistics>,
}

/// Sends all streams at once, and returns when the gateway has taken in what the devices sent.
pub fn fire(lab: &Lab, streams: &[Stream<'_>]) -> Result<Fired> {
    let before = counters(lab)?;
    let start = Instant::now();
    let sent: Vec<Sent> = thread::scope(|scope| {
        let begin = |stream| scope.spawn(move || send(lab, stream));
        let senders: Vec<_> = streams.iter().map(begin).collect();
        let end = |sender: thread::ScopedJoinHandle<'_, Result<Sent>>| {
            sender.join().map_err(|_| anyhow!("a sender died"))?
        };
        senders.into_iter().map(end).collect::<Result<_>>()
    })?;
    let elapsed = start.elapsed();
    let mut ledger = Ledger::default();
    for (stream, sent) in streams.iter().zip(&sent) {
        enter(&mut ledger, stream, sent);
    }
    await_received(lab, &before, &ledger)?;
    let mut ports = counters(lab)?;
    for (port, counters) in &mut ports {
        *counters = counters.since(&before[port]);
    }
    let frames = lab.devices.iter().flat_map(|device| {
        let name = &device.name;
        Way::BOTH.map(|way| ledger.sum(name, way).seen.frames)
    });
    let specimens = streams.iter().flat_map(|stream| &stream.specimens);
    let largest = specimens.map(|specimen| specimen.frame.len()).max();
    Ok(Fired {
        frames: frames.sum(),
        largest: largest.unwrap_or_default() as u64,
        ledger,
        sent,
        elapsed,
        ports,
    })
}

fn send(lab: &Lab, stream: &Stream<'_>) -> Result<Sent> {
    let device = stream.device;
    let generator = match stream.way {
        Way::Up => Generator::new(&device.namespace, "eth0")?,
        Way::Down => Generator::new(&lab.gateway, &device.port)?,
    };
    let frames: Vec<Vec<u8>> = stream
        .specimens
        .iter()
        .map(|specimen| specimen.frame.clone())
        .collect();
    let what = || format!("send {}'s frames {}", device.name, stream.way.name());
    generator.send(&frames, stream.packets).with_context(what)
}

/// Enters what passed the hooks. Up, that is what the device's link took. Down, it is also what the
/// port refused: the egress hook comes before the refusal.
fn enter(ledger: &mut Ledger, stream: &Stream<'_>, sent: &Sent) {
    for (index, specimen) in stream.specimens.iter().enumerate() {
        let refused = match stream.way {
            Way::Up => 0,
            Way::Down => sent.refused[index],
        };
        let times = sent.per_frame[index] + refused;
        ledger.enter(&stream.device.name, stream.way, specimen, times);
    }
}

fn counters(lab: &Lab) -> Result<BTreeMap<String, Statistics>> {
    let of = |device: &Device| {
        let counters = link::statistics(&lab.gateway, &device.port)?;
        Ok((device.port.clone(), counters))
    };
    lab.devices.iter().map(of).collect()
}

fn await_received(lab: &Lab, before: &BTreeMap<String, Statistics>, ledger: &Ledger) -> Result<()> {
    for device in &lab.devices {
        let frames = ledger.sum(&device.name, Way::Up).seen.frames;
        let total = before[&device.port].rx_packets + frames;
        link::await_received(&lab.gateway, &device.port, total)?;
    }
    link::await_backlog()
}

impl Fired {
    /// Fails unless flowwatch counted exactly what was sent, and the ports' own counters agree.
    pub fn check(&self, lab: &Lab, document: &Document) -> Result<()> {
        self.ledger.check(document)?;
        for device in &lab.devices {
            self.check_port(device, document)
                .with_context(|| format!("hold {} against its counters", device.port))?;
        }
        Ok(())
    }

    fn check_port(&self, device: &Device, document: &Document) -> Result<()> {
        let port = self.ports[&device.port];
        let counted = document.device(&device.name)?;
        let (up, down) = (&counted.up, &counted.down);
        ensure!(
            up.frames_seen == port.rx_packets,
            "{} frames seen, {} received",
            up.frames_seen,
            port.rx_packets
        );
        ensure!(
            down.frames_seen == port.tx_packets + port.tx_dropped,
            "{} frames seen, {} sent and {} dropped",
            down.frames_seen,
            port.tx_packets,
            port.tx_dropped
        );
        Ok(())
    }

    /// Fails unless the ports' own counters agree in layer-2 octets too, which they do where every
    /// tag is in its frame.
    pub fn check_octets(&self, lab: &Lab, document: &Document) -> Result<()> {
        for device in &lab.devices {
            let port = self.ports[&device.port];
            let counted = document.device(&device.name)?;
            let (up, down) = (counted.up.l2_octets_seen, counted.down.l2_octets_seen);
            let attached = |attached: &&Attached| attached.interface == device.port;
            let attached = document.meta.interfaces.iter().find(attached);
            // Where XDP runs on it, a veth counts octets behind the Ethernet header (`veth_xdp_rcv`
            // reads a length from which eth_type_trans has taken it off).
            let taken = match attached.with_context(|| format!("find {}", device.port))? {
                Attached { ingress, .. } if ingress == "xdp" => ETHERNET * port.rx_packets,
                _ => 0,
            };
            ensure!(
                up == port.rx_octets + taken,
                "{}: {up} octets seen, {} received",
                device.port,
                port.rx_octets
            );
            // What it dropped, the port did not measure.
            let dropped = port.tx_dropped * ETHERNET..=port.tx_dropped * self.largest;
            ensure!(
                dropped.contains(&down.wrapping_sub(port.tx_octets)),
                "{}: {down} octets seen, {} sent and {} frames dropped",
                device.port,
                port.tx_octets,
                port.tx_dropped
            );
        }
        Ok(())
    }
}
