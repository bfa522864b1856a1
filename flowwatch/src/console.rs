//! Standard error as the user meets it: sentences, and below them a status line on a terminal.
//!
//! A terminal that is gone, or a pipe that nobody reads, is no reason to stop: what can't be said
//! is not said.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use terminal_size::terminal_size_of;

use crate::text::printable;

/// Erases the row that the cursor is in and goes to its start (ECMA-48 EL).
const ERASE: &str = "\r\x1b[2K";

/// Lines that are kept while something else has the terminal, at most: the newest.
const MOST_KEPT: usize = 100;

/// What is done with lines while something else has the terminal.
static DIVERTED: Mutex<Option<Diverted>> = Mutex::new(None);

struct Diverted {
    /// Shows a line.
    show: Box<dyn Fn(String) + Send>,
    /// Those that are to be printed once the terminal is free, the newest last.
    kept: VecDeque<String>,
}

impl Diverted {
    fn keep(&mut self, line: String) {
        if self.kept.len() == MOST_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }
}

/// The time in which something else has the terminal; what was logged meanwhile is printed at its end.
#[derive(Debug)]
pub struct Diversion(());

/// Has lines shown by the one who has the terminal from now on. Where standard error is no terminal,
/// they are written as well.
#[must_use]
pub fn divert(show: impl Fn(String) + Send + 'static) -> Diversion {
    *diverted() = Some(Diverted {
        show: Box::new(show),
        kept: VecDeque::new(),
    });
    Diversion(())
}

impl Drop for Diversion {
    fn drop(&mut self) {
        let kept = diverted().take().map(|diverted| diverted.kept);
        for line in kept.unwrap_or_default() {
            let _ = stderr().write_all(line.as_bytes());
        }
    }
}

fn diverted() -> MutexGuard<'static, Option<Diverted>> {
    // Lines and a closure, each of which is whole by itself.
    DIVERTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the user something: one printable line, after the program's name.
pub fn tell(message: &str) {
    put(message, false);
}

/// Tells the user what was logged.
pub fn tell_logged(level: log::Level, message: &str) {
    let level = level.as_str().to_lowercase();
    put(&format!("{level}: {message}"), true);
}

/// Writes a line, or has it shown.
fn put(message: &str, is_kept: bool) {
    let line = format!("{}\n", sentence(message));
    if let Some(diverted) = &mut *diverted() {
        (diverted.show)(printable(message).into_owned());
        if stderr().is_terminal() {
            if is_kept {
                diverted.keep(line);
            }
            return;
        }
    }
    let line = format!("{}{line}", erasure());
    let _ = stderr().write_all(line.as_bytes());
}

/// Returns what [`tell`] prints.
fn sentence(message: &str) -> String {
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
    diverted().is_none()
        && stderr().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Returns what has to come before a line, so that it doesn't stand behind the status.
fn erasure() -> &'static str {
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
