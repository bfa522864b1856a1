//! The destinations: the lines in sight, in their order, with the columns that there is room for.

use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::super::cell::Cut;
use super::super::cells::CellContext;
use super::super::columns::{self, Column, Shown, Sorting};
use super::super::listing::{self, Grouping, Label, Line, Query, in_sight, position_of};
use super::super::look::Role;
use super::super::panes::{Chosen, ListPane, Pane};
use super::super::screen::Screen;
use super::super::world::{Slot, World};
use super::canvas::Canvas;
use super::devices::first_in_sight;
use crate::format::grouped;
use crate::text::printable;

/// Columns before the first: the mark of what is new.
const MARKS: u16 = 2;
const NEW_MARK: &str = "+";

/// Draws the pane.
pub(super) fn draw(screen: &mut Screen, canvas: &mut Canvas<'_>, area: Rect) {
    let rows = Rect {
        x: area.x + MARKS,
        y: area.y + 2,
        width: area.width - MARKS - 1,
        height: area.height - 2,
    };
    let shown: &World = screen.frozen.as_deref().unwrap_or(&screen.world);
    let device = screen.devices.selected;
    let (seen, count) = arrange(shown, &mut screen.list, device, rows.height);
    let has_devices = device.is_none() && shown.listed.len() > 1;
    let list = &screen.list;
    screen.drawn.columns = columns::shown(rows.width, list.grouping, has_devices);
    (screen.drawn.count, screen.drawn.lines) = (count, rows);
    let selected = list.cursor.position - list.cursor.first;
    let number = seen.get(selected).map(|line| line.number);
    draw_titles(screen, canvas, (area, rows));
    draw_lines(screen, canvas, rows, (&seen, selected));
    if let Some(number) = number.filter(|_| screen.list.grouping == Grouping::Flows) {
        let shown = screen.frozen.as_deref_mut().unwrap_or(&mut screen.world);
        shown.track(number);
    }
}

/// Returns the lines in sight in their order, and how many there are in all.
fn arrange<'world>(
    world: &'world World,
    list: &mut ListPane,
    device: Option<Slot>,
    height: u16,
) -> (Vec<Line<'world>>, usize) {
    let query = Query {
        device,
        filter: &list.filter,
        grouping: list.grouping,
    };
    let mut lines = listing::lines(world, query);
    settle(list, &lines, height);
    let (sorting, grouping) = (list.sorting.of(list.grouping), list.grouping);
    let order = |a: &Line<'_>, b: &Line<'_>| sorting.order(grouping, a, b);
    let cursor = &mut list.cursor;
    let seen = in_sight(&mut lines, cursor.first, height.into(), &order).to_vec();
    let selected = seen.get(cursor.position - cursor.first);
    cursor.chosen = selected.map(|line| chosen(line, grouping));
    (seen, lines.len())
}

