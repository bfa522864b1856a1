//! What was found on a host, in every format.
//!
//! The table is for people: a heading a subject, a finding a paragraph, what to do below it. The
//! others have `FINDING_FIELDS`, with the escapes that each has for flows.

use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::Surface;
use super::csv::{cell, io_error};
use super::json::{write_list, write_value};
use super::markdown::escaped;
use super::statement::count;
use super::table::lines::{Style, width, wrapped};
use crate::diagnosis::{Diagnosis, FINDING_FIELDS, Finding, SEVERITIES, Scope, Severity};
use crate::model::{TIME_DECIMALS, Value};
use crate::text::printable;

/// Columns of the margin that the severity stands in.
const MARGIN: usize = 11;
/// Columns that a paragraph has at least, however narrow the terminal says it is.
const LEAST_COLUMNS: usize = 30;
/// What stands before what to do.
const ARROW: &str = "-> ";

/// A finding as an object with the names of `FINDING_FIELDS`.
struct Row<'a>(&'a Finding);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(FINDING_FIELDS.len()))?;
        for field in FINDING_FIELDS {
            map.serialize_entry(field.name, &(field.value)(self.0))?;
        }
        map.end()
    }
}

/// The circumstances, and how many findings there are of each severity.
struct Circumstances<'a>(&'a Diagnosis);

impl Serialize for Circumstances<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Diagnosis { at, listened, .. } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", env!("CARGO_PKG_VERSION"))?;
        map.serialize_entry("at", &format!("{at:.TIME_DECIMALS$}"))?;
        let seconds = listened.map(|listened| listened.as_secs_f64());
        map.serialize_entry("listened_seconds", &seconds)?;
        map.serialize_entry("worst", self.0.worst().name())?;
        for severity in SEVERITIES {
            map.serialize_entry(severity.name(), &self.0.count(severity))?;
        }
        map.end()
    }
}

/// Writes one document: `{"meta": …, "findings": […]}`.
pub(super) fn json(diagnosis: &Diagnosis, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{\"meta\":")?;
    write_value(&Circumstances(diagnosis), out)?;
    write_list("findings", diagnosis.findings.iter().map(Row), out)?;
    out.write_all(b"}\n")
}

