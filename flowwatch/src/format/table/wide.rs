//! The wide layout: one line a flow.
//!
//! Chosen where all columns that are always there fit; organization and place may then take more
//! lines, names, addresses and numbers never. Columns that are nice to have follow while they fit.

use std::io::{self, Write};

use super::{
    INDENT, MAX_PARAGRAPH,
    columns::{COLUMNS, Column, Need},
    lines::{Style, padded, width, wrapped},
};
use crate::{
    format::{Styling, statement::NO_NAME},
    model::FlowRecord,
    store::DeviceSummary,
};

const GAP: usize = 2;

/// Cells that fit, each with its lines.
pub(super) struct Wide {
    columns: Vec<(&'static Column, usize)>,
    rows: Vec<Vec<Vec<String>>>,
}

impl Wide {
    /// Returns the layout, or nothing where the surface is too narrow for it.
    pub(super) fn fit(
        flows: &[&FlowRecord],
        device: &DeviceSummary,
        columns: Option<usize>,
    ) -> Option<Self> {
        let all: Vec<_> = COLUMNS
            .iter()
            .map(|column| Cells::of(column, flows, device))
            .collect();
        let widths = chosen_widths(&all, columns)?;
        let chosen: Vec<_> = all
            .into_iter()
            .zip(widths)
            .filter_map(|(cells, width)| Some((cells, width?)))
            .collect();
        let row = |index: usize| {
            chosen
                .iter()
                .map(|(cells, width)| cells.lines(index, *width))
                .collect()
        };
        Some(Self {
            rows: (0..=flows.len()).map(row).collect(),
            columns: chosen
                .iter()
                .map(|(cells, width)| (cells.column, *width))
                .collect(),
        })
    }

    /// Writes the heading, a line or more a flow, and the totals.
    pub(super) fn write(&self, styling: Styling, out: &mut dyn Write) -> io::Result<()> {
        let titles: Vec<_> = self
            .columns
            .iter()
            .map(|(column, _)| vec![column.title.to_owned()])
            .collect();
        self.write_row(&titles, (Style::Heading, styling), out)?;
        let Some((total, flows)) = self.rows.split_last() else {
            return Ok(());
        };
        for row in flows {
            let has_no_name = row.first().is_some_and(|name| name[0] == NO_NAME);
            let style = if has_no_name {
                Style::Finding
            } else {
                Style::Plain
            };
            self.write_row(row, (style, styling), out)?;
        }
        self.write_row(total, (Style::Heading, styling), out)
    }

    fn write_row(
        &self,
        row: &[Vec<String>],
        (style, styling): (Style, Styling),
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let height = row.iter().map(Vec::len).max().unwrap_or(0);
        for index in 0..height {
            let mut line = String::new();
            for ((column, width), cell) in self.columns.iter().zip(row) {
                let text = cell.get(index).map_or("", String::as_str);
                line += &padded(text, *width, column.align);
                line += &" ".repeat(GAP);
            }
            writeln!(out, "{INDENT}{}", style.paint(line.trim_end(), styling))?;
        }
        Ok(())
    }
}

/// A column's cells: the flows', and the totals' last.
struct Cells {
    column: &'static Column,
    texts: Vec<String>,
}

impl Cells {
    fn of(column: &'static Column, flows: &[&FlowRecord], device: &DeviceSummary) -> Self {
        let mut texts: Vec<_> = flows.iter().map(|record| (column.cell)(record)).collect();
        texts.push((column.total)(device));
        Self { column, texts }
    }

    fn natural_width(&self) -> usize {
        let lines = self.texts.iter().flat_map(|text| text.split('\n'));
        lines
            .map(width)
            .max()
            .unwrap_or(0)
            .max(width(self.column.title))
    }

    fn narrowest(&self) -> usize {
        let natural = self.natural_width();
        let Need::Wraps(least) = self.column.need else {
            return natural;
        };
        let words = self.texts.iter().flat_map(|text| text.split(' '));
        let longest_word = words.map(width).max().unwrap_or(0);
        natural.min(least.max(longest_word))
    }

    fn lines(&self, row: usize, columns: usize) -> Vec<String> {
        let text = &self.texts[row];
        match self.column.need {
            Need::Wraps(_) => wrapped(text, columns),
            Need::Whole | Need::Extra(_) => text.split('\n').map(str::to_owned).collect(),
        }
    }
}

/// Returns a width for each column that is shown, or nothing where those that must be don't fit.
fn chosen_widths(all: &[Cells], columns: Option<usize>) -> Option<Vec<Option<usize>>> {
    let is_extra = |cells: &Cells| matches!(cells.column.need, Need::Extra(_));
    let must = all.iter().filter(|cells| !is_extra(cells));
    let natural: usize = must
        .clone()
        .map(|cells| cells.natural_width() + GAP)
        .sum::<usize>()
        - GAP;
    let room = columns.unwrap_or(natural.max(MAX_PARAGRAPH));
    let mut excess = natural.saturating_sub(room);
    let spare = room.saturating_sub(natural);
    let mut widths = Vec::with_capacity(all.len());
    // Place and organization give way in turn from the right, organization first.
    for cells in all.iter().rev() {
        let natural = cells.natural_width();
        let taken = excess.min(natural - cells.narrowest());
        if is_extra(cells) {
            widths.push(None);
        } else {
            excess -= taken;
            widths.push(Some(natural - taken));
        }
    }
    widths.reverse();
    if excess > 0 {
        return None;
    }
    add_extras(all, &mut widths, spare);
    Some(widths)
}

/// Gives widths to the columns that are nice to have, group by group, while they fit.
fn add_extras(all: &[Cells], widths: &mut [Option<usize>], mut spare: usize) {
    for group in 0.. {
        let mut extras: Vec<_> = all
            .iter()
            .zip(&mut *widths)
            .filter(|(cells, _)| cells.column.need == Need::Extra(group))
            .collect();
        let wanted = |(cells, _): &(&Cells, &mut Option<usize>)| cells.natural_width() + GAP;
        let wanted: usize = extras.iter().map(wanted).sum();
        if extras.is_empty() || wanted > spare {
            break;
        }
        spare -= wanted;
        for (cells, width) in &mut extras {
            **width = Some(cells.natural_width());
        }
    }
}
