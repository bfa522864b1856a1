//! What is shown, written to a new file in the folder that flowwatch was started in.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::format::{Surface, format_of};
use crate::store::Snapshot;

/// Files of one second, at most.
const MOST_FILES: u32 = 100;

/// Writes a snapshot in a format; returns the file's name. No file is overwritten.
///
/// # Errors
/// Those of making and writing a file.
pub(super) fn write(
    folder: &Path,
    at: Timestamp,
    format: &str,
    snapshot: &Snapshot,
) -> io::Result<PathBuf> {
    let Some(entry) = format_of(format) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (path, file) = new_file(folder, at, format)?;
    let mut out = BufWriter::new(file);
    (entry.open)(Surface::PLAIN).write(snapshot, &mut out)?;
    out.flush()?;
    Ok(path)
}

/// Makes a file of that time's name, with a number where there is one already.
fn new_file(folder: &Path, at: Timestamp, format: &str) -> io::Result<(PathBuf, File)> {
    let time = at.strftime("%Y%m%dT%H%M%SZ");
    for number in 1..=MOST_FILES {
        let suffix = match number {
            1 => String::new(),
            _ => format!("-{number}"),
        };
        let path = folder.join(format!("flowwatch-{time}{suffix}.{format}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fixtures::start;
    use super::*;
    use crate::format::sample;

    #[test]
    fn no_file_is_overwritten_and_none_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let first = folder.path().join("flowwatch-20260102T030405Z.csv");
        std::os::unix::fs::symlink(&target, &first).unwrap();
        let write = || write(folder.path(), start(), "csv", &sample::snapshot()).unwrap();
        assert!(write().ends_with("flowwatch-20260102T030405Z-2.csv"));
        let third = write();
        assert!(third.ends_with("flowwatch-20260102T030405Z-3.csv"));
        assert!(!target.exists());
        let text = fs::read_to_string(third).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("50.7.98.242"), "{text}");
    }
}
