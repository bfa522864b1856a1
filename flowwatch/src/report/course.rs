//! The course over time: a series of buckets as bars of one length, few enough to be seen.
//!
//! From the history's buckets, which may be longer where short ones are no longer kept, to a bar for
//! each length of time in the span, also where nothing was counted.

use jiff::{SignedDuration, Timestamp};

use crate::history::{Bucket, Span, Step};

/// Bars that can be told apart on a common screen, at most.
const MAX_BARS: i64 = 130;
/// The devices that have a colour of their own; the others share one.
pub(super) const MAX_COLOURS: usize = 7;

/// Lengths of bars in seconds, which people reckon in, and the steps that they are made of.
const LENGTHS: &[(i64, Step)] = &[
    (60, Step::Minute),
    (5 * 60, Step::Minute),
    (15 * 60, Step::Minute),
    (3_600, Step::Hour),
    (3 * 3_600, Step::Hour),
    (86_400, Step::Day),
    (7 * 86_400, Step::Day),
    (28 * 86_400, Step::Day),
    (364 * 86_400, Step::Day),
];

/// Returns the step in which a span's course is to be read.
#[must_use]
pub fn step_for(span: Span) -> Step {
    length_for(span, 0).1
}

/// Returns the least length of bars, no shorter than `least` seconds, with which a span is few of
/// them.
fn length_for(span: Span, least: i64) -> (i64, Step) {
    let seconds = span.until.duration_since(span.since).as_secs();
    let fits = |(length, _): &&(i64, Step)| *length >= least && seconds / length < MAX_BARS;
    let longest = (LENGTHS[LENGTHS.len() - 1].0, Step::Day);
    LENGTHS.iter().find(fits).copied().unwrap_or(longest)
}

/// A course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// A bar's length.
    pub(super) length: SignedDuration,
    /// Devices that have a colour of their own: those with the most octets.
    pub(super) devices: Vec<String>,
    /// Whether there are others.
    pub(super) has_others: bool,
    /// The bars, without a gap.
    pub(super) bars: Vec<Bar>,
}

/// One length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// Its first moment.
    pub(super) starts_at: Timestamp,
    /// Octets from devices.
    pub(super) up: u64,
    /// Octets to devices.
    pub(super) down: u64,
    /// Octets of both directions: of each device with a colour, then of the others together.
    pub(super) parts: Vec<u64>,
}

impl Bar {
    /// Returns the octets of both directions.
    pub(super) const fn octets(&self) -> u64 {
        self.up.saturating_add(self.down)
    }
}

impl Course {
    /// Returns the course of a series; nothing without one. `ranked` are the devices, the one with
    /// the most octets first.
    pub(super) fn of(series: &[Bucket], span: Span, ranked: &[&str]) -> Option<Self> {
        let first = series.iter().map(|bucket| bucket.starts_at).min()?;
        let last = series.iter().map(|bucket| bucket.starts_at).max()?;
        let (length, _) = length_for(span, longest_step(series));
        let number = |at: Timestamp| at.as_second().div_euclid(length);
        // A bucket that begins before the span holds some of it.
        let begin = number(span.since.min(first));
        let last_moment = span.until.checked_sub(SignedDuration::from_nanos(1)).ok()?;
        let end = number(last_moment.max(last)).min(begin + 4 * MAX_BARS);
        let colours = ranked.len().min(MAX_COLOURS);
        let mut bars: Vec<_> = (begin..=end)
            .map(|number| Bar {
                starts_at: Timestamp::from_second(number * length).unwrap_or(span.since),
                up: 0,
                down: 0,
                parts: vec![0; colours + 1],
            })
            .collect();
        for bucket in series {
            let index = usize::try_from(number(bucket.starts_at) - begin).unwrap_or_default();
            let Some(bar) = bars.get_mut(index) else {
                continue;
            };
            bar.up += bucket.up.octets;
            bar.down += bucket.down.octets;
            let colour = ranked[..colours].iter().position(|it| *it == bucket.device);
            bar.parts[colour.unwrap_or(colours)] += bucket.up.octets + bucket.down.octets;
        }
        Some(Self {
            length: SignedDuration::from_secs(length),
            devices: ranked[..colours].iter().map(ToString::to_string).collect(),
            has_others: bars.iter().any(|bar| bar.parts[colours] > 0),
            bars,
        })
    }
}

