//! Times as captures carry them: seconds and a part of one, or a count of units since 1970.

use jiff::Timestamp;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Returns the time that is so many seconds and nanoseconds after 1970; a part that is more than a
/// second counts all the same. What no calendar has is the last time that one has.
pub(super) fn timestamp(seconds: i64, nanoseconds: u64) -> Timestamp {
    let seconds = seconds.saturating_add((nanoseconds / SECOND).cast_signed());
    let nanoseconds = (nanoseconds % SECOND) as i32;
    let latest = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::new(seconds, nanoseconds).unwrap_or(latest)
}

/// What an interface of a pcapng counts time in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Units in a second.
    units: u64,
    /// Nanoseconds that each is, where it is a whole number of them.
    nanoseconds: Option<u64>,
    /// Seconds that are added.
    offset: i64,
}

impl Clock {
    /// Microseconds since 1970, the default.
    pub(super) const MICROSECONDS: Self = Self {
        units: 1_000_000,
        nanoseconds: Some(1_000),
        offset: 0,
    };

    /// Makes the clock of the options `if_tsresol` and `if_tsoffset` (draft-ietf-opsawg-pcapng
    /// §4.2): a power of ten or, with the highest bit set, of two. Units finer than 64 bits can
    /// count in a second are no clock's, and are taken for the default, microseconds.
    pub(super) fn new(resolution: u8, offset: i64) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let units = if resolution & 0x80 == 0 {
            10_u64.checked_pow(exponent)
        } else {
            1_u64.checked_shl(exponent)
        };
        let units = units.unwrap_or(Self::MICROSECONDS.units);
        Self {
            units,
            nanoseconds: SECOND.is_multiple_of(units).then(|| SECOND / units),
            offset,
        }
    }

    /// Returns the time of a count of units.
    pub(super) fn time_of(self, count: u64) -> Timestamp {
        let (seconds, rest) = (count / self.units, count % self.units);
        let nanoseconds = match self.nanoseconds {
            Some(nanoseconds) => rest * nanoseconds,
            None => (u128::from(rest) * u128::from(SECOND) / u128::from(self.units)) as u64,
        };
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        timestamp(seconds.saturating_add(self.offset), nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(clock: Clock, count: u64, expected: &str) {
        assert_eq!(clock.time_of(count), expected.parse().unwrap());
    }

    #[test]
    fn a_count_is_of_the_interfaces_units() {
        // draft-ietf-opsawg-pcapng §4.6: 97 c3 04 00 aa 47 ca 64.
        let count = 0x0004_c397_64ca_47aa;
        check(Clock::MICROSECONDS, count, "2012-06-29T07:28:25.298858Z");
        assert_eq!(Clock::new(6, 0), Clock::MICROSECONDS);
        check(Clock::new(0, 0), 1_000, "1970-01-01T00:16:40Z");
        check(Clock::new(3, 0), 1_001, "1970-01-01T00:00:01.001Z");
        check(
            Clock::new(9, 0),
            1_500_000_001,
            "1970-01-01T00:00:01.500000001Z",
        );
        check(
            Clock::new(12, 0),
            1_500_000_001_999,
            "1970-01-01T00:00:01.500000001Z",
        );
        check(Clock::new(0x80 | 1, 0), 3, "1970-01-01T00:00:01.5Z");
        check(Clock::new(0x80 | 63, 0), 1 << 62, "1970-01-01T00:00:00.5Z");
        check(Clock::new(6, -3_600), 3_600_000_000, "1970-01-01T00:00:00Z");
    }

    #[test]
    fn absurd_units_and_times_are_times_all_the_same() {
        assert_eq!(Clock::new(20, 0), Clock::MICROSECONDS);
        assert_eq!(Clock::new(0xff, 0), Clock::MICROSECONDS);
        assert_eq!(Clock::new(0, 0).time_of(u64::MAX), Timestamp::MAX);
        assert_eq!(Clock::new(0, i64::MAX).time_of(u64::MAX), Timestamp::MAX);
        assert_eq!(Clock::new(0, i64::MIN).time_of(0), Timestamp::MIN);
        assert_eq!(timestamp(-1, 0), "1969-12-31T23:59:59Z".parse().unwrap());
        let late = timestamp(i64::from(u32::MAX), u64::from(u32::MAX) * 1_000);
        assert_eq!(late, "2106-02-07T07:39:49.967295Z".parse().unwrap());
    }
}
