//! `flowwatch report`: what it says of a history, in every format and read by other programs' parsers,
//! is what was sent; spans cut where they are to; and what can't be told is refused in one sentence.
#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module: what fails here fails the test"
)]

mod hostile;
mod octets;
mod reading;
mod recorded;
mod refusals;
mod spans;

use anyhow::{Result, ensure};
use flowwatch::format::FORMATS;
use flowwatch_tests::flowwatch::Run;

use crate::reading::Table;

/// Every form of a report.
fn forms() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|format| format.name).chain(["html"])
}

/// Returns what the report on a history says with these options.
fn told(history: &str, options: &[&str]) -> Result<String> {
    let ended = Run::report(history)?
        .options(options)
        .end_with(Vec::new())?;
    ensure!(ended.status == Some(0), "{options:?}: {ended:?}");
    Ok(ended.output)
}

/// Returns the tables of the report on a history in a format, with these options.
fn tables(history: &str, format: &str, options: &[&str]) -> Result<Vec<Table>> {
    let text = told(history, &[&["--format", format], options].concat())?;
    reading::tables(format, &text)
}