/// Returns how long the buckets are, in seconds, by where they begin: those that all begin with an
/// hour are of hours, as minutes are no longer kept.
fn longest_step(series: &[Bucket]) -> i64 {
    let all_begin_with = |step: &Step| {
        let seconds = step.seconds();
        series
            .iter()
            .all(|it| it.starts_at.as_second() % seconds == 0)
    };
    let steps = [Step::Day, Step::Hour];
    let coarse = steps.into_iter().find(all_begin_with);
    coarse.map_or(0, Step::seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Traffic;

    fn span(since: &str, until: &str) -> Span {
        Span {
            since: since.parse().unwrap(),
            until: until.parse().unwrap(),
        }
    }

    fn bucket(starts_at: &str, device: &str, up: u64, down: u64) -> Bucket {
        let traffic = |octets| Traffic { packets: 1, octets };
        Bucket {
            starts_at: starts_at.parse().unwrap(),
            device: device.to_owned(),
            up: traffic(up),
            down: traffic(down),
        }
    }

    #[test]
    fn the_step_follows_the_span() {
        let check = |until: &str, expected| {
            assert_eq!(
                step_for(span("2026-01-01T00:00:00Z", until)),
                expected,
                "{until}"
            );
        };
        check("2026-01-01T01:00:00Z", Step::Minute);
        check("2026-01-02T00:00:00Z", Step::Minute);
        check("2026-01-05T00:00:00Z", Step::Hour);
        check("2026-01-15T00:00:00Z", Step::Hour);
        check("2026-03-01T00:00:00Z", Step::Day);
        check("2036-01-01T00:00:00Z", Step::Day);
    }

    #[test]
    fn every_octet_of_the_series_is_in_a_bar_and_gaps_are_bars_of_nothing() {
        let series = [
            bucket("2026-01-01T00:07:00Z", "tv", 10, 1),
            bucket("2026-01-01T00:14:00Z", "camera", 20, 2),
            bucket("2026-01-01T23:59:00Z", "camera", 40, 4),
        ];
        let day = span("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let course = Course::of(&series, day, &["camera", "tv"]).unwrap();
        assert_eq!(course.length, SignedDuration::from_mins(15));
        assert_eq!(course.bars.len(), 96);
        assert_eq!((course.bars[0].up, course.bars[0].down), (30, 3));
        assert_eq!(course.bars[0].parts, [22, 11, 0]);
        assert_eq!(course.bars[95].parts, [44, 0, 0]);
        assert!(course.bars[1..95].iter().all(|bar| bar.octets() == 0));
        assert!(!course.has_others);
    }

    #[test]
    fn devices_beyond_the_colours_are_together() {
        let names: Vec<_> = (0..9).map(|number| format!("d{number}")).collect();
        let series: Vec<_> = names
            .iter()
            .map(|name| bucket("2026-01-01T00:00:30Z", name, 1, 0))
            .collect();
        let ranked: Vec<_> = names.iter().map(String::as_str).collect();
        let hour = span("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
        let course = Course::of(&series, hour, &ranked).unwrap();
        assert_eq!(course.bars[0].parts, [1, 1, 1, 1, 1, 1, 1, 2]);
        assert!(course.has_others);
    }

    #[test]
    fn where_minutes_are_not_kept_any_more_bars_are_as_long_as_hours() {
        let series = [
            bucket("2026-01-01T03:00:00Z", "tv", 10, 1),
            bucket("2026-01-01T05:00:00Z", "tv", 10, 1),
        ];
        let day = span("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let course = Course::of(&series, day, &["tv"]).unwrap();
        assert_eq!(
            (course.length, course.bars.len()),
            (SignedDuration::from_hours(1), 24)
        );
    }

    #[test]
    fn a_span_of_all_time_is_few_bars() {
        let all = Span {
            since: Timestamp::MIN,
            until: Timestamp::MAX,
        };
        let series = [bucket("2026-01-01T00:00:00Z", "tv", 10, 1)];
        assert!(Course::of(&series, all, &["tv"]).is_none_or(|course| course.bars.len() < 600));
    }
}
