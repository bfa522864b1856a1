//! What the user types to see less: terms of which all must hold.
//!
//! `country:CN`, `org:amazon`, or plain text that is looked for in every text of a flow; `!` before a
//! term turns it round, quotes hold blanks together, and a key with nothing behind it finds what has
//! none: `name:` what no name was seen for. Case does not matter.

use super::flow::Flow;
use crate::model::{FlowRecord, protocol_name};

/// A key of terms.
pub(super) struct FilterKey {
    /// The word before the colon.
    pub(super) name: &'static str,
    /// What it compares, for help.
    pub(super) description: &'static str,
    /// An example, for help.
    pub(super) example: &'static str,
    holds: fn(&FlowRecord, &str) -> bool,
}

/// The keys; the only list of them.
pub(super) const FILTER_KEYS: &[FilterKey] = &[
    FilterKey {
        name: "name",
        description: "a part of one of the names",
        example: "name:iotcplatform",
        holds: |record, text| {
            let names = record.names();
            any_contains(names.iter().copied(), text)
        },
    },
    FilterKey {
        name: "device",
        description: "a part of the device's name",
        example: "device:cam",
        holds: |record, text| any_contains([&*record.device.name], text),
    },
    FilterKey {
        name: "country",
        description: "the country's code, or a part of its name",
        example: "country:CN",
        holds: |record, text| {
            let place = &record.place;
            let is_code = place.country.as_deref();
            is_code.is_some_and(|code| code.eq_ignore_ascii_case(text))
                || text.chars().count() != 2 && any_contains(place.country_name.as_deref(), text)
        },
    },
    FilterKey {
        name: "org",
        description: "a part of the organization's name, or its number: AS16509",
        example: "org:amazon",
        holds: |record, text| {
            let number = record.place.asn.map(|asn| format!("as{asn}"));
            number.is_some_and(|number| number == text)
                || any_contains(record.place.organization.as_deref(), text)
        },
    },
    FilterKey {
        name: "address",
        description: "the beginning of the address",
        example: "address:50.7.",
        holds: |record, text| {
            !text.is_empty() && record.remote_address.to_string().starts_with(text)
        },
    },
    FilterKey {
        name: "proto",
        description: "the protocol",
        example: "proto:udp",
        holds: |record, text| protocol_name(record.protocol) == text,
    },
    FilterKey {
        name: "port",
        description: "the port at the other end",
        example: "port:443",
        holds: |record, text| match text {
            "" => record.remote_port == 0,
            _ => record.remote_port.to_string() == text,
        },
    },
    FilterKey {
        name: "scope",
        description: "the kind of address: internet, private, multicast, …",
        example: "!scope:private",
        holds: |record, text| record.scope.name() == text,
    },
];

/// Returns whether one of the texts holds another; where there are none, nothing is in it.
fn any_contains<'a>(texts: impl IntoIterator<Item = &'a str>, part: &str) -> bool {
    let mut texts = texts.into_iter().peekable();
    if part.is_empty() {
        return texts.peek().is_none();
    }
    texts.any(|text| contains(text, part))
}

/// Returns whether a text holds a part that is in lower case.
fn contains(text: &str, part: &str) -> bool {
    if text.is_ascii() {
        // Without a copy: it is done for every flow, each second.
        let (text, part) = (text.as_bytes(), part.as_bytes());
        let mut windows = text.windows(part.len());
        return windows.any(|window| window.eq_ignore_ascii_case(part));
    }
    text.to_lowercase().contains(part)
}

/// Terms of which all must hold; without any, everything is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    /// The place in [`FILTER_KEYS`]; without it, plain text.
    key: Option<usize>,
    /// In lower case.
    text: String,
    is_turned: bool,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FilterError {
    /// A key that there is not.
    #[error("no key `{0}:`; there are {keys}", keys = known_keys())]
    Key(String),
}

fn known_keys() -> String {
    let names: Vec<_> = FILTER_KEYS.iter().map(|key| key.name).collect();
    names.join(", ")
}

impl Filter {
    /// Reads what was typed.
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let terms = words(text).into_iter();
        let terms = terms.map(|word| Term::parse(&word));
        Ok(Self {
            terms: terms.collect::<Result<_, _>>()?,
        })
    }

    /// Returns whether all is shown.
    pub(super) const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns whether a flow is shown.
    pub(super) fn shows(&self, flow: &Flow) -> bool {
        self.terms.iter().all(|term| term.holds(flow))
    }
}

