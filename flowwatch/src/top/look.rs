//! How the screen looks: colours and characters that the terminal has.
//!
//! The eight base colours, whatever the terminal has beside: those its user chose to be readable. No
//! colour tells anything that a word, a sign or the place doesn't tell, too.

use std::ffi::OsString;

use ratatui::style::{Color, Modifier, Style};

/// What stands out, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    /// What a pane or a line of text is about.
    Title,
    /// The title of the pane that takes the keys.
    Focused,
    /// Titles of columns, hints, what matters less.
    Quiet,
    /// The column that is sorted by.
    Sorted,
    Selected,
    New,
    /// A remote on the internet that goes by no name.
    Nameless,
    Good,
    Bad,
    Up,
    Down,
}

/// Characters of the screen's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glyphs {
    /// Levels of a sparkline, the lowest first.
    pub(super) levels: [&'static str; 8],
    pub(super) cut: &'static str,
    pub(super) separator: &'static str,
    pub(super) rule: &'static str,
    pub(super) descending: &'static str,
    pub(super) ascending: &'static str,
    pub(super) arrow: &'static str,
}

/// With Unicode.
const UNICODE: Glyphs = Glyphs {
    levels: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    cut: "…",
    separator: " · ",
    rule: "─",
    descending: "▼",
    ascending: "▲",
    arrow: " → ",
};

/// For terminals that have nothing but ASCII, or too small a font.
const ASCII: Glyphs = Glyphs {
    levels: [".", ":", "-", "=", "+", "*", "%", "#"],
    cut: "~",
    separator: " | ",
    rule: "-",
    descending: "v",
    ascending: "^",
    arrow: " -> ",
};

/// How the screen looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    has_colours: bool,
    pub(super) glyphs: Glyphs,
}

impl Look {
    /// Returns what an environment asks for: `NO_COLOR` (<https://no-color.org>), a locale with or
    /// without Unicode, the console of Linux, whose font has no blocks.
    pub(super) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value);
        let locale = locale.unwrap_or_default().to_string_lossy().to_lowercase();
        let has_unicode = locale.contains("utf-8") || locale.contains("utf8");
        let is_console = value("TERM").is_some_and(|term| term == "linux");
        Self {
            has_colours: value("NO_COLOR").is_none(),
            glyphs: if has_unicode && !is_console {
                UNICODE
            } else {
                ASCII
            },
        }
    }

    /// Returns the style of a role.
    pub(super) fn style(self, role: Role) -> Style {
        let style = Style::new();
        match role {
            Role::Plain => style,
            Role::Title => style.add_modifier(Modifier::BOLD),
            Role::Focused => self.coloured(style.add_modifier(Modifier::BOLD), Color::Cyan),
            Role::Quiet => style.add_modifier(Modifier::DIM),
            Role::Sorted => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Role::Selected => style.add_modifier(Modifier::REVERSED),
            Role::New | Role::Good => self.coloured(style, Color::Green),
            Role::Nameless => self.coloured(style, Color::Yellow),
            Role::Bad => self.coloured(style.add_modifier(Modifier::BOLD), Color::Red),
            Role::Up => self.coloured(style, Color::Magenta),
            Role::Down => self.coloured(style, Color::Cyan),
        }
    }

    fn coloured(self, style: Style, colour: Color) -> Style {
        if self.has_colours {
            style.fg(colour)
        } else {
            style
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)]) -> Look {
        Look::of(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn without_colours_weight_stays() {
        let plain = look(&[("NO_COLOR", "1")]);
        assert_eq!(plain.style(Role::New), Style::new());
        assert_eq!(
            plain.style(Role::Bad),
            Style::new().add_modifier(Modifier::BOLD)
        );
        let coloured = look(&[("NO_COLOR", "")]);
        assert_eq!(coloured.style(Role::New).fg, Some(Color::Green));
    }

    #[test]
    fn blocks_are_for_terminals_that_have_them() {
        let check = |variables: &[(&str, &str)], expected: Glyphs| {
            assert_eq!(look(variables).glyphs, expected, "{variables:?}");
        };
        check(&[("LANG", "en_US.UTF-8")], UNICODE);
        check(&[("LC_ALL", "C.utf8"), ("LANG", "C")], UNICODE);
        check(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], ASCII);
        check(&[("LC_ALL", ""), ("LANG", "en_US.UTF-8")], UNICODE);
        check(&[("LANG", "C.UTF-8"), ("TERM", "linux")], ASCII);
        check(&[], ASCII);
    }
}
