//! What is wrong from the start ends the run before it counts, with one sentence and exit status 2.

use anyhow::{Result, ensure};

use super::{is_possible, lab, run, start};

#[test]
fn a_place_that_can_t_be_is_a_sentence_and_nothing_is_counted() -> Result<()> {
    if !is_possible(&[])? {
        return Ok(());
    }
    let lab = lab()?;
    let check = |options: &[&str], expected: &str| -> Result<()> {
        let ended = run(&lab, options)?.to_end(&lab.gateway)?;
        ensure!(ended.status == Some(2), "{options:?}: {:?}", ended.status);
        ensure!(ended.errors.contains(expected), "{}", ended.errors);
        ensure!(!ended.errors.contains("counting on"), "{}", ended.errors);
        Ok(())
    };
    check(
        &["--jsonl", "/nowhere/flows.jsonl"],
        "export to `/nowhere/flows.jsonl`: open the file: No such file or directory",
    )?;
    check(
        &["--csv", "/"],
        "export to `/`: open the file: Is a directory",
    )?;
    check(
        &["--jsonl", "-"],
        "`-` is standard output, where something else goes, too",
    )?;
    check(
        &["--prometheus", "gateway"],
        "is no address to serve metrics at; write ADDR:PORT",
    )?;
    check(
        &["--prometheus", "192.0.2.1:9617"],
        "export to `192.0.2.1:9617`: listen there: ",
    )?;
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_said() -> Result<()> {
    if !is_possible(&[])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let socket = folder.path().join("live.sock").display().to_string();
    let _first = start(&lab, &["--prometheus", "9617", "--socket", &socket])?;
    let ended = run(&lab, &["--prometheus", "9617"])?.to_end(&lab.gateway)?;
    let said = "export to `9617`: listen there: Address already in use";
    ensure!(ended.status == Some(2), "{:?}", ended.status);
    ensure!(ended.errors.contains(said), "{}", ended.errors);
    Ok(())
}
