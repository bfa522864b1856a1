//! The ends of TCP connections: how they are set up, and how so many octets leave and arrive.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBuf;

use super::TIMEOUT;

const CHUNK: usize = 64 << 10;
/// Octets that a TCP sender may have on the way; the kernel takes them twice, for its own overhead.
/// Below what the shortest queue on the way holds, the 256 packets of a veth with NAPI: TCP grows
/// until something is lost, and a loss is not what the lab's exchanges are to show.
const IN_FLIGHT: usize = 96 << 10;

/// Connects to a TCP server from this thread's namespace.
pub(crate) fn connect(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, TIMEOUT).context("connect")?;
    prepare(&stream)?;
    Ok(stream)
}

/// Sends `octets` in segments of these sizes, and what is left behind the last in one more.
pub(crate) fn send_in_pieces(mut stream: &TcpStream, octets: &[u8], sizes: &[usize]) -> Result<()> {
    stream
        .set_nodelay(true)
        .context("have every piece sent at once")?;
    let mut rest = octets;
    for size in sizes {
        let (piece, others) = rest.split_at((*size).min(rest.len()));
        stream.write_all(piece).context("send a piece")?;
        rest = others;
    }
    stream.write_all(rest).context("send the rest")?;
    stream.set_nodelay(false).context("collect what is sent")
}

/// Sets a connection up.
pub(crate) fn prepare(stream: &TcpStream) -> Result<()> {
    // Accepted from a listener that doesn't block, it may not block either.
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    setsockopt(stream, SndBuf, &IN_FLIGHT).context("bound the send buffer")
}

/// Sends so many zeros.
pub(crate) fn send_all(mut stream: impl Write, length: u64) -> Result<()> {
    let zeros = vec![0; CHUNK];
    let mut left = length;
    while left > 0 {
        let chunk = &zeros[..left.min(CHUNK as u64) as usize];
        stream.write_all(chunk).context("send the payload")?;
        left -= chunk.len() as u64;
    }
    Ok(())
}

/// Receives until the other end closes; returns how many octets came.
pub(crate) fn receive_all(mut stream: impl Read) -> Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(length) => total += length as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => bail!("after {total} octets: {error}"),
        }
    }
}
