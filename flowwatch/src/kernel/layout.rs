//! How counts lie in maps, as data: so that a flowwatch can read the maps that another version left
//! in the kernel, field by field.
//!
//! The layout of this version is made of its types; a generation's descriptor has the one that it
//! was made with. Host byte order, as `flowwatch_common::abi` says.

use std::mem::offset_of;
use std::net::{IpAddr, Ipv6Addr};

use flowwatch_common::abi::{
    DeviceCounters, Direction, FlowCounters, FlowKey, FrameCounter, Reason, TrafficCounter,
    device_counters_index,
};
use serde::{Deserialize, Serialize};

use super::clock::TickClock;
use crate::observation::{DeviceId, DirectionTotals, EpochFlow, Frames, Traffic};

/// Octets of an address in a key, in network byte order; IPv4 as its IPv4-mapped IPv6 address.
const ADDRESS_OCTETS: usize = 16;
/// Where `Attention` has the first tick in its word.
const FIRST_TICK_SHIFT: u8 = 16;

/// A number in a key or a value: some bits of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The offset of its word's first octet.
    pub at: u16,
    /// Octets of the word: 1, 2, 4 or 8.
    pub octets: u8,
    /// Bits of the word below it.
    pub shift: u8,
    /// Bits that it has.
    pub bits: u8,
}

/// Frames and their layer-2 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameFields {
    /// Frames.
    pub frames: Field,
    /// Octets.
    pub l2_octets: Field,
}

/// Packets and IP octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficFields {
    /// Packets.
    pub packets: Field,
    /// Octets.
    pub octets: Field,
}

/// How a flow table's entries lie: a per-CPU hash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLayout {
    /// Octets of a key.
    pub key_octets: u16,
    /// Octets of one CPU's value.
    pub value_octets: u16,
    /// Where the remote address is in the key.
    pub remote_at: u16,
    /// In the key: the device's number.
    pub device: Field,
    /// In the key: the remote's port.
    pub remote_port: Field,
    /// In the key: the protocol's number.
    pub protocol: Field,
    /// In the key: 4 or 6.
    pub ip_version: Field,
    /// In the value: from the device.
    pub up: TrafficFields,
    /// In the value: to the device.
    pub down: TrafficFields,
    /// In the value: the tick of the first packet, 0 where this CPU saw none.
    pub first_tick: Field,
    /// In the value: the tick of the last packet.
    pub last_tick: Field,
}

/// How the devices' totals lie: a per-CPU array, an entry for each direction of each device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsLayout {
    /// Octets of one CPU's value.
    pub value_octets: u16,
    /// Entries for each device.
    pub entries: u32,
    /// Which of them is from the device.
    pub up: u32,
    /// Which of them is to the device.
    pub down: u32,
    /// Every frame.
    pub seen: FrameFields,
    /// Those in flows.
    pub in_flows: FrameFields,
    /// What those added to flows.
    pub flow_traffic: TrafficFields,
    /// What found no room in the flow table.
    pub overflow: TrafficFields,
    /// Those in no flow, by the reasons' names.
    pub unaccounted: Vec<(String, FrameFields)>,
}

/// How the devices that were found lie: a hash table of numbers by addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundLayout {
    /// Octets of a key.
    pub key_octets: u16,
    /// Octets of a value.
    pub value_octets: u16,
    /// In the key: the address, its first octet in the lowest bits.
    pub address: Field,
    /// In the value: the device's number.
    pub number: Field,
}

/// How all that is drained lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The flow tables.
    pub flows: FlowLayout,
    /// The devices' totals.
    pub totals: TotalsLayout,
    /// The devices that were found.
    pub found: FoundLayout,
}

impl Field {
    /// A whole word.
    #[must_use]
    pub const fn word(at: usize, octets: u8) -> Self {
        Self::part(at, octets, 0, octets * 8)
    }

    /// Some bits of a word.
    #[must_use]
    pub const fn part(at: usize, octets: u8, shift: u8, bits: u8) -> Self {
        Self {
            at: at as u16,
            octets,
            shift,
            bits,
        }
    }

