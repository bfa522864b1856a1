//! The mouse: a line is selected by a click and opened by another, a column sorts, the wheel moves.

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::panes::{Overlay, Pane};
use super::screen::Screen;

/// Lines that the wheel moves at a time.
const WHEEL: usize = 3;

impl Screen {
    /// Takes what the mouse did.
    pub(super) fn point(&mut self, event: MouseEvent) {
        let at = Position::new(event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollUp => self.roll(at, |line| line.saturating_sub(WHEEL)),
            MouseEventKind::ScrollDown => self.roll(at, |line| line.saturating_add(WHEEL)),
            MouseEventKind::Down(MouseButton::Left) => self.click(at),
            MouseEventKind::Down(MouseButton::Right) => self.go_back(),
            _ => {}
        }
    }

    fn roll(&mut self, at: Position, to: impl Fn(usize) -> usize) {
        if self.overlay == Overlay::Nothing && self.drawn.devices.contains(at) {
            self.focus = Pane::Devices;
        } else if self.drawn.lines.contains(at) {
            self.focus = Pane::Destinations;
        }
        self.step(to);
    }

    fn click(&mut self, at: Position) {
        self.message = None;
        if self.overlay != Overlay::Nothing {
            return;
        }
        let (devices, lines) = (self.drawn.devices, self.drawn.lines);
        if let Some(line) = line_at(devices, at) {
            self.focus = Pane::Devices;
            self.select_device(self.devices.first + line);
        } else if let Some(line) = line_at(lines, at) {
            self.focus = Pane::Destinations;
            self.select_line(self.list.cursor.first + line);
        } else if at.y + 1 == lines.y {
            self.click_title(at.x.saturating_sub(lines.x));
        }
    }

    fn select_line(&mut self, line: usize) {
        let cursor = &mut self.list.cursor;
        if line >= self.drawn.count {
            return;
        }
        if line == cursor.position && cursor.chosen.is_some() {
            self.open();
        } else {
            cursor.position = line;
            cursor.chosen = None;
        }
    }

    fn click_title(&mut self, x: u16) {
        let columns = &self.drawn.columns;
        let hit = columns
            .iter()
            .find(|it| (it.x..=it.x + it.width).contains(&x));
        if let Some(column) = hit.map(|it| it.column) {
            self.sort_by(column);
        }
    }
}

fn line_at(rows: Rect, at: Position) -> Option<usize> {
    rows.contains(at).then(|| usize::from(at.y - rows.y))
}
