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
