//! Names by DNS over TCP.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::dns::stream::{self, TruncatingServer};
use flowwatch_tests::dns::{PORT, Question};
use flowwatch_tests::lab::{Lab, OUTSIDE_NAME_SERVER};
use flowwatch_tests::link;
use flowwatch_tests::traffic::{self, Exchange, Server};

use super::{BOTH, address, ensure_named, is_possible, lab_of, watched};

const RENDEZVOUS: u16 = 10_240;
/// Addresses of an answer: 16 octets each, so that it takes three segments of Ethernet's.
const ADDRESSES: u8 = 200;

fn server() -> SocketAddr {
    SocketAddr::new(OUTSIDE_NAME_SERVER.into(), PORT)
}

/// A lab whose name server has no room over UDP, and whose internet has all that it tells of.
fn lab(pieces: &[usize]) -> Result<(Lab, TruncatingServer, Server)> {
    let lab = lab_of(&["camera"]).build()?;
    link::own_prefix(&lab.internet, "45.7.0.0/24")?;
    let remotes: Vec<IpAddr> = [0, ADDRESSES - 1].map(address).to_vec();
    let rendezvous = Server::udp(&lab.internet, &remotes, RENDEZVOUS)?;
    let answer = |question: &[u8]| {
        let record = |last| answer::address(&QUESTION_NAME, address(last));
        let records: Vec<_> = (0..ADDRESSES).map(record).collect();
        answer::response(question, &records)
    };
    let server = TruncatingServer::start(&lab.internet, server(), pieces, answer)?;
    Ok((lab, server, rendezvous))
}

fn talk(lab: &Lab, last: u8) -> Result<()> {
    let remote = SocketAddr::new(address(last), RENDEZVOUS);
    traffic::udp(
        &lab.camera().namespace,
        remote,
        Exchange { up: 40, down: 30 },
    )
}

#[test]
fn an_answer_that_takes_several_segments_names_all_its_addresses() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    for pieces in [&[][..], &[1, 1, 600, 900]] {
        let (lab, _server, _rendezvous) = lab(pieces)?;
        for attach in BOTH {
            let document = watched(&lab, attach, || {
                let camera = &lab.camera().namespace;
                let name = "many.example";
                let found = stream::ask_again(camera, server().ip(), name, Question::A)?;
                ensure!(found.len() == usize::from(ADDRESSES), "{found:?}");
                talk(&lab, 0)?;
                talk(&lab, ADDRESSES - 1)
            })?;
            for last in [0, ADDRESSES - 1] {
                let remote = SocketAddr::new(address(last), RENDEZVOUS);
                let what = || format!("{attach}, {pieces:?}");
                ensure_named(&document, "udp", remote, "many.example", "dns").with_context(what)?;
            }
        }
    }
    Ok(())
}

#[test]
fn several_answers_of_one_connection_are_all_read() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    link::own_prefix(&lab.internet, "45.7.0.0/24")?;
    let remotes: Vec<IpAddr> = (0..3).map(address).collect();
    let _rendezvous = Server::udp(&lab.internet, &remotes, RENDEZVOUS)?;
    // Each name's second letter is its number.
    let answer = |question: &[u8]| {
        let last = question[answer::HEADER + 2] - b'0';
        answer::response(question, &[answer::address(&QUESTION_NAME, address(last))])
    };
    // The end of one answer and the beginning of the next share a segment.
    let _server = TruncatingServer::start(&lab.internet, server(), &[], answer)?;
    let name = |last: u8| format!("n{last}");
    let label = |last: u8| answer::name(&[name(last).as_bytes(), b"example"]);
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            let questions: Vec<_> = (0..3).map(|last| answer::question(&label(last))).collect();
            stream::ask_octets(&lab.camera().namespace, server(), &questions)?;
            (0..3).try_for_each(|last| talk(&lab, last))
        })?;
        for last in 0..3 {
            let remote = SocketAddr::new(address(last), RENDEZVOUS);
            let name = format!("{}.example", name(last));
            ensure_named(&document, "udp", remote, &name, "dns").context(attach)?;
        }
    }
    Ok(())
}
