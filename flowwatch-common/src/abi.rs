//! Memory shared between the BPF programs and the loader: keys and values of the maps, the
//! payload samples, and their limits.
//!
//! Integers and octet arrays in C layout, host byte order unless a field says otherwise, reserved
//! octets explicit and zero, sizes asserted.

use core::net::{IpAddr, Ipv6Addr};

use crate::bytes::PacketBytes as _;
use crate::sampling::attention::Attention;

/// Which way a packet went, as the device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the device to the remote.
    Up,
    /// From the remote to the device.
    Down,
}

/// Why a frame of a tagged device is in no flow. Each such frame counts under exactly one.
///
/// A whole word: of a `Result`, it shares the memory of the other case, whose first word would
/// otherwise be put together from octets, for which the hash of the flow's key has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Reason {
    /// Neither IPv4 nor IPv6: ARP, EAPOL, LLC, PPP control, …
    NotIp,
    /// The frame ends before the headers that it announces.
    Truncated,
    /// A header contradicts itself: a wrong version, a length below its own header's.
    Malformed,
    /// More VLAN tags than `MAX_VLAN_TAGS`.
    TooManyTags,
    /// More IPv6 extension headers than `MAX_EXTENSION_HEADERS`.
    ExtensionChainTooLong,
    /// The epoch's flow table has no free entry.
    FlowTableFull,
    /// The kernel refused the insertion for another reason (a lock held by an interrupted update).
    FlowTableBusy,
}

/// The number of variants of [`Reason`].
pub const REASON_COUNT: usize = Reason::ALL.len();

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::NotIp,
        Self::Truncated,
        Self::Malformed,
        Self::TooManyTags,
        Self::ExtensionChainTooLong,
        Self::FlowTableFull,
        Self::FlowTableBusy,
    ];

    /// Returns the reason's name in every output, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::TooManyTags => "too_many_tags",
            Self::ExtensionChainTooLong => "extension_chain_too_long",
            Self::FlowTableFull => "flow_table_full",
            Self::FlowTableBusy => "flow_table_busy",
        }
    }
}

/// The most devices that one flowwatch counts: device numbers fit the table of [`device_slot`]s,
/// and a perfect hash of this many addresses is still found at once.
pub const MAX_DEVICES: usize = 4096;

/// The key of a flow in the epoch's table: (device, remote, protocol, port).
///
/// Whole words only: a key put together from octets stalls the hash on store forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct FlowKey {
    /// The remote address in network byte order; IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
    pub remote: [u32; 4],
    /// The device's number.
    pub device: u32,
    /// See [`FlowKey::transport`].
    pub transport: u32,
}

impl FlowKey {
    /// Reads a key from the octets of a map's key or of a ring buffer's record.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let word = |at: usize| octets.octets::<4>(at).map(u32::from_ne_bytes);
        Some(Self {
            remote: [word(0)?, word(4)?, word(8)?, word(12)?],
            device: word(16)?,
            transport: word(20)?,
        })
    }

    /// Packs port (bits 0 to 15), protocol number (16 to 23) and IP version (24 to 31) in a word.
    /// The version keeps an IPv6 packet with an IPv4-mapped address apart from IPv4.
    #[inline]
    #[must_use]
    pub const fn transport(ip_version: u8, protocol: u8, remote_port: u16) -> u32 {
        remote_port as u32 | (protocol as u32) << 16 | (ip_version as u32) << 24
    }

    /// Returns the remote's transport port.
    #[must_use]
    pub const fn remote_port(&self) -> u16 {
        self.transport as u16
    }

    /// Returns the IANA protocol number.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        (self.transport >> 16) as u8
    }

    /// Returns 4 or 6.
    #[must_use]
    pub const fn ip_version(&self) -> u8 {
        (self.transport >> 24) as u8
    }

    /// Returns the remote address.
    #[must_use]
    pub fn remote_address(&self) -> IpAddr {
        let mut octets = [0; 16];
        for (four, word) in octets.chunks_exact_mut(4).zip(self.remote) {
            four.copy_from_slice(&word.to_ne_bytes());
        }
        let address = Ipv6Addr::from(octets);
        match (self.ip_version(), address.to_ipv4_mapped()) {
            (4, Some(mapped)) => IpAddr::V4(mapped),
            _ => IpAddr::V6(address),
        }
    }
}

