//! One field of one record, before any format.
//!
//! Made by the getters of `FIELDS`; written by every format.

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;

/// Decimals of a second in every time that is written: milliseconds.
pub const TIME_DECIMALS: usize = 3;

/// A field's value. Texts are as they were observed: a writer escapes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value<'record> {
    /// Unknown.
    Null,
    /// A word, or a text that may come from strangers.
    Text(Cow<'record, str>),
    /// A number; its unit is the field's.
    Number(u64),
    /// A moment; written in RFC 3339, UTC, with milliseconds.
    Time(Timestamp),
    /// An IP address; IPv6 is written as RFC 5952 has it.
    Address(IpAddr),
    /// Several, joined with `|` in text.
    Addresses(&'record [IpAddr]),
    /// Yes or no: `true` or `false`.
    Flag(bool),
    /// A part of a whole: a number from 0 to 1 with four decimals; 0 of nothing.
    Share {
        /// The part.
        part: u64,
        /// The whole.
        whole: u64,
    },
}

impl<'record> Value<'record> {
    /// Returns the text, or `Null` where there is none; an empty text counts as none.
    #[must_use]
    pub fn of_text(text: Option<&'record str>) -> Self {
        match text {
            Some(text) if !text.is_empty() => Self::Text(Cow::Borrowed(text)),
            _ => Self::Null,
        }
    }

    /// Returns the value as text, unescaped; unknown is empty.
    #[must_use]
    pub fn into_text(self) -> Cow<'record, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Text(text) => text,
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Time(time) => Cow::Owned(format!("{time:.TIME_DECIMALS$}")),
            Self::Address(address) => Cow::Owned(address.to_string()),
            Self::Addresses(addresses) => {
                let texts: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
                Cow::Owned(texts.join("|"))
            }
            Self::Flag(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
            Self::Share { part, whole } => Cow::Owned(format!("{:.4}", share(part, whole))),
        }
    }

    /// Returns the same value with a text of its own; several addresses as a text.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Number(number) => Value::Number(number),
            Self::Time(time) => Value::Time(time),
            Self::Address(address) => Value::Address(address),
            several @ Self::Addresses(_) => Value::Text(Cow::Owned(several.into_text().into())),
            Self::Flag(flag) => Value::Flag(flag),
            Self::Share { part, whole } => Value::Share { part, whole },
        }
    }
}

impl serde::Serialize for Value<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Time(time) => serializer.collect_str(&format_args!("{time:.TIME_DECIMALS$}")),
            Self::Address(address) => serializer.collect_str(address),
            Self::Addresses(addresses) => serializer.collect_seq(*addresses),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Share { part, whole } => serializer.serialize_f64(share(*part, *whole)),
        }
    }
}

/// Decimals of a share, as a power of ten.
const SHARE_UNIT: u64 = 10_000;

/// Returns a part of a whole, rounded to four decimals.
#[expect(
    clippy::cast_precision_loss,
    reason = "it is a number of ten thousandths"
)]
fn share(part: u64, whole: u64) -> f64 {
    let (part, whole) = (u128::from(part), u128::from(whole.max(1)));
    let units = (part * u128::from(SHARE_UNIT) + whole / 2) / whole;
    units as f64 / SHARE_UNIT as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_milliseconds_and_utc() {
        let check = |text: &str, expected| {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(Value::Time(time).into_text(), expected);
        };
        check("2026-01-02T03:04:05.678912Z", "2026-01-02T03:04:05.678Z");
        check("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z");
    }

    #[test]
    fn a_share_has_four_decimals_and_is_rounded() {
        let check = |part, whole, text, json| {
            let share = Value::Share { part, whole };
            assert_eq!(serde_json::to_string(&share).unwrap(), json);
            assert_eq!(share.into_text(), text);
        };
        check(1, 3, "0.3333", "0.3333");
        check(2, 3, "0.6667", "0.6667");
        check(u64::MAX, u64::MAX, "1.0000", "1.0");
        check(0, 0, "0.0000", "0.0");
    }

    #[test]
    fn unknown_is_empty_text_and_json_null() {
        assert_eq!(Value::of_text(Some("")), Value::Null);
        assert_eq!(Value::Null.into_text(), "");
        assert_eq!(serde_json::to_string(&Value::Null).unwrap(), "null");
    }
}
