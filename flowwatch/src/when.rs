//! Moments and spans as people write them: RFC 3339, dates, words, and lengths of time ago.
//!
//! From a text and the present moment to a moment. Dates, days and times without an offset are those
//! of UTC, as all times that flowwatch writes. Pure: the present is an argument.

use jiff::{Timestamp, ToSpan as _, civil::Date, civil::DateTime, tz::TimeZone};

/// The ways to write a moment, for help.
pub const MOMENTS: &str = "\
A moment is 2026-01-31 (where that day begins), 2026-01-31 12:00, a time of RFC 3339
(2026-01-31T12:00:00+01:00), today, yesterday, now, or how long ago: 90m, 12h, 7d, 2w, 3mo, 1y. What
names no time zone is UTC's, as are all times that flowwatch writes.";

/// Why a text is no moment or no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// Not a moment.
    #[error(
        "`{0}` is not a moment; write 2026-01-31, 2026-01-31T12:00:00Z, today, yesterday, now, or how \
         long ago: 7d, 12h"
    )]
    Moment(String),
    /// A span that ends before it begins.
    #[error("the span `{0}` ends before it begins; write the earlier moment first")]
    Order(String),
}

/// Returns the moment that a text says: `2026-01-31T12:00:00Z`, `2026-01-31 12:00`, `2026-01-31`
/// (where that day begins), `today`, `yesterday`, `now`, or how long ago: `90m`, `12h`, `7d`, `2w`.
///
/// # Errors
/// `Moment`.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, WhenError> {
    let text = text.trim();
    let said = word(text, now)
        .or_else(|| text.parse().ok())
        .or_else(|| civil(text))
        .or_else(|| ago(text, now));
    said.ok_or_else(|| WhenError::Moment(text.to_owned()))
}

/// Returns the two moments of a span `SINCE..UNTIL`, of which either may be left out: from the
/// beginning, or up to now and whatever is later.
///
/// # Errors
/// `Moment` and `Order`.
pub fn span(text: &str, now: Timestamp) -> Result<(Timestamp, Timestamp), WhenError> {
    let (since, until) = text
        .split_once("..")
        .ok_or_else(|| WhenError::Moment(text.to_owned()))?;
    let end = |text: &str, open: Timestamp| match text.trim() {
        "" => Ok(open),
        text => moment(text, now),
    };
    let (since, until) = (end(since, Timestamp::MIN)?, end(until, Timestamp::MAX)?);
    if since >= until {
        return Err(WhenError::Order(text.to_owned()));
    }
    Ok((since, until))
}

fn word(text: &str, now: Timestamp) -> Option<Timestamp> {
    let today = now.to_zoned(TimeZone::UTC).date();
    match text {
        "now" => Some(now),
        "today" => start_of(today),
        "yesterday" => start_of(today.checked_sub(1.day()).ok()?),
        _ => None,
    }
}

fn civil(text: &str) -> Option<Timestamp> {
    if let Ok(date) = text.parse::<Date>()
        && text.len() == "2026-01-31".len()
    {
        return start_of(date);
    }
    let time: DateTime = text.parse().ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn start_of(date: Date) -> Option<Timestamp> {
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let length: jiff::Span = text.parse().ok()?;
    // Without this, `-7d` would be a moment to come.
    if length.is_negative() || length.is_zero() || text.starts_with(['P', 'p']) {
        return None;
    }
    let now = now.to_zoned(TimeZone::UTC);
    Some(now.checked_sub(length).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday.
    const NOW: &str = "2026-03-01T10:20:30Z";

    fn check(text: &str, expected: Option<&str>) {
        let now = NOW.parse().unwrap();
        let expected = expected.map(|text| text.parse::<Timestamp>().unwrap());
        assert_eq!(moment(text, now).ok(), expected, "{text}");
    }

    #[test]
    fn a_moment_is_a_time_or_the_beginning_of_a_day() {
        check("2026-01-31T12:00:00Z", Some("2026-01-31T12:00:00Z"));
        check(
            "2026-01-31T12:00:00.5+01:00",
            Some("2026-01-31T11:00:00.5Z"),
        );
        check("2026-01-31T12:00:00", Some("2026-01-31T12:00:00Z"));
        check("2026-01-31 12:34", Some("2026-01-31T12:34:00Z"));
        check("2026-01-31", Some("2026-01-31T00:00:00Z"));
        check("now", Some(NOW));
        check("today", Some("2026-03-01T00:00:00Z"));
        check(" yesterday ", Some("2026-02-28T00:00:00Z"));
    }

    #[test]
    fn a_length_of_time_is_so_long_ago() {
        check("90m", Some("2026-03-01T08:50:30Z"));
        check("1h 30m", Some("2026-03-01T08:50:30Z"));
        check("12h", Some("2026-02-28T22:20:30Z"));
        check("7d", Some("2026-02-22T10:20:30Z"));
        check("2w", Some("2026-02-15T10:20:30Z"));
        check("3mo", Some("2025-12-01T10:20:30Z"));
        check("1y", Some("2025-03-01T10:20:30Z"));
    }

    #[test]
    fn what_help_names_is_a_moment() {
        let now = NOW.parse().unwrap();
        let words = MOMENTS.split([' ', '\n', ',', '.', '(', ')']);
        let said = words
            .filter(|word| moment(word, now).is_ok())
            .collect::<Vec<_>>();
        let expected = "2026-01-31 2026-01-31 2026-01-31T12:00:00+01:00 today yesterday now 90m 12h 7d 2w \
                        3mo 1y";
        assert_eq!(said.join(" "), expected);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "7",
            "-7d",
            "0d",
            "P7D",
            "tomorrow",
            "2026-13-01",
            "2026-02-30",
            "12:00",
            "20260131T",
            "9999999999d",
            "99999y",
            "\u{1b}[2J",
        ] {
            check(text, None);
        }
        let error = moment("7", NOW.parse().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("`7` is not a moment; write "));
    }

    #[test]
    fn a_span_may_be_open_at_either_end() {
        let now = NOW.parse().unwrap();
        let check = |text: &str, since: Timestamp, until: Timestamp| {
            assert_eq!(span(text, now), Ok((since, until)), "{text}");
        };
        let day = |text: &str| format!("{text}T00:00:00Z").parse::<Timestamp>().unwrap();
        let (first, second) = (day("2026-01-01"), day("2026-02-01"));
        check("2026-01-01..2026-02-01", first, second);
        check("2026-01-01..", first, Timestamp::MAX);
        check("..2026-02-01", Timestamp::MIN, second);
        check("..", Timestamp::MIN, Timestamp::MAX);
        let refused = |text: &str| span(text, now).unwrap_err().to_string();
        assert!(refused("today..yesterday").contains("the earlier moment first"));
        assert!(refused("today..today").contains("the earlier moment first"));
        assert!(refused("7d...1d").contains("`.1d` is not a moment"));
        assert!(refused("7d").contains("is not a moment"));
    }
}
