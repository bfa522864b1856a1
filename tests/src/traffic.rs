//! Ordinary traffic of known size: TCP and UDP servers that send back as much as they are asked
//! to, and the clients that ask them.
//!
//! A request begins with its own length and the length of the reply, 8 octets each. TCP carries one
//! exchange a connection, which the client's end closes first, so that both have seen everything
//! when the exchange returns; UDP carries one datagram each way.

mod connection;

use std::io::{ErrorKind, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket,
};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGsoSegment;
use nix::unistd::Pid;

use self::connection::prepare;
pub(crate) use self::connection::{connect, receive_all, send_all, send_in_pieces};
use crate::namespace::Namespace;

/// Octets that a request has at least.
pub const REQUEST_HEADER: u64 = 16;
/// How long one step of an exchange may take.
const TIMEOUT: Duration = Duration::from_secs(20);
const CHUNK: usize = 64 << 10;
/// Payload octets of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// From client to server, at least [`REQUEST_HEADER`].
    pub up: u64,
    /// From server to client.
    pub down: u64,
}

impl Exchange {
    /// The first octets of a request.
    pub(crate) fn request(self) -> Result<[u8; REQUEST_HEADER as usize]> {
        ensure!(
            self.up >= REQUEST_HEADER,
            "a request has at least {REQUEST_HEADER} octets"
        );
        let mut octets = [0; REQUEST_HEADER as usize];
        octets[..8].copy_from_slice(&self.up.to_be_bytes());
        octets[8..].copy_from_slice(&self.down.to_be_bytes());
        Ok(octets)
    }

    /// Reads the first octets of a request.
    pub(crate) fn of_request(octets: &[u8]) -> Option<Self> {
        let up = octets.get(..8)?.try_into().ok()?;
        let down = octets.get(8..16)?.try_into().ok()?;
        Some(Self {
            up: u64::from_be_bytes(up),
            down: u64::from_be_bytes(down),
        })
    }
}

/// A server on a thread of its own; ended when dropped.
#[derive(Debug)]
pub struct Server {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<Result<Result<()>>>>,
}

impl Server {
    /// Serves TCP exchanges on `port` of every address that the namespace has or gets.
    pub fn tcp(namespace: &Namespace, port: u16) -> Result<Self> {
        Self::tcp_by(namespace, everywhere(port), answer_tcp)
    }

