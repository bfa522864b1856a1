//! Spans of time, and what was counted in the buckets that they fall into.

use jiff::Timestamp;

use crate::observation::Traffic;

/// A span of time: from `since` on, up to but not including `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub since: Timestamp,
    /// The moment behind its last.
    pub until: Timestamp,
}

/// How long a bucket is. Hours and days begin where those of UTC do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
}

/// What one device sent and received in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket's first moment.
    pub starts_at: Timestamp,
    /// The device's name.
    pub device: String,
    /// From the device.
    pub up: Traffic,
    /// To the device.
    pub down: Traffic,
}

impl Step {
    /// Every step, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Returns the step's length in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Returns the step's name, which the history's tables have, too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Returns the number of the bucket that a moment falls into: steps since 1970. What is before
    /// 1970, by a clock that was never set, falls into the first.
    pub(super) fn bucket_of(self, at: Timestamp) -> i64 {
        at.as_second().max(0) / self.seconds()
    }

    /// Returns the number of the first bucket that begins at this moment or later.
    pub(super) fn bucket_from(self, at: Timestamp) -> i64 {
        let begun = self.bucket_of(at);
        begun + i64::from(self.start_of(begun) < at)
    }

    /// Returns a bucket's first moment; for one that no clock can show, the last that can be told.
    pub(super) fn start_of(self, bucket: i64) -> Timestamp {
        let second = bucket.saturating_mul(self.seconds());
        Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
    }

    /// Returns the number of the bucket of a longer step that holds a bucket of this one.
    pub(super) const fn bucket_within(self, bucket: i64, longer: Self) -> i64 {
        bucket / (longer.seconds() / self.seconds())
    }
}
