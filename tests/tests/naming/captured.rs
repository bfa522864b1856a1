//! The same clients seen twice: by the kernel's programs, and by `replay` in a capture of what they
//! sent. The names are the same, and so is the rest.

use anyhow::{Context, Result, ensure};
use flowwatch_tests::capture::Capture;
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::dns::stream::{self, TruncatingServer};
use flowwatch_tests::dns::{self, Question};
use flowwatch_tests::flowwatch::{Document, Run};
use flowwatch_tests::lab::{Lab, OUTSIDE_NAME_SERVER};
use flowwatch_tests::link::Offloads;
use flowwatch_tests::tls::{self, Client};
use flowwatch_tests::traffic::{self, Exchange, Server};
use flowwatch_tests::{http, link, quic};

use super::{BOTH, EXCHANGE, address, at, is_possible, lab_of, watched};

/// Does one thing of each kind.
fn act(lab: &Lab) -> Result<()> {
    let camera = &lab.camera().namespace;
    let large = Client::of("large.example").post_quantum();
    large.exchange(camera, at(8443), EXCHANGE)?;
    let torn = Client::of("pieces.example").in_pieces(&[60, 40]);
    torn.exchange(camera, at(8444), EXCHANGE)?;
    let hidden = Client::of("secret.example").hidden_under("public.example");
    tls::send_alone(camera, at(8445), &hidden.hello()?, &[])?;
    quic::exchange(&large, camera, at(quic::PORT), EXCHANGE)?;
    http::upload(camera, at(http::PORT), b"host.example", EXCHANGE, &[])?;
    let server = OUTSIDE_NAME_SERVER.into();
    stream::ask_again(camera, server, "told.example", Question::A)?;
    let told = (address(1), 10_240).into();
    traffic::udp(camera, told, Exchange { up: 40, down: 30 })
}

/// What is to be equal: a flow's names and their sources, and its counts.
fn rows(document: &Document) -> Vec<String> {
    let rows = document.flows.iter().map(|(key, flow)| {
        let names: Vec<_> = flow
            .names
            .iter()
            .map(|n| (&n.name, &n.source, n.asked))
            .collect();
        format!("{key:?} {names:?} {:?}", flow.traffic())
    });
    rows.collect()
}

#[test]
fn a_capture_of_real_clients_has_the_names_that_the_kernel_saw() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    // As on a wire: an aggregate is one packet to whoever reads a capture.
    let lab = lab_of(&["camera"]).offloads(Offloads::Off).build()?;
    link::own_prefix(&lab.internet, "45.7.0.0/24")?;
    let _tls = [8443, 8444].map(|port| tls::serve(&lab.internet, port));
    let _listener = tls::listen(&lab.internet, 8445)?;
    let _quic = quic::Server::start(&lab.internet, quic::PORT)?;
    let _http = http::serve(&lab.internet, http::PORT)?;
    let _told = Server::udp(&lab.internet, &[address(1)], 10_240)?;
    let name_server = (OUTSIDE_NAME_SERVER, dns::PORT).into();
    let answer = |question: &[u8]| {
        answer::response(question, &[answer::address(&QUESTION_NAME, address(1))])
    };
    let _names = TruncatingServer::start(&lab.internet, name_server, &[1, 9], answer)?;
    let device = lab.camera();
    for attach in BOTH {
        let mut captured = None;
        let document = watched(&lab, attach, || {
            let capture = Capture::start(&lab.gateway, &device.port)?;
            act(&lab)?;
            captured = Some(capture.finish()?);
            Ok(())
        })?;
        let captured = captured.context("capture what the camera did")?;
        let replay = Run::replay(&captured.path().display().to_string())?;
        let replay = replay.device(&device.name, device.mac);
        let ended = replay.options(&["--format", "json"]).end_with(Vec::new())?;
        ensure!(ended.status == Some(0), "{ended:?}");
        let (of_kernel, of_capture) = (rows(&document), rows(&Document::parse(&ended.output)?));
        ensure!(
            of_kernel == of_capture,
            "{attach}: {of_kernel:#?}, but {of_capture:#?}"
        );
        for name in ["large", "pieces", "public", "host", "told"] {
            let name = format!("\"{name}.example\"");
            ensure!(
                of_kernel.iter().any(|row| row.contains(&name)),
                "{of_kernel:#?}"
            );
        }
    }
    Ok(())
}
