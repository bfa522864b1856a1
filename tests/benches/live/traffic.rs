//! Fifty devices behind one port: what they are told of names, and packets of which each second a share
//! of the flows has one.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};
use flowwatch_tests::dns::answer;
use flowwatch_tests::generator::{Generator, Sent};
use flowwatch_tests::lab::{Lab, OUTSIDE_NAME_SERVER};
use flowwatch_tests::link::Mac;
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::packet::Packet;

const DEVICES: u32 = 50;
/// Where clouds are, in several countries: the first octets of addresses.
const CLOUDS: [u8; 8] = [3, 13, 34, 47, 52, 104, 142, 157];
/// Answers a second: as many as the ring of samples takes.
const ANSWERS: u64 = 10_000;
const PACKETS: u64 = 100_000;

/// The devices' names and MAC addresses.
pub(crate) fn devices() -> impl Iterator<Item = (String, Mac)> {
    (0..DEVICES).map(|number| (format!("device{number}"), mac(number)))
}

fn mac(device: u32) -> Mac {
    Mac([0x2c, 0xaa, 0x8e, 1, 0, device as u8])
}

/// Where packets are sent from, and what they are.
pub(crate) struct Traffic {
    device: Namespace,
    gateway: Namespace,
    port: String,
    /// A flow's packet each.
    packets: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
}

/// Packets that are being sent.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Result<Sent>>,
}

impl Traffic {
    /// Makes the packets of so many flows, and the answers that name their remotes.
    pub(crate) fn new(lab: &Lab, flows: u32) -> Self {
        let camera = lab.camera();
        let gateway = camera.gateway_mac;
        let own = camera.ipv4;
        let packet = |number: u32| {
            let packet = Packet::ethernet(mac(number % DEVICES), gateway);
            let packet = packet.ipv4(own, remote(number)).udp(4_000, 443);
            packet.payload(100 + number as usize % 900).build()
        };
        let answer = |number: u32| {
            let packet = Packet::ethernet(gateway, mac(number % DEVICES));
            let packet = packet.ipv4(OUTSIDE_NAME_SERVER, own);
            packet
                .udp(53, 4_000)
                .payload_octets(response(number))
                .build()
        };
        Self {
            device: camera.namespace.clone(),
            gateway: lab.gateway.clone(),
            port: camera.port.clone(),
            packets: (0..flows).map(packet).collect(),
            answers: (0..flows).map(answer).collect(),
        }
    }

    /// Has every remote named, and a packet sent to each.
    pub(crate) fn send_everything(&self) -> Result<()> {
        let answers = Generator::new(&self.gateway, &self.port)?.rate(ANSWERS);
        answers.send(&self.answers, self.answers.len() as u64)?;
        let packets = Generator::new(&self.device, "eth0")?.rate(PACKETS);
        packets.send(&self.packets, self.packets.len() as u64)?;
        Ok(())
    }

    /// Sends a packet of so many flows each second.
    pub(crate) fn change(&self, flows: u32) -> Result<Load> {
        let generator = Generator::new(&self.device, "eth0")?.rate(flows.into());
        let packets = self.packets[..flows as usize].to_vec();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sender = std::thread::spawn(move || generator.send_until(&packets, &stopped));
        Ok(Load { stop, sender })
    }
}

impl Load {
    /// Stops; returns what was sent.
    pub(crate) fn end(self) -> Result<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join();
        sent.unwrap_or_else(|_| Err(anyhow!("the generator broke off")))
    }
}

fn remote(flow: u32) -> Ipv4Addr {
    let [_, high, middle, low] = flow.to_be_bytes();
    let cloud = CLOUDS[flow as usize % CLOUDS.len()];
    Ipv4Addr::new(cloud, 60 + high, middle, low)
}

/// Returns the answer that names a flow's remote, of some twenty hosts of one service each.
fn response(flow: u32) -> Vec<u8> {
    let host = format!("host-{flow}");
    let service = format!("service-{}", flow / 20);
    let name = answer::name(&[host.as_bytes(), service.as_bytes(), b"cloud", b"example"]);
    let address = answer::address(&answer::QUESTION_NAME, remote(flow).into());
    answer::response(&answer::question(&name), &[address])
}
