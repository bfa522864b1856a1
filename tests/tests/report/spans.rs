//! Spans: what is in them, to the minute, and what is told where nothing is.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::{Document, Run};
use flowwatch_tests::privilege::{Need, granted};

use crate::recorded::{Counted, Recorded};
use crate::{forms, reading, tables, told};

/// Octets up, of which each sum is of one choice of them; down, it is seven times as many.
const COUNTED: [(&str, u64); 5] = [
    ("2026-03-02T10:00:30Z", 100),
    ("2026-03-02T10:31:30Z", 1_000),
    ("2026-03-02T11:00:30Z", 10_000),
    ("2026-03-02T23:59:59Z", 100_000),
    ("2026-03-03T00:00:01Z", 1_000_000),
];

fn history() -> Result<Recorded> {
    let counted = COUNTED.map(|(at, octets)| Counted {
        at,
        remote: Ipv4Addr::new(50, 7, 98, 242).into(),
        label: Some(b"gm"),
        octets: (octets, 7 * octets),
    });
    Recorded::of("camera=2c:aa:8e:00:00:01", &counted)
}

fn check(history: &Recorded, since: &str, until: &str, up: u64) -> Result<()> {
    let span = ["--since", since, "--until", until];
    for form in forms() {
        let tables = tables(&history.path(), form, &span)?;
        let sums: Vec<_> = reading::sums(&tables).into_values().collect();
        ensure!(
            sums == [(up, 7 * up)],
            "{since} to {until}, {form}: {sums:?} instead of {up}"
        );
    }
    Ok(())
}

#[test]
fn a_span_has_what_was_counted_in_it_and_nothing_else() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    check(&history, "2026-03-02", "2026-03-03", 111_100)?;
    check(&history, "2026-03-02", "2026-03-04", 1_111_100)?;
    check(&history, "2026-03-02 10:00", "2026-03-02 10:31", 100)?;
    check(&history, "2026-03-02 10:00", "2026-03-02 10:32", 1_100)?;
    check(&history, "2026-03-02 10:01", "2026-03-02 11:01", 11_000)?;
    check(
        &history,
        "2026-03-02T11:00:00+01:00",
        "2026-03-02 11:00",
        1_100,
    )?;
    check(&history, "2026-03-02 23:59", "2026-03-03 00:01", 1_100_000)?;
    check(&history, "20y", "now", 1_111_100)
}

#[test]
fn a_moment_within_a_minute_takes_all_of_it_and_the_report_says_so() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    check(
        &history,
        "2026-03-02 10:00:45",
        "2026-03-02 10:31:15",
        1_100,
    )?;
    let span = [
        "--since",
        "2026-03-02 10:00:45",
        "--until",
        "2026-03-02 10:31:15",
    ];
    let document = told(
        &history.path(),
        &[&["--format", "json"], &span[..]].concat(),
    )?;
    let meta = Document::parse(&document)?.meta;
    ensure!(meta.started_at == "2026-03-02T10:00:00.000Z", "{meta:?}");
    ensure!(meta.ended_at == "2026-03-02T10:32:00.000Z", "{meta:?}");
    Ok(())
}

#[test]
fn a_time_in_which_nobody_sent_is_no_report() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    for form in forms() {
        let span = ["--since", "2026-03-02 10:05", "--until", "2026-03-02 10:20"];
        let run = Run::report(&history.path())?.options(&["--format", form]);
        let ended = run.options(&span).end_with(Vec::new())?;
        ensure!(ended.status == Some(1), "{form}: {ended:?}");
        ensure!(ended.output.is_empty(), "{form}: {ended:?}");
        let told = "from 2026-03-02T10:05:00Z to 2026-03-02T10:20:00Z: nothing is recorded of that \
                    time; it has what was counted from 2026-03-02T00:00:00Z to 2026-03-03T00:01:00Z";
        ensure!(ended.errors.contains(told), "{form}: {ended:?}");
    }
    Ok(())
}

#[test]
fn a_span_without_a_beginning_is_of_one_day() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    let options = ["--format", "json", "--until", "2026-03-03 10:31"];
    let document = Document::parse(&told(&history.path(), &options)?)?;
    let flow = document.flows.values().next().context("find the flow")?;
    ensure!(flow.up_octets == 1_111_000, "{flow:?}");
    Ok(())
}
