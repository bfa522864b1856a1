//! A database file on disk: its octets, and the stamp by which a replacement is noticed.
//!
//! Read by `databases`, which opens files and takes up changed ones.

use std::fs::{File, FileType, Metadata};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::error::GeoError;

/// The largest file that is read: 32-bit offsets, the format's widest, reach as far.
const MAX_OCTETS: u64 = 4 << 30;

/// What changes when a file is replaced or rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    octets: u64,
    modified: (i64, i64),
    /// Also changes where a copy keeps the time of modification, and when rights are given.
    status_changed: (i64, i64),
}

impl Stamp {
    /// Returns the stamp of the file at `path`, or `None` when it can't be told.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path)
            .ok()
            .map(|metadata| Self::from_metadata(&metadata))
    }

    fn from_metadata(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            octets: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            status_changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Reads the whole file into memory.
///
/// It isn't mapped: a mapped file that someone truncates in place ends the program with SIGBUS at
/// the next look-up, and one that is rewritten in place changes under the reader.
///
/// # Errors
///
/// [`GeoError::Missing`], [`GeoError::NotAFile`], [`GeoError::TooLarge`] or [`GeoError::Read`].
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, GeoError> {
    let from_io = |source| GeoError::from_io(path, source);
    // Asked before the file is opened: opening a pipe that nobody writes to would never return.
    let metadata = std::fs::metadata(path).map_err(from_io)?;
    if let Some(kind) = special_kind_of(metadata.file_type()) {
        return Err(GeoError::NotAFile {
            path: path.to_owned(),
            kind,
        });
    }
    let octets = metadata.len();
    if octets > MAX_OCTETS {
        return Err(GeoError::TooLarge {
            path: path.to_owned(),
            octets,
            most: MAX_OCTETS,
        });
    }
    let mut content = Vec::new();
    content
        .try_reserve_exact(octets as usize)
        .map_err(|error| from_io(error.into()))?;
    File::open(path)
        .map_err(from_io)?
        .take(MAX_OCTETS)
        .read_to_end(&mut content)
        .map_err(from_io)?;
    Ok(content)
}

/// Returns what `kind` is when it isn't a regular file, in words.
fn special_kind_of(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else {
        Some("neither a file nor a folder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &Path, expected: &str) {
        assert_eq!(read_file(path).unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_is_no_file_is_refused_with_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        check(
            folder.path(),
            &format!(
                "open geo database `{}`: it is a folder; give a .mmdb file",
                folder.path().display()
            ),
        );
        check(
            Path::new("/dev/null"),
            "open geo database `/dev/null`: it is neither a file nor a folder; give a .mmdb file",
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        check(
            Path::new("/nowhere/x.mmdb"),
            "open geo database `/nowhere/x.mmdb`: no such file; check the path, or leave it out to use the built-in one",
        );
    }

    #[test]
    fn the_stamp_changes_with_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mmdb");
        assert_eq!(Stamp::of(&path), None);
        std::fs::write(&path, b"one").unwrap();
        let before = Stamp::of(&path);
        assert!(before.is_some());
        std::fs::write(&path, b"other").unwrap();
        assert_ne!(Stamp::of(&path), before);
    }
}
