//! Numbers and lengths of time in few columns, for the eye; the exact ones are in the details.

use jiff::Timestamp;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Columns that [`octets`] takes at most: `1023 KiB`.
pub(super) const OCTETS_WIDTH: u16 = 8;
/// Columns that [`age`] takes at most: `999d`.
pub(super) const AGE_WIDTH: u16 = 4;

/// Returns octets in a binary unit with at least three digits where there are so many: `0 B`,
/// `1.18 MiB`, `11.8 MiB`, `1023 KiB`. Cut, not rounded.
pub(super) fn octets(octets: u64) -> String {
    let mut unit = 0;
    let mut whole = octets;
    let mut rest = 0;
    while whole >= 1024 {
        rest = whole % 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = UNITS[unit];
    match (unit, whole) {
        (0, _) | (_, 100..) => format!("{whole} {name}"),
        (_, 10..) => format!("{whole}.{} {name}", rest * 10 / 1024),
        _ => format!("{whole}.{:02} {name}", rest * 100 / 1024),
    }
}

/// Returns octets a second likewise; what is less than one is none.
pub(super) fn rate(per_second: f64) -> String {
    #[expect(
        clippy::cast_sign_loss,
        reason = "a conversion to integers saturates, at 0 too"
    )]
    octets(per_second as u64)
}

/// Returns how long ago a time is: `now`, `59s`, `59m`, `23h`, `9d`.
pub(super) fn age(of: Timestamp, at: Timestamp) -> String {
    match at.duration_since(of).as_secs() {
        ..1 => "now".to_owned(),
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ ..3600 => format!("{}m", seconds / 60),
        seconds @ ..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", (seconds / 86_400).min(999)),
    }
}

/// Returns a length of time as a clock shows it: hours, minutes, seconds.
pub(super) fn clock(from: Timestamp, to: Timestamp) -> String {
    let seconds = u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_cut_to_three_digits_and_fit_their_column() {
        let check = |number, expected: &str| {
            assert_eq!(octets(number), expected);
            assert!(expected.len() <= usize::from(OCTETS_WIDTH), "{expected}");
        };
        check(0, "0 B");
        check(1_023, "1023 B");
        check(1_024, "1.00 KiB");
        check(10_239, "9.99 KiB");
        check(102_399, "99.9 KiB");
        check(1_048_575, "1023 KiB");
        check(1_258_291, "1.19 MiB");
        check(u64::MAX, "15.9 EiB");
    }

    #[test]
    fn a_rate_that_is_no_number_is_none() {
        assert_eq!(rate(f64::NAN), "0 B");
        assert_eq!(rate(-1.0), "0 B");
        assert_eq!(rate(1_536.9), "1.50 KiB");
    }

    #[test]
    fn ages_fit_their_column() {
        let check = |seconds, expected: &str| {
            let at = Timestamp::from_second(seconds).unwrap();
            assert_eq!(age(Timestamp::UNIX_EPOCH, at), expected);
            assert!(expected.len() <= usize::from(AGE_WIDTH), "{expected}");
        };
        check(-5, "now");
        check(0, "now");
        check(59, "59s");
        check(60, "1m");
        check(3_599, "59m");
        check(86_399, "23h");
        check(86_400, "1d");
        check(99_999_999_999, "999d");
    }
}
