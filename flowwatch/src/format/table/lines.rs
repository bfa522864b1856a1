//! Text in columns: its width on a terminal, padding, wrapping and weight.
//!
//! Widths are those of Unicode (UAX #11): a name may be Chinese. The text is already printable.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::format::Styling;

/// How a text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Style {
    /// It does not.
    Plain,
    /// A heading.
    Heading,
    /// Something to look at.
    Finding,
    /// Something that must not be overlooked.
    Warning,
    /// Something that isn't there any more.
    Gone,
    /// Something that wasn't there before.
    New,
}

impl Style {
    /// Returns the text with the style's colours, where there may be any.
    pub(in crate::format) fn paint(self, text: &str, styling: Styling) -> String {
        let code = match (styling, self) {
            (Styling::Plain, _) | (_, Self::Plain) => return text.to_owned(),
            (Styling::Coloured, Self::Heading) => "1",
            (Styling::Coloured, Self::Finding) => "33",
            (Styling::Coloured, Self::Warning) => "1;31",
            (Styling::Coloured, Self::Gone) => "31",
            (Styling::Coloured, Self::New) => "32",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Which side of its column a text is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// Returns the columns that a text takes.
pub(in crate::format) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Returns the text filled up with spaces to a width.
pub(in crate::format) fn padded(text: &str, columns: usize, align: Align) -> String {
    let spaces = " ".repeat(columns.saturating_sub(width(text)));
    match align {
        Align::Left => format!("{text}{spaces}"),
        Align::Right => format!("{spaces}{text}"),
    }
}

/// Returns the text's lines, broken at spaces; a word that is wider than a line stays whole, as it
/// may be an address.
pub(in crate::format) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Returns the text's pieces of at most this width, broken anywhere: for names, which can be 255
/// octets without a space.
pub(in crate::format) fn chopped(text: &str, columns: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide > columns && used > 0 {
            pieces.push(String::new());
            used = 0;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
        used += wide;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wider_than_the_line_stay_whole() {
        assert_eq!(
            wrapped("a 2001:db8::1234 b c", 5),
            ["a", "2001:db8::1234", "b c"]
        );
        assert_eq!(
            wrapped("Hangzhou Alibaba Co.", 16),
            ["Hangzhou Alibaba", "Co."]
        );
    }

    #[test]
    fn chinese_takes_two_columns_a_character() {
        assert_eq!(width("杭州"), 4);
        assert_eq!(padded("杭州", 6, Align::Right), "  杭州");
        assert_eq!(chopped("杭州a", 3), ["杭", "州a"]);
    }
}
