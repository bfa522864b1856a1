//! Files: every flow's lines sum up to what was sent, what finds no room is there as a rest, and
//! rotation loses no line.

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use flowwatch_tests::specimen::Way;
use flowwatch_tests::witness::UpDown;

use super::lines::Summed;
use super::{DEVICES, PATIENCE, end, fire, is_possible, lab, start};

#[test]
fn lines_of_json_and_csv_sum_up_to_what_was_sent_flow_by_flow() -> Result<()> {
    if !is_possible(&[])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, csv) = (path("flows.jsonl"), path("flows.csv"));
    let options = ["--no-builtin-geo", "--jsonl", &json, "--csv", &csv];
    let flowwatch = start(&lab, &options)?;
    let fired = fire(&lab)?;
    end(&flowwatch)?;
    let summed = [
        Summed::json(&fs::read_to_string(json)?)?,
        Summed::csv(&fs::read_to_string(csv)?)?,
    ];
    for summed in summed {
        ensure!(summed.flows == *fired.ledger.flows(), "not what was sent");
        ensure!(summed.rests.is_empty(), "{:?}", summed.rests);
        eprintln!("{} flows in {} lines", summed.flows.len(), summed.lines);
    }
    Ok(())
}

#[test]
fn what_the_kernels_table_has_no_room_for_is_a_row_of_its_device() -> Result<()> {
    if !is_possible(&[])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let json = folder.path().join("flows.jsonl").display().to_string();
    let options = ["--flow-table-size", "9", "--jsonl", &json];
    let flowwatch = start(&lab, &options)?;
    let fired = fire(&lab)?;
    end(&flowwatch)?;
    let summed = Summed::json(&fs::read_to_string(json)?)?;
    for name in DEVICES {
        let sent = UpDown {
            up: fired.ledger.sum(name, Way::Up).traffic,
            down: fired.ledger.sum(name, Way::Down).traffic,
        };
        ensure!(
            summed.device(name) == sent,
            "{name}: {:?}",
            summed.device(name)
        );
        ensure!(summed.rests.contains_key(name), "{name} had room");
    }
    Ok(())
}

#[test]
fn a_file_that_is_rotated_or_moved_away_loses_no_line() -> Result<()> {
    if !is_possible(&[])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let json = path("flows.jsonl");
    let options = ["--jsonl", &json, "--jsonl-rotate", "64KiB"];
    // A slow machine takes more intervals.
    let options = [&options[..], &["--jsonl-files", "999"]].concat();
    let flowwatch = start(&lab, &options)?;
    let mut sent = std::collections::BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    let mut rounds = 0;
    // As often as it takes to fill files, at the pace of the deliveries.
    while fs::read_dir(folder.path())?.count() < 4 {
        ensure!(Instant::now() < deadline, "it was not rotated");
        let fired = fire(&lab)?;
        for (key, traffic) in fired.ledger.flows() {
            *sent.entry(key.clone()).or_insert_with(UpDown::default) += *traffic;
        }
        rounds += 1;
        if rounds == 1 {
            // As logrotate does it, under whatever is written just then.
            fs::rename(&json, path("moved"))?;
        }
    }
    end(&flowwatch)?;
    let mut files: Vec<_> = fs::read_dir(folder.path())?.collect::<Result<_, _>>()?;
    files.sort_by_key(|file| file.metadata().and_then(|it| it.modified()).ok());
    let texts = files.iter().map(|file| fs::read_to_string(file.path()));
    let text = texts.collect::<Result<Vec<_>, _>>()?.concat();
    ensure!(Summed::json(&text)?.flows == sent, "not what was sent");
    Ok(())
}