impl Term {
    fn parse(word: &str) -> Result<Self, FilterError> {
        let (is_turned, word) = match word.strip_prefix('!') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, word),
        };
        let word = word.to_lowercase();
        let plain = |word| Self {
            key: None,
            text: word,
            is_turned,
        };
        let Some((key, text)) = word.split_once(':') else {
            return Ok(plain(word));
        };
        // An IPv6 address has colons, too.
        let is_key = key.chars().all(char::is_alphabetic) && !text.contains(':');
        if !is_key || key.is_empty() {
            return Ok(plain(word));
        }
        let known = FILTER_KEYS.iter().position(|known| known.name == key);
        match known {
            None => Err(FilterError::Key(key.to_owned())),
            Some(_) => Ok(Self {
                key: known,
                text: text.to_owned(),
                is_turned,
            }),
        }
    }

    fn holds(&self, flow: &Flow) -> bool {
        let holds = match self.key {
            Some(key) => (FILTER_KEYS[key].holds)(&flow.record, &self.text),
            None => flow.search.contains(&self.text),
        };
        holds != self.is_turned
    }
}

/// Returns a term that finds what has exactly this under a key, as the user would type it.
pub(super) fn term(key: &str, text: Option<&str>) -> String {
    match text {
        None => format!("{key}:"),
        Some(text) if text.contains(char::is_whitespace) => {
            format!("{key}:\"{}\"", text.replace('"', ""))
        }
        Some(text) => format!("{key}:{text}"),
    }
}

/// Returns the words of a text: between blanks, but for blanks between quotes. A quote that nothing
/// closes reaches to the end.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut is_quoted = false;
    for character in text.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            _ if character.is_whitespace() && !is_quoted => {
                words.push(std::mem::take(&mut word));
            }
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{camera_flows, flow_of};
    use super::*;

    /// Checks which of the camera's flows a filter shows, by address.
    fn check(text: &str, expected: &[&str]) {
        let filter = Filter::parse(text).unwrap();
        let flows = camera_flows();
        let flows = flows.iter().map(flow_of);
        let shown = flows.filter(|flow| filter.shows(flow));
        let shown: Vec<_> = shown
            .map(|flow| flow.record.remote_address.to_string())
            .collect();
        assert_eq!(shown, expected, "{text}");
    }

    const ALIBABA: &str = "120.24.59.150";
    const FDC: &str = "50.7.98.242";
    const NIST: &str = "129.6.15.28";
    const GATEWAY: &str = "192.168.8.1";

    #[test]
    fn without_a_term_everything_is_shown() {
        check("", &[ALIBABA, FDC, NIST, GATEWAY]);
        check("  ", &[ALIBABA, FDC, NIST, GATEWAY]);
    }

    #[test]
    fn each_key_compares_its_field() {
        check("country:cn", &[ALIBABA]);
        check("country:CN", &[ALIBABA]);
        check("country:chin", &[ALIBABA]);
        check("country:united", &[FDC, NIST]);
        check("org:alibaba", &[ALIBABA]);
        check("org:AS30058", &[FDC]);
        check("name:IOTCPLATFORM", &[ALIBABA, FDC]);
        check("device:cam", &[ALIBABA, FDC, NIST, GATEWAY]);
        check("device:plug", &[]);
        check("port:53", &[GATEWAY]);
        check("proto:udp", &[FDC, NIST, GATEWAY]);
        check("address:50.7.", &[FDC]);
        check("scope:private", &[GATEWAY]);
    }

    #[test]
    fn two_letters_are_a_code_and_no_part_of_a_name() {
        check("country:in", &[]);
        check("country:us", &[FDC, NIST]);
    }

    #[test]
    fn a_key_with_nothing_behind_it_finds_what_has_none() {
        check("name:", &[NIST, GATEWAY]);
        check("country:", &[GATEWAY]);
        check("name: !scope:private", &[NIST]);
    }

    #[test]
    fn all_terms_must_hold() {
        check("proto:udp country:us", &[FDC, NIST]);
        check("proto:udp !name:iotc country:us", &[NIST]);
        check("fdc us-master", &[FDC]);
        check("\"Alibaba Advertising\"", &[ALIBABA]);
        check("org:\"institute of\"", &[NIST]);
        check("org:\"institute of", &[NIST]);
    }

    #[test]
    fn plain_text_is_looked_for_everywhere() {
        check("udp/123", &[NIST]);
        check("private", &[GATEWAY]);
        check("2001:db8::1", &[]);
        check("fe80:", &[]);
        check("dead::beef", &[]);
    }

    #[test]
    fn a_key_that_there_is_not_is_told() {
        let error = Filter::parse("fdc land:CN").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no key `land:`; there are name, device, country, org, address, proto, port, scope"
        );
    }

    #[test]
    fn a_term_that_is_made_reads_as_what_it_was_made_of() {
        assert_eq!(term("name", None), "name:");
        assert_eq!(term("org", Some("A \"b\" c")), "org:\"A b c\"");
        for key in FILTER_KEYS {
            Filter::parse(key.example).unwrap();
        }
    }
}
