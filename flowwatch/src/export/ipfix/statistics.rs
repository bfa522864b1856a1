//! What the exporter says of itself: what it sent, and what was not counted (RFC 7011 §4.1 and §4.2).

use flowwatch_common::abi::Reason;

use super::element::{
    EXPORTED_FLOW_RECORD_TOTAL_COUNT, EXPORTED_MESSAGE_TOTAL_COUNT, EXPORTED_OCTET_TOTAL_COUNT,
    IGNORED_PACKET_TOTAL_COUNT, OBSERVATION_DOMAIN_ID,
};
use super::template::{Field, Template};
use crate::export::Latest;

/// What the exporter says of itself, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    /// Messages that were sent before.
    pub(super) messages: u64,
    /// Records of flows in them.
    pub(super) flows: u64,
    /// Their octets.
    pub(super) octets: u64,
    /// IP packets of the devices that were not counted.
    pub(super) ignored: u64,
}

/// Statistics of an observation domain.
pub(super) type OfDomain = (u32, Statistics);

/// Returns how many packets of the devices were not counted: those that could not be read, and those of
/// devices for which there was no room.
pub(super) fn ignored(latest: Option<&Latest>) -> u64 {
    let Some(latest) = latest else { return 0 };
    let not_ip = Reason::NotIp.name();
    let rows = latest.unaccounted.iter();
    // Those that found no room in the tables were counted for their device.
    let unread = rows.filter(|row| row.packets.is_none() && row.reason != not_ip);
    let unread: u64 = unread.map(|row| row.frames).sum();
    unread + latest.meta.losses.prefix_frames
}

/// The templates.
pub(super) const TEMPLATES: &[Template<OfDomain>] = &[
    Template {
        id: 260,
        scopes: 1,
        parts: &[SCOPE, SENT],
    },
    Template {
        id: 261,
        scopes: 1,
        parts: &[SCOPE, IGNORED],
    },
];

const SCOPE: &[Field<OfDomain>] = &[Field {
    element: OBSERVATION_DOMAIN_ID,
    write: |(domain, _), octets| octets.extend(domain.to_be_bytes()),
}];

const SENT: &[Field<OfDomain>] = &[
    Field {
        element: EXPORTED_MESSAGE_TOTAL_COUNT,
        write: |(_, it), octets| octets.extend(it.messages.to_be_bytes()),
    },
    Field {
        element: EXPORTED_FLOW_RECORD_TOTAL_COUNT,
        write: |(_, it), octets| octets.extend(it.flows.to_be_bytes()),
    },
    Field {
        element: EXPORTED_OCTET_TOTAL_COUNT,
        write: |(_, it), octets| octets.extend(it.octets.to_be_bytes()),
    },
];

const IGNORED: &[Field<OfDomain>] = &[Field {
    element: IGNORED_PACKET_TOTAL_COUNT,
    write: |(_, it), octets| octets.extend(it.ignored.to_be_bytes()),
}];
