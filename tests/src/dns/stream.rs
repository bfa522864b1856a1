//! DNS over TCP (RFC 7766): messages behind their length, in as many segments as a test wants; a
//! server that has no room over UDP, and a resolver that asks again.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

use super::{Question, ScriptedServer, question_octets, read_answer};
use crate::namespace::Namespace;
use crate::traffic::{self, Server};

/// The bit of a header's third octet that says that there was no room (RFC 1035 §4.1.1).
const TRUNCATED: u8 = 0x02;

/// A name server whose answers over UDP are cut off behind the question, and whole over TCP. Ended
/// when dropped.
#[derive(Debug)]
pub struct TruncatingServer {
    /// Held, not used.
    _udp: ScriptedServer,
    _tcp: Server,
}

impl TruncatingServer {
    /// Serves at `address`; `answer` gets a question's octets and returns the whole answer's, which
    /// TCP carries in segments of these sizes and one more of the rest, its length included.
    pub fn start(
        namespace: &Namespace,
        address: SocketAddr,
        pieces: &[usize],
        answer: impl Fn(&[u8]) -> Vec<u8> + Clone + Send + Sync + 'static,
    ) -> Result<Self> {
        let pieces = pieces.to_vec();
        let whole = answer.clone();
        let udp = move |question: &[u8]| Some(truncated(&answer(question), question.len()));
        let tcp = move |stream: &TcpStream| {
            while let Some(question) = received(stream)? {
                traffic::send_in_pieces(stream, &framed(&whole(&question)), &pieces)?;
            }
            Ok(())
        };
        Ok(Self {
            _udp: ScriptedServer::start(namespace, address, udp)?,
            _tcp: Server::tcp_by(namespace, address, tcp)?,
        })
    }
}

/// Cuts an answer off behind its question, which has so many octets, and says so.
fn truncated(answer: &[u8], length: usize) -> Vec<u8> {
    let mut octets = answer[..length].to_vec();
    octets[2] |= TRUNCATED;
    // No answers, authorities or additions.
    octets[6..12].fill(0);
    octets
}

/// Puts a message behind its length.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

/// Receives a message; `None` at the stream's end.
fn received(mut stream: &TcpStream) -> Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).context("read a length")? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).context("read on")?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).context("read a message")?;
    Ok(Some(message))
}

/// Sends questions over one connection, all at once, and returns the answers in their order.
pub fn ask_octets(
    namespace: &Namespace,
    server: SocketAddr,
    questions: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>> {
    let what = || format!("ask {server} over TCP in `{}`", namespace.name());
    let ask = || ask_here(server, questions);
    namespace.enter(ask)?.with_context(what)
}

fn ask_here(server: SocketAddr, questions: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let mut stream = &traffic::connect(server)?;
    let framed: Vec<u8> = questions.iter().flat_map(|octets| framed(octets)).collect();
    stream.write_all(&framed).context("ask")?;
    let answer = |_| received(stream)?.context("the server broke off");
    let answers = questions.iter().map(answer).collect::<Result<_>>()?;
    stream.shutdown(Shutdown::Write).context("end")?;
    ensure!(received(stream)?.is_none(), "the server says more");
    Ok(answers)
}

/// Asks as a stub resolver does: over UDP, and over TCP when the answer had no room there.
pub fn ask_again(
    namespace: &Namespace,
    server: IpAddr,
    name: &str,
    question: Question,
) -> Result<Vec<IpAddr>> {
    let octets = question_octets(7, name, question)?;
    let answer = super::answer::ask_octets(namespace, server, &octets)?;
    if answer.get(2).is_none_or(|flags| flags & TRUNCATED == 0) {
        return read_answer(&answer, 7);
    }
    let server = SocketAddr::new(server, super::PORT);
    let answers = ask_octets(namespace, server, &[octets])?;
    read_answer(&answers.concat(), 7)
}
