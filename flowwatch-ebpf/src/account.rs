//! The accounting: every frame of a device ends in its flow, or under exactly one reason.
#![expect(
    unsafe_code,
    reason = "counters are reached by address; each CPU has its own"
)]

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use flowwatch_common::abi::{
    DeviceCounters, Direction, FlowCounters, FlowKey, FrameCounter, Reason, TrafficCounter,
    device_counters_index,
};
use flowwatch_common::parse::{FrameInfo, Packet, WireTraffic, parse_packet, wire_traffic};
use flowwatch_common::wire::{ethernet, vlan};

use crate::device;
use crate::frame::Frame;
use crate::maps::{DEVICE_COUNTERS, EPOCH};

/// `-E2BIG`: what `bpf_map_update_elem` answers when a table is full.
const TABLE_FULL: i32 = -7;

/// A frame of a device, as it was counted.
pub(crate) struct Counted {
    /// The flow it belongs to.
    pub(crate) key: FlowKey,
    /// The packet.
    pub(crate) packet: Packet,
}

/// Counts a frame if it is a device's. Returns its flow if it has one.
#[inline(always)]
pub(crate) fn frame<F: Frame>(frame: &F, direction: Direction) -> Option<Counted> {
    let header = ethernet::parse(frame).ok()?;
    let device = device::number_of(address_of(&header, direction))?;
    let info = frame.info();
    let parsed = parse_packet(frame, &header, &info, direction);
    let traffic = parsed.map(|packet| (packet, wire_traffic(frame, &packet, &info)));
    outcome(device, direction, &info, traffic)
}

/// Returns the address that is the device's.
#[inline(always)]
pub(crate) fn address_of(header: &ethernet::Header, direction: Direction) -> u64 {
    match direction {
        Direction::Up => header.source,
        Direction::Down => header.destination,
    }
}

/// Counts a device's frame under what became of it.
#[inline(always)]
pub(crate) fn outcome(
    device: u32,
    direction: Direction,
    info: &FrameInfo,
    parsed: Result<(Packet, WireTraffic), Reason>,
) -> Option<Counted> {
    let counters = DEVICE_COUNTERS.get_ptr_mut(device_counters_index(device, direction))?;
    // SAFETY: the kernel returned this CPU's own value, and BPF programs don't interrupt each other
    // on a CPU in these hooks.
    let counters = unsafe { &mut *counters };
    let l2_octets = u64::from(info.length) + u64::from(info.tags_taken) * vlan::TAG_LENGTH as u64;
    add_frame(&mut counters.seen, l2_octets);
    let (packet, traffic) = match parsed {
        Ok(parsed) => parsed,
        Err(reason) => {
            add_unaccounted(counters, reason, l2_octets);
            return None;
        }
    };
    let key = packet.key(device);
    match add_to_flow(&key, direction, traffic) {
        Ok(()) => {
            add_frame(&mut counters.in_flows, l2_octets);
            add_traffic(&mut counters.flow_traffic, traffic);
        }
        Err(reason) => {
            add_traffic(&mut counters.overflow, traffic);
            add_unaccounted(counters, reason, l2_octets);
        }
    }
    Some(Counted { key, packet })
}

/// Adds to the flow's entry in the active epoch, which it makes if need be.
#[inline(always)]
fn add_to_flow(key: &FlowKey, direction: Direction, traffic: WireTraffic) -> Result<(), Reason> {
    // SAFETY: the helper takes nothing and always returns the tick counter.
    let tick = unsafe { bpf_jiffies64() };
    let Some(counters) = EPOCH.get_value_ptr_mut(0, key) else {
        return insert_flow(key, direction, traffic, tick);
    };
    // SAFETY: as in `outcome`.
    let counters = unsafe { &mut *counters };
    add_traffic(side(counters, direction), traffic);
    if counters.first_tick == 0 {
        // Another CPU made the entry.
        counters.first_tick = tick;
    }
    counters.last_tick = tick;
    Ok(())
}

/// Makes the flow's entry. `BPF_ANY` is right for a per-CPU table: should another CPU make the
/// same entry meanwhile, this writes only this CPU's value, in which nothing has been counted.
#[inline(always)]
fn insert_flow(
    key: &FlowKey,
    direction: Direction,
    traffic: WireTraffic,
    tick: u64,
) -> Result<(), Reason> {
    let mut counters = FlowCounters {
        first_tick: tick,
        last_tick: tick,
        ..FlowCounters::default()
    };
    add_traffic(side(&mut counters, direction), traffic);
    let table = EPOCH.get(0).ok_or(Reason::FlowTableBusy)?;
    match table.insert(key, counters, u64::from(BPF_ANY)) {
        Ok(()) => Ok(()),
        Err(TABLE_FULL) => Err(Reason::FlowTableFull),
        Err(_) => Err(Reason::FlowTableBusy),
    }
}

#[inline(always)]
fn side(counters: &mut FlowCounters, direction: Direction) -> &mut TrafficCounter {
    match direction {
        Direction::Up => &mut counters.up,
        Direction::Down => &mut counters.down,
    }
}

#[inline(always)]
fn add_traffic(counter: &mut TrafficCounter, traffic: WireTraffic) {
    counter.packets += u64::from(traffic.packets);
    counter.octets += traffic.octets;
}

#[inline(always)]
fn add_frame(counter: &mut FrameCounter, l2_octets: u64) {
    counter.frames += 1;
    counter.l2_octets += l2_octets;
}

#[inline(always)]
fn add_unaccounted(counters: &mut DeviceCounters, reason: Reason, l2_octets: u64) {
    if let Some(counter) = counters.unaccounted.get_mut(reason as usize) {
        add_frame(counter, l2_octets);
    }
}
