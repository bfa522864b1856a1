//! Longer texts: lines with a label before them, wrapped and rolled.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthChar as _;

use super::super::look::Role;
use super::canvas::Canvas;

/// Columns that labels take.
const LABELS: u16 = 19;

/// A line of an overlay.
pub(super) enum Line {
    /// A heading.
    Heading(String),
    /// A text behind a label, which may be blank.
    Text(String, String, Role),
}

impl Line {
    pub(super) fn text(label: &str, text: impl Into<String>) -> Self {
        Self::Text(label.to_owned(), text.into(), Role::Plain)
    }
}

/// Returns a text in lines of at most so many columns: broken at a blank where there is one.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let Some(end) = overflow(rest, columns) else {
            lines.push(rest);
            return lines;
        };
        let blank = rest[..end].rfind(' ').filter(|at| *at > 0);
        // A character that alone is too wide stands for itself.
        let first = rest.chars().next().map_or(1, char::len_utf8);
        let (line, next) = rest.split_at(blank.unwrap_or(end.max(first)));
        lines.push(line);
        rest = next.trim_start();
        if rest.is_empty() {
            return lines;
        }
    }
}

/// Returns where a text passes so many columns.
fn overflow(text: &str, columns: usize) -> Option<usize> {
    let mut taken = 0;
    text.char_indices().find_map(|(at, character)| {
        taken += character.width().unwrap_or(0);
        (taken > columns).then_some(at)
    })
}

/// Draws lines from `scroll` on; returns how far there is to roll at most.
pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, lines: &[Line], scroll: usize) -> usize {
    let room = usize::from(area.width - LABELS - 1);
    let mut rows: Vec<(&str, &str, Role)> = Vec::new();
    for line in lines {
        match line {
            Line::Heading(text) => rows.extend([("", "", Role::Plain), (text, "", Role::Title)]),
            Line::Text(label, text, role) => {
                let pieces = wrapped(text, room).into_iter().enumerate();
                rows.extend(pieces.map(|(at, piece)| {
                    let label = if at == 0 { label.as_str() } else { "" };
                    (label, piece, *role)
                }));
            }
        }
    }
    let most = rows.len().saturating_sub(area.height.into());
    let seen = rows.iter().skip(scroll.min(most));
    for (y, (label, text, role)) in (area.y..area.bottom()).zip(seen) {
        let is_heading = text.is_empty();
        let (columns, label_role) = if is_heading {
            (area.width - 2, *role)
        } else {
            (LABELS - 1, Role::Quiet)
        };
        canvas.text((area.x + 1, y), columns, label, label_role);
        canvas.text(
            (area.x + LABELS + 1, y),
            area.width - LABELS - 1,
            text,
            *role,
        );
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_breaks_at_blanks_and_where_there_is_none_anywhere() {
        assert_eq!(wrapped("make it larger", 8), ["make it", "larger"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("杭州阿里", 5), ["杭州", "阿里"]);
        assert_eq!(wrapped("杭州", 1), ["杭", "州"]);
        assert_eq!(wrapped("", 5), [""]);
    }
}
