//! Groups of flows in every format.
//!
//! One writer a format, each over `GROUP_FIELDS`, with the escapes that the format has for flows.
//! The table is for people: it leaves out columns that are too many for its surface, and tells
//! beneath what a reader must know.

use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};
use serde::{Serialize, Serializer, ser::SerializeMap};
use unicode_width::UnicodeWidthStr as _;

use super::csv::{cell, io_error};
use super::json::{write_list, write_value};
use super::lan::shortened;
use super::markdown::escaped;
use super::{Surface, findings, grouped, statement};
use crate::grouping::{GROUP_FIELDS, Group, GroupField, Groups};
use crate::model::Value;
use crate::text::printable;

/// What a value is called that is unknown.
const NONE: &str = "(none)";
/// The columns that a value or a label takes in the table at most.
const WIDEST: usize = 48;
/// The columns that a value keeps on the narrowest surface.
const NARROWEST: usize = 24;
/// The columns that give way on a narrow surface, in that order.
const GIVE_WAY: [&str; 9] = [
    "up_packets",
    "down_packets",
    "first_seen",
    "flows",
    "names",
    "label",
    "addresses",
    "devices",
    "last_seen",
];
/// What the table leaves out even where there is room: the packets.
const LEFT_OUT: usize = 2;

/// A group as an object with the names of `GROUP_FIELDS`.
struct Row<'group>(&'group Group);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(GROUP_FIELDS.len()))?;
        for field in GROUP_FIELDS {
            map.serialize_entry(field.name, &(field.value)(self.0))?;
        }
        map.end()
    }
}

/// Writes one document: `{"meta": …, "by": …, "groups": […]}`.
pub(super) fn json(groups: &Groups<'_>, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{\"meta\":")?;
    write_value(&groups.snapshot.meta, out)?;
    out.write_all(b",\n\"by\":")?;
    write_value(&groups.by.name, out)?;
    write_list("groups", groups.groups.iter().map(Row), out)?;
    out.write_all(b"}\n")
}