/// One direction of a flow on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TrafficCounter {
    /// IP packets.
    pub packets: u64,
    /// IP header and payload octets.
    pub octets: u64,
}

/// A flow's counts on one CPU, in one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FlowCounters {
    /// Device to remote.
    pub up: TrafficCounter,
    /// Remote to device.
    pub down: TrafficCounter,
    /// The first tick, and the attention that the flow gets.
    pub attention: Attention,
    /// The kernel's tick counter (jiffies) at the last packet.
    pub last_tick: u64,
}

impl FlowCounters {
    /// Reads one CPU's counts from the octets of a map's value.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let word = |at: usize| octets.octets::<8>(at).map(u64::from_ne_bytes);
        let traffic = |at: usize| {
            let (packets, octets) = (word(at)?, word(at + 8)?);
            Some(TrafficCounter { packets, octets })
        };
        Some(Self {
            up: traffic(0)?,
            down: traffic(16)?,
            attention: Attention::from_word(word(32)?),
            last_tick: word(40)?,
        })
    }
}

/// Frames and their layer-2 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FrameCounter {
    /// Frames as the hook saw them: an aggregate is one.
    pub frames: u64,
    /// Layer-2 octets: Ethernet header and all VLAN tags in, frame check sequence out.
    pub l2_octets: u64,
}

/// What one device did in one direction on one CPU, since the programs were loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DeviceCounters {
    /// Every frame of the device.
    pub seen: FrameCounter,
    /// Of those, the ones counted into a flow.
    pub in_flows: FrameCounter,
    /// What those added to flows.
    pub flow_traffic: TrafficCounter,
    /// What found no room in the flow table.
    pub overflow: TrafficCounter,
    /// The frames in no flow, by [`Reason`].
    pub unaccounted: [FrameCounter; REASON_COUNT],
}

/// Returns the index of a device's [`DeviceCounters`] in their map.
#[inline]
#[must_use]
pub const fn device_counters_index(device: u32, direction: Direction) -> u32 {
    device * 2
        + match direction {
            Direction::Up => 0,
            Direction::Down => 1,
        }
}

/// The octets of a payload that a sample holds at most: an Ethernet frame's worth.
pub const SAMPLE_PAYLOAD_MAX: usize = 2000;

/// The fixed part of a payload sample; the payload's octets follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SampleHeader {
    /// The flow that the packet belongs to.
    pub key: FlowKey,
    /// The kernel's tick counter (jiffies) when the packet passed.
    pub tick: u64,
    /// Octets on the wire of the datagram's payload, or of this piece of a stream.
    pub wire_length: u32,
    /// The octets of it that follow this header.
    pub sampled_length: u32,
    /// The device's transport port.
    pub local_port: u16,
    /// 0 up, 1 down.
    pub direction: u16,
    /// Of TCP: the sequence number of the stream's first octet. Else 0.
    pub stream_start: u32,
    /// Of TCP: the sequence number of the first octet sampled. Else 0.
    pub sequence: u32,
    /// Zero.
    pub reserved: u32,
}

impl SampleHeader {
    /// Reads a header from the octets of a ring buffer's record.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let word = |at: usize| octets.octets::<4>(at).map(u32::from_ne_bytes);
        let half = |at: usize| octets.octets::<2>(at).map(u16::from_ne_bytes);
        Some(Self {
            key: FlowKey::from_octets(octets)?,
            tick: octets.octets::<8>(24).map(u64::from_ne_bytes)?,
            wire_length: word(32)?,
            sampled_length: word(36)?,
            local_port: half(40)?,
            direction: half(42)?,
            stream_start: word(44)?,
            sequence: word(48)?,
            reserved: word(52)?,
        })
    }
}

