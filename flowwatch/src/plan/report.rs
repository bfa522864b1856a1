//! What a report is to tell: where from, of when and whom, and in which form.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::{
    DEFAULT_HISTORY, DeviceChoice, PlanError, ReplayPlan, Settings, ValueError, unknown_word,
};
use crate::format::{FORMATS, FormatEntry, format_of};
use crate::grouping::Grouping;
use crate::history::Span;
use crate::when::{WhenError, moment};

/// The length of a span whose beginning is not said: a day.
const DEFAULT_LENGTH: SignedDuration = SignedDuration::from_hours(24);

/// The form that only reports have: its name, and what it is, for help.
pub const PAGE: (&str, &str) = ("html", "one page with a map of the world; it loads nothing");

/// The form of a report.
#[derive(Clone, Copy, Debug)]
pub enum ReportForm {
    /// One of the formats of every command; `markdown` is a report to read.
    Listed(&'static FormatEntry),
    /// A page for browsers.
    Page,
}

/// Returns the form of a name: a format's, or `html`.
///
/// # Errors
/// `Word`.
pub fn parse_form(word: &str) -> Result<ReportForm, ValueError> {
    if word == PAGE.0 {
        return Ok(ReportForm::Page);
    }
    let known = FORMATS.iter().map(|format| format.name);
    format_of(word)
        .map(ReportForm::Listed)
        .ok_or_else(|| unknown_word(word, known.chain([PAGE.0])))
}

/// Where a report's counts are from.
#[derive(Clone, Debug)]
pub enum ReportSource {
    /// A span of a history.
    History(PathBuf, Span),
    /// A whole capture.
    Capture(Box<ReplayPlan>),
}

/// What one command line says of a report; unset is not said.
#[derive(Clone, Debug, Default)]
pub struct ReportWish {
    /// The history's file.
    pub history: Option<PathBuf>,
    /// A capture in its place.
    pub capture: Option<PathBuf>,
    /// When it begins.
    pub since: Option<String>,
    /// When it ends.
    pub until: Option<String>,
    /// What flows are put together by.
    pub by: Option<&'static Grouping>,
    /// The devices to tell of.
    pub devices: Vec<DeviceChoice>,
    /// The form.
    pub form: Option<ReportForm>,
}

/// What a report is to tell, complete and valid.
#[derive(Clone, Debug)]
pub struct ReportPlan {
    /// Where its counts are from.
    pub source: ReportSource,
    /// What flows are put together by; without it, they are told one by one.
    pub by: Option<&'static Grouping>,
    /// The devices to tell of; all, where there is none.
    pub devices: Vec<DeviceChoice>,
    /// The form.
    pub form: ReportForm,
    /// The output's file; without it, standard output.
    pub output: Option<PathBuf>,
}

impl ReportPlan {
    /// Makes the plan of a wish, and of settings that say where the history is, how a capture's
    /// devices are tagged and placed, and where to write.
    ///
    /// # Errors
    /// Those of a span and of a replay.
    pub fn new(wish: ReportWish, settings: Settings, now: Timestamp) -> Result<Self, PlanError> {
        let output = settings.output.clone();
        let source = if let Some(capture) = wish.capture {
            let plan = ReplayPlan::new(capture, DeviceChoice::tags(&wish.devices), settings)?;
            ReportSource::Capture(Box::new(plan))
        } else {
            let history = wish.history.or(settings.history.file);
            let history = history.unwrap_or_else(|| DEFAULT_HISTORY.into());
            let span = span(wish.since.as_deref(), wish.until.as_deref(), now)?;
            ReportSource::History(history, span)
        };
        Ok(Self {
            source,
            by: wish.by,
            devices: wish.devices,
            form: wish.form.unwrap_or(ReportForm::Listed(&FORMATS[0])),
            output,
        })
    }
}

/// Returns the span that two texts say, as far as they are there: up to now, and of one day.
fn span(since: Option<&str>, until: Option<&str>, now: Timestamp) -> Result<Span, WhenError> {
    let read = |text: Option<&str>| text.map(|text| moment(text, now)).transpose();
    let until = read(until)?.unwrap_or(now);
    let day_before = until.checked_sub(DEFAULT_LENGTH).unwrap_or(Timestamp::MIN);
    let since = read(since)?.unwrap_or(day_before);
    if since >= until {
        return Err(WhenError::Order(format!("{since}..{until}")));
    }
    Ok(Span { since, until })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-25T08:30:00Z";

    fn planned(wish: ReportWish, settings: Settings) -> Result<ReportPlan, String> {
        let now = NOW.parse().unwrap();
        ReportPlan::new(wish, settings, now).map_err(|error| error.to_string())
    }

    fn check(since: Option<&str>, until: Option<&str>, expected: (&str, &str)) {
        let wish = ReportWish {
            since: since.map(str::to_owned),
            until: until.map(str::to_owned),
            ..ReportWish::default()
        };
        let plan = planned(wish, Settings::default()).unwrap();
        let ReportSource::History(path, span) = plan.source else {
            panic!("not a history")
        };
        assert_eq!(path, PathBuf::from(DEFAULT_HISTORY));
        let told = (span.since.to_string(), span.until.to_string());
        assert_eq!((&*told.0, &*told.1), expected);
    }

    #[test]
    fn the_span_is_the_last_day_unless_it_is_said() {
        let now = NOW;
        check(None, None, ("2026-11-24T08:30:00Z", now));
        check(Some("7d"), None, ("2026-11-18T08:30:00Z", now));
        let yesterday = ("2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z");
        check(Some("yesterday"), Some("today"), yesterday);
        check(None, Some("today"), yesterday);
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_none() {
        let wish = ReportWish {
            since: Some("today".to_owned()),
            until: Some("yesterday".to_owned()),
            ..ReportWish::default()
        };
        let error = planned(wish, Settings::default()).unwrap_err();
        let expected = "the span `2026-11-25T00:00:00Z..2026-11-24T00:00:00Z` ends before it \
                        begins; write the earlier moment first";
        assert_eq!(error, expected);
    }

    #[test]
    fn the_history_is_the_wished_one_or_the_settings_or_the_services() {
        let path = |wish: Option<&str>| {
            let wish = ReportWish {
                history: wish.map(PathBuf::from),
                ..ReportWish::default()
            };
            let mut settings = Settings::default();
            settings.history.file = Some("file.db".into());
            match planned(wish, settings).unwrap().source {
                ReportSource::History(path, _) => path,
                ReportSource::Capture(_) => panic!("a capture"),
            }
        };
        assert_eq!(path(Some("wish.db")), PathBuf::from("wish.db"));
        assert_eq!(path(None), PathBuf::from("file.db"));
    }

    #[test]
    fn forms_are_the_formats_and_the_page() {
        assert!(matches!(parse_form("html"), Ok(ReportForm::Page)));
        for format in FORMATS {
            let form = parse_form(format.name).unwrap();
            assert!(matches!(form, ReportForm::Listed(it) if it.name == format.name));
        }
        assert!(
            parse_form("xml")
                .unwrap_err()
                .to_string()
                .ends_with("markdown, html")
        );
    }
}