/// Finds where the selected line is now, and which lines are in sight.
///
/// The first line is a place, whatever stands there; further down, what was selected stays so.
fn settle(list: &mut ListPane, lines: &[Line<'_>], height: u16) {
    let (sorting, grouping) = (list.sorting.of(list.grouping), list.grouping);
    let cursor = &mut list.cursor;
    let chosen = cursor.chosen.as_ref().filter(|_| cursor.position > 0);
    let line = chosen.and_then(|it| lines.iter().find(|line| it.is(line, grouping)));
    if let Some(line) = line {
        cursor.position = position_of(lines, line, &|a, b| sorting.order(grouping, a, b));
    }
    cursor.position = cursor.position.min(lines.len().saturating_sub(1));
    cursor.first = first_in_sight(cursor.first, cursor.position, height.into());
    let fullest = lines.len().saturating_sub(height.into());
    cursor.first = cursor.first.min(fullest);
}

fn chosen(line: &Line<'_>, grouping: Grouping) -> Chosen {
    if grouping == Grouping::Flows {
        return Chosen::Flow(line.number);
    }
    let text = match grouping.label(line.flow) {
        Label::Text(text) => Some(text.into()),
        Label::Of(_) => None,
    };
    Chosen::Group {
        text,
        scope: line.flow.record.scope,
        filter: listing::filter_of(line, grouping),
    }
}

/// Draws the titles of the pane and of its columns.
fn draw_titles(screen: &Screen, canvas: &mut Canvas<'_>, (area, rows): (Rect, Rect)) {
    let list = &screen.list;
    let role = match screen.focus {
        Pane::Devices => Role::Title,
        Pane::Destinations => Role::Focused,
    };
    let device = screen.devices.selected;
    let device = device.and_then(|slot| screen.shown().devices.get(slot as usize));
    let device = device.and_then(|it| it.summary.as_ref());
    let of = device.map(|it| format!(" of {}", printable(&it.device)));
    let (words, _) = list.grouping.words();
    let mut parts = vec![(format!("{words}{}", of.unwrap_or_default()), role)];
    let shown = grouped(screen.drawn.count as u64);
    if list.filter.is_empty() {
        parts.push((shown, Role::Plain));
    } else {
        parts.push((format!("{shown} by filter: {}", list.typed), Role::Nameless));
    }
    let sorting = list.sorting.of(list.grouping);
    let columns = &screen.drawn.columns;
    if columns.iter().all(|it| it.column != sorting.column) {
        let title = sorting.column.layout().title;
        parts.push((format!("sorted by {title}"), Role::Quiet));
    }
    canvas.title(area, &parts);
    titles(canvas, rows, columns, (list.grouping, sorting));
}

/// Draws the lines in sight, or why there is none.
fn draw_lines(
    screen: &Screen,
    canvas: &mut Canvas<'_>,
    rows: Rect,
    (seen, selected): (&[Line<'_>], usize),
) {
    let Some(at) = screen.at() else {
        nothing(canvas, rows, "No data yet.");
        return;
    };
    if seen.is_empty() {
        nothing(canvas, rows, empty(&screen.list));
    }
    let columns = &screen.drawn.columns;
    let ctx = CellContext {
        at,
        grouping: screen.list.grouping,
        has_addresses: columns.iter().any(|it| it.column == Column::Address),
    };
    for (y, (place, line)) in (rows.y..rows.bottom()).zip(seen.iter().enumerate()) {
        let row = Rect {
            y,
            height: 1,
            ..rows
        };
        draw_line(canvas, row, columns, (line, ctx));
        if place == selected {
            let row = Rect {
                x: rows.x - MARKS,
                width: rows.width + MARKS + 1,
                ..row
            };
            canvas.shade(row, Role::Selected);
        }
    }
}

fn titles(
    canvas: &mut Canvas<'_>,
    rows: Rect,
    columns: &[Shown],
    (grouping, sorting): (Grouping, Sorting),
) {
    let y = rows.y - 1;
    let glyphs = canvas.glyphs();
    for shown in columns {
        let layout = shown.column.layout();
        let text = match shown.column {
            Column::Name => grouping.words().1,
            Column::Country if shown.width > 8 => "Country",
            _ => layout.title,
        };
        let is_sorted = shown.column == sorting.column;
        let role = if is_sorted { Role::Sorted } else { Role::Quiet };
        let mark = match (is_sorted, sorting.descends) {
            (false, _) => "",
            (true, true) => glyphs.descending,
            (true, false) => glyphs.ascending,
        };
        let text = format!("{text}{mark}");
        let style = canvas.style(role);
        let at = (rows.x + shown.x, y);
        if layout.is_right {
            canvas.right(at, shown.width, &text, style);
        } else {
            canvas.text(at, shown.width + 1, &text, role);
        }
    }
}

fn draw_line(
    canvas: &mut Canvas<'_>,
    row: Rect,
    columns: &[Shown],
    (line, ctx): (&Line<'_>, CellContext),
) {
    if line.new > 0 {
        canvas.text((row.x - MARKS, row.y), 1, NEW_MARK, Role::New);
    }
    for shown in columns {
        let layout = shown.column.layout();
        let text = shown.column.cell(line, shown.width, ctx);
        let style = canvas.style(role_of(shown.column, line, ctx));
        let at = (row.x + shown.x, row.y);
        if layout.is_right {
            canvas.right(at, shown.width, &text, style);
        } else {
            canvas.styled(at, shown.width, (&text, layout.cut), style);
        }
    }
}

fn role_of(column: Column, line: &Line<'_>, ctx: CellContext) -> Role {
    match column {
        Column::Name if ctx.grouping == Grouping::Flows && line.flow.record.is_nameless() => {
            Role::Nameless
        }
        Column::UpRate if line.rate.up >= 1.0 => Role::Up,
        Column::DownRate if line.rate.down >= 1.0 => Role::Down,
        Column::UpRate | Column::DownRate => Role::Quiet,
        _ => Role::Plain,
    }
}

const fn empty(list: &ListPane) -> &'static str {
    if list.filter.is_empty() {
        "No destination yet."
    } else {
        "No destination that the filter lets through; Esc drops it."
    }
}

fn nothing(canvas: &mut Canvas<'_>, rows: Rect, text: &str) {
    let style = canvas.style(Role::Quiet).add_modifier(Modifier::ITALIC);
    canvas.styled((rows.x, rows.y), rows.width, (text, Cut::End), style);
}
