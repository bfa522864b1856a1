//! Arguments and help of `flowwatch detach`.

use std::path::PathBuf;

use clap::Args;

use super::log_level;
use super::persist::PlaceArgs;
use crate::plan::{DetachPlan, Settings};

/// Examples, for help.
pub(super) const EXAMPLES: &str = "\
Examples:
  End the counting that `run --persist` left, and record what was counted last:
    sudo flowwatch detach --history /var/lib/flowwatch/history.db

  The same with the settings of the service, which is ended first:
    sudo flowwatch detach --config /etc/flowwatch.toml --stop

Exit status: 0 done, or there is nothing to end; 1 failed, 2 wrong usage, 3 not permitted.";

/// Arguments of `detach`.
#[derive(Args, Clone, Debug)]
pub struct DetachArgs {
    /// Record what was counted last in this SQLite file; without it, that is told and lost
    /// [example: --history /var/lib/flowwatch/history.db]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Read settings from a TOML file; the command line wins over it
    /// [example: --config /etc/flowwatch.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    places: PlaceArgs,

    /// End a flowwatch that runs first, as Ctrl-C does, and wait for its end [example: --stop]
    #[arg(long)]
    stop: bool,

    /// Show what flowwatch does; -vv shows more, -vvv all [example: -v]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl DetachArgs {
    /// Returns what to do; `file` is what the configuration file says.
    #[must_use]
    pub fn plan(&self, file: Settings) -> DetachPlan {
        let args = self.clone();
        let places = args.places.settings().over(file.persist);
        let options = places.options();
        let mut history = file.history;
        history.file = args.history.or(history.file);
        DetachPlan {
            pins: options.pins,
            run_directory: options.run_directory,
            stops_running: args.stop,
            history: history.into_options(&places),
        }
    }

    /// Returns how much of the log to show.
    #[must_use]
    pub const fn log_level(&self) -> log::LevelFilter {
        log_level(self.verbose)
    }
}
