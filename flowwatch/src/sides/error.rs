//! Why a side can't be compared.

use std::{io, path::PathBuf};

use crate::{
    diff::SideDevice,
    exit::ExitStatus,
    plan::{DeviceChoice, listed_devices},
    when::WhenError,
};

/// Why a side can't be compared: what was attempted, on what, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// Nothing has this name.
    #[error(
        "compare `{0}`: there is no such file; name a capture, a history, a document of --format json, \
         or a span: 7d..1d"
    )]
    Missing(String),
    /// It may not be read.
    #[error("open `{path}`")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A span that is none.
    #[error("compare the span `{text}`")]
    Span {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: WhenError,
    },
    /// JSON, but no document of flowwatch's.
    #[error(
        "read the document `{path}`: it is not one that `flowwatch run --format json` writes: {cause}"
    )]
    Document {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// A document that is too large.
    #[error(
        "read the document `{path}`: it is larger than {most} octets; record a history instead"
    )]
    TooLarge {
        /// The file.
        path: String,
        /// The most octets.
        most: u64,
    },
    /// A history with nothing in it.
    #[error("compare the history `{}`: nothing is recorded in it yet", .0.display())]
    NothingRecorded(PathBuf),
    /// A device that neither side has.
    #[error("compare the device `{device}`: neither side has it; they have {known}")]
    NoSuchDevice {
        /// What was chosen.
        device: String,
        /// Devices that there are.
        known: String,
    },
    /// Standard input for both sides.
    #[error(
        "compare `-` with `-`: standard input can be one side alone; name a file for the other"
    )]
    StdinTwice,
    /// Both sides are empty.
    #[error(
        "nothing was counted on either side; check the devices, the spans, and where the captures were \
         taken"
    )]
    Nothing,
}

impl SideError {
    pub(super) fn no_such_device<'a>(
        choice: &DeviceChoice,
        devices: impl Iterator<Item = &'a SideDevice>,
    ) -> Self {
        Self::NoSuchDevice {
            device: choice.to_string(),
            known: listed_devices(devices.map(|device| &*device.name)),
        }
    }

    /// Returns the status that it ends the program with: a side that can't be read is a wrong wish,
    /// unless it is privileges that lack.
    pub(super) fn status(&self) -> ExitStatus {
        match self {
            Self::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ExitStatus::NotPermitted
            }
            Self::Nothing => ExitStatus::Failed,
            _ => ExitStatus::Usage,
        }
    }
}
