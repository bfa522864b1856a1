//! Standard error as the user meets it: sentences, and below them a status line on a terminal.
//!
//! A terminal that is gone, or a pipe that nobody reads, is no reason to stop: what can't be said
//! is not said.

use std::io::{IsTerminal as _, Write as _, stderr};

use crate::text::printable;

/// Erases the row that the cursor is in and goes to its start (ECMA-48 EL).
const ERASE: &str = "\r\x1b[2K";

/// Tells the user something: one printable line, after the program's name.
pub fn tell(message: &str) {
    let line = format!("{}{}\n", erasure(), sentence(message));
    let _ = stderr().write_all(line.as_bytes());
}

/// Returns what [`tell`] prints.
#[must_use]
pub fn sentence(message: &str) -> String {
    format!("flowwatch: {}", printable(message))
}

/// Shows the status line in the place of the one before; an empty one takes it away.
pub fn show_status(line: &str) {
    if has_status_line() {
        let _ = write!(stderr(), "{ERASE}{line}");
    }
}

/// Returns whether there is a status line: on a terminal that can erase.
#[must_use]
pub fn has_status_line() -> bool {
    stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Returns what has to come before a line, so that it doesn't stand behind the status.
#[must_use]
pub fn erasure() -> &'static str {
    if has_status_line() { ERASE } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_printable_line() {
        assert_eq!(sentence("a\n\u{1b}[2Jb"), "flowwatch: a\\x0a\\x1b[2Jb");
    }
}
