//! The devices: a line each with rates, sums and what they were, and a first line for all of them.

use ratatui::layout::Rect;

use super::super::cell::Cut;
use super::super::look::Role;
use super::super::panes::Pane;
use super::super::quantity::{OCTETS_WIDTH, octets, rate};
use super::super::rate::{History, Rate};
use super::super::screen::Screen;
use super::canvas::Canvas;
use crate::store::DeviceSummary;
use crate::text::printable;

/// Devices that are in sight in the smallest window, all of them included.
const LEAST_LINES: u16 = 4;
/// Columns of a device's name.
const NAME: u16 = 22;
/// Columns between two columns.
const GAP: u16 = 1;

/// A line's figures.
struct Figures<'a> {
    name: &'a str,
    rate: Rate,
    octets: (u64, u64),
    history: &'a History,
}

/// Returns the rows that the pane takes of so many: its title, and as many lines as there are
/// devices, up to a quarter.
pub(super) fn height(screen: &Screen, of: u16) -> u16 {
    let lines = screen.shown().listed.len() + 1;
    let most = (of / 4).max(LEAST_LINES);
    (lines.min(most.into()) as u16) + 1
}

/// Draws the pane.
pub(super) fn draw(screen: &mut Screen, canvas: &mut Canvas<'_>, area: Rect) {
    let role = match screen.focus {
        Pane::Devices => Role::Focused,
        Pane::Destinations => Role::Title,
    };
    canvas.title(area, &[("Devices".to_owned(), role)]);
    titles(canvas, area);
    let rows = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    screen.drawn.devices = rows;
    let world = screen.shown();
    let place = |slot| world.listed.iter().position(|it| *it == slot);
    let selected = screen
        .devices
        .selected
        .and_then(place)
        .map_or(0, |at| at + 1);
    let first = first_in_sight(screen.devices.first, selected, rows.height.into());
    let lines = 1 + world.listed.len();
    for (y, line) in (rows.y..rows.bottom()).zip(first..lines) {
        let row = Rect {
            y,
            height: 1,
            ..rows
        };
        draw_line(screen, canvas, row, line);
        if line == selected {
            canvas.shade(row, Role::Selected);
        }
    }
    screen.devices.first = first;
}

/// Returns the first line in sight, so that the selected one is.
pub(super) fn first_in_sight(first: usize, selected: usize, height: usize) -> usize {
    let least = (selected + 1).saturating_sub(height);
    first.clamp(least, selected.max(least))
}

fn titles(canvas: &mut Canvas<'_>, area: Rect) {
    let style = canvas.style(Role::Quiet);
    let titles = ["Up/s", "Down/s", "Up", "Down"];
    for (x, title) in figures_at(area).zip(titles) {
        // With a blank before it, so that the rule does not touch it.
        let title = format!(" {title}");
        canvas.right((x, area.y), OCTETS_WIDTH, &title, style);
    }
}

/// Returns where the columns of figures are.
fn figures_at(area: Rect) -> impl Iterator<Item = u16> {
    let first = area.x + 1 + NAME + GAP;
    (0..4).map(move |at| first + at * (OCTETS_WIDTH + GAP))
}

fn draw_line(screen: &Screen, canvas: &mut Canvas<'_>, row: Rect, line: usize) {
    let world = screen.shown();
    let slot = line.checked_sub(1).and_then(|line| world.listed.get(line));
    let device = slot.and_then(|slot| world.devices.get(*slot as usize));
    let Some(device) = device else {
        let all = Figures {
            name: "all devices",
            rate: world.total.last(),
            octets: world.octets(),
            history: &world.total,
        };
        draw_figures(canvas, row, &all);
        return;
    };
    let Some(summary) = &device.summary else {
        return;
    };
    let name = name_of(summary);
    let figures = Figures {
        name: &name,
        rate: device.history.last(),
        octets: (summary.up.octets, summary.down.octets),
        history: &device.history,
    };
    draw_figures(canvas, row, &figures);
}

/// Returns a device's name, marked where its frames don't add up.
fn name_of(summary: &DeviceSummary) -> String {
    let name = printable(&summary.device);
    if summary.conserved {
        name.into_owned()
    } else {
        format!("{name} !")
    }
}

fn draw_figures(canvas: &mut Canvas<'_>, row: Rect, figures: &Figures<'_>) {
    let plain = canvas.style(Role::Plain);
    canvas.styled((row.x + 1, row.y), NAME, (figures.name, Cut::Middle), plain);
    let (up, down) = figures.octets;
    let texts = [
        (rate(figures.rate.up), Role::Up),
        (rate(figures.rate.down), Role::Down),
        (octets(up), Role::Plain),
        (octets(down), Role::Plain),
    ];
    let mut end = row.x;
    for (x, (text, role)) in figures_at(row).zip(texts) {
        canvas.right((x, row.y), OCTETS_WIDTH, &text, canvas.style(role));
        end = x + OCTETS_WIDTH + GAP;
    }
    let room = (row.right() - end - 1).min(super::super::rate::SAMPLES as u16);
    let start = row.right() - 1 - room;
    let history = (figures.history, Rate::total as fn(Rate) -> f64);
    canvas.sparkline((start, row.y), room, history, Role::Good);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_line_is_in_sight() {
        assert_eq!(first_in_sight(0, 3, 4), 0);
        assert_eq!(first_in_sight(0, 4, 4), 1);
        assert_eq!(first_in_sight(9, 4, 4), 4);
        assert_eq!(first_in_sight(3, 4, 4), 3);
        assert_eq!(first_in_sight(0, 5, 0), 6);
    }
}
