//! The line in which a filter is typed.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::cell;
use super::filter::{Filter, FilterError};
use crate::text::is_printable;

/// Characters that can be typed: more than any filter that makes sense.
const MOST: usize = 200;

/// A filter that is being typed.
#[derive(Clone, Debug)]
pub(super) struct Input {
    text: String,
    /// Why it is no filter.
    pub(super) error: Option<FilterError>,
    /// What was there before.
    pub(super) before: (String, Filter),
}

/// What a key did to the line.
#[derive(Debug)]
pub(super) enum Typed {
    /// Nothing, or what is no filter.
    Nothing,
    /// A filter.
    Changed(Filter),
    /// It is to be kept.
    Kept,
    /// It is to be as before.
    Dropped,
}

impl Input {
    pub(super) fn new(text: String, filter: Filter) -> Self {
        Self {
            text: text.clone(),
            error: None,
            before: (text, filter),
        }
    }

    /// Returns what was typed.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Typed {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter if self.error.is_none() => return Typed::Kept,
            KeyCode::Esc => return Typed::Dropped,
            KeyCode::Char('c') if is_control => return Typed::Dropped,
            KeyCode::Char('u') if is_control => self.text.clear(),
            KeyCode::Char('w') if is_control => self.drop_word(),
            KeyCode::Backspace => drop(self.text.pop()),
            KeyCode::Char(character) if !is_control => return self.insert(&character.to_string()),
            _ => return Typed::Nothing,
        }
        self.read()
    }

    /// Adds what was typed or pasted, as far as it is printable.
    pub(super) fn insert(&mut self, text: &str) -> Typed {
        let room = MOST.saturating_sub(self.text.chars().count());
        let printable = text.chars().filter(|it| is_printable(*it));
        self.text.extend(printable.take(room));
        self.read()
    }

    fn drop_word(&mut self) {
        let end = self.text.trim_end().rfind(' ').map_or(0, |at| at + 1);
        self.text.truncate(end);
    }

    fn read(&mut self) -> Typed {
        match Filter::parse(&self.text) {
            Ok(filter) => {
                self.error = None;
                Typed::Changed(filter)
            }
            Err(error) => {
                self.error = Some(error);
                Typed::Nothing
            }
        }
    }

    /// Returns the columns that the text takes.
    pub(super) fn width(&self) -> usize {
        cell::width(&self.text)
    }
}
