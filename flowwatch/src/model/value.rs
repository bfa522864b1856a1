//! One field of one record, before any format.
//!
//! Made by the getters of `FIELDS`; written by every format.

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;

/// Decimals of a second in every time that is written: milliseconds.
pub const TIME_DECIMALS: usize = 3;

/// A field's value. Texts are as they were observed: a writer escapes them.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        }
    }
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
    fn unknown_is_empty_text_and_json_null() {
        assert_eq!(Value::of_text(Some("")), Value::Null);
        assert_eq!(Value::Null.into_text(), "");
        assert_eq!(serde_json::to_string(&Value::Null).unwrap(), "null");
    }
}
