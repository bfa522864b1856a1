//! The JSON document of `flowwatch diff` as typed values.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// A comparison; what a test doesn't read is left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Compared {
    /// Names of all devices.
    pub names: Lists,
    /// Their addresses.
    pub addresses: Lists,
    /// Their organizations.
    pub organizations: Lists,
    /// Their countries.
    pub countries: Lists,
    /// Each device's.
    pub devices: Vec<DeviceLists>,
}

/// A device, and its own lists.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeviceLists {
    /// Its name.
    pub device: String,
    /// Its names.
    pub names: Lists,
    /// Its addresses.
    pub addresses: Lists,
}

/// What became of the values of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Lists {
    /// Before only.
    pub gone: Vec<Entry>,
    /// After only.
    pub new: Vec<Entry>,
    /// Both.
    pub kept: Vec<Entry>,
}

/// A value, under the key of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The value.
    #[serde(
        alias = "name",
        alias = "address",
        alias = "organization",
        alias = "country"
    )]
    pub value: String,
    /// Octets that were sent.
    pub up_octets: u64,
    /// Octets that were received.
    pub down_octets: u64,
    /// Octets that were sent before, of what is kept.
    pub up_octets_before: Option<u64>,
    /// Octets that were received before, likewise.
    pub down_octets_before: Option<u64>,
    /// What an address went by before.
    #[serde(default)]
    pub names_before: Vec<String>,
    /// What it goes by now.
    #[serde(default)]
    pub names_after: Vec<String>,
}

impl Compared {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self> {
        let document: Value = serde_json::from_str(text).context("read the comparison")?;
        serde_json::from_value(document).context("read the comparison")
    }
}

impl Lists {
    /// Octets up and down of what is in a list, by value.
    #[must_use]
    pub fn octets(list: &[Entry]) -> BTreeMap<String, (u64, u64)> {
        list.iter()
            .map(|entry| (entry.value.clone(), (entry.up_octets, entry.down_octets)))
            .collect()
    }
}
