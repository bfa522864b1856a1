//! Text cut to columns of a terminal, where a character may take two or none.
//!
//! Takes text that [`crate::text::printable`] made safe.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Where a text that is too long loses its characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// At its end.
    End,
    /// In its middle: names and addresses tell most at both ends.
    Middle,
}

/// Returns the columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Returns a text that takes at most so many columns, with `mark` (one column) where it was cut.
pub(super) fn fitted<'text>(
    text: &'text str,
    columns: usize,
    cut: Cut,
    mark: &str,
) -> Cow<'text, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let room = columns - 1;
    let tail = match cut {
        Cut::End => "",
        Cut::Middle => suffix(text, room / 2),
    };
    let head = prefix(text, room - tail.width());
    Cow::Owned(format!("{head}{mark}{tail}"))
}

/// Returns the longest beginning that takes at most so many columns.
fn prefix(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find_map(|(at, character)| {
        taken += character.width().unwrap_or(0);
        (taken > columns).then_some(at)
    });
    &text[..end.unwrap_or(text.len())]
}

/// Returns the longest end that takes at most so many columns and begins with no combining mark.
fn suffix(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let mut start = text.len();
    for (at, character) in text.char_indices().rev() {
        let width = character.width().unwrap_or(0);
        taken += width;
        if taken > columns {
            break;
        }
        if width > 0 {
            start = at;
        }
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, columns: usize, cut: Cut, expected: &str) {
        let fitted = fitted(text, columns, cut, "…");
        assert_eq!(fitted, expected);
        assert!(fitted.width() <= columns);
    }

    #[test]
    fn what_fits_stays_and_what_does_not_is_marked() {
        check("camera", 6, Cut::End, "camera");
        check("camera", 5, Cut::End, "came…");
        check("camera", 1, Cut::End, "…");
        check("camera", 0, Cut::End, "");
        check(
            "us-master.iotcplatform.com",
            13,
            Cut::Middle,
            "us-mas…rm.com",
        );
    }

    #[test]
    fn wide_characters_are_never_halved() {
        check("杭州阿里巴巴", 12, Cut::End, "杭州阿里巴巴");
        check("杭州阿里巴巴", 11, Cut::End, "杭州阿里巴…");
        check("杭州阿里巴巴", 10, Cut::End, "杭州阿里…");
        check("杭州阿里巴巴", 8, Cut::Middle, "杭州…巴");
    }

    #[test]
    fn combining_marks_stay_with_their_letters() {
        check("e\u{301}e\u{301}e\u{301}", 2, Cut::End, "e\u{301}…");
        check("ae\u{301}", 1, Cut::Middle, "…");
        check("abcde\u{301}", 3, Cut::Middle, "a…e\u{301}");
    }
}
