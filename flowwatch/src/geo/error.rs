//! Why a geo database was refused.
//!
//! Made when a file is opened or taken up again; shown once to the user, as one sentence.

use std::io;
use std::path::{Path, PathBuf};

use maxminddb::MaxMindDbError;

/// A geo database that can't be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// There is no such file.
    #[error("open geo database `{}`: no such file; check the path, or leave it out to use the built-in one", .path.display())]
    Missing {
        /// The file that was asked for.
        path: PathBuf,
    },
    /// A folder, a device or a pipe: nothing that can be read whole.
    #[error("open geo database `{}`: it is {kind}; give a .mmdb file", .path.display())]
    NotAFile {
        /// What was asked for.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// The system refused.
    #[error("open geo database `{}`: {source}; {advice}", .path.display())]
    Read {
        /// The file that was asked for.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
        /// What the user can do.
        advice: &'static str,
    },
    /// More octets than flowwatch is ready to keep in memory.
    #[error("open geo database `{}`: its {octets} octets are more than {most}, which is what fits in memory here; give a smaller database", .path.display())]
    TooLarge {
        /// The file that was asked for.
        path: PathBuf,
        /// Its size.
        octets: u64,
        /// The largest size that is read.
        most: u64,
    },
    /// The file has no metadata marker: another format, or cut off, as the marker is near the end.
    #[error("open geo database `{}`: not a MaxMind database, or one that was cut off (no metadata marker); give a whole .mmdb file", .path.display())]
    NotMaxMind {
        /// The file that was asked for.
        path: PathBuf,
    },
    /// The right format, with a broken structure.
    #[error("open geo database `{}`: it is damaged ({source}); download it again", .path.display())]
    Damaged {
        /// The file that was asked for.
        path: PathBuf,
        /// What is wrong with it.
        source: MaxMindDbError,
    },
    /// The built-in database can't be read, which only a broken build can cause.
    #[error(
        "open the built-in geo database: {reason}; build flowwatch again, or without the feature builtin-geo"
    )]
    Builtin {
        /// What is wrong with it.
        reason: String,
    },
}

impl GeoError {
    /// Returns the error for what the system said of `path`.
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let advice = match source.kind() {
            io::ErrorKind::NotFound => return Self::Missing { path },
            io::ErrorKind::PermissionDenied => "give flowwatch the right to read it",
            io::ErrorKind::OutOfMemory => "give a smaller database",
            _ => "give a .mmdb file that can be read",
        };
        Self::Read {
            path,
            source,
            advice,
        }
    }
}
