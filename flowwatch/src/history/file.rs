//! The file itself: opened for writing or for reading, known as flowwatch's, of this version.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    errno::Errno,
    unistd::{AccessFlags, eaccess},
};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{HistoryError, migrations, schema::APPLICATION_ID};

/// For how long a reader or a writer waits for another that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Octets that the write-ahead log may keep on the disk while nothing needs it.
const LOG_LIMIT: i64 = 16 << 20;

/// Octets of the file's cache, as negative KiB.
const CACHE_KIB: i64 = -16_384;

/// Who may read and write a history that is made here, at most: where devices send is not everybody's
/// to read. SQLite gives the files beside it the same.
const MODE: u32 = 0o640;

/// Opens a history for writing; makes it where there is none.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, HistoryError> {
    refuse_folder(path)?;
    make(path);
    let opened = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    );
    let failed = failed("open", path);
    let mut connection = opened.map_err(&failed)?;
    if connection.is_readonly("main").map_err(&failed)? {
        // SQLite opens a file for reading where it may not write it, says so only at the first row, and
        // by then has left a log that may not be written either.
        let cause = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY);
        return Err(failed(rusqlite::Error::SqliteFailure(cause, None)));
    }
    prepare(&connection).map_err(&failed)?;
    // A transaction that is done survives the loss of power: one sync a record interval.
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(&failed)?;
    if is_blank(&connection).map_err(&failed)? {
        // A page is what one row's change writes to a card; 4 KiB is its own.
        connection
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(&failed)?;
    }
    check_kind(&connection, path)?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(&failed)?;
    if mode != "wal" {
        log::warn!(
            "the history `{}` is on a file system without shared memory: readers wait for the writer",
            path.display()
        );
    }
    migrations::bring_up_to_date(&mut connection, path)?;
    Ok(connection)
}

/// Opens a history for reading, also while it is written.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, HistoryError> {
    refuse_folder(path)?;
    // SQLite has one reason for both. Asked for without opening it: to close a file that this process
    // records in would take the locks that SQLite has on it.
    match eaccess(path, AccessFlags::R_OK) {
        Err(Errno::ENOENT) => return Err(HistoryError::Missing(path.to_owned())),
        Err(Errno::EACCES) => return Err(HistoryError::NotPermitted(path.to_owned())),
        _ => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .and_then(|connection| {
            prepare(&connection)?;
            is_blank(&connection)?;
            Ok(connection)
        })
        .or_else(|error| match immutable(path) {
            // Who may not write to the folder can't make the index of a log that isn't there.
            Some(uri) if lacks_index(&error) => {
                let connection =
                    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?;
                prepare(&connection)?;
                Ok(connection)
            }
            _ => Err(error),
        })
        .map_err(failed("open", path))?;
    check_kind(&connection, path)?;
    migrations::check_version(&connection, path)?;
    Ok(connection)
}

/// Returns what makes an error of SQLite's into one that says what was attempted.
pub(super) fn failed(
    attempt: &'static str,
    path: &Path,
) -> impl Fn(rusqlite::Error) -> HistoryError + use<> {
    let path = path.to_owned();
    move |cause| HistoryError::File {
        attempt,
        path: path.clone(),
        cause,
    }
}

/// Makes an empty file where there is none. What keeps it from being made keeps SQLite, too, which says
/// so.
fn make(path: &Path) {
    // Closing one that SQLite has open would take its locks from it.
    if !path.exists() {
        let _ = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .open(path);
    }
}

fn refuse_folder(path: &Path) -> Result<(), HistoryError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(HistoryError::Folder(path.to_owned()));
    }
    Ok(())
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    // The answer is of no interest: the limit itself.
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT, |_| Ok(()))?;
    // What a file of unknown origin may define is not to be believed.
    connection.pragma_update(None, "trusted_schema", false)
}

/// Returns whether nothing was ever written to the file; the first look into it.
fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(objects == 0)
}

fn check_kind(connection: &Connection, path: &Path) -> Result<(), HistoryError> {
    let id: i32 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(failed("open", path))?;
    if id != APPLICATION_ID {
        return Err(HistoryError::Foreign(path.to_owned()));
    }
    Ok(())
}

/// Returns whether SQLite could not make the index of a log, by either of its words for it.
fn lacks_index(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// Returns the name by which SQLite reads a file without a log, and without looking for one.
fn immutable(path: &Path) -> Option<String> {
    // The log is beside the file itself, not beside a link to it.
    let path = path.canonicalize().ok()?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if PathBuf::from(log).exists() {
        return None;
    }
    let escaped: String = path
        .to_str()?
        .chars()
        .map(|c| match c {
            '%' => "%25".to_owned(),
            '?' => "%3f".to_owned(),
            '#' => "%23".to_owned(),
            c => c.to_string(),
        })
        .collect();
    Some(format!("file:{escaped}?immutable=1"))
}
