//! The `markdown` format: a report to paste into an issue or a page.
//!
//! Per device a heading, a table of the flows with all of `FIELDS`, totals and what is
//! unaccounted; below them losses and databases. Texts are escaped so that none becomes markup, a
//! link or another cell.

use std::io::{self, Write};

use super::{Format, capture, resolving, statement};
use crate::{
    model::{FIELDS, Field, FlowRecord, Unit, Value},
    store::{DeviceSummary, Snapshot},
    text,
};

/// The format.
#[derive(Debug)]
pub(super) struct Markdown;

impl Format for Markdown {
    fn write(&self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# {}\n", escaped(&statement::title(&snapshot.meta)))?;
        for interface in &snapshot.meta.interfaces {
            writeln!(out, "- {}", escaped(&statement::interface(interface)))?;
        }
        let told = capture::told(snapshot);
        for line in told
            .into_iter()
            .chain(statement::clock_step(&snapshot.meta))
            .chain(statement::warnings(&snapshot.meta))
        {
            writeln!(out, "- {}", escaped(&line))?;
        }
        let flows = snapshot.flows_by_device();
        for device in &snapshot.devices {
            let flows = flows.get(&*device.device).map_or(&[][..], Vec::as_slice);
            write_device(snapshot, (device, flows), out)?;
        }
        let losses = statement::losses(&snapshot.meta);
        if !losses.is_empty() {
            writeln!(out, "\n## Losses\n")?;
        }
        for line in losses {
            writeln!(out, "- {}", escaped(&line))?;
        }
        if !snapshot.meta.databases.is_empty() {
            writeln!(out)?;
        }
        for database in &snapshot.meta.databases {
            let mut line = escaped(&statement::database(database));
            if let Some(attribution) = &database.attribution {
                // flowwatch's own words: DB-IP wants its link to be one.
                line += ". ";
                line += attribution;
            }
            writeln!(out, "- {line}")?;
        }
        Ok(())
    }
}

fn write_device(
    snapshot: &Snapshot,
    (device, flows): (&DeviceSummary, &[&FlowRecord]),
    out: &mut dyn Write,
) -> io::Result<()> {
    let heading = statement::heading(device, |name, mac| format!("{name} ({mac})"));
    writeln!(out, "\n## {}\n", escaped(&heading))?;
    if statement::is_unseen(device) {
        return writeln!(out, "{}", statement::nothing_seen(&snapshot.meta));
    }
    write_line(out, |field| escaped(field.name))?;
    write_line(out, |field| rule(field).to_owned())?;
    for record in flows {
        write_line(out, |field| cell(field, record))?;
    }
    writeln!(out)?;
    for line in statement::totals(device) {
        writeln!(out, "- {}", escaped(&line))?;
    }
    let conservation = statement::conservation(snapshot, device);
    let resolving = resolving::of(snapshot, device);
    for line in [Some(conservation), resolving].into_iter().flatten() {
        writeln!(out, "- {}", escaped(&line))?;
    }
    Ok(())
}

fn write_line(out: &mut dyn Write, text: impl Fn(&Field) -> String) -> io::Result<()> {
    for field in FIELDS.iter().filter(|field| !field.is_of_device()) {
        write!(out, "| {} ", text(field))?;
    }
    writeln!(out, "|")
}

fn rule(field: &Field) -> &'static str {
    match field.unit {
        Unit::Packets | Unit::Octets => "---:",
        Unit::None | Unit::Milliseconds => "---",
    }
}

fn cell(field: &Field, record: &FlowRecord) -> String {
    match (field.value)(record) {
        Value::Null if field.is_name() && record.is_nameless() => escaped(statement::NO_NAME),
        Value::Text(text) => escaped(&text),
        // Digits, colons and hyphens are no markup.
        value => value.into_text().into_owned(),
    }
}

/// Returns the text as Markdown that shows exactly it (`CommonMark` 0.31, GFM's tables and
/// autolinks).
pub(crate) fn escaped(text: &str) -> String {
    let shown = text::printable(text);
    let mut markdown = String::with_capacity(shown.len() + 8);
    for (at, character) in shown.char_indices() {
        if is_markup(&shown, at, character) {
            markdown.push('\\');
        }
        markdown.push(character);
    }
    markdown
}

fn is_markup(text: &str, at: usize, character: char) -> bool {
    match character {
        '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|' | '~' | '&' | '!' | '$' | '#'
        | '@' => true,
        // GFM makes links of bare `www.` and `https://`.
        '.' => at >= 3 && text.as_bytes()[at - 3..at].eq_ignore_ascii_case(b"www"),
        ':' => text[at..].starts_with("://"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    fn written(snapshot: &Snapshot) -> String {
        let mut out = Vec::new();
        Markdown.write(snapshot, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_report_is_as_written_by_hand() {
        assert_eq!(
            written(&sample::snapshot()),
            include_str!("golden/snapshot.md")
        );
    }

    #[test]
    fn text_never_becomes_markup() {
        let check = |text, expected| assert_eq!(escaped(text), expected);
        check("a|b", "a\\|b");
        check(
            "[x](https://evil.example)",
            "\\[x\\](https\\://evil.example)",
        );
        check("<img src=x>", "\\<img src=x\\>");
        check("www.evil.example", "www\\.evil.example");
        check("Ünïwww.x", "Ünïwww\\.x");
        check("us-west-2.amazonaws.com", "us-west-2.amazonaws.com");
    }

    #[test]
    fn a_strangers_name_stays_in_its_cell() {
        let text = written(&sample::adversarial());
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(lines.len(), 3);
        assert!(
            lines.iter().all(|line| bars(line) == FIELDS.len() - 2 + 1),
            "{text}"
        );
    }
}
