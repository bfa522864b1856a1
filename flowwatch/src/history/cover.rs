//! Which tables' rows make up a span: as few as there are, and none twice.
//!
//! Pure: from what the file says of itself to ranges of buckets.

use std::{collections::BTreeSet, ops::Range};

use jiff::Timestamp;

use super::{Span, Step};

/// What the file holds of each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holdings {
    /// The first minute whose rows are kept; what is older is kept by the hour.
    pub(super) minutes_since: i64,
    /// The first hour whose rows are kept; what is older is kept by the day.
    pub(super) hours_since: i64,
    /// Hours whose minutes are still to be summed.
    pub(super) unsummed_hours: BTreeSet<i64>,
    /// Days whose hours are still to be summed.
    pub(super) unsummed_days: BTreeSet<i64>,
}

/// A range of buckets of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) step: Step,
    pub(super) buckets: Range<i64>,
}

impl Holdings {
    /// Returns the span widened to the borders of buckets that are kept.
    pub(super) fn widened(&self, span: Span) -> Span {
        let Span { since, until } = span;
        let floor = |step: Step, at| step.start_of(step.bucket_of(at));
        let mut wider = Span {
            since: floor(Step::Minute, since),
            until: Step::Minute.start_of(Step::Minute.bucket_from(until)),
        };
        let kept = [
            (Step::Hour, Step::Minute.start_of(self.minutes_since)),
            (Step::Day, Step::Hour.start_of(self.hours_since)),
        ];
        for (step, since) in kept {
            if wider.since < since {
                wider.since = floor(step, wider.since);
            }
            let until = step.start_of(step.bucket_from(wider.until));
            if wider.until < since || until <= since {
                wider.until = until;
            }
        }
        wider
    }

    /// Returns the ranges of buckets that make up the span, as widened, in their order; no bucket is
    /// longer than `longest` where shorter ones are kept.
    pub(super) fn cover(&self, span: Span, longest: Step) -> Vec<Piece> {
        let Span { since, until } = self.widened(span);
        let (since, until) = (minutes(since), minutes(until));
        let mut pieces = Vec::new();
        let mut at = since;
        while at < until {
            let step = Step::ALL
                .into_iter()
                .rev()
                .find(|&step| self.serves(step, at, until, longest));
            let step = step.unwrap_or(Step::Minute);
            add(&mut pieces, step, at);
            at += length(step);
        }
        pieces
    }

    /// Returns whether the step's bucket that begins at this minute is the one to take.
    fn serves(&self, step: Step, at: i64, until: i64, longest: Step) -> bool {
        let length = length(step);
        if at % length != 0 || at + length > until {
            return false;
        }
        let bucket = at / length;
        let is_only = match step {
            Step::Minute => true,
            Step::Hour => at < self.minutes_since,
            Step::Day => bucket * 24 < self.hours_since,
        };
        (step <= longest || is_only) && self.is_summed(step, bucket)
    }

    fn is_summed(&self, step: Step, bucket: i64) -> bool {
        match step {
            Step::Minute => true,
            Step::Hour => !self.unsummed_hours.contains(&bucket),
            Step::Day => {
                let hours = bucket * 24..(bucket + 1) * 24;
                !self.unsummed_days.contains(&bucket)
                    && self.unsummed_hours.range(hours).next().is_none()
            }
        }
    }
}

/// Minutes since 1970 of a border between minutes.
fn minutes(border: Timestamp) -> i64 {
    Step::Minute.bucket_of(border)
}

const fn length(step: Step) -> i64 {
    step.seconds() / Step::Minute.seconds()
}

/// Adds a bucket, to the last range where it follows on it.
fn add(pieces: &mut Vec<Piece>, step: Step, at: i64) {
    let bucket = at / length(step);
    match pieces.last_mut() {
        Some(last) if last.step == step && last.buckets.end == bucket => last.buckets.end += 1,
        _ => pieces.push(Piece {
            step,
            buckets: bucket..bucket + 1,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(since: &str, until: &str) -> Span {
        Span {
            since: since.parse().unwrap(),
            until: until.parse().unwrap(),
        }
    }

    /// Minutes are kept since noon of 2026-03-02, hours since that day's beginning; noon's hour is
    /// the one under way.
    fn holdings() -> Holdings {
        let hour = Step::Hour.bucket_of("2026-03-02T12:00:00Z".parse().unwrap());
        Holdings {
            minutes_since: hour * 60,
            hours_since: hour - 12,
            unsummed_hours: [hour].into(),
            unsummed_days: [hour / 24].into(),
        }
    }

    /// Compares a cover with its pieces, as step, first moment and moment behind the last.
    fn check(span: Span, longest: Step, expected: &[(Step, &str, &str)]) {
        let cover = holdings().cover(span, longest);
        let told: Vec<_> = cover
            .iter()
            .map(|piece| {
                let start = |bucket| piece.step.start_of(bucket).to_string();
                (
                    piece.step,
                    start(piece.buckets.start),
                    start(piece.buckets.end),
                )
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(step, since, until)| (step, since.to_owned(), until.to_owned()))
            .collect();
        assert_eq!(told, expected, "{span:?} {longest:?}");
    }

    #[test]
    fn long_buckets_are_taken_where_they_fit_and_short_ones_at_the_ends() {
        check(
            span("2026-02-27T00:00:00Z", "2026-03-02T12:03:20Z"),
            Step::Day,
            &[
                (Step::Day, "2026-02-27T00:00:00Z", "2026-03-02T00:00:00Z"),
                (Step::Hour, "2026-03-02T00:00:00Z", "2026-03-02T12:00:00Z"),
                (Step::Minute, "2026-03-02T12:00:00Z", "2026-03-02T12:04:00Z"),
            ],
        );
    }

    #[test]
    fn a_span_is_widened_to_what_is_kept() {
        check(
            span("2026-03-01T23:10:00Z", "2026-03-02T01:10:00Z"),
            Step::Day,
            &[
                (Step::Day, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
                (Step::Hour, "2026-03-02T00:00:00Z", "2026-03-02T02:00:00Z"),
            ],
        );
        check(
            span("2026-03-01T07:10:00Z", "2026-03-01T07:11:00Z"),
            Step::Day,
            &[(Step::Day, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")],
        );
    }

    #[test]
    fn no_bucket_is_longer_than_asked_for_while_shorter_ones_are_kept() {
        check(
            span("2026-03-01T00:00:00Z", "2026-03-02T11:00:00Z"),
            Step::Hour,
            &[
                (Step::Day, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
                (Step::Hour, "2026-03-02T00:00:00Z", "2026-03-02T11:00:00Z"),
            ],
        );
        check(
            span("2026-03-02T12:00:00Z", "2026-03-02T14:00:00Z"),
            Step::Minute,
            &[(Step::Minute, "2026-03-02T12:00:00Z", "2026-03-02T14:00:00Z")],
        );
    }

    #[test]
    fn an_empty_span_is_made_of_nothing() {
        check(
            span("2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z"),
            Step::Day,
            &[],
        );
        check(
            span("2026-03-02T12:00:00Z", "2026-03-01T12:00:00Z"),
            Step::Day,
            &[],
        );
    }
}