/// Writes one object a finding, each on its own line.
pub(super) fn json_lines(diagnosis: &Diagnosis, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    for finding in &diagnosis.findings {
        write_value(&Row(finding), out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes a header and one finding a line (RFC 4180).
pub(super) fn csv(diagnosis: &Diagnosis, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(out);
    let names = FINDING_FIELDS.iter().map(|field| field.name);
    writer.write_record(names).map_err(io_error)?;
    for finding in &diagnosis.findings {
        let cells = FINDING_FIELDS.iter().map(|field| {
            let text = (field.value)(finding).unwrap_or_default();
            cell(Value::Text(text))
        });
        writer.write_record(cells).map_err(io_error)?;
    }
    writer.flush()
}

/// Writes a table of Markdown.
pub(super) fn markdown(diagnosis: &Diagnosis, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# {}\n", escaped(&summary(diagnosis)))?;
    for field in FINDING_FIELDS {
        write!(out, "| {} ", escaped(field.name))?;
    }
    writeln!(out, "|\n{}|", "| --- ".repeat(FINDING_FIELDS.len()))?;
    for finding in &diagnosis.findings {
        for field in FINDING_FIELDS {
            let text = (field.value)(finding).unwrap_or_default();
            write!(out, "| {} ", escaped(&text))?;
        }
        writeln!(out, "|")?;
    }
    Ok(())
}

/// Writes the findings for people: those of each subject below its heading, and a summary.
pub(super) fn table(
    diagnosis: &Diagnosis,
    surface: Surface,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut before = None;
    for finding in &diagnosis.findings {
        let subject = (finding.scope, finding.subject.as_deref());
        if before != Some(subject) {
            let heading = Style::Heading.paint(&heading(subject), surface.styling);
            let gap = if before.is_none() { "" } else { "\n" };
            writeln!(out, "{gap}{heading}")?;
        }
        before = Some(subject);
        write_finding(finding, surface, out)?;
    }
    let gap = if before.is_none() { "" } else { "\n" };
    writeln!(out, "{gap}{}", summary(diagnosis))
}

fn heading((scope, subject): (Scope, Option<&str>)) -> String {
    let subject = subject.map(|subject| format!(" {}", printable(subject)));
    format!(
        "{}{}",
        scope.name().to_uppercase(),
        subject.unwrap_or_default()
    )
}

fn write_finding(finding: &Finding, surface: Surface, out: &mut dyn Write) -> io::Result<()> {
    let severity = finding.severity.name();
    let style = match finding.severity {
        Severity::Ok => Style::New,
        Severity::Info => Style::Plain,
        Severity::Warning => Style::Finding,
        Severity::Error => Style::Warning,
    };
    let room = surface
        .columns
        .map(|columns| (columns.saturating_sub(MARGIN)).max(LEAST_COLUMNS));
    let padding = " ".repeat(MARGIN - 2 - width(severity));
    let text = format!("{}: {}", finding.check, printable(&finding.found));
    let mut margin = format!("  {}{padding}", style.paint(severity, surface.styling));
    for line in broken(&text, room) {
        writeln!(out, "{margin}{line}")?;
        margin = " ".repeat(MARGIN);
    }
    let Some(advice) = &finding.advice else {
        return Ok(());
    };
    let room = room.map(|room| room - ARROW.len());
    let mut arrow = ARROW.to_owned();
    for line in broken(&printable(advice), room) {
        writeln!(out, "{margin}{arrow}{line}")?;
        arrow = " ".repeat(ARROW.len());
    }
    Ok(())
}

fn broken(text: &str, room: Option<usize>) -> Vec<String> {
    match room {
        Some(columns) => wrapped(text, columns),
        None => vec![text.to_owned()],
    }
}

fn summary(diagnosis: &Diagnosis) -> String {
    let of = |severity| diagnosis.count(severity) as u64;
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let end = match (errors, warnings) {
        (0, 0) => "nothing stands in the way of counting",
        (0, _) => "counting is possible; see what is warned of",
        _ => "see what stands in the way of counting",
    };
    format!(
        "{}, {} in {}: {end}.",
        count(errors, "error"),
        count(warnings, "warning"),
        count(diagnosis.findings.len() as u64, "finding"),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::format::{FORMATS, Styling, format_of};
    use crate::text;

    fn finding(severity: Severity, check: &'static str, found: &str) -> Finding {
        Finding {
            check,
            scope: Scope::Host,
            subject: None,
            severity,
            found: found.to_owned(),
            advice: None,
        }
    }

    fn diagnosis() -> Diagnosis {
        let lan0 = Finding {
            scope: Scope::Interface,
            subject: Some("lan0".to_owned()),
            advice: Some("ethtool -K lan0 hw-tc-offload off".to_owned()),
            ..finding(
                Severity::Warning,
                "interface.hw_tc_offload",
                "hw-tc-offload is on: what its card forwards by itself, no software sees",
            )
        };
        Diagnosis {
            at: "2026-11-25T12:00:00Z".parse().unwrap(),
            listened: Some(Duration::from_secs(5)),
            findings: vec![
                finding(Severity::Ok, "kernel.version", "Linux 6.1.0"),
                finding(Severity::Info, "kernel.tcx", "the kernel has no tcx"),
                lan0,
            ],
        }
    }

    fn written(diagnosis: &Diagnosis, format: &str, columns: Option<usize>) -> String {
        let surface = Surface {
            columns,
            styling: Styling::Plain,
        };
        let mut out = Vec::new();
        let format = format_of(format).unwrap();
        (format.write_diagnosis)(diagnosis, surface, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const TABLE: &str = "\
HOST
  ok       kernel.version: Linux 6.1.0
  info     kernel.tcx: the kernel has no tcx

INTERFACE lan0
  warning  interface.hw_tc_offload: hw-tc-offload is on: what
           its card forwards by itself, no software sees
           -> ethtool -K lan0 hw-tc-offload off

0 errors, 1 warning in 3 findings: counting is possible; see what is warned of.
";

    #[test]
    fn the_table_has_a_heading_a_subject_and_fits_the_terminal() {
        assert_eq!(written(&diagnosis(), "table", Some(62)), TABLE);
        let wide = written(&diagnosis(), "table", None);
        assert!(
            wide.contains("forwards by itself, no software sees\n"),
            "{wide}"
        );
        assert!(written(&diagnosis(), "table", Some(1)).contains("kernel.version"));
    }

    #[test]
    fn severities_are_coloured_on_a_terminal_that_shows_it() {
        let surface = Surface {
            columns: None,
            styling: Styling::Coloured,
        };
        let mut out = Vec::new();
        table(&diagnosis(), surface, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("\u{1b}[33mwarning\u{1b}[0m  interface"),
            "{text}"
        );
    }

    #[test]
    fn the_document_has_the_circumstances_and_every_field_of_each_finding() {
        let text = written(&diagnosis(), "json", None);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let meta = &document["meta"];
        assert_eq!(meta["at"], "2026-11-25T12:00:00.000Z");
        assert_eq!(
            (&meta["worst"], &meta["error"]),
            (&"warning".into(), &0.into())
        );
        assert_eq!(meta["listened_seconds"], 5.0);
        let finding = &document["findings"][2];
        assert_eq!(finding["subject"], "lan0");
        assert_eq!(finding["advice"], "ethtool -K lan0 hw-tc-offload off");
        assert!(document["findings"][0]["subject"].is_null());
        let fields = finding.as_object().unwrap();
        assert_eq!(fields.len(), FINDING_FIELDS.len());
        let line = written(&diagnosis(), "jsonl", None);
        let line = line.lines().nth(2).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(line).unwrap(),
            *finding
        );
    }

    #[test]
    fn rows_are_a_finding_each() {
        let csv = written(&diagnosis(), "csv", None);
        let header = "severity,check,scope,subject,found,advice\r\n";
        assert!(csv.starts_with(header), "{csv}");
        assert!(
            csv.contains("\r\nok,kernel.version,host,,Linux 6.1.0,\r\n"),
            "{csv}"
        );
        let markdown = written(&diagnosis(), "markdown", None);
        assert_eq!(markdown.matches("\n| ").count(), 2 + 3, "{markdown}");
    }

    #[test]
    fn no_format_lets_control_characters_of_foreign_names_through() {
        let mut diagnosis = diagnosis();
        let evil = "fw\u{1b}[2Jx|y\n=1";
        diagnosis.findings[0].subject = Some(evil.to_owned());
        diagnosis.findings[0].found = evil.to_owned();
        diagnosis.findings[0].advice = Some(evil.to_owned());
        for format in FORMATS {
            let text = written(&diagnosis, format.name, Some(80));
            let is_line_end = |c| c == '\n' || format.name == "csv" && c == '\r';
            let bad = text
                .chars()
                .find(|&c| !text::is_printable(c) && !is_line_end(c));
            assert_eq!(bad, None, "{}:\n{text}", format.name);
            assert!(text.contains("[2J"), "{}: the rest is shown", format.name);
        }
    }
}
