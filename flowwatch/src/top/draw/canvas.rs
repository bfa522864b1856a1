//! What pictures are made with: a text at a place, cut to its room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::cell::{Cut, fitted, width};
use super::super::look::{Glyphs, Look, Role};
use super::super::rate::{History, Rate};

/// The picture, and how it looks.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    look: Look,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look }
    }

    pub(super) fn glyphs(&self) -> Glyphs {
        self.look.glyphs
    }

    pub(super) fn style(&self, role: Role) -> Style {
        self.look.style(role)
    }

    /// Writes a text, cut at its end to so many columns; returns the columns that it took.
    pub(super) fn text(&mut self, at: (u16, u16), room: u16, text: &str, role: Role) -> u16 {
        self.styled(at, room, (text, Cut::End), self.style(role))
    }

    /// Writes a text in a style, cut where it is to be cut.
    pub(super) fn styled(
        &mut self,
        (x, y): (u16, u16),
        room: u16,
        (text, cut): (&str, Cut),
        style: Style,
    ) -> u16 {
        let text = fitted(text, room.into(), cut, self.look.glyphs.cut);
        self.buffer.set_stringn(x, y, &text, room.into(), style);
        width(&text) as u16
    }

    /// Writes a text that ends at the right of its room.
    pub(super) fn right(&mut self, (x, y): (u16, u16), room: u16, text: &str, style: Style) {
        let columns = (width(text) as u16).min(room);
        self.styled((x + room - columns, y), room, (text, Cut::End), style);
    }

    /// Writes the texts one after the other, as many as there is room for, whole; where there are
    /// more, a mark says so.
    pub(super) fn parts(&mut self, (x, y): (u16, u16), room: u16, parts: &[(String, Role)]) {
        let separator = self.look.glyphs.separator;
        let mut taken = 0;
        let last = parts.len().saturating_sub(1);
        for (at, (text, role)) in parts.iter().enumerate() {
            let gap = if taken > 0 {
                width(separator) as u16
            } else {
                0
            };
            let columns = width(text) as u16;
            // The first is shown in any case, cut.
            let marked = if at < last { 2 } else { 0 };
            if taken > 0 && taken + gap + columns + marked > room {
                let mark = self.look.glyphs.cut;
                self.text(
                    (x + taken + 1, y),
                    room.saturating_sub(taken + 1),
                    mark,
                    Role::Quiet,
                );
                break;
            }
            if gap > 0 {
                self.text((x + taken, y), gap, separator, Role::Quiet);
            }
            taken += gap;
            taken += self.text((x + taken, y), room - taken, text, *role);
        }
    }

    /// Draws a pane's title in a rule.
    pub(super) fn title(&mut self, area: Rect, parts: &[(String, Role)]) {
        let rule = self.look.glyphs.rule;
        let line = rule.repeat(area.width.into());
        self.text((area.x, area.y), area.width, &line, Role::Quiet);
        let columns: usize = parts.iter().map(|(text, _)| width(text)).sum();
        let gaps = parts.len().saturating_sub(1) * width(self.look.glyphs.separator);
        let room = area.width - 4;
        let taken = (columns + gaps).min(room.into()) as u16;
        let start = area.x + 1;
        self.text(
            (start, area.y),
            taken + 2,
            &" ".repeat(usize::from(taken) + 2),
            Role::Plain,
        );
        self.parts((start + 1, area.y), room, parts);
    }

    /// Sets the style of a whole row.
    pub(super) fn shade(&mut self, row: Rect, role: Role) {
        self.buffer.set_style(row, self.style(role));
    }

    /// Draws a history, the newest at the right; its highest sample is the highest level.
    pub(super) fn sparkline(
        &mut self,
        (x, y): (u16, u16),
        room: u16,
        (history, of): (&History, fn(Rate) -> f64),
        role: Role,
    ) {
        let samples: Vec<f64> = history.newest(room.into()).map(of).collect();
        let highest = samples.iter().copied().fold(0.0, f64::max);
        let start = x + room - samples.len() as u16;
        let levels = self.look.glyphs.levels;
        let style = self.style(role);
        for (column, sample) in (start..).zip(samples) {
            if let Some(level) = level_of(sample, highest, levels.len()) {
                self.buffer.set_stringn(column, y, levels[level], 1, style);
            }
        }
    }
}

/// Returns the level of a sample, from 0; none where there was nothing.
fn level_of(sample: f64, highest: f64, levels: usize) -> Option<usize> {
    if sample <= 0.0 {
        return None;
    }
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a few levels, of a share between 0 and 1"
    )]
    let level = (sample / highest * levels as f64) as usize;
    Some(level.min(levels - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_sample_has_the_highest_level_and_none_has_none() {
        assert_eq!(level_of(0.0, 0.0, 8), None);
        assert_eq!(level_of(0.0, 9.0, 8), None);
        assert_eq!(level_of(0.001, 9.0, 8), Some(0));
        assert_eq!(level_of(4.5, 9.0, 8), Some(4));
        assert_eq!(level_of(9.0, 9.0, 8), Some(7));
    }
}
