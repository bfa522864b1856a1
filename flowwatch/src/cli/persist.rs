//! The options that say whether counting outlives the process.

use std::path::PathBuf;

use clap::Args;

use crate::plan::PersistSettings;

/// Whether `run` leaves its programs counting.
#[derive(Args, Clone, Debug)]
pub struct PersistArgs {
    /// Leave the kernel counting when flowwatch ends, in whatever way: the next `run --persist`
    /// takes the counts over, and `flowwatch detach` ends the counting [example: --persist]
    #[arg(long)]
    persist: bool,

    #[command(flatten)]
    places: PlaceArgs,
}

/// Where pins and locks are.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// Where maps and links are pinned, on a BPF file system [default: /sys/fs/bpf/flowwatch]
    /// [example: --pin-directory /sys/fs/bpf/lab]
    #[arg(long, value_name = "FOLDER")]
    pin_directory: Option<PathBuf>,

    /// Where a flowwatch that persists says that it runs; and the journal, unless --journal says
    /// otherwise [default: /run/flowwatch] [example: --run-directory /run/lab]
    #[arg(long, value_name = "FOLDER")]
    run_directory: Option<PathBuf>,
}

impl PersistArgs {
    /// Returns what these options say.
    pub(super) fn settings(self) -> PersistSettings {
        PersistSettings {
            persist: self.persist.then_some(true),
            ..self.places.settings()
        }
    }
}

impl PlaceArgs {
    /// Returns what these options say.
    pub(super) fn settings(self) -> PersistSettings {
        PersistSettings {
            persist: None,
            pin_directory: self.pin_directory,
            run_directory: self.run_directory,
        }
    }
}
