//! The information elements that records are made of, as IANA registers them (RFC 7012).

/// An information element, and how it is encoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// IANA's number.
    pub(super) id: u16,
    /// Octets; [`VARIABLE`] where each value says its own.
    pub(super) length: u16,
}

/// The length of an element whose values say their own (RFC 7011 §7).
pub(super) const VARIABLE: u16 = 0xffff;

const fn element(id: u16, length: u16) -> Element {
    Element { id, length }
}

pub(super) const OCTET_DELTA_COUNT: Element = element(1, 8);
pub(super) const PACKET_DELTA_COUNT: Element = element(2, 8);
pub(super) const PROTOCOL_IDENTIFIER: Element = element(4, 1);
pub(super) const SOURCE_TRANSPORT_PORT: Element = element(7, 2);
pub(super) const SOURCE_IPV4_ADDRESS: Element = element(8, 4);
pub(super) const DESTINATION_TRANSPORT_PORT: Element = element(11, 2);
pub(super) const DESTINATION_IPV4_ADDRESS: Element = element(12, 4);
pub(super) const BGP_SOURCE_AS_NUMBER: Element = element(16, 4);
pub(super) const BGP_DESTINATION_AS_NUMBER: Element = element(17, 4);
pub(super) const SOURCE_IPV6_ADDRESS: Element = element(27, 16);
pub(super) const DESTINATION_IPV6_ADDRESS: Element = element(28, 16);
pub(super) const EXPORTED_OCTET_TOTAL_COUNT: Element = element(40, 8);
pub(super) const EXPORTED_MESSAGE_TOTAL_COUNT: Element = element(41, 8);
pub(super) const EXPORTED_FLOW_RECORD_TOTAL_COUNT: Element = element(42, 8);
pub(super) const SOURCE_MAC_ADDRESS: Element = element(56, 6);
pub(super) const FLOW_DIRECTION: Element = element(61, 1);
pub(super) const DESTINATION_MAC_ADDRESS: Element = element(80, 6);
pub(super) const APPLICATION_NAME: Element = element(96, VARIABLE);
pub(super) const OBSERVATION_DOMAIN_ID: Element = element(149, 4);
pub(super) const FLOW_START_MILLISECONDS: Element = element(152, 8);
pub(super) const FLOW_END_MILLISECONDS: Element = element(153, 8);
pub(super) const IGNORED_PACKET_TOTAL_COUNT: Element = element(164, 8);
pub(super) const USER_NAME: Element = element(371, VARIABLE);
