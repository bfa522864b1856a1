//! The comparison for people: per device and kind a list with marks, `-` for what is gone, `+` for
//! what is new, `=` for what is kept, and octets of one side or `before → after`.

use std::io::{self, Write};

use super::super::{
    Surface, grouped,
    table::{
        INDENT, MAX_PARAGRAPH,
        lines::{Align, Style, chopped, padded, width, wrapped},
    },
};
use super::words;
use crate::diff::{Change, Comparison, DeviceComparison, Difference, Entry, Octets};

/// The columns that a value has at least beside its octets; one that needs more than there are has
/// lines of its own.
const LEAST_VALUE: usize = 20;
/// What stands before a line of a value that doesn't fit in one.
const CONTINUED: &str = "    ";
/// Values of a list that are shown one by one; the rest is summed in a line. Nobody reads more on a
/// screen.
const MAX_SHOWN: usize = 1_000;
const GAP: &str = "  ";

/// Writes the sides, then each device; several devices are also summed.
pub(in crate::format) fn table(
    comparison: &Comparison,
    surface: Surface,
    out: &mut dyn Write,
) -> io::Result<()> {
    let writer = Writer { surface };
    for (word, side) in [
        ("before:", &comparison.before),
        ("after: ", &comparison.after),
    ] {
        writer.paragraph(out, Style::Plain, &words::side(word, side))?;
    }
    writer.paragraph(out, Style::Plain, words::remotes(comparison))?;
    let (compared, silent): (Vec<_>, Vec<_>) = comparison
        .devices
        .iter()
        .partition(|device| !device.is_empty());
    for device in &compared {
        writeln!(out)?;
        writer.paragraph(out, Style::Heading, &words::heading(device))?;
        writer.device(device, out)?;
    }
    if compared.len() > 1 {
        writeln!(out)?;
        writer.paragraph(out, Style::Heading, "All devices together")?;
        writer.differences(&comparison.together, out)?;
    }
    if !silent.is_empty() {
        let names: Vec<_> = silent.iter().map(|device| words::heading(device)).collect();
        let line = format!("Nothing to compare of: {}.", names.join("; "));
        writeln!(out)?;
        writer.paragraph(out, Style::Plain, &line)?;
    }
    Ok(())
}

/// A line of a list: mark, value, octets up and down.
struct Line {
    mark: &'static str,
    style: Style,
    value: String,
    octets: [String; 2],
}

struct Writer {
    surface: Surface,
}

impl Writer {
    fn device(&self, device: &DeviceComparison, out: &mut dyn Write) -> io::Result<()> {
        if device.differs() {
            return self.differences(&device.differences, out);
        }
        let line = words::unchanged(device);
        for line in wrapped(&line, self.room()) {
            writeln!(out, "{INDENT}{line}")?;
        }
        Ok(())
    }

    /// Writes the lists, whose octets stand in the same columns.
    fn differences(&self, differences: &[Difference], out: &mut dyn Write) -> io::Result<()> {
        let lists: Vec<Vec<Line>> = differences.iter().map(lines).collect();
        let widths = Widths::of(&lists, self.room());
        for (position, list) in lists.iter().enumerate() {
            if position > 0 {
                writeln!(out)?;
            }
            for line in list {
                self.line(line, &widths, out)?;
            }
        }
        Ok(())
    }

    fn line(&self, line: &Line, widths: &Widths, out: &mut dyn Write) -> io::Result<()> {
        let mut pieces = pieces(&line.value, widths);
        let last = pieces.pop().unwrap_or_default();
        let mut mark = line.mark;
        for piece in pieces {
            self.painted(line.style, &format!("{mark}{piece}"), out)?;
            mark = CONTINUED;
        }
        let [up, down] = [0, 1].map(|direction| {
            padded(
                &line.octets[direction],
                widths.octets[direction],
                Align::Right,
            )
        });
        let value = padded(&format!("{mark}{last}"), widths.value + 2, Align::Left);
        self.painted(line.style, &format!("{value}{GAP}{up}{GAP}{down}"), out)
    }

