//! A DHCP client as in devices (RFC 2131): it asks for an address, says what it is called, and takes
//! what it is offered.
//!
//! The server is dnsmasq. Messages are written and read by hand here, apart from flowwatch's own
//! parser.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::BindToDevice;

use crate::lab::Device;
use crate::link::{self, Mac};

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
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
    let ask = || ask_here(device.mac, &device.interface, called);
    let lease = device.namespace.enter(ask)?;
    let lease = lease.with_context(|| format!("ask for an address in `{name}`"))?;
    let (namespace, router) = (&device.namespace, IpAddr::V4(lease.router));
    link::add_address(namespace, &device.interface, lease.address.into(), 24)?;
    link::route(namespace, "default", router)?;
    link::neighbour(namespace, &device.interface, router, device.gateway_mac)?;
    Ok(lease)
}

fn ask_here(mac: Mac, interface: &str, called: Called<'_>) -> Result<Lease> {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, CLIENT_PORT));
    let socket = UdpSocket::bind(any).context("bind")?;
    socket.set_broadcast(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    // Without an address of its own there is no route to take.
    setsockopt(&socket, BindToDevice, &interface.into()).context("bind to the interface")?;
    let everybody = SocketAddr::from((Ipv4Addr::BROADCAST, SERVER_PORT));
    let ask = |kind, more: &[u8]| -> Result<Vec<u8>> {
        let message = message(mac, kind, called, more);
        socket.send_to(&message, everybody).context("send")?;
        let mut answer = vec![0; 1500];
        let length = socket.recv(&mut answer).context("wait for an answer")?;
        answer.truncate(length);
        Ok(answer)
    };
    let offer = ask(DISCOVER, &[])?;
    ensure!(option(&offer, KIND)? == [OFFER], "the answer is no offer");
    let address = offer.get(16..20).context("the offer is cut off")?;
    let server = option(&offer, SERVER)?;
    let more = [&[REQUESTED, 4], address, &[SERVER, 4], server].concat();
    let lease = ask(REQUEST, &more)?;
    ensure!(option(&lease, KIND)? == [ACKNOWLEDGE], "it was refused");
    ensure!(lease.get(16..20) == Some(address), "it is another's");
    let addresses = |octets: &[u8]| {
        let octets = octets.as_chunks::<4>().0.iter();
        octets
            .map(|octets| Ipv4Addr::from(*octets))
            .collect::<Vec<_>>()
    };
    let router = addresses(option(&lease, ROUTER)?);
    Ok(Lease {
        address: addresses(address)[0],
        router: *router.first().context("there is no router")?,
        name_servers: addresses(option(&lease, NAME_SERVERS)?),
    })
}

/// Writes a message; `more` are options.
#[must_use]
pub fn message(mac: Mac, kind: u8, called: Called<'_>, more: &[u8]) -> Vec<u8> {
    // A request over Ethernet; transaction 7; the answer is to be broadcast.
    let mut octets = vec![1, 1, 6, 0, 0, 0, 0, 7, 0, 0, 0x80, 0];
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
