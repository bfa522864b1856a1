//! Reports read back as tables, by parsers that are not flowwatch's: serde's of JSON, roxmltree's of
//! XML, pulldown-cmark's of Markdown, and the columns that a reader's eye follows in a text.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result, bail, ensure};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;

/// A table under a heading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// The heading above it, up to the device's MAC address; empty where the format has none.
    pub(crate) heading: String,
    /// What the columns are called, in lower case and with spaces.
    pub(crate) head: Vec<String>,
    /// The cells; of a number, the number.
    pub(crate) rows: Vec<Vec<String>>,
}

/// Octets up and down by the device's name and the remote's address.
pub(crate) type Sums = BTreeMap<(String, String), (u64, u64)>;

/// What a column of addresses is called.
const ADDRESS: [&str; 3] = ["address", "addresses", "remote address"];

impl Table {
    fn cell<'a>(&self, row: &'a [String], names: &[&str]) -> Option<&'a str> {
        let is_named = |head: &String| names.contains(&head.as_str());
        let column = self.head.iter().position(is_named)?;
        row.get(column).map(String::as_str)
    }

    /// Returns the octets of a row, up and down; nothing where it has none.
    fn octets(&self, row: &[String]) -> Option<(u64, u64)> {
        let number = |name| self.cell(row, &[name])?.replace(',', "").parse().ok();
        number("up octets").zip(number("down octets"))
    }

    /// Returns the octets of all rows.
    pub(crate) fn sum(&self) -> (u64, u64) {
        let rows = self.rows.iter().filter_map(|row| self.octets(row));
        rows.fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1))
    }

    /// Returns all cells of a column.
    pub(crate) fn column<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.rows
            .iter()
            .filter_map(move |row| self.cell(row, &[name]))
    }
}

/// Returns the octets by device and address of the tables that have both.
pub(crate) fn sums(tables: &[Table]) -> Sums {
    let mut sums = Sums::new();
    for table in tables {
        for row in &table.rows {
            // A column of counts may have the same title.
            let address = table.cell(row, &ADDRESS);
            let address = address.filter(|it| it.parse::<IpAddr>().is_ok());
            let Some((address, octets)) = address.zip(table.octets(row)) else {
                continue;
            };
            let device = table.cell(row, &["device"]).unwrap_or(&table.heading);
            let key = (device.to_owned(), address.to_owned());
            let sum = sums.entry(key).or_default();
            *sum = (sum.0 + octets.0, sum.1 + octets.1);
        }
    }
    sums
}

/// Reads a document of a format.
pub(crate) fn tables(format: &str, text: &str) -> Result<Vec<Table>> {
    match format {
        "table" => Ok(of_text(text)),
        "json" => of_json(text),
        "jsonl" => {
            let rows = text.lines().map(serde_json::from_str);
            Ok(vec![of_objects(&rows.collect::<Result<Vec<_>, _>>()?)?])
        }
        "csv" => Ok(vec![of_csv(text)]),
        "markdown" => of_markdown(text),
        "html" => of_html(text),
        other => bail!("nobody reads {other}"),
    }
}

fn head_of(name: &str) -> String {
    name.replace('_', " ").trim().to_lowercase()
}

fn of_json(text: &str) -> Result<Vec<Table>> {
    let document: Value = serde_json::from_str(text)?;
    let rows = document.get("flows").or(document.get("groups"));
    let rows = rows.and_then(Value::as_array);
    Ok(vec![of_objects(rows.context("find the rows")?)?])
}

fn of_objects(rows: &[Value]) -> Result<Table> {
    let mut table = Table::default();
    for row in rows {
        let row = row.as_object().context("read an object")?;
        table.head = row.keys().map(|key| head_of(key)).collect();
        let cells = row.values().map(|value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        });
        table.rows.push(cells.collect());
    }
    Ok(table)
}

/// RFC 4180.
fn of_csv(text: &str) -> Table {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let text = text.replace("\r\n", "\n");
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // Two of them within quotes are one.
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut cell)),
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            other => cell.push(other),
        }
    }
    let mut records = records.into_iter();
    let head = records.next().unwrap_or_default();
    Table {
        heading: String::new(),
        head: head.iter().map(|name| head_of(name)).collect(),
        rows: records.collect(),
    }
}

