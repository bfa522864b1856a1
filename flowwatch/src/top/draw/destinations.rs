//! The destinations: the lines in sight, in their order, with the columns that there is room for.

use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::super::columns::{self, CellContext, Column, Shown, Sorting};
use super::super::listing::{self, Grouping, Label, Line, Query, in_sight, position_of};
use super::super::look::Role;
use super::super::screen::{Chosen, Cursor, ListPane, Overlay, Pane, Screen};
use super::super::world::World;
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
    let Screen {
        world,
        frozen,
        list,
        drawn,
        devices,
        focus,
        overlay,
        ..
    } = screen;
    let shown: &World = frozen.as_deref().unwrap_or(world);
    let query = Query {
        device: devices.selected,
        filter: &list.filter,
        grouping: list.grouping,
    };
    let mut lines = listing::lines(shown, query);
    drawn.count = lines.len();
    drawn.lines = rows;
    let has_devices = devices.selected.is_none() && shown.listed.len() > 1;
    drawn.columns = columns::shown(rows.width, list.grouping, has_devices);
    let sorting = list.sorting;
    let is_held = matches!(overlay, Overlay::Details(_));
    settle(
        &mut list.cursor,
        &lines,
        (list.grouping, sorting),
        rows.height,
        is_held,
    );
    let order = |a: &Line<'_>, b: &Line<'_>| sorting.order(a, b);
    let seen = in_sight(&mut lines, list.cursor.first, rows.height.into(), &order);
    let at = list.cursor.position - list.cursor.first;
    list.cursor.chosen = seen.get(at).map(|line| chosen(line, list.grouping));
    title(
        canvas,
        area,
        &title_of(shown, list, (*focus, drawn.count, devices.selected)),
    );
    titles(canvas, rows, &drawn.columns, (list.grouping, sorting));
    let Some(now) = shown.at() else {
        nothing(canvas, rows, "No data yet.");
        return;
    };
    if seen.is_empty() {
        nothing(canvas, rows, &empty(list));
    }
    let has_addresses = drawn.columns.iter().any(|it| it.column == Column::Address);
    let ctx = CellContext {
        at: now,
        grouping: list.grouping,
        has_addresses,
    };
    for (y, (place, line)) in (rows.y..rows.bottom()).zip(seen.iter().enumerate()) {
        draw_line(
            canvas,
            Rect {
                y,
                height: 1,
                ..rows
            },
            &drawn.columns,
            (line, ctx),
        );
        if place == at {
            let row = Rect {
                y,
                height: 1,
                ..area
            };
            canvas.shade(row, Role::Selected);
        }
    }
    let number = seen.get(at).map(|line| line.number);
    if let Some(number) = number.filter(|_| list.grouping == Grouping::Flows) {
        let shown = frozen.as_deref_mut().unwrap_or(world);
        shown.track(number);
    }
}

/// Finds where the selected line is now, and which lines are in sight.
///
/// The first line is a place, whatever stands there; further down, what was selected stays so.
fn settle(
    cursor: &mut Cursor,
    lines: &[Line<'_>],
    (grouping, sorting): (Grouping, Sorting),
    height: u16,
    is_held: bool,
) {
    let chosen = cursor.chosen.as_ref();
    let chosen = chosen.filter(|_| cursor.position > 0 || is_held);
    let line = chosen.and_then(|it| lines.iter().find(|line| it.is(line, grouping)));
    if let Some(line) = line {
        cursor.position = position_of(lines, line, &|a, b| sorting.order(a, b));
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

fn title_of(
    world: &World,
    list: &ListPane,
    (focus, count, device): (Pane, usize, Option<u32>),
) -> Vec<(String, Role)> {
    let role = match focus {
        Pane::Devices => Role::Title,
        Pane::Destinations => Role::Focused,
    };
    let (words, _) = list.grouping.words();
    let device = device.and_then(|slot| world.devices.get(slot as usize)?.summary.as_ref());
    let of = device.map(|it| format!(" of {}", printable(&it.device)));
    let mut parts = vec![(format!("{words}{}", of.unwrap_or_default()), role)];
    let shown = grouped(count as u64);
    if list.filter.is_empty() {
        parts.push((shown, Role::Plain));
    } else {
        parts.push((format!("{shown} by filter: {}", list.typed), Role::Nameless));
    }
    parts
}

fn title(canvas: &mut Canvas<'_>, area: Rect, parts: &[(String, Role)]) {
    canvas.title(area, parts);
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

fn empty(list: &ListPane) -> String {
    if list.filter.is_empty() {
        "No destination yet.".to_owned()
    } else {
        "No destination that the filter lets through; Esc drops it.".to_owned()
    }
}

fn nothing(canvas: &mut Canvas<'_>, rows: Rect, text: &str) {
    let style = canvas.style(Role::Quiet).add_modifier(Modifier::ITALIC);
    canvas.styled(
        (rows.x, rows.y),
        rows.width,
        (text, super::super::cell::Cut::End),
        style,
    );
}