    fn painted(&self, style: Style, text: &str, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{INDENT}{}",
            style.paint(text.trim_end(), self.surface.styling)
        )
    }

    /// Returns the columns beside the indent.
    fn room(&self) -> usize {
        let columns = self.surface.columns.unwrap_or(usize::MAX);
        columns.saturating_sub(INDENT.len())
    }

    fn paragraph(&self, out: &mut dyn Write, style: Style, text: &str) -> io::Result<()> {
        let columns = self.surface.columns.unwrap_or(MAX_PARAGRAPH);
        for line in wrapped(text, columns.min(MAX_PARAGRAPH)) {
            writeln!(out, "{}", style.paint(&line, self.surface.styling))?;
        }
        Ok(())
    }
}

/// Returns a kind's lines: its heading, the values, what stands for none, and the sums.
fn lines(difference: &Difference) -> Vec<Line> {
    let entries = &difference.entries;
    let (shown, rest) = entries.split_at(entries.len().min(MAX_SHOWN));
    let mut lines = vec![heading(difference)];
    lines.extend(shown.iter().map(|entry| line_of(difference, entry)));
    if !rest.is_empty() {
        let number = grouped(rest.len() as u64);
        let more = format!("… and {number} more; the other formats list them all");
        let sums = [|entry: &Entry| entry.before, |entry: &Entry| entry.after]
            .map(|side| Octets::sum_of(rest.iter().filter_map(side)));
        lines.push(sum(&more, Style::Plain, sums));
    }
    if difference.without != [Octets::default(); 2] {
        let without = difference.kind.without;
        lines.push(sum(without, Style::Finding, difference.without));
    }
    lines.push(sum("total", Style::Heading, difference.totals()));
    lines
}

fn heading(difference: &Difference) -> Line {
    let kind = difference.kind.name.to_uppercase();
    Line {
        mark: "",
        style: Style::Heading,
        value: format!("{kind}: {}", words::counts(difference)),
        octets: ["UP OCTETS", "DOWN OCTETS"].map(str::to_owned),
    }
}

fn line_of(difference: &Difference, entry: &Entry) -> Line {
    let (mark, style) = mark_of(entry.change());
    Line {
        mark,
        style,
        value: words::value(difference, entry),
        octets: words::octets(entry.before, entry.after),
    }
}

fn sum(of: &str, style: Style, [before, after]: [Octets; 2]) -> Line {
    Line {
        mark: "  ",
        style,
        value: of.to_owned(),
        octets: words::octets(Some(before), Some(after)),
    }
}

const fn mark_of(change: Change) -> (&'static str, Style) {
    match change {
        Change::Gone => ("- ", Style::Gone),
        Change::New => ("+ ", Style::New),
        Change::Kept => ("= ", Style::Plain),
    }
}

struct Widths {
    value: usize,
    octets: [usize; 2],
    /// What a line of a value that doesn't fit may take.
    own_line: usize,
}

impl Widths {
    fn of(lists: &[Vec<Line>], room: usize) -> Self {
        let mut octets = [0; 2];
        let mut value = 0;
        for line in lists.iter().flatten() {
            value = value.max(width(&line.mark_and_value()).saturating_sub(2));
            for (widest, text) in octets.iter_mut().zip(&line.octets) {
                *widest = width(text).max(*widest);
            }
        }
        let others = 2 + octets.iter().map(|width| GAP.len() + width).sum::<usize>();
        Self {
            value: value.min(room.saturating_sub(others).max(LEAST_VALUE)),
            octets,
            own_line: room.saturating_sub(CONTINUED.len()).max(LEAST_VALUE),
        }
    }
}

impl Line {
    fn mark_and_value(&self) -> String {
        format!("{}{}", self.mark, self.value)
    }
}

/// Returns the lines of a value: the last has room beside its octets, and may be empty.
fn pieces(value: &str, widths: &Widths) -> Vec<String> {
    if width(value) <= widths.value {
        return vec![value.to_owned()];
    }
    let lines = wrapped(value, widths.own_line);
    let mut pieces: Vec<_> = lines
        .iter()
        .flat_map(|line| chopped(line, widths.own_line))
        .collect();
    let room = widths.value.saturating_sub(CONTINUED.len() - 2);
    if pieces.last().is_some_and(|last| width(last) > room) {
        pieces.push(String::new());
    }
    pieces
}
