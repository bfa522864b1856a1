//! What a text is shown on.
//!
//! Read from the environment once; told to the formats that lay text out.

use std::{env, io::IsTerminal};

/// Whether text may carry colour and weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Styling {
    /// Characters only.
    Plain,
    /// ANSI colours.
    Coloured,
}

/// What a text is shown on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// Its width in columns; none for a file or a pipe, where a line may be as long as it needs.
    pub columns: Option<usize>,
    /// Whether it shows colours.
    pub styling: Styling,
}

impl Surface {
    /// A file or a pipe.
    pub const PLAIN: Self = Self {
        columns: None,
        styling: Styling::Plain,
    };

    /// Returns what standard output is: a terminal of some width, a pipe or a file. `COLUMNS`
    /// overrides the width; `NO_COLOR` (<https://no-color.org>) and `TERM=dumb` forbid colours.
    #[must_use]
    pub fn of_stdout() -> Self {
        let columns = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let columns = columns.filter(|&columns| columns > 0);
        if !std::io::stdout().is_terminal() {
            return Self {
                columns,
                ..Self::PLAIN
            };
        }
        let columns = columns
            .or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)));
        let has_colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let styling = if has_colour {
            Styling::Coloured
        } else {
            Styling::Plain
        };
        Self {
            columns: columns.or(Some(80)),
            styling,
        }
    }
}
