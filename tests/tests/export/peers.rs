//! Peers at sockets: one that goes away between two batches and comes back has everything, and one that
//! is not there at the end is told of.

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use flowwatch_tests::process::Stream as Output;

use super::PATIENCE;
use super::lines::Summed;
use super::{end, fire, is_possible, lab, start};

#[test]
fn a_peer_that_goes_and_comes_back_has_every_octet_once() -> Result<()> {
    if !is_possible(&[])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let path = folder.path().join("collector");
    let target = format!("unix:{}", path.display());
    let flowwatch = start(&lab, &["--jsonl", &target])?;
    let fired = fire(&lab)?;
    let is_told = |line: &str| line.contains("export to jsonl") && line.contains("connect: ");
    let process = flowwatch.process();
    process.wait_for_line(Output::Stderr, PATIENCE, is_told)?;
    // It comes, and takes all that there is and will be.
    let listener = UnixListener::bind(&path)?;
    let collector = thread::spawn(move || -> Result<String> {
        let (mut stream, _) = listener.accept().context("wait for flowwatch")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    });
    let again = |line: &str| line.contains("delivers again after ");
    process.wait_for_line(Output::Stderr, PATIENCE, again)?;
    let more = fire(&lab)?;
    let ended = end(&flowwatch)?;
    ensure!(!ended.errors.contains("are missing"), "{}", ended.errors);
    let text = collector.join().map_err(|_| anyhow!("it died"))??;
    let summed = Summed::json(&text)?;
    let mut sent = fired.ledger.flows().clone();
    for (key, traffic) in more.ledger.flows() {
        *sent.entry(key.clone()).or_default() += *traffic;
    }
    ensure!(summed.flows == sent, "not what was sent");
    Ok(())
}

#[test]
fn a_peer_that_is_not_there_at_the_end_is_named_with_what_it_lacks() -> Result<()> {
    if !is_possible(&[])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let json = folder.path().join("flows.jsonl").display().to_string();
    let nobody = "tcp://127.0.0.1:9";
    let flowwatch = start(&lab, &["--jsonl", &json, "--jsonl", nobody])?;
    let fired = fire(&lab)?;
    let ended = end(&flowwatch)?;
    let said = "export to jsonl `tcp://127.0.0.1:9`: what was counted last was not delivered";
    ensure!(ended.errors.contains(said), "{}", ended.errors);
    // The other one has everything.
    let summed = Summed::json(&std::fs::read_to_string(json)?)?;
    ensure!(summed.flows == *fired.ledger.flows(), "not what was sent");
    Ok(())
}
