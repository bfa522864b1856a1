//! Tests that this machine can't run: each notes the reason in a file, and the run ends with the
//! list of them. In CI a skip is a failure, but for what `FLOWWATCH_LACKS` says that its kernel lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::workspace::target_folder;

/// The variable that tells tests where to note that they are skipped.
const NOTES: &str = "FLOWWATCH_SKIPS";

/// The variable by which a test that can't run fails instead of being skipped.
const NO_SKIP: &str = "FLOWWATCH_NO_SKIP";

/// Where the notes are.
fn path() -> PathBuf {
    target_folder().join("skipped-tests")
}

/// `command`, with tests told where to note that they are skipped, and in CI not to be.
pub(crate) fn noted(command: &mut Command) -> &mut Command {
    command.env(NOTES, path());
    if env::var_os("CI").is_some_and(|ci| ci == "true") {
        command.env(NO_SKIP, "1");
    }
    command
}

/// Forgets the last run's notes.
///
/// # Errors
/// When the file is there and stays.
pub(crate) fn forget() -> Result<()> {
    match fs::remove_file(path()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path().display()))
        }
        _ => Ok(()),
    }
}

/// What was skipped since, as text: for each reason the tests.
///
/// # Errors
/// When the notes are there and can't be read.
pub(crate) fn list() -> Result<String> {
    match fs::read_to_string(path()) {
        Ok(notes) => Ok(by_reason(&notes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("read {}", path().display())),
    }
}

/// Lists notes (a line each: reason, tabulator, test) by reason.
fn by_reason(notes: &str) -> String {
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (reason, test) in notes.lines().filter_map(|line| line.split_once('\t')) {
        reasons.entry(reason).or_default().insert(test);
    }
    let mut text = String::new();
    for (reason, tests) in reasons {
        text.extend(["skipped, because ", reason, ":\n"]);
        let tests = tests.into_iter();
        text.extend(tests.flat_map(|test| ["  ", test, "\n"]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_listed_once_by_reason() {
        let notes = "this is not root\tb\nthere is no program `x`\tc\nthis is not root\ta\n\
                     this is not root\tb\n";
        assert_eq!(
            by_reason(notes),
            "skipped, because there is no program `x`:\n  c\n\
             skipped, because this is not root:\n  a\n  b\n"
        );
        assert_eq!(by_reason(""), "");
    }
}