    /// Returns the number; nothing where the octets end before it.
    #[must_use]
    pub fn read(self, octets: &[u8]) -> Option<u64> {
        let at = usize::from(self.at);
        let word = octets.get(at..at + usize::from(self.octets))?;
        let word = match *word {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_ne_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
            _ => u64::from_ne_bytes(word.try_into().ok()?),
        };
        let mask = u64::MAX.checked_shr(64 - u32::from(self.bits))?;
        Some(word.checked_shr(self.shift.into())? & mask)
    }

    /// Returns whether it is a number, and lies within so many octets.
    #[must_use]
    fn is_within(self, octets: u16) -> bool {
        matches!(self.octets, 1 | 2 | 4 | 8)
            && self
                .at
                .checked_add(self.octets.into())
                .is_some_and(|end| end <= octets)
            && self.bits > 0
            && u16::from(self.shift) + u16::from(self.bits) <= u16::from(self.octets) * 8
    }
}

impl FrameFields {
    const fn at(at: usize) -> Self {
        Self {
            frames: Field::word(at + offset_of!(FrameCounter, frames), 8),
            l2_octets: Field::word(at + offset_of!(FrameCounter, l2_octets), 8),
        }
    }

    fn read(self, octets: &[u8]) -> Option<Frames> {
        Some(Frames {
            frames: self.frames.read(octets)?,
            l2_octets: self.l2_octets.read(octets)?,
        })
    }

    fn is_within(self, octets: u16) -> bool {
        self.frames.is_within(octets) && self.l2_octets.is_within(octets)
    }
}

impl TrafficFields {
    const fn at(at: usize) -> Self {
        Self {
            packets: Field::word(at + offset_of!(TrafficCounter, packets), 8),
            octets: Field::word(at + offset_of!(TrafficCounter, octets), 8),
        }
    }

    fn read(self, octets: &[u8]) -> Option<Traffic> {
        Some(Traffic {
            packets: self.packets.read(octets)?,
            octets: self.octets.read(octets)?,
        })
    }

    fn is_within(self, octets: u16) -> bool {
        self.packets.is_within(octets) && self.octets.is_within(octets)
    }
}

impl FlowLayout {
    const CURRENT: Self = {
        let transport = offset_of!(FlowKey, transport);
        Self {
            key_octets: size_of::<FlowKey>() as u16,
            value_octets: size_of::<FlowCounters>() as u16,
            remote_at: offset_of!(FlowKey, remote) as u16,
            device: Field::word(offset_of!(FlowKey, device), 4),
            remote_port: Field::part(transport, 4, 0, 16),
            protocol: Field::part(transport, 4, 16, 8),
            ip_version: Field::part(transport, 4, 24, 8),
            up: TrafficFields::at(offset_of!(FlowCounters, up)),
            down: TrafficFields::at(offset_of!(FlowCounters, down)),
            first_tick: Field::part(
                offset_of!(FlowCounters, attention),
                8,
                FIRST_TICK_SHIFT,
                64 - FIRST_TICK_SHIFT,
            ),
            last_tick: Field::word(offset_of!(FlowCounters, last_tick), 8),
        }
    };

    fn is_sound(&self) -> bool {
        let keys = [
            self.device,
            self.remote_port,
            self.protocol,
            self.ip_version,
        ];
        let values = [self.first_tick, self.last_tick];
        usize::from(self.remote_at) + ADDRESS_OCTETS <= usize::from(self.key_octets)
            && keys.iter().all(|field| field.is_within(self.key_octets))
            && values
                .iter()
                .all(|field| field.is_within(self.value_octets))
            && self.up.is_within(self.value_octets)
            && self.down.is_within(self.value_octets)
    }