/// Fails where anything is markup that flowwatch's own isn't: whatever a stranger's name began.
fn of_markdown(text: &str) -> Result<Vec<Table>> {
    let (mut tables, mut heading, mut words) = (Vec::<Table>::new(), String::new(), String::new());
    let mut row = Vec::new();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Text(text) => words += &text,
            Event::SoftBreak => words += " ",
            Event::Start(Tag::Table(_)) => tables.push(Table {
                heading: heading.clone(),
                ..Table::default()
            }),
            Event::Start(Tag::Heading { .. } | Tag::TableCell) => words.clear(),
            Event::End(TagEnd::Heading(_)) => {
                let (name, _) = words.rsplit_once(" (").unwrap_or((&words, ""));
                name.clone_into(&mut heading);
            }
            Event::End(TagEnd::TableCell) => row.push(std::mem::take(&mut words)),
            Event::End(TagEnd::TableHead) => {
                let head = row.drain(..).map(|name: String| head_of(&name));
                tables.last_mut().context("find the table")?.head = head.collect();
            }
            Event::End(TagEnd::TableRow) => {
                let table = tables.last_mut().context("find the table")?;
                table.rows.push(std::mem::take(&mut row));
            }
            Event::Start(
                Tag::TableHead | Tag::TableRow | Tag::Paragraph | Tag::List(None) | Tag::Item,
            )
            | Event::End(_) => {}
            other => bail!("{other:?} in {text}"),
        }
    }
    Ok(tables)
}

/// Returns the page as XML.
pub(crate) fn parsed(page: &str) -> Result<Document<'_>> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Ok(Document::parse_with_options(page, options)?)
}

fn text_of(node: Node<'_, '_>) -> String {
    let texts = node.descendants().filter(Node::is_text);
    let text: String = texts.filter_map(|node| node.text()).collect();
    text.trim().to_owned()
}

fn of_html(page: &str) -> Result<Vec<Table>> {
    let document = parsed(page)?;
    let sections = document
        .descendants()
        .filter(|it| it.has_tag_name("section"));
    let mut tables = Vec::new();
    for section in sections {
        let heading = section.children().find(|it| it.has_tag_name("h2"));
        let name = heading.and_then(|it| it.text()).unwrap_or_default().trim();
        for table in section.descendants().filter(|it| it.has_tag_name("table")) {
            tables.push(of_element(name, table)?);
        }
    }
    Ok(tables)
}

fn of_element(heading: &str, table: Node<'_, '_>) -> Result<Table> {
    let mut rows = table.descendants().filter(|it| it.has_tag_name("tr"));
    let cells = |row: Node<'_, '_>| -> Vec<String> {
        let cells = row.children().filter(Node::is_element);
        let exact = |cell: Node<'_, '_>| cell.attribute("data-v").map(str::to_owned);
        cells
            .map(|cell| exact(cell).unwrap_or_else(|| text_of(cell)))
            .collect()
    };
    let head = rows.next().context("find the head")?;
    Ok(Table {
        heading: heading.to_owned(),
        head: cells(head).iter().map(|name| head_of(name)).collect(),
        rows: rows.map(cells).collect(),
    })
}

/// Words that stand together, and the columns from which and up to which they do.
type Run<'a> = (usize, usize, &'a str);

/// Tables as they are read off a screen: a head in capitals, and under each title, from its first
/// column on or up to its last one, a cell.
fn of_text(text: &str) -> Vec<Table> {
    let (mut tables, mut titles, mut heading) = (Vec::<Table>::new(), Vec::<Run<'_>>::new(), "");
    for line in text.lines() {
        let runs = runs_of(line);
        if !line.starts_with(' ') {
            heading = runs.first().map_or("", |(_, _, text)| *text);
        } else if line.contains("UP OCTETS") {
            tables.push(Table {
                heading: heading.to_owned(),
                head: runs.iter().map(|(_, _, title)| head_of(title)).collect(),
                rows: Vec::new(),
            });
            titles = runs;
        } else if let Some(table) = tables.last_mut()
            && !line.starts_with("  total ")
        {
            let cell = |title: &Run<'_>| {
                let mut runs = runs.iter();
                let cell = runs.find(|run| run.0 == title.0 || run.1 == title.1);
                cell.map_or_else(String::new, |(_, _, text)| (*text).to_owned())
            };
            table.rows.push(titles.iter().map(cell).collect());
        }
    }
    tables
}

fn runs_of(line: &str) -> Vec<Run<'_>> {
    let (mut runs, mut from) = (Vec::new(), 0);
    for text in line.split("  ") {
        let skipped = text.len() - text.trim_start().len();
        let words = text.trim();
        if !words.is_empty() {
            let start = from + skipped;
            runs.push((start, start + words.len(), words));
        }
        from += text.len() + 2;
    }
    runs
}

/// Fails unless a format's tables, put together by whatever, amount to this.
pub(crate) fn ensure_sum(tables: &[Table], by: &str, expected: (u64, u64)) -> Result<()> {
    let by = head_of(by);
    let is_it = |table: &&Table| table.head.iter().any(|head| *head == by || head == "value");
    let table = tables.iter().find(is_it).context("find the table")?;
    ensure!(!table.rows.is_empty(), "no group by {by}");
    ensure!(table.sum() == expected, "{by}: {:?}", table.sum());
    Ok(())
}
