//! What can fail about a history: what was attempted, on what, why, and what to do.

use std::{io, path::PathBuf};

use rusqlite::ErrorCode;

/// A history, or its journal, can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// SQLite could not do it.
    #[error("{attempt} the history `{}`: {}", .path.display(), told(.cause))]
    File {
        /// What was attempted, as `open`.
        attempt: &'static str,
        /// The history's file.
        path: PathBuf,
        /// SQLite's reason.
        cause: rusqlite::Error,
    },
    /// It is a folder.
    #[error("open the history `{}`: it is a folder; name a file in it", .0.display())]
    Folder(PathBuf),
    /// There is no such file to read.
    #[error(
        "open the history `{}`: there is no such file; `flowwatch run --history` makes one",
        .0.display()
    )]
    Missing(PathBuf),
    /// It may not be read.
    #[error(
        "open the history `{}`: permission denied; be root, or let flowwatch read the file",
        .0.display()
    )]
    NotPermitted(PathBuf),
    /// An SQLite file of another program's, or an empty one to read.
    #[error("open the history `{}`: it is not one of flowwatch's; name another file", .0.display())]
    Foreign(PathBuf),
    /// A later flowwatch has changed the tables.
    #[error(
        "open the history `{}`: its tables are of version {version}, and this flowwatch knows those \
         up to {known}; use a newer flowwatch",
        .path.display()
    )]
    Newer {
        /// The history's file.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// It has an older version's tables, which a reader can't change.
    #[error(
        "read the history `{}`: its tables are of version {version}, older than this flowwatch's; \
         let `flowwatch run --history` bring them up to date",
        .path.display()
    )]
    Older {
        /// The history's file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// Another process records in it.
    #[error(
        "record in the history `{}`: another flowwatch does; stop that one, or name another file",
        .0.display()
    )]
    Taken(PathBuf),
    /// The journal can't be used.
    #[error(
        "{attempt} the journal `{}`: {cause}; free space there, let flowwatch write to it, or name \
         another folder",
        .path.display()
    )]
    Journal {
        /// What was attempted, as `append to`.
        attempt: &'static str,
        /// The journal's file or folder.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The writer's thread can't be made, or is gone.
    #[error("write the history `{}` on a thread of its own: {cause}; free memory", .path.display())]
    Thread {
        /// The history's file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// What was counted last is not in the file yet.
    #[error(
        "record what was counted last in the history `{}`: {cause}; it stays in the journal, and the \
         next `flowwatch run --history` records it",
        .path.display()
    )]
    Left {
        /// The history's file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
}

/// Returns why SQLite could not do it, and what to do.
fn told(error: &rusqlite::Error) -> String {
    let (why, advice) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ("the disk is full", "free space there"),
        Some(ErrorCode::ReadOnly) => (
            "it can't be written",
            "let flowwatch write to the file and to its folder",
        ),
        Some(ErrorCode::CannotOpen) => (
            "it can't be opened",
            "name a file in a folder that is there and that flowwatch may use",
        ),
        Some(ErrorCode::PermissionDenied) => (
            "permission denied",
            "let flowwatch use the file and its folder",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            "it is damaged",
            "move it away, and a new one is made; sqlite3's `.recover` may save its rows",
        ),
        Some(ErrorCode::NotADatabase) => ("it is not an SQLite file", "name another file"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            "another program keeps it locked",
            "end that program, or its transaction",
        ),
        Some(ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed) => {
            return format!("{error}; look after the disk, or name a file on another");
        }
        _ => return format!("{error}; name another file if this one is not to be trusted"),
    };
    format!("{why}; {advice}")
}
