//! Messages as datagrams (RFC 7011 §10.3).
//!
//! Nobody says that a datagram arrived. That nobody listens, the peer's host says, mostly: so after
//! each delivery it is listened for a moment whether that is said, and before each one whether it was
//! said since. Datagrams are as large as the path allows, and so many at a time as a collector's buffer
//! has room for.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::IpMtu;
use tokio::io::Interest;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::export::DeliveryError;

/// How long it may take to find the collector's address.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(10);
/// Octets of a message where the path allows it: what an Ethernet carries, and most tunnels over it.
const MOST: usize = 1400;
/// Octets of a message where the path allows less, or doesn't say (RFC 7011 §10.3.3).
const LEAST: usize = 512;
/// Octets of the headers of IPv6 and UDP.
const HEADERS: usize = 48;
/// Datagrams at a time: a collector's buffer of 212,992 octets, the kernel's default, has room for
/// three times as many.
const BURST: usize = 32;
/// The pause between them.
const PAUSE: Duration = Duration::from_millis(10);
/// How long it is listened whether nobody is there: a round trip in a country.
const ECHO: Duration = Duration::from_millis(50);
/// Datagrams of a peer that are looked at; nothing is expected to be said.
const MOST_SAID: usize = 64;

/// Datagrams to one collector.
#[derive(Debug)]
pub(super) struct Datagrams {
    /// Host and port.
    address: String,
    /// None before the first delivery, and after a failure.
    socket: Option<UdpSocket>,
}

impl Datagrams {
    pub(super) const fn new(address: String) -> Self {
        Self {
            address,
            socket: None,
        }
    }

    /// Makes a socket where there is none, or the one that there is has met an error; returns the octets
    /// that a message may have.
    pub(super) async fn ready(&mut self) -> Result<usize, DeliveryError> {
        let of = DeliveryError::of;
        let said = self.socket.as_ref().map(hear);
        let socket = match (self.socket.take(), said) {
            (Some(socket), Some(Ok(()))) => socket,
            _ => self.open().await.map_err(of("open a socket"))?,
        };
        let most = most_octets(&socket);
        self.socket = Some(socket);
        Ok(most)
    }

    /// Sends messages; an error where nobody is there, as far as that is said.
    pub(super) async fn send(&mut self, messages: &[Vec<u8>]) -> Result<(), DeliveryError> {
        let of = DeliveryError::of;
        let Some(socket) = self.socket.take() else {
            return Err(of("send")(io::ErrorKind::NotConnected.into()));
        };
        for burst in messages.chunks(BURST) {
            for message in burst {
                socket.send(message).await.map_err(of("send"))?;
            }
            sleep(PAUSE).await;
        }
        listen(&socket).await.map_err(of("send"))?;
        self.socket = Some(socket);
        Ok(())
    }

    async fn open(&self) -> io::Result<UdpSocket> {
        let looking = lookup_host(&self.address);
        let found = timeout(LOOK_UP_PATIENCE, looking).await;
        let mut found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let address = found.next().ok_or(io::ErrorKind::NotFound)?;
        let own: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(own).await?;
        socket.connect(address).await?;
        Ok(socket)
    }
}

/// Returns the octets that a message may have on this path.
fn most_octets(socket: &UdpSocket) -> usize {
    // Known of IPv4 alone; IPv6 guarantees nearly as much (RFC 8200 §5).
    let is_ipv6 = socket.peer_addr().is_ok_and(|peer| peer.is_ipv6());
    let path = if is_ipv6 {
        Some(1280)
    } else {
        let octets = getsockopt(socket, IpMtu).ok();
        octets.and_then(|octets| usize::try_from(octets).ok())
    };
    let path = path.map_or(LEAST, |path| path.saturating_sub(HEADERS));
    path.clamp(LEAST, MOST)
}

/// Takes what was said so far; an error where that is that nobody is there.
fn hear(socket: &UdpSocket) -> io::Result<()> {
    let mut said = [0; 1];
    for _ in 0..MOST_SAID {
        match socket.try_recv(&mut said) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    socket.take_error()?.map_or(Ok(()), Err)
}

/// Takes what is said for a moment.
async fn listen(socket: &UdpSocket) -> io::Result<()> {
    let end = Instant::now() + ECHO;
    let something = Interest::READABLE | Interest::ERROR;
    // One who talks without end is heard until then, too: what is ready at once has no timeout.
    while Instant::now() < end {
        let Ok(ready) = timeout_at(end, socket.ready(something)).await else {
            break;
        };
        ready?;
        hear(socket)?;
    }
    Ok(())
}
