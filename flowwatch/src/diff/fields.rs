//! The one list of a row's fields, where a value of one device is a row: for `csv`, `jsonl` and
//! help.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use super::{Comparison, DeviceComparison, Entry, Kind};
use crate::model::Value;

/// A value of one device.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonRow<'a> {
    /// The device.
    pub device: &'a DeviceComparison,
    /// What the value is.
    pub kind: &'static Kind,
    /// The value.
    pub entry: &'a Entry,
}

/// One field of the row.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonField {
    /// The name in every format.
    pub name: &'static str,
    /// One sentence for help and documentation.
    pub description: &'static str,
    /// Returns the field of a row.
    pub value: for<'a> fn(ComparisonRow<'a>) -> Value<'a>,
}

/// The fields, in the order of every format.
pub const COMPARISON_FIELDS: &[ComparisonField] = &[
    ComparisonField {
        name: "device",
        description: "The device's name, on the second side where it is on both.",
        value: |row| Value::of_text(Some(&row.device.name)),
    },
    ComparisonField {
        name: "device_mac",
        description: "The device's MAC address, likewise.",
        value: |row| {
            let mac = row.device.mac;
            mac.map_or(Value::Null, |mac| Value::Text(Cow::Owned(mac.to_string())))
        },
    },
    ComparisonField {
        name: "kind",
        description: "What the value is: `name`, `address`, `organization` or `country`.",
        value: |row| Value::of_text(Some(row.kind.singular)),
    },
    ComparisonField {
        name: "value",
        description: "The name, the address, the organization or the country's code.",
        value: |row| Value::of_text(Some(&row.entry.value)),
    },
    ComparisonField {
        name: "change",
        description: "Whether it is `gone`, `new` or `kept`.",
        value: |row| Value::of_text(Some(row.entry.change().name())),
    },
    ComparisonField {
        name: "up_octets",
        description: "Octets that the device sent, on the second side; of what is gone, on the first.",
        value: |row| Value::Number(row.entry.octets().up),
    },
    ComparisonField {
        name: "down_octets",
        description: "Octets that it received, likewise.",
        value: |row| Value::Number(row.entry.octets().down),
    },
    ComparisonField {
        name: "up_octets_before",
        description: "Of what is kept, octets that the device sent on the first side.",
        value: |row| before(row.entry).map_or(Value::Null, |octets| Value::Number(octets.up)),
    },
    ComparisonField {
        name: "down_octets_before",
        description: "Of what is kept, octets that it received on the first side.",
        value: |row| before(row.entry).map_or(Value::Null, |octets| Value::Number(octets.down)),
    },
    ComparisonField {
        name: "names_before",
        description: "Of an address, the names that it went by on the first side, joined with `|`.",
        value: |row| joined(&row.entry.names_before),
    },
    ComparisonField {
        name: "names_after",
        description: "Of an address, the names that it went by on the second side, joined with `|`.",
        value: |row| joined(&row.entry.names_after),
    },
];

fn before(entry: &Entry) -> Option<super::Octets> {
    entry.before.filter(|_| entry.after.is_some())
}

fn joined(names: &BTreeSet<Arc<str>>) -> Value<'static> {
    if names.is_empty() {
        return Value::Null;
    }
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    Value::Text(Cow::Owned(names.join("|")))
}

impl Comparison {
    /// Returns the rows: device by device, kind by kind, what is gone first.
    pub fn rows(&self) -> impl Iterator<Item = ComparisonRow<'_>> {
        self.devices.iter().flat_map(|device| {
            device.differences.iter().flat_map(move |difference| {
                difference.entries.iter().map(move |entry| ComparisonRow {
                    device,
                    kind: difference.kind,
                    entry,
                })
            })
        })
    }
}
