//! Numbers for people: exact with thousands separators, and cut in binary units.
//!
//! Only formats for people use them; machines get plain digits.

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Returns the number with a comma between groups of three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns octets in a binary unit, cut to hundredths, such as `1.18 MiB`; below one KiB, nothing.
#[must_use]
pub fn in_binary_units(octets: u64) -> Option<String> {
    let mut rest = octets;
    let mut fraction = 0;
    let mut unit = None;
    for name in UNITS {
        if rest < 1024 {
            break;
        }
        fraction = rest % 1024;
        rest /= 1024;
        unit = Some(name);
    }
    // Cut, not rounded, so that 1,048,575 octets never read as a whole MiB.
    unit.map(|unit| format!("{rest}.{:02} {unit}", fraction * 100 / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_three_digits() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn binary_units_are_cut() {
        let check = |octets, expected: Option<&str>| {
            assert_eq!(in_binary_units(octets).as_deref(), expected);
        };
        check(1_023, None);
        check(1_024, Some("1.00 KiB"));
        check(1_536, Some("1.50 KiB"));
        check(1_048_575, Some("1023.99 KiB"));
        check(1_258_291, Some("1.19 MiB"));
        check(u64::MAX, Some("15.99 EiB"));
    }
}
