//! The last row: what there is to say, the filter that is typed, or the keys.

use ratatui::layout::{Position, Rect};

use super::super::input::Input;
use super::super::look::Role;
use super::super::panes::Overlay;
use super::super::screen::Screen;
use super::canvas::Canvas;
use crate::text::printable;

const PROMPT: &str = "Filter: ";

/// Draws the row; returns where the cursor is to be, if it is to be seen.
pub(super) fn draw(screen: &Screen, canvas: &mut Canvas<'_>, row: Rect) -> Option<Position> {
    let at = (row.x, row.y);
    if let Some(input) = &screen.input {
        return Some(typed(input, canvas, row));
    }
    if let Some(message) = &screen.message {
        canvas.text(at, row.width, &printable(message), Role::Title);
        return None;
    }
    let mut hints = match screen.overlay {
        Overlay::Nothing => vec![
            "q quit",
            "? help",
            "/ filter",
            "Tab pane",
            "Enter details",
            "s sort",
            "g group",
            "Space pause",
            "e export",
        ],
        Overlay::Details(_) => vec![
            "Esc back",
            "Up/Down roll",
            "Space pause",
            "? help",
            "q quit",
        ],
        Overlay::Help | Overlay::Warnings => vec!["Esc back", "Up/Down roll", "q quit"],
    };
    if screen.speed.is_some() {
        hints.push("+/- speed");
    }
    let hints: Vec<_> = hints
        .into_iter()
        .map(|it| (it.to_owned(), Role::Quiet))
        .collect();
    canvas.parts(at, row.width, &hints);
    None
}

fn typed(input: &Input, canvas: &mut Canvas<'_>, row: Rect) -> Position {
    let start = row.x + canvas.text((row.x, row.y), row.width, PROMPT, Role::Title);
    let room = row.right() - start;
    let text = input.text();
    // Of a long one, the end is where one types.
    let hidden = input.width().saturating_sub(usize::from(room) - 1);
    let mut skipped = 0;
    let from = text.char_indices().find_map(|(at, character)| {
        let is_in_sight = skipped >= hidden;
        skipped += unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
        is_in_sight.then_some(at)
    });
    let text = &text[from.unwrap_or(text.len())..];
    let taken = canvas.text((start, row.y), room, text, Role::Plain);
    let end = start + taken;
    if let Some(error) = &input.error {
        let room = row.right().saturating_sub(end + 3);
        canvas.text(
            (end + 3, row.y),
            room,
            &printable(&error.to_string()),
            Role::Bad,
        );
    }
    Position::new(end.min(row.right() - 1), row.y)
}
