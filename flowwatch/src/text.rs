//! The one sanitiser: untrusted text made safe to show.
//!
//! Names, organisations and messages come from strangers; before a terminal, CSV, Markdown or a
//! log sees them, whatever does not print as itself is written as an escape. JSON has escapes of
//! its own and keeps the text exact.

use std::borrow::Cow;

/// Characters that Unicode calls printable but that take no visible room: fillers, joiners and
/// variation selectors.
const INVISIBLE: &[(char, char)] = &[
    ('\u{34f}', '\u{34f}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{e0100}', '\u{e01ef}'),
];

/// Returns the text with control, bidirectional, invisible and other non-printable characters as
/// `\xNN` (ASCII) or `\u{…}`; line ends are among them, so the result is one line.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_plain(text) || text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_printable(character) {
            escaped.push(character);
        } else {
            escaped += &escape_of(character);
        }
    }
    Cow::Owned(escaped)
}

/// Returns whether the text is nothing but printable ASCII, as most are: told several octets at once.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let octets = text.as_bytes().iter();
    octets.fold(true, |is_plain, octet| {
        is_plain & matches!(octet, 0x20..=0x7e)
    })
}

fn escape_of(character: char) -> String {
    match u32::from(character) {
        code @ ..=0x7f => format!("\\x{code:02x}"),
        code => format!("\\u{{{code:x}}}"),
    }
}

/// Returns whether a terminal shows the character as itself and nothing more.
#[must_use]
pub fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    if INVISIBLE
        .iter()
        .any(|&(first, last)| (first..=last).contains(&character))
    {
        return false;
    }
    // The standard library's table knows controls, formats, separators, private and unassigned
    // characters. Behind a letter, so that it leaves combining marks alone: Thai and Hindi need
    // them.
    let mut octets = [b'a', 0, 0, 0, 0];
    let length = 1 + character.encode_utf8(&mut octets[1..]).len();
    std::str::from_utf8(&octets[..length])
        .is_ok_and(|pair| pair.escape_debug().nth(1) == Some(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(printable(text), expected);
    }

    #[test]
    fn printable_text_stays_as_it_is() {
        for text in [
            "wyze-iot.s3.amazonaws.com",
            "Telefónica \"S\\A\"",
            "杭州",
            "กรุงเทพฯ",
            "दिल्ली",
        ] {
            assert!(
                matches!(printable(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn terminal_controls_are_escaped() {
        check("\u{1b}[2Jevil", "\\x1b[2Jevil");
        check("a\r\nb\tc\0\x7f", "a\\x0d\\x0ab\\x09c\\x00\\x7f");
        check("\u{9b}31m", "\\u{9b}31m");
    }

    #[test]
    fn what_reorders_or_hides_text_is_escaped() {
        check("gnp.\u{202e}exe", "gnp.\\u{202e}exe");
        check("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}");
        check("\u{2066}x\u{2069}\u{61c}", "\\u{2066}x\\u{2069}\\u{61c}");
        check(
            "\u{2028}\u{ad}\u{e0041}\u{fe0f}\u{3164}",
            "\\u{2028}\\u{ad}\\u{e0041}\\u{fe0f}\\u{3164}",
        );
        check("a\u{a0}b\u{e000}", "a\\u{a0}b\\u{e000}");
    }
}
