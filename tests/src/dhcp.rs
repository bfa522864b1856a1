//! A DHCP client as in devices (RFC 2131): it asks for an address, says what it is called, and takes
//! what it is offered.
//!
//! The server is dnsmasq. Messages are written and read by hand here, apart from flowwatch's own
//! parser.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::generator::Generator;
use crate::lab::Device;
use crate::link::{self, Mac};
use crate::listener::{Listen, Listener, VIRTIO_LENGTH};
use crate::packet::Packet;

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of a frame that holds a reply.
const REPLY_LENGTH: usize = 1514;
/// Octets of the fixed part and the magic cookie behind it.
const FIXED: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// What a client asks to be told: subnet mask, router, name servers.
const WANTED: [u8; 3] = [MASK, ROUTER, NAME_SERVERS];

const MASK: u8 = 1;
const ROUTER: u8 = 3;
const NAME_SERVERS: u8 = 6;
const HOST_NAME: u8 = 12;
const REQUESTED: u8 = 50;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const PARAMETERS: u8 = 55;
const FULL_NAME: u8 = 81;
const END: u8 = 255;

/// Kinds of messages.
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACKNOWLEDGE: u8 = 5;

/// What a device says that it is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Called<'a> {
    /// Option 12 (RFC 2132 §3.14).
    pub host: Option<&'a [u8]>,
    /// Option 81's name, in text (RFC 4702 §2.3.1).
    pub full: Option<&'a [u8]>,
}

/// What a device was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its address.
    pub address: Ipv4Addr,
    /// The router's.
    pub router: Ipv4Addr,
    /// The name servers'.
    pub name_servers: Vec<Ipv4Addr>,
}

/// Has a device ask for an address, which it is not to have yet, and take it: with a route to
/// everywhere.
pub fn lease(device: &Device, called: Called<'_>) -> Result<Lease> {
    let name = &device.name;
    let lease = ask(device, called).with_context(|| format!("ask for an address in `{name}`"))?;
    let (namespace, router) = (&device.namespace, IpAddr::V4(lease.router));
    link::add_address(namespace, &device.interface, lease.address.into(), 24)?;
    link::route(namespace, "default", router)?;
    link::neighbour(namespace, &device.interface, router, device.gateway_mac)?;
    Ok(lease)
}

fn ask(device: &Device, called: Called<'_>) -> Result<Lease> {
    let (sender, replies) = channel();
    let (namespace, interface) = (&device.namespace, &device.interface);
    // A reply goes to an address that the device doesn't have yet: its kernel drops it.
    let listener = Listener::start(namespace, interface, REPLY_LENGTH, Replies(sender))?;
    let send = Generator::new(namespace, interface)?;
    let ask = |kind, more: &[u8]| -> Result<Vec<u8>> {
        let message = message(device.mac, kind, called, more);
        let frame = Packet::ethernet(device.mac, Mac::BROADCAST)
            .ipv4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)
            .udp(CLIENT_PORT, SERVER_PORT)
            .payload_octets(message);
        send.send(&[frame.build()], 1)?;
        let reply = replies.recv_timeout(TIMEOUT);
        reply.context("wait for an answer")
    };
    let offer = ask(DISCOVER, &[])?;
    ensure!(option(&offer, KIND)? == [OFFER], "the answer is no offer");
    let address = offer.get(16..20).context("the offer is cut off")?;
    let server = option(&offer, SERVER)?;
    let more = [&[REQUESTED, 4], address, &[SERVER, 4], server].concat();
    let lease = ask(REQUEST, &more)?;
    ensure!(option(&lease, KIND)? == [ACKNOWLEDGE], "it was refused");
    ensure!(lease.get(16..20) == Some(address), "it is another's");
    listener.finish()?;
    let router = addresses(option(&lease, ROUTER)?);
    Ok(Lease {
        address: addresses(address)[0],
        router: *router.first().context("there is no router")?,
        name_servers: addresses(option(&lease, NAME_SERVERS)?),
    })
}

fn addresses(octets: &[u8]) -> Vec<Ipv4Addr> {
    let octets = octets.as_chunks::<4>().0.iter();
    octets.map(|octets| Ipv4Addr::from(*octets)).collect()
}

/// Hands on what servers send.
#[derive(Debug)]
struct Replies(Sender<Vec<u8>>);

impl Listen for Replies {
    fn take(&mut self, octets: &[u8]) {
        const IP: usize = VIRTIO_LENGTH + 14;
        // An IPv4 header without options, then UDP to the client's port.
        let ports = octets.get(IP + 20..IP + 24);
        let is_reply = octets.get(IP) == Some(&0x45)
            && octets.get(IP + 9) == Some(&17)
            && ports == Some(&[0, SERVER_PORT as u8, 0, CLIENT_PORT as u8]);
        if let Some(message) = octets.get(IP + 28..).filter(|_| is_reply) {
            self.0.send(message.to_vec()).ok();
        }
    }
}

/// Writes a message; `more` are options.
#[must_use]
pub fn message(mac: Mac, kind: u8, called: Called<'_>, more: &[u8]) -> Vec<u8> {
    // A request over Ethernet; transaction 7; the answer may go to the address that it gives.
    let mut octets = vec![1, 1, 6, 0, 0, 0, 0, 7];
    octets.resize(28, 0);
    octets.extend(mac.0);
    octets.resize(FIXED - COOKIE.len(), 0);
    octets.extend(COOKIE);
    octets.extend([KIND, 1, kind]);
    octets.extend([PARAMETERS, WANTED.len() as u8]);
    octets.extend(WANTED);
    if let Some(host) = called.host {
        octets.extend([HOST_NAME, host.len() as u8]);
        octets.extend(host);
    }
    if let Some(full) = called.full {
        // Flags: no update by the server; two codes that nobody uses.
        octets.extend([FULL_NAME, full.len() as u8 + 3, 0, 0, 0]);
        octets.extend(full);
    }
    octets.extend(more);
    octets.push(END);
    octets
}

/// Finds an option of an answer.
fn option(message: &[u8], wanted: u8) -> Result<&[u8]> {
    let mut rest = message.get(FIXED..).context("the answer is cut off")?;
    while let [number, length, after @ ..] = rest {
        let (value, others) = after
            .split_at_checked((*length).into())
            .context("an option is cut off")?;
        if *number == wanted {
            return Ok(value);
        }
        rest = others;
    }
    bail!("the answer has no option {wanted}")
}
