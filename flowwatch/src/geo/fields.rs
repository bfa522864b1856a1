//! The fields of a database's record: where the vendors put them, and how they write them.
//!
//! Read from `database`; put together by `databases`. [`CANDIDATES`] is the only list of the
//! vendors' words: a new vendor is a path in one of its rows.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// What one database knows of an address, in one way of writing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// ISO 3166-1 alpha-2, in capital letters.
    pub(super) country: Option<String>,
    /// What the database calls the country.
    pub(super) country_name: Option<String>,
    /// The city's English name.
    pub(super) city: Option<String>,
    /// The autonomous system's number.
    pub(super) asn: Option<u32>,
    /// The autonomous system's organisation.
    pub(super) organization: Option<String>,
}

/// A path from the record's top to a value, key by key.
type Path = &'static [&'static str];

/// Where the fields may stand, each in order of preference.
struct Candidates {
    country: &'static [Path],
    country_name: &'static [Path],
    city: &'static [Path],
    asn: &'static [Path],
    organization: &'static [Path],
}

/// Some vendors nest (`country.iso_code`), others are flat (`country_code`).
///
/// `registered_country` is left out on purpose: it says where a network was registered, and
/// flowwatch says where an address is. The organisation of the autonomous system stands before an
/// ISP's or a customer's name, so that it fits the number beside it.
const CANDIDATES: Candidates = Candidates {
    country: &[&["country", "iso_code"], &["country_code"], &["country"]],
    country_name: &[&["country", "names", "en"], &["country_name"], &["country"]],
    city: &[&["city", "names", "en"], &["city"], &["city_name"]],
    asn: &[
        &["autonomous_system_number"],
        &["traits", "autonomous_system_number"],
        &["asn"],
        &["as_number"],
    ],
    organization: &[
        &["autonomous_system_organization"],
        &["traits", "autonomous_system_organization"],
        &["as_name"],
        &["as_organization"],
        &["as_org"],
        &["organization"],
        &["traits", "organization"],
        &["isp"],
        &["traits", "isp"],
        &["org"],
        &["name"],
        &["as_domain"],
    ],
};

/// The longest path above; what lies deeper is not read.
const MAX_DEPTH: usize = 3;

impl Known {
    /// Returns what `record` knows; a value that makes no sense is unknown.
    fn from_record(record: &Value) -> Self {
        Self {
            country: first(record, CANDIDATES.country, to_country_code),
            country_name: first(record, CANDIDATES.country_name, to_country_name),
            city: first(record, CANDIDATES.city, to_text),
            asn: first(record, CANDIDATES.asn, to_asn),
            organization: first(record, CANDIDATES.organization, to_text),
        }
    }

    /// Whether it knows nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_record(
            &ValueAt { depth: 0 }.deserialize(deserializer)?,
        ))
    }
}

/// Returns the first value along `paths` that `read` makes sense of.
fn first<T>(record: &Value, paths: &[Path], read: fn(&Value) -> Option<T>) -> Option<T> {
    paths.iter().find_map(|path| read(value_at(record, path)?))
}

fn value_at<'a>(record: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(record, |value, key| match value {
        Value::Map(entries) => entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value),
        _ => None,
    })
}

/// Reads text; vendors write unknown as nothing or as a dash.
fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.trim())
            .filter(|text| !matches!(*text, "" | "-"))
            .map(str::to_owned),
        _ => None,
    }
}

/// Reads two letters; `ZZ` is ISO 3166's and CLDR's code for an unknown country.
fn to_country_code(value: &Value) -> Option<String> {
    let code = to_text(value)?.to_ascii_uppercase();
    let is_code = code.len() == 2 && code.bytes().all(|octet| octet.is_ascii_uppercase());
    (is_code && code != "ZZ").then_some(code)
}

/// Reads a name; `country` holds a name with some vendors and a code with others.
fn to_country_name(value: &Value) -> Option<String> {
    to_text(value).filter(|name| name.chars().count() > 2)
}

/// Reads a number, or text such as `AS13335` or `13335`; 0 is no system's number (RFC 7607).
fn to_asn(value: &Value) -> Option<u32> {
    let number = match value {
        Value::Number(number) => u32::try_from(*number).ok()?,
        Value::Text(text) => {
            let text = text.trim().to_ascii_uppercase();
            text.strip_prefix("AS").unwrap_or(&text).parse().ok()?
        }
        _ => return None,
    };
    Some(number).filter(|&number| number != 0)
}

/// As much of a record as the paths can reach.
#[derive(Debug, PartialEq)]
enum Value {
    Text(String),
    Number(u64),
    Map(Vec<(String, Value)>),
    Other,
}

