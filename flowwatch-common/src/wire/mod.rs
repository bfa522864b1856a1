//! Wire formats, one file a protocol: where the fields lie, and what they say.
//!
//! The contract of the header files: `parse` takes the header's octets from a [`PacketBytes`] at an
//! offset, refuses with a [`Reason`] what is cut short or contradicts itself, keeps unknown code
//! points as numbers, and reads nothing beyond the header.
//!
//! [`PacketBytes`]: crate::bytes::PacketBytes
//! [`Reason`]: crate::abi::Reason

pub mod arp;
pub mod beginning;
pub mod dhcp;
pub mod dhcpv6;
pub mod dns;
pub mod ethernet;
pub mod http;
pub mod ip_protocol;
pub mod ipv4;
pub mod ipv6;
pub mod pppoe;
pub mod quic;
pub mod tls;
pub mod transport;
pub mod vlan;
