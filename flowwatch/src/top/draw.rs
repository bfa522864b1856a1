//! The picture of the screen: what goes where, pane by pane.
//!
//! Only what is in sight is made into text. Every text that comes from outside is escaped before it
//! gets here ([`crate::text::printable`]).

mod canvas;
mod destinations;
mod details;
mod devices;
mod footer;
mod header;
mod help;
mod paragraph;
mod warnings;

use ratatui::Frame;
use ratatui::layout::Rect;

use self::canvas::Canvas;
use super::look::Role;
use super::panes::Overlay;
use super::screen::Screen;

/// The least window: columns and rows.
pub(super) const LEAST: (u16, u16) = (80, 24);

impl Screen {
    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let mut canvas = Canvas::new(frame.buffer_mut(), self.look);
        if area.width < LEAST.0 || area.height < LEAST.1 {
            too_small(&mut canvas, area);
            return;
        }
        let rows = |y, height| Rect { y, height, ..area };
        let head = header::draw(self, &mut canvas, area);
        let middle = rows(head, area.height - head - 1);
        let foot = rows(area.height - 1, 1);
        match self.overlay {
            Overlay::Nothing => self.draw_panes(&mut canvas, middle),
            Overlay::Details(number) => details::draw(self, &mut canvas, middle, number),
            Overlay::Help => help::draw(self, &mut canvas, middle),
            Overlay::Warnings => warnings::draw(self, &mut canvas, middle),
        }
        let cursor = footer::draw(self, &mut canvas, foot);
        if let Some(at) = cursor {
            frame.set_cursor_position(at);
        }
    }

    fn draw_panes(&mut self, canvas: &mut Canvas<'_>, area: Rect) {
        let height = devices::height(self, area.height);
        let upper = Rect { height, ..area };
        let lower = Rect {
            y: area.y + height,
            height: area.height - height,
            ..area
        };
        devices::draw(self, canvas, upper);
        destinations::draw(self, canvas, lower);
    }
}

fn too_small(canvas: &mut Canvas<'_>, area: Rect) {
    let text = format!(
        "This window has {}x{} characters, and flowwatch top needs {}x{}: make it larger, or press q \
         to quit.",
        area.width, area.height, LEAST.0, LEAST.1
    );
    let lines = paragraph::wrapped(&text, usize::from(area.width));
    for (y, line) in (0..area.height).zip(lines) {
        canvas.text(
            (area.x, area.y + y),
            area.width,
            line.trim_start(),
            Role::Plain,
        );
    }
}