    /// Serves TCP connections at `address` by `answer`, each on a thread of its own.
    pub(crate) fn tcp_by(
        namespace: &Namespace,
        address: SocketAddr,
        answer: impl Fn(&TcpStream) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = namespace.enter(|| TcpListener::bind(address))?;
        let listener = listener.with_context(|| format!("listen at TCP {address}"))?;
        listener.set_nonblocking(true)?;
        let answer = Arc::new(answer);
        let stop = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC)?);
        let stopped = Arc::clone(&stop);
        let serve = move || {
            while wait_for(&[listener.as_fd()], &stopped)? {
                match listener.accept() {
                    // A client that breaks off fails its own exchange, not the server.
                    Ok((stream, _)) => {
                        let answer = Arc::clone(&answer);
                        thread::spawn(move || prepare(&stream).and_then(|()| answer(&stream)));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error).context("accept"),
                }
            }
            Ok(())
        };
        Ok(Self {
            stop,
            thread: Some(namespace.spawn(serve)),
        })
    }

    /// Serves UDP exchanges on `port` of each of `addresses`: a reply leaves from the address that
    /// was asked, which one socket for all would not see to.
    pub fn udp(namespace: &Namespace, addresses: &[IpAddr], port: u16) -> Result<Self> {
        let bind = |address: &IpAddr| {
            let socket = UdpSocket::bind((*address, port));
            socket.with_context(|| format!("bind UDP port {port} of {address}"))
        };
        let sockets: Vec<UdpSocket> =
            namespace.enter(|| addresses.iter().map(bind).collect::<Result<_>>())??;
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        let stop = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC)?);
        let stopped = Arc::clone(&stop);
        let serve = move || {
            let descriptors: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
            while wait_for(&descriptors, &stopped)? {
                for socket in &sockets {
                    answer_udp(socket)?;
                }
            }
            Ok(())
        };
        Ok(Self {
            stop,
            thread: Some(namespace.spawn(serve)),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.write(1).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Every address of a namespace, IPv4's and IPv6's.
pub(crate) fn everywhere(port: u16) -> SocketAddr {
    // The unspecified IPv6 address takes IPv4 connections too.
    (Ipv6Addr::UNSPECIFIED, port).into()
}

/// Waits until one of `sockets` has something; returns false when the server shall stop.
fn wait_for(sockets: &[std::os::fd::BorrowedFd<'_>], stop: &EventFd) -> Result<bool> {
    let mut ready: Vec<_> = sockets
        .iter()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    ready.push(PollFd::new(stop.as_fd(), PollFlags::POLLIN));
    match poll(&mut ready, PollTimeout::NONE) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(errno) => return Err(errno).context("wait for a request"),
    }
    Ok(!ready.last().and_then(PollFd::any).unwrap_or(false))
}

fn answer_tcp(stream: &TcpStream) -> Result<()> {
    let down = receive_request(stream)?;
    send_all(stream, down)
}

/// Receives a request to its client's end, not only to its announced length: see the module's first
/// lines. Returns the length of the reply that it asks for.
pub(crate) fn receive_request(mut stream: impl Read) -> Result<u64> {
    let mut header = [0; REQUEST_HEADER as usize];
    stream.read_exact(&mut header).context("read the request")?;
    let exchange = Exchange::of_request(&header).context("read the request")?;
    let rest = receive_all(stream)?;
    ensure!(
        rest + REQUEST_HEADER == exchange.up,
        "the request has {rest} octets more"
    );
    Ok(exchange.down)
}

fn answer_udp(socket: &UdpSocket) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            // The error of an earlier reply, which its client will miss.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("receive a request"),
        };
        if let Some(exchange) = Exchange::of_request(&buffer[..length]) {
            socket
                .send_to(&vec![0; exchange.down as usize], peer)
                .context("reply")?;
        }
    }
}

/// The kernel's own count of a connection's segments (`struct tcp_info`), an aggregate counting as
/// the segments that it stands for; the retransmitted ones are counted as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Sent by the client.
    pub sent: u32,
    /// Received by the client.
    pub received: u32,
    /// Payload octets that the client sent, the retransmitted ones again.
    pub payload_sent: u64,
    /// Segments that the client received out of their order: it answers those with selective
    /// acknowledgments, which are options and so octets.
    pub out_of_order: u32,
}

/// Keeps this thread, and those that it starts from now on, on one CPU. What they send each other
/// then stays in order: each CPU has a queue of its own, and packets in two queues overtake.
pub fn stay_in_order() -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("stay on one CPU")
}

/// Sends `exchange.up` octets to a TCP server and takes `exchange.down` back, in one connection.
pub fn tcp(namespace: &Namespace, server: SocketAddr, exchange: Exchange) -> Result<Segments> {
    let what = || {
        format!(
            "exchange {exchange:?} with tcp {server} from `{}`",
            namespace.name()
        )
    };
    namespace
        .enter(|| tcp_here(server, exchange))?
        .with_context(what)
}

fn tcp_here(server: SocketAddr, exchange: Exchange) -> Result<Segments> {
    let stream = connect(server)?;
    let mut writer = &stream;
    writer
        .write_all(&exchange.request()?)
        .context("send the request")?;
    send_all(&stream, exchange.up - REQUEST_HEADER)?;
    stream
        .shutdown(Shutdown::Write)
        .context("end the request")?;
    let down = receive_all(&stream)?;
    ensure!(down == exchange.down, "{down} octets came back");
    segments_of(&stream)
}

/// Sends one datagram of `exchange.up` octets to a UDP server and takes one of `exchange.down`.
pub fn udp(namespace: &Namespace, server: SocketAddr, exchange: Exchange) -> Result<()> {
    let what = || {
        format!(
            "exchange {exchange:?} with udp {server} from `{}`",
            namespace.name()
        )
    };
    namespace
        .enter(|| udp_here(server, exchange))?
        .with_context(what)
}

