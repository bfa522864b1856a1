//! The one list of a flow record's fields.
//!
//! Every format, help text, README table and golden test iterates over it. Information elements
//! are those of the IANA registry "IP Flow Information Export (IPFIX) Entities"; the down direction
//! is the reverse one of RFC 5103 (enterprise 29305).

use std::borrow::Cow;

use super::{FlowRecord, Value, protocol_name};
use crate::names::NameSource;

/// An IPFIX information element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InformationElement {
    /// Private enterprise number; 0 for IANA's own elements.
    pub enterprise: u32,
    /// The element's identifier.
    pub id: u16,
}

/// What a field's numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Not a quantity.
    None,
    /// IP packets as on the wire.
    Packets,
    /// IP header and payload octets as on the wire.
    Octets,
    /// A moment, to the millisecond.
    Milliseconds,
}

/// One field of the flow record.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name in every format.
    pub name: &'static str,
    /// One sentence for help and documentation.
    pub description: &'static str,
    /// No element, one, or one for IPv4 and one for IPv6.
    pub elements: &'static [InformationElement],
    /// The unit.
    pub unit: Unit,
    /// Returns the field of a record.
    pub value: for<'record> fn(&'record FlowRecord) -> Value<'record>,
}

impl Field {
    /// Returns whether the field is the same in all records of a device.
    #[must_use]
    pub fn is_of_device(&self) -> bool {
        matches!(self.name, "device" | "device_mac")
    }

    /// Returns whether the field is what the remote is called.
    #[must_use]
    pub fn is_name(&self) -> bool {
        self.name == "name"
    }
}

const REVERSE: u32 = 29305;

const fn element(enterprise: u32, id: u16) -> InformationElement {
    InformationElement { enterprise, id }
}

/// The fields, in the order of every format.
pub const FIELDS: &[Field] = &[
    Field {
        name: "device",
        description: "The device's name, as the user tagged it.",
        elements: &[],
        unit: Unit::None,
        value: |record| Value::of_text(Some(&record.device.name)),
    },
    Field {
        name: "device_mac",
        description: "The device's MAC address.",
        elements: &[element(0, 56)],
        unit: Unit::None,
        value: |record| {
            let mac = record.device.mac;
            mac.map_or(Value::Null, |mac| Value::Text(Cow::Owned(mac.to_string())))
        },
    },
    Field {
        name: "name",
        description: "The name under which the device reached the address; several are joined \
                      with `|`, the best first.",
        elements: &[],
        unit: Unit::None,
        value: joined_names,
    },
    Field {
        name: "name_source",
        description: "Where the first name is from: `sni`, `quic`, `http`, `dns`, `ech`, `mdns` or `history`.",
        elements: &[],
        unit: Unit::None,
        value: |record| Value::of_text(record.naming.source().map(NameSource::name)),
    },
    Field {
        name: "remote_address",
        description: "The IP address at the other end.",
        elements: &[element(0, 12), element(0, 28)],
        unit: Unit::None,
        value: |record| Value::Address(record.remote_address),
    },
    Field {
        name: "scope",
        description: "The kind of address: `internet`, `private`, `link-local`, `multicast`, \
                      `broadcast`, `loopback` or `reserved`.",
        elements: &[],
        unit: Unit::None,
        value: |record| Value::of_text(Some(record.scope.name())),
    },
    Field {
        name: "protocol",
        description: "The IP protocol's IANA keyword in lower case, or its number.",
        elements: &[element(0, 4)],
        unit: Unit::None,
        value: |record| Value::Text(protocol_name(record.protocol)),
    },
    Field {
        name: "remote_port",
        description: "The transport port at the other end; 0 where the protocol or the fragment \
                      has none.",
        elements: &[element(0, 11)],
        unit: Unit::None,
        value: |record| Value::Number(record.remote_port.into()),
    },
    Field {
        name: "country",
        description: "The country of the address, ISO 3166-1 alpha-2.",
        elements: &[],
        unit: Unit::None,
        value: |record| Value::of_text(record.place.country.as_deref()),
    },
    Field {
        name: "country_name",
        description: "The country's name in English.",
        elements: &[],
        unit: Unit::None,
        value: |record| Value::of_text(record.place.country_name.as_deref()),
    },
    Field {
        name: "city",
        description: "The city, where the database knows one.",
        elements: &[],
        unit: Unit::None,
        value: |record| Value::of_text(record.place.city.as_deref()),
    },
    Field {
        name: "asn",
        description: "The number of the autonomous system that announces the address.",
        elements: &[element(0, 17)],
        unit: Unit::None,
        value: |record| {
            record
                .place
                .asn
                .map_or(Value::Null, |asn| Value::Number(asn.into()))
        },
    },
    Field {
        name: "organization",
        description: "The organization that announces or holds the address.",
        elements: &[],
        unit: Unit::None,
        value: |record| Value::of_text(record.place.organization.as_deref()),
    },
    Field {
        name: "up_packets",
        description: "IP packets from the device.",
        elements: &[element(0, 2)],
        unit: Unit::Packets,
        value: |record| Value::Number(record.up.packets),
    },
    Field {
        name: "up_octets",
        description: "IP octets (header and payload) from the device.",
        elements: &[element(0, 1)],
        unit: Unit::Octets,
        value: |record| Value::Number(record.up.octets),
    },
    Field {
        name: "down_packets",
        description: "IP packets to the device.",
        elements: &[element(REVERSE, 2)],
        unit: Unit::Packets,
        value: |record| Value::Number(record.down.packets),
    },
    Field {
        name: "down_octets",
        description: "IP octets (header and payload) to the device.",
        elements: &[element(REVERSE, 1)],
        unit: Unit::Octets,
        value: |record| Value::Number(record.down.octets),
    },
    Field {
        name: "first_seen",
        description: "When the first packet of the flow was seen.",
        elements: &[element(0, 152)],
        unit: Unit::Milliseconds,
        value: |record| Value::Time(record.first_seen),
    },
    Field {
        name: "last_seen",
        description: "When the last packet of the flow was seen.",
        elements: &[element(0, 153)],
        unit: Unit::Milliseconds,
        value: |record| Value::Time(record.last_seen),
    },
];

