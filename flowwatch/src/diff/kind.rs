//! What is compared: the one list of kinds, and what a destination stands for in each.

use std::sync::Arc;

use super::Destination;

/// One thing about destinations by which two sides are compared.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name in the plural: a key of the `json` format, and a word of `--only`.
    pub name: &'static str,
    /// Its name in the singular: the key of an entry's value.
    pub singular: &'static str,
    /// Whether an entry comes with the names that its destinations went by.
    pub has_names: bool,
    /// What is said of destinations that stand for no value of this kind.
    pub without: &'static str,
    /// Returns the values that a destination stands for; the first has its octets.
    pub values: fn(&Destination) -> Vec<Arc<str>>,
    /// Returns what people call the value, where that is something else.
    pub title: fn(&Destination) -> Option<Arc<str>>,
}

/// The kinds, in the order of every format.
pub static KINDS: &[Kind] = &[
    Kind {
        name: "names",
        singular: "name",
        has_names: false,
        without: "(no name seen)",
        values: |destination| destination.names.clone(),
        title: |_| None,
    },
    Kind {
        name: "addresses",
        singular: "address",
        has_names: true,
        without: "(no address)",
        values: |destination| vec![destination.address.to_string().into()],
        title: |_| None,
    },
    Kind {
        name: "organizations",
        singular: "organization",
        has_names: false,
        without: "(unknown)",
        values: |destination| known(destination.organization.as_ref()),
        title: |_| None,
    },
    Kind {
        name: "countries",
        singular: "country",
        has_names: false,
        without: "(unknown)",
        values: |destination| known(destination.country.as_ref()),
        title: |destination| destination.country_name.clone(),
    },
];

/// Returns the kind of this name.
#[must_use]
pub fn kind_of(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

fn known(value: Option<&Arc<str>>) -> Vec<Arc<str>> {
    let value = value.filter(|value| !value.is_empty());
    value.cloned().into_iter().collect()
}
