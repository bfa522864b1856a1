//! What was observed of the devices, before names and places: the values that a source of packets
//! (the kernel's tables) hands to the rest.
//!
//! Made by `kernel`; read by `names` (samples) and `store` (flows and device totals).

use std::net::IpAddr;

use bytes::Bytes;
use flowwatch_common::abi::{Direction, REASON_COUNT};
use jiff::Timestamp;

/// A device's number: its position, from 0, in the list of devices that the user tagged.
pub type DeviceId = u16;

/// Packets and octets of one direction, as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Traffic {
    /// IP packets (IPFIX packetDeltaCount); an aggregate counts as the packets it stands for.
    pub packets: u64,
    /// IP header and payload octets (IPFIX octetDeltaCount).
    pub octets: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.octets += other.octets;
    }
}

/// One flow's counts of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochFlow {
    /// The device.
    pub device: DeviceId,
    /// The address at the other end.
    pub remote: IpAddr,
    /// IANA protocol number.
    pub protocol: u8,
    /// The remote's transport port; 0 where the protocol or the fragment has none.
    pub remote_port: u16,
    /// From device to remote.
    pub up: Traffic,
    /// From remote to device.
    pub down: Traffic,
    /// The first packet of the epoch, to the kernel's tick (1 to 10 ms).
    pub first_seen: Timestamp,
    /// The last packet of the epoch, likewise.
    pub last_seen: Timestamp,
}

/// Frames and their layer-2 octets (Ethernet header and VLAN tags in, frame check sequence out).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Frames {
    /// Frames as the hook saw them: an aggregate is one.
    pub frames: u64,
    /// Layer-2 octets of those frames.
    pub l2_octets: u64,
}

/// What one device did in one direction since flowwatch attached.
///
/// Conservation: `seen.frames` = `in_flows.frames` + the sum of `unaccounted[..].frames`, and the
/// sum of the drained flows is `flow_traffic`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionTotals {
    /// Every frame of the device that the hook saw.
    pub seen: Frames,
    /// Of those, the frames that were counted into a flow.
    pub in_flows: Frames,
    /// What those frames added to flows.
    pub flow_traffic: Traffic,
    /// What the flow table had no room for: counted here, in no flow.
    pub overflow: Traffic,
    /// Frames in no flow, by `flowwatch_common::abi::Reason`.
    pub unaccounted: [Frames; REASON_COUNT],
}

impl DirectionTotals {
    /// Returns whether every frame seen is in a flow or under a reason.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let unaccounted: u64 = self.unaccounted.iter().map(|frames| frames.frames).sum();
        self.seen.frames == self.in_flows.frames + unaccounted
    }
}

/// A device's totals in both directions, cumulative since flowwatch attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceTotals {
    /// From the device.
    pub up: DirectionTotals,
    /// To the device.
    pub down: DirectionTotals,
}

impl std::ops::AddAssign for Frames {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.l2_octets += other.l2_octets;
    }
}

impl std::ops::AddAssign for DirectionTotals {
    fn add_assign(&mut self, other: Self) {
        self.seen += other.seen;
        self.in_flows += other.in_flows;
        self.flow_traffic += other.flow_traffic;
        self.overflow += other.overflow;
        for (sum, more) in self.unaccounted.iter_mut().zip(other.unaccounted) {
            *sum += more;
        }
    }
}

impl std::ops::AddAssign for DeviceTotals {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.down += other.down;
    }
}

/// A payload that may carry names, as the kernel sampled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadSample {
    /// The device.
    pub device: DeviceId,
    /// Whether the device sent (`Up`) or received (`Down`) it.
    pub direction: Direction,
    /// The address at the other end.
    pub remote: IpAddr,
    /// IANA protocol number.
    pub protocol: u8,
    /// The remote's transport port.
    pub remote_port: u16,
    /// The device's transport port.
    pub local_port: u16,
    /// When the kernel saw it.
    pub at: Timestamp,
    /// Where a TCP segment's payload lies in its stream; nothing for other protocols.
    pub segment: Option<Segment>,
    /// The transport payload's octets, as many as were sampled.
    pub payload: Bytes,
    /// The transport payload's length on the wire; more than `payload.len()` when it was cut.
    pub wire_length: u32,
}

/// The place of a TCP segment's payload in the stream of its direction (RFC 9293 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The sequence number of the stream's first octet: the one behind SYN, or, of a connection
    /// whose SYN was not seen, of the first octet that was sampled. It tells connections that use
    /// the same ports one after the other apart.
    pub stream_start: u32,
    /// The sequence number of the payload's first octet.
    pub sequence: u32,
}

impl Segment {
    /// Returns how many octets of the stream come before the payload; of a payload that begins
    /// before the stream's start, a number near 2^32.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.sequence.wrapping_sub(self.stream_start)
    }
}

#[cfg(test)]
mod tests {
    use flowwatch_common::abi::Reason;

    #[test]
    fn the_page_on_counting_has_every_reason_in_order() {
        let page = include_str!("../../docs/counting.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let named: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
        let reasons = Reason::ALL.map(Reason::name);
        assert!(
            named.windows(reasons.len()).any(|rows| rows == reasons),
            "{named:?}"
        );
    }
}
