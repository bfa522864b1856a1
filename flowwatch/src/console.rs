//! Standard error as the user meets it: sentences, and below them a status line on a terminal.
//!
//! A terminal that is gone, or a pipe that nobody reads, is no reason to stop: what can't be said
//! is not said.

use std::io::{IsTerminal as _, Write as _, stderr};

use terminal_size::terminal_size_of;

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

/// Shows as many whole parts as fit, the first first, as the status line.
pub fn show_parts(parts: &[String]) {
    // Asked each time, as terminals change their size.
    let columns = terminal_size_of(stderr()).map_or(80, |(width, _)| width.0);
    show_status(&fitted(parts, usize::from(columns)));
}

/// Columns that stay free: the cursor's, and those of the `^C` that a terminal shows beside it.
const SPARE_COLUMNS: usize = 3;

/// Returns as many whole parts as fit in one row: a row that wraps can't be erased, and a number
/// that is cut is a wrong one.
fn fitted(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let separator = if line.is_empty() { "" } else { " · " };
        let width = [&line, separator, part].map(|text| text.chars().count());
        if width.iter().sum::<usize>() + SPARE_COLUMNS > columns {
            break;
        }
        line += separator;
        line += part;
    }
    line
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

    #[test]
    fn the_line_keeps_whole_parts_and_never_fills_the_row() {
        let parts = ["0:12:03", "up 999.9 kbit/s", "lost 12"].map(str::to_owned);
        let whole = "0:12:03 · up 999.9 kbit/s · lost 12";
        let columns = whole.chars().count();
        assert_eq!(fitted(&parts, columns + 3), whole);
        assert_eq!(fitted(&parts, columns + 2), "0:12:03 · up 999.9 kbit/s");
        assert_eq!(fitted(&parts, 3), "");
    }
}