    /// Sums an entry over the CPUs; nothing where a value is none that a packet has.
    #[must_use]
    pub fn flow_of(&self, key: &[u8], values: &[u8], clock: &TickClock) -> Option<EpochFlow> {
        let (mut up, mut down) = (Traffic::default(), Traffic::default());
        let (mut first_tick, mut last_tick) = (u64::MAX, 0);
        for value in values.chunks_exact(per_cpu_octets(self.value_octets)) {
            up += self.up.read(value)?;
            down += self.down.read(value)?;
            let first = self.first_tick.read(value)?;
            if first != 0 {
                first_tick = first_tick.min(first);
            }
            last_tick = last_tick.max(self.last_tick.read(value)?);
        }
        Some(EpochFlow {
            device: DeviceId::try_from(self.device.read(key)?).ok()?,
            remote: self.remote_of(key)?,
            protocol: u8::try_from(self.protocol.read(key)?).ok()?,
            remote_port: u16::try_from(self.remote_port.read(key)?).ok()?,
            up,
            down,
            first_seen: clock.time_of(first_tick.min(last_tick)),
            last_seen: clock.time_of(last_tick),
        })
    }

    fn remote_of(&self, key: &[u8]) -> Option<IpAddr> {
        let at = usize::from(self.remote_at);
        let octets: [u8; ADDRESS_OCTETS] = key.get(at..at + ADDRESS_OCTETS)?.try_into().ok()?;
        let address = Ipv6Addr::from(octets);
        Some(
            match (self.ip_version.read(key)?, address.to_ipv4_mapped()) {
                (4, Some(mapped)) => IpAddr::V4(mapped),
                _ => IpAddr::V6(address),
            },
        )
    }
}

impl TotalsLayout {
    fn current() -> Self {
        let unaccounted = |reason: Reason| {
            let at = reason as usize * size_of::<FrameCounter>();
            let fields = FrameFields::at(offset_of!(DeviceCounters, unaccounted) + at);
            (reason.name().to_owned(), fields)
        };
        Self {
            value_octets: size_of::<DeviceCounters>() as u16,
            entries: device_counters_index(1, Direction::Up),
            up: device_counters_index(0, Direction::Up),
            down: device_counters_index(0, Direction::Down),
            seen: FrameFields::at(offset_of!(DeviceCounters, seen)),
            in_flows: FrameFields::at(offset_of!(DeviceCounters, in_flows)),
            flow_traffic: TrafficFields::at(offset_of!(DeviceCounters, flow_traffic)),
            overflow: TrafficFields::at(offset_of!(DeviceCounters, overflow)),
            unaccounted: Reason::ALL.into_iter().map(unaccounted).collect(),
        }
    }

    fn is_sound(&self) -> bool {
        let octets = self.value_octets;
        let frames = [self.seen, self.in_flows].into_iter();
        let mut frames = frames.chain(self.unaccounted.iter().map(|(_, fields)| *fields));
        frames.all(|fields| fields.is_within(octets))
            && self.flow_traffic.is_within(octets)
            && self.overflow.is_within(octets)
            && self.up.max(self.down) < self.entries
            // What is in no flow for a reason that is not known here could be told under none.
            && self.unaccounted.iter().all(|(name, _)| reason_of(name).is_some())
    }

    /// Sums an entry over the CPUs.
    #[must_use]
    pub fn totals_of(&self, values: &[u8]) -> Option<DirectionTotals> {
        let mut totals = DirectionTotals::default();
        for value in values.chunks_exact(per_cpu_octets(self.value_octets)) {
            totals.seen += self.seen.read(value)?;
            totals.in_flows += self.in_flows.read(value)?;
            totals.flow_traffic += self.flow_traffic.read(value)?;
            totals.overflow += self.overflow.read(value)?;
            for (name, fields) in &self.unaccounted {
                totals.unaccounted[reason_of(name)? as usize] += fields.read(value)?;
            }
        }
        Some(totals)
    }
}

impl FoundLayout {
    const CURRENT: Self = Self {
        key_octets: 8,
        value_octets: 4,
        address: Field::part(0, 8, 0, 48),
        number: Field::word(0, 4),
    };

    fn is_sound(&self) -> bool {
        self.address.is_within(self.key_octets) && self.number.is_within(self.value_octets)
    }

    /// Returns a device's number and address.
    #[must_use]
    pub fn device_of(&self, key: &[u8], value: &[u8]) -> Option<(DeviceId, [u8; 6])> {
        let [a, b, c, d, e, f, _, _] = self.address.read(key)?.to_le_bytes();
        let number = DeviceId::try_from(self.number.read(value)?).ok()?;
        Some((number, [a, b, c, d, e, f]))
    }
}