/// Reads a value that lies `depth` keys below the record's top.
#[derive(Clone, Copy)]
struct ValueAt {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ValueAt {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        // A file may nest as deep as it likes: beyond the longest path nothing is unfolded, so a
        // record costs no more stack than an honest one.
        if self.depth > MAX_DEPTH {
            deserializer.deserialize_ignored_any(IgnoredAny)?;
            return Ok(Value::Other);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueAt {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value of the MaxMind format")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(u64::try_from(number).map_or(Value::Other, Value::Number))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if is_on_a_path(&key) {
                entries.push((
                    key,
                    map.next_value_seed(Self {
                        depth: self.depth + 1,
                    })?,
                ));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Map(entries))
    }
}

/// Whether `key` occurs in [`CANDIDATES`]; the rest of a record, most of it, is skipped.
fn is_on_a_path(key: &str) -> bool {
    let Candidates {
        country,
        country_name,
        city,
        asn,
        organization,
    } = CANDIDATES;
    [country, country_name, city, asn, organization]
        .iter()
        .any(|paths| paths.iter().any(|path| path.contains(&key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &serde_json::Value, expected: &Known) {
        let known: Known = serde_json::from_value(record.clone()).unwrap();
        assert_eq!(&known, expected, "of {record}");
    }

    fn known(country: &str, name: &str, city: &str, asn: u32, organization: &str) -> Known {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Known {
            country: text(country),
            country_name: text(name),
            city: text(city),
            asn: Some(asn).filter(|&asn| asn != 0),
            organization: text(organization),
        }
    }

    /// Records cut from the vendor's own test data (GeoIP2-City, -Enterprise, -ISP; GeoLite2-ASN).
    #[test]
    fn maxmind_s_nested_records_are_read() {
        check(
            &serde_json::json!({
                "city": {"geoname_id": 2_643_743, "names": {"de": "London", "en": "London", "fr": "Londres"}},
                "continent": {"code": "EU", "names": {"en": "Europe"}},
                "country": {"iso_code": "GB", "names": {"de": "Vereinigtes Königreich", "en": "United Kingdom"}},
                "location": {"latitude": 51.5142, "longitude": -0.0931},
                "registered_country": {"iso_code": "US", "names": {"en": "United States"}},
                "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}],
            }),
            &known("GB", "United Kingdom", "London", 0, ""),
        );
        check(
            &serde_json::json!({
                "country": {"iso_code": "US"},
                "traits": {"autonomous_system_number": 6976, "isp": "Fairpoint Communications",
                    "autonomous_system_organization": "Verizon Business"},
            }),
            &known("US", "", "", 6976, "Verizon Business"),
        );
        check(
            &serde_json::json!({"autonomous_system_number": 1221, "autonomous_system_organization": "Telstra Pty Ltd",
                "isp": "Telstra Internet", "organization": "Telstra Internet"}),
            &known("", "", "", 1221, "Telstra Pty Ltd"),
        );
        check(
            &serde_json::json!({"isp": "Telstra Internet", "organization": "Telstra"}),
            &known("", "", "", 0, "Telstra"),
        );
    }

    #[test]
    fn a_registration_is_no_place() {
        check(
            &serde_json::json!({"registered_country": {"iso_code": "US"}, "represented_country": {"iso_code": "US"}}),
            &Known::default(),
        );
    }

    #[test]
    fn flat_records_are_read() {
        // IPinfo Lite's columns as IPinfo documents them.
        check(
            &serde_json::json!({"country": "United States", "country_code": "US", "continent": "North America",
                "asn": "AS15169", "as_name": "Google LLC", "as_domain": "google.com"}),
            &known("US", "United States", "", 15169, "Google LLC"),
        );
        // IPinfo's older files: a code under `country`, a city as text.
        check(
            &serde_json::json!({"country": "kr", "city": "Incheon", "asn": 16509, "name": "Amazon.com, Inc."}),
            &known("KR", "", "Incheon", 16509, "Amazon.com, Inc."),
        );
        check(
            &serde_json::json!({"country_code": "CN"}),
            &known("CN", "", "", 0, ""),
        );
        check(
            &serde_json::json!({"as_domain": "fdcservers.net"}),
            &known("", "", "", 0, "fdcservers.net"),
        );
    }

    #[test]
    fn unknown_in_every_spelling_is_unknown() {
        check(
            &serde_json::json!({"country": {"iso_code": ""}, "country_code": "-", "city": " ",
                "asn": "", "as_name": "-", "organization": ""}),
            &Known::default(),
        );
        check(
            &serde_json::json!({"country_code": "ZZ", "asn": 0}),
            &Known::default(),
        );
        check(
            &serde_json::json!({"country_code": "U1", "asn": "ASX"}),
            &Known::default(),
        );
        check(
            &serde_json::json!({"country_code": 7, "city": [1], "asn": -1, "name": true}),
            &Known::default(),
        );
        check(&serde_json::json!("text alone"), &Known::default());
    }

    #[test]
    fn an_unknown_value_gives_way_to_the_next_path() {
        check(
            &serde_json::json!({"country": {"names": {"en": "Korea"}}, "country_code": "KR", "as_name": "", "isp": "KT"}),
            &known("KR", "Korea", "", 0, "KT"),
        );
    }

    #[test]
    fn the_depth_limit_is_the_longest_path() {
        let Candidates {
            country,
            country_name,
            city,
            asn,
            organization,
        } = CANDIDATES;
        let longest = [country, country_name, city, asn, organization]
            .iter()
            .flat_map(|paths| paths.iter().map(|path| path.len()))
            .max();
        assert_eq!(longest, Some(MAX_DEPTH));
    }
}
