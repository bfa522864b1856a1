//! The circumstances of counting from a capture, in the place of interfaces.

use jiff::Timestamp;
use serde::Serialize;

use super::snapshot::optional_time;

/// What was read, and what of it is in no device's counts.
///
/// `packets` are those of devices, `packets_of_no_device` and the unsupported ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CaptureMeta {
    /// The file as it was named, or `standard input`.
    pub file: String,
    /// `pcap` or `pcapng`.
    pub format: &'static str,
    /// The names of the packets' link types, in the order in which they appeared.
    pub link_types: Vec<String>,
    /// Packets read: frames, an aggregate being one.
    pub packets: u64,
    /// The earliest packet's time.
    #[serde(serialize_with = "optional_time")]
    pub first_packet: Option<Timestamp>,
    /// The latest packet's time.
    #[serde(serialize_with = "optional_time")]
    pub last_packet: Option<Timestamp>,
    /// Packets of which the capture holds fewer octets than the wire did (a snap length).
    pub packets_cut: u64,
    /// Packets whose time the capture doesn't say; they count at that of the packet before.
    pub packets_without_time: u64,
    /// Packets that no device sent or received.
    pub packets_of_no_device: u64,
    /// Packets of devices beyond the most that can be told apart, in each direction.
    pub packets_of_devices_turned_away: u64,
    /// Addresses that devices were seen sending from, beyond the most that are remembered.
    pub addresses_turned_away: u64,
    /// Packets that were not looked into, by link type.
    pub unsupported: Vec<Unsupported>,
    /// Why reading ended before the capture's end.
    pub ended_early: Option<String>,
}

/// Packets of a link type from which no device can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unsupported {
    /// The link type's name.
    pub link_type: String,
    /// Its packets.
    pub packets: u64,
    /// What can be done.
    pub advice: String,
}
