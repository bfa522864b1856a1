//! A flow's record: what was counted in one direction.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;

use super::element::{
    APPLICATION_NAME, BGP_DESTINATION_AS_NUMBER, BGP_SOURCE_AS_NUMBER, DESTINATION_IPV4_ADDRESS,
    DESTINATION_IPV6_ADDRESS, DESTINATION_MAC_ADDRESS, DESTINATION_TRANSPORT_PORT, FLOW_DIRECTION,
    FLOW_END_MILLISECONDS, FLOW_START_MILLISECONDS, OCTET_DELTA_COUNT, PACKET_DELTA_COUNT,
    PROTOCOL_IDENTIFIER, SOURCE_IPV4_ADDRESS, SOURCE_IPV6_ADDRESS, SOURCE_MAC_ADDRESS,
    SOURCE_TRANSPORT_PORT, USER_NAME,
};
use super::template::{Field, Template};
use crate::export::{Batch, Row};
use crate::model::MacAddress;
use crate::observation::Traffic;
use crate::text;

/// Octets of a destination's name: a DNS name has no more.
const MOST_NAME: usize = 253;
/// Octets of a device's name. With both, a record fits into any message.
const MOST_DEVICE: usize = 64;

/// Which way packets went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// What was counted in one direction of a flow, or of a device in no flow: the remote is unspecified
/// then, as there are collectors that take no record without one.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    way: Way,
    mac: [u8; 6],
    device: String,
    remote: IpAddr,
    protocol: u8,
    port: u16,
    autonomous_system: u32,
    /// The destination's best name.
    name: String,
    /// Milliseconds since the Unix epoch.
    start: u64,
    end: u64,
    traffic: Traffic,
}

impl Flow {
    /// Returns a row's records: one for each direction in which something was counted.
    pub(super) fn of(row: &Row, batch: &Batch) -> impl Iterator<Item = Self> {
        let ways = [(Way::Up, row.up()), (Way::Down, row.down())];
        let counted = ways.into_iter();
        counted
            .filter(|(_, traffic)| *traffic != Traffic::default())
            .map(move |(way, traffic)| Self::one(row, batch, way, traffic))
    }

    fn one(row: &Row, batch: &Batch, way: Way, traffic: Traffic) -> Self {
        let flow = row.flow();
        let last_seen = flow.map_or(batch.until, |flow| flow.last_seen);
        // What was counted before is in earlier records.
        let first_seen = flow.map_or(batch.since, |flow| flow.first_seen.max(batch.since));
        let device = row.device();
        let name = flow.and_then(|flow| flow.names().first().copied());
        Self {
            way,
            mac: device.mac.map(MacAddress::octets).unwrap_or_default(),
            device: cut(&device.name, MOST_DEVICE),
            remote: flow.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.remote_address),
            protocol: flow.map_or(0, |flow| flow.protocol),
            port: flow.map_or(0, |flow| flow.remote_port),
            autonomous_system: flow.and_then(|flow| flow.place.asn).unwrap_or(0),
            name: cut(name.unwrap_or_default(), MOST_NAME),
            start: milliseconds(first_seen.min(last_seen)),
            end: milliseconds(last_seen),
            traffic,
        }
    }

    /// Returns the template that has what is known.
    pub(super) fn template(&self) -> &'static Template<Self> {
        &TEMPLATES[usize::from(self.remote.is_ipv6()) * 2 + usize::from(self.way == Way::Down)]
    }
}

fn milliseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

/// Returns a stranger's text as it may be shown, in so many octets at most.
fn cut(raw: &str, most: usize) -> String {
    let mut shown = text::printable(raw).into_owned();
    shown.truncate(shown.floor_char_boundary(most));
    shown
}