impl Layout {
    /// Returns the layout of this version's types.
    #[must_use]
    pub fn current() -> Self {
        Self {
            flows: FlowLayout::CURRENT,
            totals: TotalsLayout::current(),
            found: FoundLayout::CURRENT,
        }
    }

    /// Returns whether every field lies within its key or value, and every reason is known.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.flows.is_sound() && self.totals.is_sound() && self.found.is_sound()
    }
}

fn reason_of(name: &str) -> Option<Reason> {
    Reason::ALL.into_iter().find(|reason| reason.name() == name)
}

/// Octets of one CPU's value as the kernel copies it.
fn per_cpu_octets(value_octets: u16) -> usize {
    usize::from(value_octets).next_multiple_of(8).max(8)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flowwatch_common::sampling::attention::Attention;
    use jiff::Timestamp;

    use super::*;
    use crate::kernel::clock::Moment;

    #[test]
    fn a_field_is_some_bits_of_a_word() {
        let octets = 0x1122_3344_5566_7788_u64.to_ne_bytes();
        assert_eq!(Field::word(0, 8).read(&octets), Some(0x1122_3344_5566_7788));
        assert_eq!(
            Field::part(0, 8, 16, 48).read(&octets),
            Some(0x1122_3344_5566)
        );
        assert_eq!(Field::part(0, 8, 4, 8).read(&octets), Some(0x78));
        assert_eq!(Field::word(4, 8).read(&octets), None);
        assert_eq!(Field::part(0, 8, 64, 8).read(&octets), None);
    }

    #[test]
    fn a_field_beyond_its_octets_is_not_sound() {
        let check = |field: Field, is_within: bool| {
            assert_eq!(field.is_within(16), is_within, "{field:?}");
        };
        check(Field::word(8, 8), true);
        check(Field::word(9, 8), false);
        check(Field::word(usize::from(u16::MAX), 8), false);
        check(Field::word(0, 3), false);
        check(Field::part(0, 4, 24, 9), false);
        check(Field::part(0, 4, 24, 0), false);
        check(Field::part(0, 4, 255, 255), false);
    }

    #[test]
    fn this_versions_layout_reads_this_versions_entries() {
        let remote: Ipv6Addr = "::ffff:192.0.2.7".parse().unwrap();
        let words = remote.octets();
        let words = words
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| u32::from_ne_bytes(*four));
        let words: Vec<u32> = words.chain([5, FlowKey::transport(4, 17, 443)]).collect();
        let key: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let attention = Attention::default().after(700, words[5], Direction::Up, false);
        let value = |words: [u64; 6]| words.into_iter().flat_map(u64::to_ne_bytes);
        let values: Vec<u8> = value([1, 100, 2, 200, attention.word(), 800])
            .chain(value([3, 300, 4, 400, 0, 900]))
            .collect();
        let at = Timestamp::from_second(1000).unwrap();
        let moment = Moment::new(at, Duration::from_secs(1000));
        let clock = TickClock::new(1000, moment, Duration::from_secs(1));
        let flow = Layout::current()
            .flows
            .flow_of(&key, &values, &clock)
            .unwrap();
        let traffic = |packets, octets| Traffic { packets, octets };
        let expected = EpochFlow {
            device: 5,
            remote: "192.0.2.7".parse().unwrap(),
            protocol: 17,
            remote_port: 443,
            up: traffic(4, 400),
            down: traffic(6, 600),
            first_seen: Timestamp::from_second(700).unwrap(),
            last_seen: Timestamp::from_second(900).unwrap(),
        };
        assert_eq!(flow, expected);
    }

    #[test]
    fn this_versions_layout_is_sound_and_survives_its_own_text() {
        let layout = Layout::current();
        assert!(layout.is_sound());
        let text = serde_json::to_string(&layout).unwrap();
        assert_eq!(serde_json::from_str::<Layout>(&text).unwrap(), layout);
    }

    #[test]
    fn a_reason_that_is_not_known_is_not_understood() {
        let mut layout = Layout::current();
        layout.totals.unaccounted[0].0 = "of_tomorrow".to_owned();
        assert!(!layout.is_sound());
    }
}
