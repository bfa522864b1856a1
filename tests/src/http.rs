//! HTTP/1.1 in the clear: a client that names a host, and a server for all of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

use crate::namespace::Namespace;
use crate::traffic::{self, Exchange, Server};

/// HTTP's port.
pub const PORT: u16 = 80;

/// Uploads `exchange.up` octets to `host` at a [`serve`]r and takes `exchange.down` back. The
/// request's head goes in segments of these sizes and one more of the rest.
pub fn upload(
    namespace: &Namespace,
    server: SocketAddr,
    host: &[u8],
    exchange: Exchange,
    pieces: &[usize],
) -> Result<()> {
    let from = namespace.name();
    let what = || format!("exchange {exchange:?} with http {server} from `{from}`");
    let upload = || upload_here(server, host, exchange, pieces);
    namespace.enter(upload)?.with_context(what)
}

fn upload_here(
    server: SocketAddr,
    host: &[u8],
    exchange: Exchange,
    pieces: &[usize],
) -> Result<()> {
    let Exchange { up, down } = exchange;
    let after = format!("\r\nUser-Agent: camera/1\r\nContent-Length: {up}\r\n\r\n");
    let before = format!("POST /upload?reply={down} HTTP/1.1\r\nHost: ");
    let head = [before.as_bytes(), host, after.as_bytes()].concat();
    let stream = traffic::connect(server)?;
    traffic::send_in_pieces(&stream, &head, pieces)?;
    traffic::send_all(&stream, up)?;
    stream
        .shutdown(Shutdown::Write)
        .context("end the request")?;
    let mut reader = BufReader::new(&stream);
    let mut status = String::new();
    reader.read_line(&mut status).context("read the status")?;
    ensure!(status == "HTTP/1.1 200 OK\r\n", "the status is {status:?}");
    read_head(&mut reader)?;
    let body = traffic::receive_all(reader)?;
    ensure!(body == down, "{body} octets came back");
    Ok(())
}

/// Serves uploads on `port` of every address that the namespace has or gets, for every host.
pub fn serve(namespace: &Namespace, port: u16) -> Result<Server> {
    Server::tcp_by(namespace, traffic::everywhere(port), answer)
}

fn answer(mut stream: &TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = Vec::new();
    reader.read_until(b'\n', &mut request).context("read")?;
    let request = String::from_utf8_lossy(&request).into_owned();
    let mut words = request.split([' ', '=']);
    let down: u64 = words.nth(2).context("read the reply's length")?.parse()?;
    read_head(&mut reader)?;
    traffic::receive_all(reader)?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {down}\r\n\r\n");
    stream.write_all(head.as_bytes()).context("send the head")?;
    traffic::send_all(stream, down)
}

/// Reads a head's lines, to the empty one.
fn read_head(reader: &mut BufReader<impl Read>) -> Result<()> {
    let mut line = Vec::new();
    while line != b"\r\n" {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).context("read")?;
        ensure!(length > 0, "the head has no end");
    }
    Ok(())
}
