//! `ClientHello`s and requests in segments that come in the wrong order, twice, overlapping, or with
//! lies between them: no stack sends them so, but networks and liars do.

#![expect(
    clippy::single_range_in_vec_init,
    reason = "a list of parts may have one alone"
)]

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use flowwatch_tests::flowwatch::Document;
use flowwatch_tests::lab::{Addressing, DeviceSpec, Lab, Resolver};
use flowwatch_tests::link;
use flowwatch_tests::stream::Stream;
use flowwatch_tests::tls::Client;

use super::{BOTH, at, ensure_named, is_possible, watched};

/// Octets of a hello of [`client`]'s at least.
const LEAST: usize = 1_400;

/// A lab in which nothing is answered.
fn silent_lab() -> Result<Option<Lab>> {
    if !is_possible()? {
        return Ok(None);
    }
    let camera = DeviceSpec::new("camera", Addressing::Bare);
    let lab = Lab::builder().device(camera).resolver(Resolver::Nobody);
    let lab = lab.build()?;
    lab.gateway.silence()?;
    lab.camera().namespace.silence()?;
    Ok(Some(lab))
}

/// Orders of segments, each with the number of SYN: the one before that of the first octet.
fn orders(length: usize) -> Vec<(u32, Vec<Range<usize>>)> {
    let third = LEAST / 3;
    vec![
        (0x1000_0000, vec![0..length]),
        (0x1000_0000, vec![third..length, 0..third]),
        (1, vec![2 * third..length, third..2 * third, 0..third]),
        // Around the end of the numbers, within the hello and at its first octet.
        (u32::MAX - 700, vec![third..length, 0..third]),
        (u32::MAX, vec![third..length, 0..third]),
        // Twice, and overlapping.
        (
            7,
            vec![0..third, 0..third, third - 100..length, third..length],
        ),
        // The first octets alone come last.
        (7, vec![5..length, 0..5]),
    ]
}

#[test]
fn a_hello_is_read_in_whatever_order_it_comes() -> Result<()> {
    let Some(lab) = silent_lab()? else {
        return Ok(());
    };
    let device = lab.camera();
    for attach in BOTH {
        let count = orders(LEAST).len() as u16;
        let document = watched(&lab, attach, || {
            let before = link::statistics(&lab.gateway, &device.port)?.rx_packets;
            let mut frames = 0;
            for index in 0..count {
                let client = Client::of(&format!("n{index}.example")).post_quantum();
                let hello = client.hello()?;
                ensure!(hello.len() >= LEAST, "{} octets", hello.len());
                let (sequence, parts) = orders(hello.len()).swap_remove(index.into());
                let stream = Stream {
                    lab: &lab,
                    device,
                    server: at(4000 + index),
                    local_port: 40_000 + index,
                    sequence,
                };
                stream.open()?;
                stream.say(&hello, &parts)?;
                frames += 2 + parts.len() as u64;
            }
            link::await_received(&lab.gateway, &device.port, before + frames)
        })?;
        for index in 0..count {
            let name = format!("n{index}.example");
            ensure_named(&document, "tcp", at(4000 + index), &name, "sni").context(attach)?;
        }
    }
    Ok(())
}

/// What becomes of a hello of which these parts come, in a connection whose SYN came or not.
fn heard(lab: &Lab, is_opened: bool, parts: &[Range<usize>]) -> Result<Document> {
    let device = lab.camera();
    let hello = Client::of("part.example").post_quantum().hello()?;
    watched(lab, super::Attach::Xdp, || {
        let before = link::statistics(&lab.gateway, &device.port)?.rx_packets;
        let stream = Stream {
            lab,
            device,
            server: at(4433),
            local_port: 40_000,
            sequence: 99,
        };
        if is_opened {
            stream.open()?;
        }
        stream.say(&hello, parts)?;
        let frames = parts.len() as u64 + if is_opened { 2 } else { 0 };
        link::await_received(&lab.gateway, &device.port, before + frames)
    })
}

#[test]
fn a_hello_that_never_comes_whole_names_nothing() -> Result<()> {
    let Some(lab) = silent_lab()? else {
        return Ok(());
    };
    // The server's name may be in any part, so a part is no name: only its beginning is enough to
    // know that one was begun.
    let document = heard(&lab, true, &[0..60])?;
    let flow = super::flow(&document, "camera", "tcp", at(4433))?;
    ensure!(flow.name.is_none(), "{flow:?}");
    let document = heard(&lab, true, &[700..LEAST])?;
    let flow = super::flow(&document, "camera", "tcp", at(4433))?;
    ensure!(flow.name.is_none(), "{flow:?}");
    Ok(())
}

#[test]
fn a_hello_whose_connection_opened_unseen_is_read_all_the_same() -> Result<()> {
    let Some(lab) = silent_lab()? else {
        return Ok(());
    };
    let document = heard(&lab, false, &[0..700, 700..LEAST])?;
    // The hello may be longer than that; a name before its end is read or waited for, not lied about.
    let flow = super::flow(&document, "camera", "tcp", at(4433))?;
    let is_possible = flow
        .name
        .as_deref()
        .is_none_or(|name| name == "part.example");
    ensure!(is_possible, "{flow:?}");
    Ok(())
}
