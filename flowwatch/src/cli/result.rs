//! The options that `run` and `replay` have in common: places, and where the result goes.

use std::path::PathBuf;

use clap::Args;

use super::format_values;
use crate::{format::FormatEntry, plan::Settings};

/// Where places come from, and how the result is written.
#[derive(Args, Clone, Debug)]
pub struct ResultArgs {
    /// A database of places in MaxMind's format (GeoLite2, DB-IP, IPinfo, …). Give it again for
    /// more; the first that knows a field wins [example: --geo GeoLite2-City.mmdb]
    #[arg(long, value_name = "FILE")]
    geo: Vec<PathBuf>,

    /// Leave out the built-in database of countries and organizations
    /// [example: --no-builtin-geo --geo GeoLite2-City.mmdb]
    #[arg(long)]
    no_builtin_geo: bool,

    /// How to write the result [default: table] [example: --format csv]
    #[arg(short, long, value_name = "FORMAT", value_parser = format_values())]
    format: Option<&'static FormatEntry>,

    /// Write the result to this file instead of standard output; it is replaced only when the new
    /// one is complete [example: --output camera.csv]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ResultArgs {
    /// Returns what these options say.
    pub(super) fn settings(self) -> Settings {
        Settings {
            geo: self.geo,
            builtin_geo: self.no_builtin_geo.then_some(false),
            format: self.format,
            output: self.output,
            ..Settings::default()
        }
    }
}
