//! The keys: the one list from which they are read, helped and documented.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Previous,
    Next,
    PageUp,
    PageDown,
    First,
    Last,
    OtherPane,
    Open,
    Back,
    Filter,
    NextColumn,
    PreviousColumn,
    Reverse,
    Group,
    Pause,
    Faster,
    Slower,
    ExportCsv,
    ExportJson,
    Help,
    Warnings,
    Redraw,
    Suspend,
    Quit,
}

/// A key, or several that do the same.
pub(super) struct KeyEntry {
    /// What it is called in help.
    pub(super) shown: &'static str,
    pub(super) description: &'static str,
    pub(super) action: Action,
    keys: &'static [(KeyCode, KeyModifiers)],
}

const fn plain(code: KeyCode) -> (KeyCode, KeyModifiers) {
    (code, KeyModifiers::NONE)
}

const fn letter(letter: char) -> (KeyCode, KeyModifiers) {
    plain(KeyCode::Char(letter))
}

const fn control(letter: char) -> (KeyCode, KeyModifiers) {
    (KeyCode::Char(letter), KeyModifiers::CONTROL)
}

const fn key(
    shown: &'static str,
    description: &'static str,
    action: Action,
    keys: &'static [(KeyCode, KeyModifiers)],
) -> KeyEntry {
    KeyEntry {
        shown,
        description,
        action,
        keys,
    }
}

/// The keys, in the order of help.
pub(super) const KEYS: &[KeyEntry] = &[
    key(
        "Up, k",
        "the line above",
        Action::Previous,
        &[plain(KeyCode::Up), letter('k')],
    ),
    key(
        "Down, j",
        "the line below",
        Action::Next,
        &[plain(KeyCode::Down), letter('j')],
    ),
    key(
        "PgUp",
        "a page up",
        Action::PageUp,
        &[plain(KeyCode::PageUp), control('b')],
    ),
    key(
        "PgDn",
        "a page down",
        Action::PageDown,
        &[plain(KeyCode::PageDown), control('f')],
    ),
    key(
        "Home",
        "the first line",
        Action::First,
        &[plain(KeyCode::Home)],
    ),
    key(
        "End, G",
        "the last line",
        Action::Last,
        &[plain(KeyCode::End), letter('G')],
    ),
    key(
        "Tab",
        "from devices to destinations and back",
        Action::OtherPane,
        &[plain(KeyCode::Tab), plain(KeyCode::BackTab)],
    ),
    key(
        "Enter",
        "a destination's details; a group's destinations",
        Action::Open,
        &[plain(KeyCode::Enter)],
    ),
    key(
        "Esc",
        "back; where there is nothing to leave, without filter",
        Action::Back,
        &[plain(KeyCode::Esc)],
    ),
    key(
        "/",
        "filter by typing; Enter keeps it, Esc drops it",
        Action::Filter,
        &[letter('/')],
    ),
    key(
        "s, Right",
        "sort by the next column",
        Action::NextColumn,
        &[letter('s'), plain(KeyCode::Right)],
    ),
    key(
        "S, Left",
        "sort by the column before",
        Action::PreviousColumn,
        &[letter('S'), plain(KeyCode::Left)],
    ),
    key("r", "turn the order round", Action::Reverse, &[letter('r')]),
    key(
        "g",
        "group by name, organization, country, or not",
        Action::Group,
        &[letter('g')],
    ),
    key(
        "Space, p",
        "pause and go on; a capture stands still meanwhile",
        Action::Pause,
        &[letter(' '), letter('p')],
    ),
    key(
        "+",
        "play a capture at twice the speed",
        Action::Faster,
        &[letter('+'), letter('=')],
    ),
    key(
        "-",
        "play a capture at half the speed",
        Action::Slower,
        &[letter('-')],
    ),
    key(
        "e",
        "write what is shown to a new CSV file",
        Action::ExportCsv,
        &[letter('e')],
    ),
    key(
        "E",
        "write it to a new JSON file",
        Action::ExportJson,
        &[letter('E')],
    ),
    key(
        "w",
        "what may keep traffic from being seen",
        Action::Warnings,
        &[letter('w')],
    ),
    key(
        "?, F1",
        "this help",
        Action::Help,
        &[letter('?'), letter('h'), plain(KeyCode::F(1))],
    ),
    key(
        "Ctrl-L",
        "draw everything anew",
        Action::Redraw,
        &[control('l')],
    ),
    key(
        "Ctrl-Z",
        "to the shell; `fg` comes back",
        Action::Suspend,
        &[control('z')],
    ),
    key(
        "q, Ctrl-C",
        "quit",
        Action::Quit,
        &[letter('q'), control('c')],
    ),
];

/// Returns what a key does, if it does something.
pub(super) fn action_of(event: KeyEvent) -> Option<Action> {
    // A capital letter is one already, whether or not the terminal tells of the Shift key.
    let modifiers = event.modifiers - KeyModifiers::SHIFT;
    let pressed = (event.code, modifiers);
    let entry = KEYS.iter().find(|entry| entry.keys.contains(&pressed));
    entry.map(|entry| entry.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let mut seen = Vec::new();
        for pressed in KEYS.iter().flat_map(|entry| entry.keys) {
            assert!(!seen.contains(pressed), "{pressed:?}");
            seen.push(*pressed);
        }
    }

    #[test]
    fn capital_letters_are_read_with_and_without_shift() {
        let check = |modifiers, code, expected| {
            assert_eq!(action_of(KeyEvent::new(code, modifiers)), expected);
        };
        let capital = KeyCode::Char('S');
        check(KeyModifiers::SHIFT, capital, Some(Action::PreviousColumn));
        check(KeyModifiers::NONE, capital, Some(Action::PreviousColumn));
        check(
            KeyModifiers::SHIFT,
            KeyCode::BackTab,
            Some(Action::OtherPane),
        );
        check(
            KeyModifiers::CONTROL,
            KeyCode::Char('c'),
            Some(Action::Quit),
        );
        check(KeyModifiers::NONE, KeyCode::Char('c'), None);
        check(KeyModifiers::ALT, KeyCode::Char('q'), None);
    }
}