/// The templates: up and down, to IPv4 and IPv6 addresses.
pub(super) const TEMPLATES: &[Template<Flow>] = &[
    Template {
        id: 256,
        scopes: 0,
        parts: &[FROM_DEVICE, COUNTED, TO_IPV4, TO_REMOTE, NAMED],
    },
    Template {
        id: 257,
        scopes: 0,
        parts: &[TO_DEVICE, COUNTED, FROM_IPV4, FROM_REMOTE, NAMED],
    },
    Template {
        id: 258,
        scopes: 0,
        parts: &[FROM_DEVICE, COUNTED, TO_IPV6, TO_REMOTE, NAMED],
    },
    Template {
        id: 259,
        scopes: 0,
        parts: &[TO_DEVICE, COUNTED, FROM_IPV6, FROM_REMOTE, NAMED],
    },
];

const FROM_DEVICE: &[Field<Flow>] = &[Field {
    element: SOURCE_MAC_ADDRESS,
    write: |flow, octets| octets.extend(flow.mac),
}];

const TO_DEVICE: &[Field<Flow>] = &[Field {
    element: DESTINATION_MAC_ADDRESS,
    write: |flow, octets| octets.extend(flow.mac),
}];

const COUNTED: &[Field<Flow>] = &[
    Field {
        element: FLOW_START_MILLISECONDS,
        write: |flow, octets| octets.extend(flow.start.to_be_bytes()),
    },
    Field {
        element: FLOW_END_MILLISECONDS,
        write: |flow, octets| octets.extend(flow.end.to_be_bytes()),
    },
    Field {
        element: OCTET_DELTA_COUNT,
        write: |flow, octets| octets.extend(flow.traffic.octets.to_be_bytes()),
    },
    Field {
        element: PACKET_DELTA_COUNT,
        write: |flow, octets| octets.extend(flow.traffic.packets.to_be_bytes()),
    },
    Field {
        // 0 is ingress, as the LAN's interface sees it, and 1 egress.
        element: FLOW_DIRECTION,
        write: |flow, octets| octets.push(u8::from(flow.way == Way::Down)),
    },
];

const TO_IPV4: &[Field<Flow>] = &[Field {
    element: DESTINATION_IPV4_ADDRESS,
    write: write_address,
}];

const FROM_IPV4: &[Field<Flow>] = &[Field {
    element: SOURCE_IPV4_ADDRESS,
    write: write_address,
}];

const TO_IPV6: &[Field<Flow>] = &[Field {
    element: DESTINATION_IPV6_ADDRESS,
    write: write_address,
}];

const FROM_IPV6: &[Field<Flow>] = &[Field {
    element: SOURCE_IPV6_ADDRESS,
    write: write_address,
}];

const TO_REMOTE: &[Field<Flow>] = &[
    PROTOCOL,
    Field {
        element: DESTINATION_TRANSPORT_PORT,
        write: write_port,
    },
    Field {
        element: BGP_DESTINATION_AS_NUMBER,
        write: write_autonomous_system,
    },
];

const FROM_REMOTE: &[Field<Flow>] = &[
    PROTOCOL,
    Field {
        element: SOURCE_TRANSPORT_PORT,
        write: write_port,
    },
    Field {
        element: BGP_SOURCE_AS_NUMBER,
        write: write_autonomous_system,
    },
];

const PROTOCOL: Field<Flow> = Field {
    element: PROTOCOL_IDENTIFIER,
    write: |flow, octets| octets.push(flow.protocol),
};

const NAMED: &[Field<Flow>] = &[
    Field {
        element: APPLICATION_NAME,
        write: |flow, octets| octets.extend(flow.name.as_bytes()),
    },
    Field {
        element: USER_NAME,
        write: |flow, octets| octets.extend(flow.device.as_bytes()),
    },
];

fn write_address(flow: &Flow, octets: &mut Vec<u8>) {
    match flow.remote {
        IpAddr::V4(address) => octets.extend(address.octets()),
        IpAddr::V6(address) => octets.extend(address.octets()),
    }
}

fn write_port(flow: &Flow, octets: &mut Vec<u8>) {
    octets.extend(flow.port.to_be_bytes());
}

fn write_autonomous_system(flow: &Flow, octets: &mut Vec<u8>) {
    octets.extend(flow.autonomous_system.to_be_bytes());
}
