//! The one list of a group's fields, over which every format iterates.

use super::Group;
use crate::model::Value;

/// One field of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupField {
    /// The name in every format.
    pub name: &'static str,
    /// One sentence for help and documentation.
    pub description: &'static str,
    /// Returns the field of a group.
    pub value: for<'group> fn(&'group Group) -> Value<'group>,
}

/// The fields, in the order of every format.
pub const GROUP_FIELDS: &[GroupField] = &[
    GroupField {
        name: "value",
        description: "What the group's flows share; null where it is unknown.",
        value: |group| group.value.clone(),
    },
    GroupField {
        name: "label",
        description: "What the value is called, where it is a code.",
        value: |group| group.label.clone(),
    },
    GroupField {
        name: "devices",
        description: "Devices with such flows.",
        value: |group| Value::Number(group.devices),
    },
    GroupField {
        name: "names",
        description: "Names that they go by, the best of each flow.",
        value: |group| Value::Number(group.names),
    },
    GroupField {
        name: "addresses",
        description: "Remote addresses.",
        value: |group| Value::Number(group.addresses),
    },
    GroupField {
        name: "flows",
        description: "Flows: device, remote address, protocol and port.",
        value: |group| Value::Number(group.flows),
    },
    GroupField {
        name: "up_packets",
        description: "IP packets from the devices.",
        value: |group| Value::Number(group.up.packets),
    },
    GroupField {
        name: "up_octets",
        description: "IP octets (header and payload) from the devices.",
        value: |group| Value::Number(group.up.octets),
    },
    GroupField {
        name: "down_packets",
        description: "IP packets to the devices.",
        value: |group| Value::Number(group.down.packets),
    },
    GroupField {
        name: "down_octets",
        description: "IP octets (header and payload) to the devices.",
        value: |group| Value::Number(group.down.octets),
    },
    GroupField {
        name: "share",
        description: "Part of all octets, up and down, between 0 and 1.",
        value: |group| Value::Share {
            part: group.octets(),
            whole: group.whole,
        },
    },
    GroupField {
        name: "first_seen",
        description: "When the first packet was seen.",
        value: |group| group.first_seen.map_or(Value::Null, Value::Time),
    },
    GroupField {
        name: "last_seen",
        description: "When the last packet was seen.",
        value: |group| group.last_seen.map_or(Value::Null, Value::Time),
    },
];
