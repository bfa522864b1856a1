//! What may keep traffic from being seen, as whoever counts found it at the start.

use ratatui::layout::Rect;

use super::super::look::Role;
use super::super::screen::Screen;
use super::canvas::Canvas;
use super::paragraph::{self, Line};
use crate::store::Warning;
use crate::text::printable;

/// Draws the warnings.
pub(super) fn draw(screen: &mut Screen, canvas: &mut Canvas<'_>, area: Rect) {
    canvas.title(
        area,
        &[
            ("Warnings".to_owned(), Role::Focused),
            (
                "what may keep traffic from being seen, found at the start".to_owned(),
                Role::Quiet,
            ),
        ],
    );
    let rest = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    let meta = screen.shown().meta.as_ref();
    let warnings = meta.map_or(&[][..], |meta| &meta.warnings);
    let most = paragraph::draw(canvas, rest, &lines(warnings), screen.scroll);
    screen.scroll = screen.scroll.min(most);
}

fn lines(warnings: &[Warning]) -> Vec<Line> {
    if warnings.is_empty() {
        return vec![Line::text("", "none")];
    }
    let lines = |warning: &Warning| {
        let check = printable(&warning.check).into_owned();
        [
            Line::Heading(check),
            Line::text("", printable(&warning.text)),
        ]
    };
    warnings.iter().flat_map(lines).collect()
}
