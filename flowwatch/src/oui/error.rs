//! Why a registry of vendors was not used.

use std::path::PathBuf;

/// A registry that can't be used. Vendors come from another one then, or are unknown.
#[derive(Debug, thiserror::Error)]
pub enum OuiError {
    /// A file of the system's can't be read, or is none of the IEEE's.
    #[error(
        "read the vendors in `{}`, which are fresher than the built-in ones: {source}; install them \
         again, or remove them", .path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// The system's registry has more organizations than there is room for.
    #[error("read the vendors in `{}`: {names} are too many", .path.display())]
    TooManyNames {
        /// The folder.
        path: PathBuf,
        /// The organizations in it.
        names: usize,
    },
    /// The built-in registry can't be read, which only a broken build can cause.
    #[error(
        "open the built-in list of vendors: {reason}; build flowwatch again, or without the feature \
         builtin-oui"
    )]
    Builtin {
        /// What is wrong with it.
        reason: String,
    },
}
