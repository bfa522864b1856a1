//! What can't be told: one sentence, no document, and the exit status that scripts go by.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Ended, Run};
use flowwatch_tests::privilege::{Need, granted};
use rusqlite::Connection;

use crate::recorded::{Counted, Recorded};

fn history() -> Result<Recorded> {
    let counted = Counted {
        at: "2026-03-02T10:00:30Z",
        remote: Ipv4Addr::new(50, 7, 98, 242).into(),
        label: None,
        octets: (100, 10),
    };
    Recorded::of("camera=2c:aa:8e:00:00:01", &[counted])
}

fn check_end(ended: &Ended, status: i32, told: &str) -> Result<()> {
    ensure!(ended.status == Some(status), "{told}: {ended:?}");
    ensure!(ended.output.is_empty(), "{ended:?}");
    ensure!(ended.errors.lines().count() == 1, "{ended:?}");
    ensure!(ended.errors.starts_with("flowwatch: "), "{ended:?}");
    ensure!(ended.errors.contains(told), "`{told}` is not in {ended:?}");
    Ok(())
}

fn check(history: &str, options: &[&str], status: i32, told: &str) -> Result<()> {
    let run = Run::report(history)?.options(options);
    check_end(&run.end_with(Vec::new())?, status, told)
}

#[test]
fn a_span_that_nothing_is_recorded_of_is_told_with_what_there_is() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    let held = "it has what was counted from 2026-03-02T10:00:00Z to 2026-03-02T10:01:00Z";
    check(&history.path(), &["--until", "2026-03-02 10:00"], 1, held)?;
    check(&history.path(), &["--since", "2026-03-02 10:01"], 1, held)?;
    let path = history.folder().join("empty.db");
    fs::copy(history.path(), &path)?;
    let connection = Connection::open(&path)?;
    for step in ["minute", "hour", "day"] {
        connection.execute(&format!("DELETE FROM device_{step}"), [])?;
    }
    drop(connection);
    let told = "nothing is recorded in it yet; let `flowwatch run --history` count for a while";
    check(&path.display().to_string(), &[], 1, told)
}

#[test]
fn a_wrong_wish_is_refused_with_status_2() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    let check = |options: &[&str], told: &str| check(&history.path(), options, 2, told);
    let order = ["--since", "2026-03-03", "--until", "2026-03-02"];
    check(
        &order,
        "ends before it begins; write the earlier moment first",
    )?;
    check(
        &["--since", "2026-03-02", "--until", "2026-03-02"],
        "ends before",
    )?;
    check(
        &["--since", "someday"],
        "`someday` is not a moment; write 2026-01-31",
    )?;
    check(&["--until", "\u{1b}[2J"], "is not a moment")?;
    check(&["--by", "colour"], "country")?;
    check(&["--format", "pdf"], "html")?;
    let device = ["--since", "2026-03-02", "--device", "tv"];
    check(
        &device,
        "report on `tv`: there is no such device in that time; there are camera",
    )
}

#[test]
fn a_file_that_is_no_history_is_refused_with_status_2() -> Result<()> {
    if !granted(&[Need::Flowwatch])? {
        return Ok(());
    }
    let history = history()?;
    let path = |name: &str| history.folder().join(name).display().to_string();
    check(
        &path("missing.db"),
        &[],
        2,
        "there is no such file; `flowwatch run --history` makes one",
    )?;
    check(
        &history.folder().display().to_string(),
        &[],
        2,
        "it is a folder",
    )?;
    fs::write(path("text"), "hello, world; ".repeat(1_000))?;
    check(
        &path("text"),
        &[],
        2,
        "it is not an SQLite file; name another file",
    )?;
    fs::write(path("nothing"), "")?;
    check(&path("nothing"), &[], 2, "it is not one of flowwatch's")?;
    Connection::open(path("other"))?.execute_batch("CREATE TABLE person (name TEXT)")?;
    check(&path("other"), &[], 2, "it is not one of flowwatch's")?;

    fs::copy(history.path(), path("newer"))?;
    Connection::open(path("newer"))?.pragma_update(None, "user_version", 9_999)?;
    let newer = "its tables are of version 9999, and this flowwatch knows those up to";
    check(&path("newer"), &[], 2, newer)?;

    // Of the pages behind the first, which says what the file is, nothing is left.
    let mut octets = fs::read(history.path())?;
    octets[4_096..].fill(0xa5);
    fs::write(path("damaged"), octets)?;
    check(
        &path("damaged"),
        &["--since", "2026-03-02"],
        2,
        "it is damaged; move it away",
    )
}

/// A user who is not root, and may read what everybody may.
const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

#[test]
fn a_history_that_may_not_be_read_is_refused_with_status_3() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("setpriv")])? {
        return Ok(());
    }
    let history = history()?;
    fs::set_permissions(history.path(), Permissions::from_mode(0o600))?;
    let report = Run::report(&history.path())?.through(&NOBODY);
    let told = "permission denied; be root, or let flowwatch read the file";
    check_end(&report.end_with(Vec::new())?, 3, told)?;
    let span = format!("{}@..", history.path());
    let diff = Run::diff(&span, &span)?.through(&NOBODY);
    check_end(&diff.end_with(Vec::new())?, 3, told)
}

#[test]
fn who_may_read_a_history_needs_not_be_able_to_write() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("setpriv")])? {
        return Ok(());
    }
    let history = history()?;
    fs::set_permissions(history.path(), Permissions::from_mode(0o644))?;
    fs::set_permissions(history.folder(), Permissions::from_mode(0o755))?;
    let run = Run::report(&history.path())?.options(&["--since", "2026-03-02"]);
    let ended = run.through(&NOBODY).end_with(Vec::new())?;
    ensure!(ended.status == Some(0), "{ended:?}");
    ensure!(ended.output.contains("50.7.98.242"), "{ended:?}");
    Ok(())
}