/// A payload sample as it lies in the ring buffer.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Sample {
    /// What the payload belongs to.
    pub header: SampleHeader,
    /// The payload; only `header.sampled_length` octets of it have meaning.
    pub payload: [u8; SAMPLE_PAYLOAD_MAX],
}

/// What became of the payloads that matched a rule, on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SampleCounters {
    /// Handed to the ring.
    pub sampled: u64,
    /// The ring had no room.
    pub no_room: u64,
    /// The kernel could not read its octets.
    pub unreadable: u64,
    /// Packets whose payload, or a part of it, was left out for a limit's sake: its stream had given
    /// as many samples as one may, or the packet was an aggregate of too many.
    pub turned_away: u64,
    /// Streams that the map of streams did not take up, so that only what they begin with is known.
    pub streams_refused: u64,
}

/// Returns the key under which the self-test notes that a hook ran.
#[inline]
#[must_use]
pub const fn hook_key(ifindex: u32, direction: Direction) -> u64 {
    (ifindex as u64) << 1 | direction as u64
}

/// A device in the look-up table: its address in the upper 48 bits, its number plus one in the
/// lower 16. Zero is an empty slot.
#[inline]
#[must_use]
pub const fn device_slot(mac: u64, device: u16) -> u64 {
    mac << 16 | (device as u64 + 1)
}

/// Returns the device's number if `slot` holds this address.
#[inline]
#[must_use]
pub const fn device_in_slot(slot: u64, mac: u64) -> Option<u32> {
    let number = slot & 0xffff;
    if slot >> 16 == mac && number != 0 {
        Some(number as u32 - 1)
    } else {
        None
    }
}

/// Returns the slot of an address: a multiplicative hash whose `multiplier` and `shift` the loader
/// chooses so that no two devices share a slot. There are `1 << (64 - shift)` slots.
#[inline]
#[must_use]
pub const fn device_slot_index(mac: u64, multiplier: u64, shift: u32) -> u32 {
    (mac.wrapping_mul(multiplier) >> (shift & 63)) as u32
}

/// Returns a MAC address's six octets as a number, as look-ups have it: the first octet lowest.
#[inline]
#[must_use]
pub const fn mac_word(octets: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = octets;
    u32::from_le_bytes([a, b, c, d]) as u64 | (u16::from_le_bytes([e, f]) as u64) << 32
}

const _: () = {
    assert!(size_of::<FlowKey>() == 24);
    assert!(size_of::<FlowCounters>() == 48);
    assert!(size_of::<DeviceCounters>() == 64 + 16 * REASON_COUNT);
    assert!(size_of::<SampleCounters>() == 40);
    assert!(size_of::<SampleHeader>() == 56);
    assert!(size_of::<Sample>() == size_of::<SampleHeader>() + SAMPLE_PAYLOAD_MAX);
};

#[cfg(feature = "user")]
#[expect(
    unsafe_code,
    reason = "aya's promise that a type is plain data is an unsafe trait"
)]
mod plain_data {
    use super::{DeviceCounters, FlowCounters, FlowKey, SampleCounters};
    use crate::census::{CensusCounters, SightingCounter, SightingKey};
    use crate::prefix::PrefixRules;

    // SAFETY: C layout, integers only, no padding (the size assertions above).
    unsafe impl aya::Pod for FlowKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for FlowCounters {}
    // SAFETY: as above.
    unsafe impl aya::Pod for DeviceCounters {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SampleCounters {}
    // SAFETY: as above; its size is asserted beside it.
    unsafe impl aya::Pod for PrefixRules {}
    // SAFETY: likewise.
    unsafe impl aya::Pod for SightingKey {}
    // SAFETY: likewise.
    unsafe impl aya::Pod for SightingCounter {}
    // SAFETY: likewise.
    unsafe impl aya::Pod for CensusCounters {}
}
