//! What can fail about a history: what was attempted, on what, why, and what to do.

use std::{io, path::PathBuf};

/// A history, or its journal, can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The journal can't be written.
    #[error(
        "append to the journal `{}`: {source}; free space there, or name another folder",
        .path.display()
    )]
    Journal {
        /// The journal's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