fn joined_names(record: &FlowRecord) -> Value<'_> {
    match record.names()[..] {
        [] => Value::Null,
        // A name from the network may hold the separator; it must not pass for two names.
        [name] if !name.contains('|') => Value::of_text(Some(name)),
        ref names => {
            let names: Vec<_> = names
                .iter()
                .map(|name| name.replace('|', "\\x7c"))
                .collect();
            Value::Text(Cow::Owned(names.join("|")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    #[test]
    fn the_row_has_these_names_in_this_order() {
        let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
        let expected = "device device_mac name name_source remote_address scope protocol \
                        remote_port country country_name city asn organization up_packets \
                        up_octets down_packets down_octets first_seen last_seen";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn a_separator_inside_a_name_does_not_make_two_names() {
        let mut record = sample::record();
        record.naming = sample::naming(&["a|b"]);
        assert_eq!(joined_names(&record), Value::Text("a\\x7cb".into()));
        record.naming = sample::naming(&["new.example", "a|b"]);
        assert_eq!(
            joined_names(&record),
            Value::Text("new.example|a\\x7cb".into())
        );
    }

    #[test]
    fn the_readme_has_each_field_with_its_description() {
        let readme = include_str!("../../../README.md");
        let row = |field: &Field| {
            // A cell of Markdown ends at a bar that isn't escaped, also within code.
            let description = field.description.replace('|', "\\|");
            format!("| `{}` | {description} |\n", field.name)
        };
        let table: String = FIELDS.iter().map(row).collect();
        assert!(readme.contains(&table), "README.md lacks:\n{table}");
    }

    #[test]
    fn every_field_is_described_in_a_sentence() {
        assert!(FIELDS.iter().all(|field| field.description.ends_with('.')));
    }
}
