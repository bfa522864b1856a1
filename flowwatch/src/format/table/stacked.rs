//! The stacked layout: two lines a flow, for terminals that are too narrow for one.
//!
//! The first has name, port and octets; the second the name's source, address, place and
//! organization.

use std::io::{self, Write};

use super::{
    INDENT,
    columns::{NO_NAME_EXPECTED, address, down, names, organization, place, port, up, via},
    lines::{Align, Style, chopped, padded, width, wrapped},
};
use crate::{
    format::{Styling, Surface, grouped, statement::NO_NAME},
    model::FlowRecord,
    store::DeviceSummary,
};

const DETAIL_INDENT: &str = "      ";
const LEAST_NAME: usize = 14;

/// Name, port, octets up and down.
type Line = [String; 4];

/// Writes heading, flows and totals.
pub(super) fn write(
    flows: &[&FlowRecord],
    device: &DeviceSummary,
    surface: Surface,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns = surface.columns.unwrap_or(usize::MAX);
    let heading = ["REMOTE", "PORT", "UP OCTETS", "DOWN OCTETS"].map(str::to_owned);
    let total = [
        "total".to_owned(),
        String::new(),
        grouped(device.up.octets),
        grouped(device.down.octets),
    ];
    let lines: Vec<_> = flows.iter().map(|record| line_of(record)).collect();
    let widths = Widths::of([&heading, &total].into_iter().chain(&lines), columns);
    let bold = (Style::Heading, surface.styling);
    write_line(&heading, &widths, bold, out)?;
    for (record, line) in flows.iter().zip(&lines) {
        let style = if line[0] == NO_NAME {
            Style::Finding
        } else {
            Style::Plain
        };
        write_line(line, &widths, (style, surface.styling), out)?;
        for detail in details(
            record,
            &line[0],
            columns.saturating_sub(DETAIL_INDENT.len()),
        ) {
            writeln!(out, "{DETAIL_INDENT}{detail}")?;
        }
    }
    write_line(&total, &widths, bold, out)
}

fn line_of(record: &FlowRecord) -> Line {
    let name = match names(record) {
        name if name == NO_NAME_EXPECTED => address(record),
        name => name,
    };
    [name, port(record), up(record), down(record)]
}

struct Widths {
    columns: [usize; 4],
    /// What a name may take that has a line of its own.
    own_line: usize,
}

impl Widths {
    fn of<'a>(lines: impl Iterator<Item = &'a Line>, columns: usize) -> Self {
        let mut widths = [0; 4];
        for line in lines {
            for (widest, text) in widths.iter_mut().zip(line) {
                *widest = text.split('\n').map(width).fold(*widest, usize::max);
            }
        }
        let others = INDENT.len() + widths[1..].iter().map(|width| 2 + width).sum::<usize>();
        widths[0] = columns
            .saturating_sub(others)
            .max(LEAST_NAME)
            .min(widths[0]);
        Self {
            columns: widths,
            own_line: columns.saturating_sub(INDENT.len()).max(LEAST_NAME),
        }
    }
}

/// Writes a line; names that are too wide for their column have lines of their own before it.
fn write_line(
    [names, port, up, down]: &Line,
    widths: &Widths,
    (style, styling): (Style, Styling),
    out: &mut dyn Write,
) -> io::Result<()> {
    let [name_width, port_width, up_width, down_width] = widths.columns;
    let mut pieces: Vec<_> = names
        .split('\n')
        .flat_map(|name| chopped(name, widths.own_line))
        .collect();
    let fits = pieces.last().is_some_and(|last| width(last) <= name_width);
    let last = if fits {
        pieces.pop().unwrap_or_default()
    } else {
        String::new()
    };
    for piece in pieces {
        writeln!(out, "{INDENT}{}", style.paint(&piece, styling))?;
    }
    let line = format!(
        "{}  {}  {}  {}",
        padded(&last, name_width, Align::Left),
        padded(port, port_width, Align::Left),
        padded(up, up_width, Align::Right),
        padded(down, down_width, Align::Right)
    );
    writeln!(out, "{INDENT}{}", style.paint(&line, styling))
}

fn details(record: &FlowRecord, name: &str, columns: usize) -> Vec<String> {
    let by = match via(record) {
        via if via.is_empty() => via,
        via => format!("by {via}"),
    };
    let parts = [by, address(record), place(record), organization(record)];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|part| !part.is_empty() && part != name)
        .collect();
    wrapped(&parts.join(" · "), columns)
}