/// Writes one object a group, each on its own line.
pub(super) fn json_lines(groups: &Groups<'_>, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    for group in &groups.groups {
        write_value(&Row(group), out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes a header and one group a line (RFC 4180).
pub(super) fn csv(groups: &Groups<'_>, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(out);
    let names = GROUP_FIELDS.iter().map(|field| field.name);
    writer.write_record(names).map_err(io_error)?;
    for group in &groups.groups {
        let cells = GROUP_FIELDS.iter().map(|field| cell((field.value)(group)));
        writer.write_record(cells).map_err(io_error)?;
    }
    writer.flush()
}

/// Writes a table of Markdown, with what a reader must know under it.
pub(super) fn markdown(groups: &Groups<'_>, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# {}\n", escaped(&title(groups)))?;
    for field in GROUP_FIELDS {
        let name = if field.name == "value" {
            groups.by.name
        } else {
            field.name
        };
        write!(out, "| {} ", escaped(name))?;
    }
    writeln!(out, "|")?;
    for field in GROUP_FIELDS {
        let rule = if is_quantity(field) { "---:" } else { "---" };
        write!(out, "| {rule} ")?;
    }
    writeln!(out, "|")?;
    for group in &groups.groups {
        for field in GROUP_FIELDS {
            let text = match (field.value)(group) {
                Value::Null if field.name == "value" => NONE.into(),
                Value::Text(text) => escaped(&text).into(),
                value => value.into_text(),
            };
            write!(out, "| {text} ")?;
        }
        writeln!(out, "|")?;
    }
    writeln!(out)?;
    for line in notes(groups) {
        writeln!(out, "- {}", escaped(&line))?;
    }
    Ok(())
}

/// Writes the table for people.
pub(super) fn table(groups: &Groups<'_>, surface: Surface, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", title(groups))?;
    let columns = columns(groups, surface);
    let titles: Vec<_> = columns.iter().map(|it| it.title.clone()).collect();
    write_row(&columns, &titles, out)?;
    for group in &groups.groups {
        let cells = columns.iter().map(|it| shown(it.field, group, it.width));
        write_row(&columns, &cells.collect::<Vec<_>>(), out)?;
    }
    for line in notes(groups) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn write_row(columns: &[Column], cells: &[String], out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for (column, cell) in columns.iter().zip(cells) {
        let space = " ".repeat(column.width.saturating_sub(cell.width()));
        line += "  ";
        if is_quantity(column.field) {
            line = line + &space + cell;
        } else {
            line = line + cell + &space;
        }
    }
    writeln!(out, "{}", line.trim_end())
}

fn title(groups: &Groups<'_>) -> String {
    format!(
        "{} · by {}",
        statement::title(&groups.snapshot.meta),
        groups.by.name.replace('_', " ")
    )
}

/// Returns the sums of all groups, and what a reader of them must know.
fn notes(groups: &Groups<'_>) -> Vec<String> {
    let sum = |octets: fn(&Group) -> u64| groups.groups.iter().map(octets).sum();
    let mut lines = vec![format!(
        "Together: up {}, down {}.",
        statement::count(sum(|it| it.up.octets), "octet"),
        statement::count(sum(|it| it.down.octets), "octet")
    )];
    lines.extend(findings(groups.snapshot));
    let databases = groups.snapshot.meta.databases.iter();
    lines.extend(databases.map(statement::database_with_attribution));
    lines
}

fn is_quantity(field: &GroupField) -> bool {
    !matches!(field.name, "value" | "label" | "first_seen" | "last_seen")
}

/// Returns whether a column may be cut: those of texts.
fn gives_way(field: &GroupField) -> bool {
    matches!(field.name, "value" | "label")
}

fn column_title(field: &GroupField, groups: &Groups<'_>) -> String {
    let name = if field.name == "value" {
        groups.by.name
    } else {
        field.name
    };
    name.replace('_', " ").to_uppercase()
}

/// Returns a cell of the table.
fn shown(field: &GroupField, group: &Group, widest: usize) -> String {
    match (field.value)(group) {
        Value::Null if field.name == "value" => NONE.to_owned(),
        Value::Text(text) => shortened(&printable(&text), widest),
        Value::Number(number) => grouped(number),
        Value::Time(time) => time.strftime("%Y-%m-%d %H:%M").to_string(),
        Value::Share { part, whole } => percent(part, whole),
        value => value.into_text().into_owned(),
    }
}

/// Returns a share in hundredths with one decimal, as `12.3 %`; what is more than nothing is never
/// shown as nothing.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let (part, whole) = (u128::from(part), u128::from(whole.max(1)));
    let thousandths = (part * 1_000 + whole / 2) / whole;
    if part > 0 && thousandths == 0 {
        return "< 0.1 %".to_owned();
    }
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// A column of the table.
struct Column {
    field: &'static GroupField,
    title: String,
    width: usize,
}

/// Returns the columns that fit on the surface; labels only where there are any.
fn columns(groups: &Groups<'_>, surface: Surface) -> Vec<Column> {
    let has_labels = groups.groups.iter().any(|it| it.label != Value::Null);
    let fields = GROUP_FIELDS.iter();
    let fields = fields.filter(|field| field.name != "label" || has_labels);
    let mut columns: Vec<_> = fields.map(|field| column(field, groups)).collect();
    for (position, name) in GIVE_WAY.into_iter().enumerate() {
        let excess = excess(&columns, surface);
        let texts = columns.iter().filter(|it| gives_way(it.field));
        let spare = texts.map(|it| it.width.saturating_sub(NARROWEST));
        if position >= LEFT_OUT && excess <= spare.sum() {
            break;
        }
        columns.retain(|column| column.field.name != name);
    }
    let mut excess = excess(&columns, surface);
    for column in &mut columns {
        if gives_way(column.field) {
            let less = excess.min(column.width.saturating_sub(NARROWEST));
            column.width -= less;
            excess -= less;
        }
    }
    columns
}

fn column(field: &'static GroupField, groups: &Groups<'_>) -> Column {
    let title = column_title(field, groups);
    let cells = groups.groups.iter();
    let widths = cells.map(|group| shown(field, group, WIDEST).width());
    Column {
        field,
        width: widths.max().unwrap_or(0).max(title.width()),
        title,
    }
}

/// Returns by how much the columns are too wide for the surface.
fn excess(columns: &[Column], surface: Surface) -> usize {
    let needed: usize = columns.iter().map(|column| column.width + 2).sum();
    surface
        .columns
        .map_or(0, |columns| needed.saturating_sub(columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{FORMATS, format_of, sample};
    use crate::grouping::grouping_of;

    fn written(format: &str, by: &str, columns: Option<usize>) -> String {
        let snapshot = sample::snapshot();
        let groups = Groups::of(&snapshot, grouping_of(by).unwrap());
        let surface = Surface {
            columns,
            ..Surface::PLAIN
        };
        let mut out = Vec::new();
        (format_of(format).unwrap().write_groups)(&groups, surface, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_table_is_as_written_by_hand() {
        let expected = "\
flowwatch 0.1.0 · 2026-01-02 03:04:05 to 2026-01-02 03:09:05 UTC (5 min 0 s) · by country
  COUNTRY  LABEL          DEVICES  NAMES  ADDRESSES  FLOWS  UP OCTETS  DOWN OCTETS   SHARE  FIRST SEEN        LAST SEEN
  US       United States        1      1          1      1  1,234,567       45,600  99.6 %  2026-01-02 03:04  2026-01-02 03:09
  CN       China                1      0          1      1      4,000          512   0.4 %  2026-01-02 03:04  2026-01-02 03:09
  (none)                        1      0          1      1        840           84   0.1 %  2026-01-02 03:04  2026-01-02 03:09
Together: up 1,239,407 octets, down 46,196 octets.
camera: DoH to dns.google at 8.8.8.8 (the network gave 192.168.1.1).
Places: built-in (flowwatch-country-asn, of 2025-12-01). IP Geolocation by DB-IP (https://db-ip.com)
";
        assert_eq!(written("table", "country", None), expected);
    }

    #[test]
    fn a_narrow_table_leaves_columns_out_and_fits() {
        let text = written("table", "name", Some(80));
        let rows: Vec<_> = text.lines().skip(1).take(3).collect();
        assert!(rows.iter().all(|row| row.width() <= 80), "{text}");
        assert!(
            rows[0].contains("NAME ") && rows[0].contains("UP OCTETS"),
            "{text}"
        );
        assert!(!rows[0].contains("FIRST SEEN"), "{text}");
    }

    #[test]
    fn formats_for_machines_have_every_field_under_its_name() {
        let document: serde_json::Value =
            serde_json::from_str(&written("json", "country", None)).unwrap();
        assert_eq!(document["by"], "country");
        let group = &document["groups"][0];
        assert_eq!(
            (&group["value"], &group["label"]),
            (&"US".into(), &"United States".into())
        );
        assert_eq!(group["share"], 0.9958);
        assert!(document["groups"][2]["value"].is_null());
        let names: Vec<_> = GROUP_FIELDS.iter().map(|field| field.name).collect();
        let csv = written("csv", "country", None);
        assert_eq!(csv.lines().next().unwrap(), names.join(","));
        let line = "US,United States,1,1,1,1,1200,1234567,900,45600,0.9958,\
                    2026-01-02T03:04:05.678Z,2026-01-02T03:09:00.001Z";
        assert_eq!(csv.lines().nth(1).unwrap(), line);
        assert_eq!(written("jsonl", "country", None).lines().count(), 3);
        let keys = group.as_object().unwrap();
        assert!(names.iter().all(|name| keys.contains_key(*name)));
    }

    #[test]
    fn no_format_lets_a_strangers_control_characters_through() {
        let snapshot = sample::adversarial();
        let groups = Groups::of(&snapshot, grouping_of("name").unwrap());
        for format in FORMATS {
            let mut out = Vec::new();
            (format.write_groups)(&groups, Surface::PLAIN, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            let is_line_end = |c: char| c == '\n' || format.name == "csv" && c == '\r';
            let bad = text
                .chars()
                .find(|&c| !crate::text::is_printable(c) && !is_line_end(c));
            assert_eq!(bad, None, "{}:\n{text}", format.name);
            assert!(text.contains("[2J"), "{}:\n{text}", format.name);
        }
    }

    #[test]
    fn a_share_is_never_shown_as_nothing() {
        assert_eq!(percent(1, 1_000_000), "< 0.1 %");
        assert_eq!(
            (percent(0, 5), percent(0, 0)),
            ("0.0 %".into(), "0.0 %".into())
        );
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0 %");
    }
}