/// Sends datagrams to a UDP server, from one port, and waits for nothing.
pub fn udp_alone(namespace: &Namespace, server: SocketAddr, datagrams: &[Vec<u8>]) -> Result<()> {
    let what = || format!("send to udp {server} from `{}`", namespace.name());
    let send = || -> Result<()> {
        // Not connected: that nobody listens is no error of this socket's.
        let socket = UdpSocket::bind((any_like(server), 0)).context("bind")?;
        for datagram in datagrams {
            socket.send_to(datagram, server).context("send")?;
        }
        Ok(())
    };
    namespace.enter(send)?.with_context(what)
}

/// The unspecified address of a server's family.
pub(crate) fn any_like(server: SocketAddr) -> IpAddr {
    match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn udp_here(server: SocketAddr, exchange: Exchange) -> Result<()> {
    let socket = udp_client(server)?;
    let mut request = exchange.request()?.to_vec();
    request.resize(exchange.up as usize, 0);
    // Sent once: a datagram that is lost would make the counts differ, and shall be seen.
    socket.send(&request).context("send the request")?;
    let mut reply = vec![0; CHUNK];
    let length = socket.recv(&mut reply).context("wait for the reply")?;
    ensure!(length as u64 == exchange.down, "{length} octets came back");
    Ok(())
}

fn udp_client(server: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((any_like(server), 0)).context("bind")?;
    socket.connect(server).context("connect")?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    Ok(socket)
}

/// Bursts of UDP datagrams, each burst handed to the kernel in one piece (`UDP_SEGMENT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// How many.
    pub count: u64,
    /// Full datagrams of a burst.
    pub datagrams: u64,
    /// Payload octets of each of these.
    pub length: u16,
    /// Payload octets of the shorter one at the burst's end, at least [`REQUEST_HEADER`].
    pub rest: u16,
}

/// Sends bursts to a UDP server and takes an empty datagram back for each one.
pub fn udp_bursts(namespace: &Namespace, server: SocketAddr, bursts: Bursts) -> Result<()> {
    namespace
        .enter(|| udp_bursts_here(server, bursts))?
        .with_context(|| {
            format!(
                "send {bursts:?} to udp {server} from `{}`",
                namespace.name()
            )
        })
}

fn udp_bursts_here(server: SocketAddr, bursts: Bursts) -> Result<()> {
    let socket = udp_client(server)?;
    let length = bursts.datagrams * u64::from(bursts.length) + u64::from(bursts.rest);
    // A request of zeros asks for an empty reply.
    let burst = vec![0; length as usize];
    setsockopt(&socket, UdpGsoSegment, &bursts.length.into()).context("set UDP_SEGMENT")?;
    for _ in 0..bursts.count {
        let sent = socket.send(&burst).context("send a burst")?;
        ensure!(sent == burst.len(), "only {sent} octets were sent");
        // All replies first: so no queue on the way overflows.
        for _ in 0..=bursts.datagrams {
            let length = socket.recv(&mut [0; 16]).context("wait for a reply")?;
            ensure!(length == 0, "{length} octets came back");
        }
    }
    Ok(())
}

fn segments_of(stream: &TcpStream) -> Result<Segments> {
    // Offsets in Linux's `struct tcp_info`, fixed for ever: `tcpi_segs_out` and `tcpi_segs_in`
    // (4.2), `tcpi_bytes_sent` (4.19), `tcpi_rcv_ooopack` (5.4).
    const SENT: usize = 136;
    const RECEIVED: usize = 140;
    const PAYLOAD_SENT: usize = 200;
    const OUT_OF_ORDER: usize = 224;
    let octets = crate::packet_socket::tcp_info(stream.as_fd()).context("ask for TCP's counts")?;
    let word = |at: usize| octets.get(at..at + 4)?.try_into().ok();
    let double = |at: usize| octets.get(at..at + 8)?.try_into().ok();
    let segments = || {
        Some(Segments {
            sent: u32::from_ne_bytes(word(SENT)?),
            received: u32::from_ne_bytes(word(RECEIVED)?),
            payload_sent: u64::from_ne_bytes(double(PAYLOAD_SENT)?),
            out_of_order: u32::from_ne_bytes(word(OUT_OF_ORDER)?),
        })
    };
    segments().context("this kernel doesn't count TCP's segments")
}
