//! The formats in which a snapshot is written.
//!
//! Each takes a `Snapshot` and `FIELDS` and writes octets; none knows where the octets go, and none
//! another, but that a line of `jsonl` is a flow of `json`. A new format is one file and one line of [`FORMATS`].

mod capture;
mod comparison;
mod csv;
mod diagnosis;
mod groups;
mod json;
mod jsonl;
mod lan;
mod markdown;
mod number;
mod resolving;
mod statement;
mod surface;
mod table;

#[cfg(test)]
pub(crate) mod sample;

use std::io;

pub(crate) use self::{
    capture::told as told_of_capture,
    csv::cell as csv_cell,
    groups::percent,
    json::write_value as write_json,
    markdown::escaped as escaped_markdown,
    resolving::of as resolving_of,
    statement::{
        DB_IP, NO_NAME, conservation, count, database_with_attribution, heading, interface,
        is_unseen, losses, nothing_seen, span, totals, traffic,
    },
};
pub use self::{
    number::{grouped, in_binary_units},
    statement::findings,
    surface::{Styling, Surface},
};
use crate::census::LanDevices;
use crate::diagnosis::Diagnosis;
use crate::diff::Comparison;
use crate::grouping::Groups;
use crate::store::Snapshot;

/// A way to write a snapshot.
pub trait Format {
    /// Writes the whole document.
    ///
    /// # Errors
    /// Those of `out`.
    fn write(&self, snapshot: &Snapshot, out: &mut dyn io::Write) -> io::Result<()>;
}

/// Writes the list of the LAN's devices for a destination.
pub type WriteDevices = fn(&LanDevices, Surface, &mut dyn io::Write) -> io::Result<()>;

/// Writes a comparison of two sides for a destination.
pub type WriteComparison = fn(&Comparison, Surface, &mut dyn io::Write) -> io::Result<()>;

/// Writes groups of flows for a destination.
pub type WriteGroups = fn(&Groups<'_>, Surface, &mut dyn io::Write) -> io::Result<()>;

/// Writes what was found on a host for a destination.
pub type WriteDiagnosis = fn(&Diagnosis, Surface, &mut dyn io::Write) -> io::Result<()>;

/// A format that the user can choose.
#[derive(Debug)]
pub struct FormatEntry {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is, for help.
    pub description: &'static str,
    /// Whether the document has the findings in it; where it hasn't, they are told beside it.
    pub tells_findings: bool,
    /// Returns the format for a destination.
    pub open: fn(Surface) -> Box<dyn Format>,
    /// Writes the list of the LAN's devices.
    pub write_devices: WriteDevices,
    /// Writes a comparison.
    pub write_comparison: WriteComparison,
    /// Writes groups of flows.
    pub write_groups: WriteGroups,
    /// Writes what was found on a host.
    pub write_diagnosis: WriteDiagnosis,
}

/// The formats, the default first.
pub static FORMATS: &[FormatEntry] = &[
    FormatEntry {
        name: "table",
        description: "for people: tables, and under them what was missed",
        tells_findings: true,
        open: |surface| Box::new(table::Table { surface }),
        write_devices: lan::table,
        write_comparison: comparison::table,
        write_groups: groups::table,
        write_diagnosis: diagnosis::table,
    },
    FormatEntry {
        name: "json",
        description: "one document with everything, and the circumstances under `meta`",
        tells_findings: true,
        open: |_| Box::new(json::Json),
        write_devices: lan::json,
        write_comparison: comparison::json,
        write_groups: groups::json,
        write_diagnosis: diagnosis::json,
    },
    FormatEntry {
        name: "jsonl",
        description: "one JSON object a row, each on its own line",
        tells_findings: false,
        open: |_| Box::new(jsonl::JsonLines),
        write_devices: lan::json_lines,
        write_comparison: comparison::json_lines,
        write_groups: groups::json_lines,
        write_diagnosis: diagnosis::json_lines,
    },
    FormatEntry {
        name: "csv",
        description: "one row a line, for spreadsheets and databases (RFC 4180)",
        tells_findings: false,
        open: |_| Box::new(csv::Csv),
        write_devices: lan::csv,
        write_comparison: comparison::csv,
        write_groups: groups::csv,
        write_diagnosis: diagnosis::csv,
    },
    FormatEntry {
        name: "markdown",
        description: "a report to paste into an issue or a page",
        tells_findings: true,
        open: |_| Box::new(markdown::Markdown),
        write_devices: lan::markdown,
        write_comparison: comparison::markdown,
        write_groups: groups::markdown,
        write_diagnosis: diagnosis::markdown,
    },
];

/// Returns the format of this name.
#[must_use]
pub fn format_of(name: &str) -> Option<&'static FormatEntry> {
    FORMATS.iter().find(|format| format.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FIELDS;

    fn written(format: &FormatEntry, snapshot: &Snapshot) -> String {
        let mut out = Vec::new();
        (format.open)(Surface::PLAIN)
            .write(snapshot, &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_format_lets_a_strangers_control_characters_through() {
        let snapshot = sample::adversarial();
        for format in FORMATS {
            let text = written(format, &snapshot);
            let bad = text.chars().find(|&c| {
                let is_line_end = c == '\n' || format.name == "csv" && c == '\r';
                !crate::text::is_printable(c) && !is_line_end
            });
            assert_eq!(bad, None, "{}:\n{text}", format.name);
            assert!(
                text.contains("[2J"),
                "{}: the rest of the name is shown",
                format.name
            );
        }
    }

    #[test]
    fn an_empty_snapshot_can_be_written_in_every_format() {
        let mut snapshot = sample::snapshot();
        snapshot.flows.clear();
        snapshot.devices.clear();
        snapshot.unaccounted.clear();
        for format in FORMATS {
            written(format, &snapshot);
        }
    }

    #[test]
    fn formats_for_machines_carry_every_field() {
        let snapshot = sample::snapshot();
        for name in ["json", "jsonl", "csv", "markdown"] {
            let text = written(format_of(name).unwrap(), &snapshot);
            let lacks =
                |name: &str| !text.contains(&name.replace('_', "\\_")) && !text.contains(name);
            let missing = FIELDS
                .iter()
                .find(|field| !field.is_of_device() && lacks(field.name));
            assert!(missing.is_none(), "{name}: {missing:?}");
        }
    }

    #[test]
    fn a_full_destination_is_an_error_in_every_format() {
        struct Full;
        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for format in FORMATS {
            let error = (format.open)(Surface::PLAIN).write(&sample::snapshot(), &mut Full);
            assert_eq!(
                error.unwrap_err().kind(),
                io::ErrorKind::StorageFull,
                "{}",
                format.name
            );
        }
    }
}
