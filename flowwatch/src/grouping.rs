//! Flows put together: what one value of a field stands for, in sums.
//!
//! From a snapshot to one group a value, largest first; every octet of the snapshot is in exactly
//! one. Written by the formats through [`GROUP_FIELDS`].

mod fields;
mod groups;

use std::borrow::Cow;

use crate::model::{FlowRecord, Value, protocol_name, service_name};
use crate::names::NameSource;

pub use self::{
    fields::{GROUP_FIELDS, GroupField},
    groups::{Group, Groups},
};

/// Returns what a flow is grouped by, or called.
pub type ValueOf = for<'record> fn(&'record FlowRecord) -> Value<'record>;

/// What flows can be put together by.
#[derive(Debug)]
pub struct Grouping {
    /// The name on the command line.
    pub name: &'static str,
    /// What a group is, for help.
    pub description: &'static str,
    /// Returns the value that the flows of a group share.
    pub value: ValueOf,
    /// Returns what the value is called where it is a code: a country's name. Otherwise null.
    pub label: ValueOf,
}

/// The groupings, in the order of help.
pub static GROUPINGS: &[Grouping] = &[
    Grouping {
        name: "device",
        description: "the device; labelled with its MAC address",
        value: |record| Value::of_text(Some(&record.device.name)),
        label: |record| {
            let mac = record.device.mac;
            mac.map_or(Value::Null, |mac| Value::Text(Cow::Owned(mac.to_string())))
        },
    },
    Grouping {
        name: "name",
        description: "the best of the names that the remote goes by",
        value: |record| Value::of_text(record.naming.first()),
        label: unlabelled,
    },
    Grouping {
        name: "name_source",
        description: "where that name is from",
        value: |record| Value::of_text(record.naming.source().map(NameSource::name)),
        label: unlabelled,
    },
    Grouping {
        name: "address",
        description: "the remote's IP address",
        value: |record| Value::Address(record.remote_address),
        label: |record| Value::of_text(record.naming.first()),
    },
    Grouping {
        name: "scope",
        description: "the kind of address",
        value: |record| Value::of_text(Some(record.scope.name())),
        label: unlabelled,
    },
    Grouping {
        name: "protocol",
        description: "the IP protocol",
        value: |record| Value::Text(protocol_name(record.protocol)),
        label: unlabelled,
    },
    Grouping {
        name: "port",
        description: "protocol and port at the other end, as `tcp/443`; `icmp`, where there is none",
        value: |record| Value::Text(service_name(record.protocol, record.remote_port)),
        label: unlabelled,
    },
    Grouping {
        name: "country",
        description: "the country of the address; labelled with its name",
        value: |record| Value::of_text(record.place.country.as_deref()),
        label: |record| Value::of_text(record.place.country_name.as_deref()),
    },
    Grouping {
        name: "city",
        description: "the city of the address; labelled with its country",
        value: |record| Value::of_text(record.place.city.as_deref()),
        label: |record| Value::of_text(record.place.country_name.as_deref()),
    },
    Grouping {
        name: "asn",
        description: "the autonomous system; labelled with its organization",
        value: |record| {
            let asn = record.place.asn;
            asn.map_or(Value::Null, |asn| Value::Number(asn.into()))
        },
        label: |record| Value::of_text(record.place.organization.as_deref()),
    },
    Grouping {
        name: "organization",
        description: "who announces or holds the address",
        value: |record| Value::of_text(record.place.organization.as_deref()),
        label: unlabelled,
    },
];

fn unlabelled(_: &FlowRecord) -> Value<'_> {
    Value::Null
}

/// Returns the grouping of this name.
#[must_use]
pub fn grouping_of(name: &str) -> Option<&'static Grouping> {
    GROUPINGS.iter().find(|grouping| grouping.name == name)
}

#[cfg(test)]
mod tests;
