//! The help: keys, filters, columns, marks; each from its one list.

use ratatui::layout::Rect;

use super::super::columns::COLUMNS;
use super::super::filter::FILTER_KEYS;
use super::super::keys::KEYS;
use super::super::look::Role;
use super::super::screen::Screen;
use super::canvas::Canvas;
use super::paragraph::{self, Line};

/// Draws the help.
pub(super) fn draw(screen: &mut Screen, canvas: &mut Canvas<'_>, area: Rect) {
    canvas.title(
        area,
        &[
            ("Help".to_owned(), Role::Focused),
            ("Up and Down roll, Esc goes back".to_owned(), Role::Quiet),
        ],
    );
    let rest = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    let most = paragraph::draw(canvas, rest, &lines(), screen.scroll);
    screen.scroll = screen.scroll.min(most);
}

fn lines() -> Vec<Line> {
    let mut lines = vec![Line::Heading("Keys".to_owned())];
    lines.extend(
        KEYS.iter()
            .map(|key| Line::text(key.shown, key.description)),
    );
    lines.push(Line::text(
        "Mouse",
        "a click selects, another opens, one on a title sorts; the wheel rolls",
    ));
    lines.push(Line::Heading("Filter: all terms must hold".to_owned()));
    lines.push(Line::text("amazon", "anywhere in a destination's texts"));
    for key in FILTER_KEYS {
        lines.push(Line::text(key.example, key.description));
    }
    lines.push(Line::text("!org:amazon", "what the term does not hold for"));
    lines.push(Line::text("name:", "what has none"));
    lines.push(Line::Heading("Columns and marks".to_owned()));
    for layout in COLUMNS {
        lines.push(Line::text(layout.title, layout.description));
    }
    lines.push(Line::text(
        "+",
        "new: its first packet was less than a minute ago",
    ));
    lines
}
