//! The values of settings: from a text to what it says, or to why it says nothing.

use std::time::Duration;

use jiff::SignedDuration;

use super::{MAX_FLOW_TABLE_SIZE, MIN_INTERVAL};
use crate::format::{FORMATS, FormatEntry, format_of};

/// Why a text is not a setting's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a length of time.
    #[error("`{0}` is not a length of time; write a number with a unit: 500ms, 1s, 5m or 1h")]
    Duration(String),
    /// Not a length of time to keep something for.
    #[error("`{0}` is not a length of time; write a number with a unit: 48h, 60d or 3y")]
    Kept(String),
    /// An interval that is too short.
    #[error("an interval of {0} is too short; the least is 10ms")]
    Interval(String),
    /// A size that is out of range.
    #[error("`{0}` is not a number of flows from 1 to {MAX_FLOW_TABLE_SIZE}")]
    FlowTableSize(String),
    /// Not a speed.
    #[error("`{0}` is not a speed; write a number, such as 60 or 0.5, or max")]
    Speed(String),
    /// None of the words that a setting knows.
    #[error("`{word}` is none of {known}")]
    Word {
        /// What was given.
        word: String,
        /// What could have been, with commas.
        known: String,
    },
}

/// Returns the time between two drains that a text says.
///
/// # Errors
/// `Duration` and `Interval`.
pub fn parse_interval(text: &str) -> Result<Duration, ValueError> {
    let interval = parse_duration(text)?;
    if interval < MIN_INTERVAL {
        return Err(ValueError::Interval(text.to_owned()));
    }
    Ok(interval)
}

/// Returns the length of time that a text such as `500ms` or `1h 30m` says; more than none.
///
/// # Errors
/// `Duration`.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let length = text.trim().parse::<SignedDuration>().ok();
    let length = length.and_then(|length| Duration::try_from(length).ok());
    length
        .filter(|length| !length.is_zero())
        .ok_or_else(|| ValueError::Duration(text.to_owned()))
}

/// Returns the number of entries of a flow table that a text says.
///
/// # Errors
/// `FlowTableSize`.
pub fn parse_flow_table_size(text: &str) -> Result<u32, ValueError> {
    let size = text
        .parse()
        .ok()
        .filter(|size| (1..=MAX_FLOW_TABLE_SIZE).contains(size));
    size.ok_or_else(|| ValueError::FlowTableSize(text.to_owned()))
}

/// Returns the format of a name.
///
/// # Errors
/// `Word`.
pub fn parse_format(word: &str) -> Result<&'static FormatEntry, ValueError> {
    format_of(word).ok_or_else(|| unknown_word(word, FORMATS.iter().map(|format| format.name)))
}

/// Returns what a word stands for in a list such as `ATTACH_MODES`.
///
/// # Errors
/// `Word`.
pub fn parse_word<T: Copy>(word: &str, words: &[(&str, T, &str)]) -> Result<T, ValueError> {
    let found = words
        .iter()
        .find(|(name, ..)| *name == word)
        .map(|&(_, value, _)| value);
    found.ok_or_else(|| unknown_word(word, words.iter().map(|&(name, ..)| name)))
}

/// Returns why a word is none of those that are known.
pub(super) fn unknown_word<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> ValueError {
    let known: Vec<_> = known.collect();
    ValueError::Word {
        word: word.to_owned(),
        known: known.join(", "),
    }
}
