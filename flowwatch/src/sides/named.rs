//! What a side's name means: a file of one of three kinds, or a span of a history.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::SideError;
use crate::{history::Span, plan::DiffPlan, when};

/// What every SQLite file begins with (<https://sqlite.org/fileformat.html>, 1.3.1).
const SQLITE: &[u8] = b"SQLite format 3\0";

/// What stands between a history's file and a span of it.
const OF_HISTORY: char = '@';

/// A side that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A capture, or what is to be told that it is none.
    Capture(PathBuf),
    /// A capture from standard input.
    Stdin,
    /// A document of `--format json`.
    Document(PathBuf),
    /// A history: a span of it, or all.
    History(PathBuf, Option<Span>),
}

/// Finds out what a name means. A file that is there is that file, whatever it is called.
///
/// # Errors
/// `Missing`, `Open` and `Span`.
pub(super) fn of(text: &str, plan: &DiffPlan, now: Timestamp) -> Result<Named, SideError> {
    if text == "-" {
        return Ok(Named::Stdin);
    }
    match kind_of(Path::new(text)) {
        Ok(named) => return Ok(named),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => {
            return Err(SideError::Open {
                path: text.to_owned(),
                source,
            });
        }
    }
    let (history, span) = match text.rsplit_once(OF_HISTORY) {
        Some((history, span)) => (PathBuf::from(history), span),
        None => (plan.history.clone(), text),
    };
    if !span.contains("..") || span.contains('/') {
        return Err(SideError::Missing(text.to_owned()));
    }
    let (since, until) = when::span(span, now).map_err(|source| SideError::Span {
        text: span.to_owned(),
        source,
    })?;
    Ok(Named::History(history, Some(Span { since, until })))
}

/// Looks at a file's first octets. A pipe's can be taken only once: it must be a capture.
fn kind_of(path: &Path) -> io::Result<Named> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Ok(Named::Capture(path.to_owned()));
    }
    let mut start = Vec::with_capacity(SQLITE.len());
    File::open(path)?
        .take(SQLITE.len() as u64)
        .read_to_end(&mut start)?;
    Ok(if start == SQLITE {
        Named::History(path.to_owned(), None)
    } else if start.trim_ascii_start().starts_with(b"{") {
        Named::Document(path.to_owned())
    } else {
        Named::Capture(path.to_owned())
    })
}
