//! The accounting: every frame of a device ends in its flow, or under exactly one reason.
//!
//! Most frames are counted at the first look, which is inlined into each hook. What is rare (a
//! frame that is in no flow, a flow's first packet) is done out of line, so that the rest need not
//! keep registers for it.
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
use flowwatch_common::sampling::attention::Attention;
use flowwatch_common::wire::{ethernet, vlan};

use crate::device;
use crate::frame::Frame;
use crate::maps::{DEVICE_COUNTERS, EPOCH, FlowWords};
use crate::sample;

/// `-E2BIG`: what `bpf_map_update_elem` answers when a table is full.
const TABLE_FULL: i32 = -7;

/// What a first look at a frame came to.
pub(crate) enum Look {
    /// It is counted, or no device's.
    Done,
    /// It is this device's and counted, and its payload may be of interest.
    Attentive(u32),
    /// It is this device's, and its flow is not plain to see.
    Unclear(u32),
}

/// Counts a frame if it is a device's and its flow is plain to see.
#[inline(always)]
pub(crate) fn first_look<F: Frame>(frame: &F, direction: Direction) -> Look {
    let Ok(header) = ethernet::parse(frame) else {
        return Look::Done;
    };
    let Some(device) = device::number_of(address_of(&header, direction)) else {
        return Look::Done;
    };
    let info = frame.info();
    let Some(ledger) = Ledger::open(device, direction, &info) else {
        return Look::Done;
    };
    add_frame(&mut ledger.counters.seen, ledger.l2_octets);
    // The reason is not asked for here, so that it costs nothing to have several.
    match parse_packet(frame, &header, &info, direction) {
        Ok(packet) => {
            let key = packet.key(device);
            let traffic = wire_traffic(frame, &packet, &info);
            if ledger.enter(&key, traffic, packet.opening) {
                Look::Attentive(device)
            } else {
                Look::Done
            }
        }
        Err(_) => Look::Unclear(device),
    }
}

/// Parses a frame that was seen, and keeps the packet as [`sample::found`]: not on the stack, of which a
/// chain of calls has little. Returns what it was on the wire.
///
/// # Errors
/// The reason why it is in no flow.
#[inline(always)]
pub(crate) fn second_look<F: Frame>(
    frame: &F,
    direction: Direction,
) -> Result<WireTraffic, Reason> {
    let packet = packet_of(frame, direction)?;
    if let Some(found) = sample::found() {
        *found = packet;
    }
    Ok(wire_traffic(frame, &packet, &frame.info()))
}

/// Parses a frame that was seen, without what it was on the wire.
///
/// # Errors
/// The reason why it is in no flow.
#[inline(always)]
pub(crate) fn packet_of<F: Frame>(frame: &F, direction: Direction) -> Result<Packet, Reason> {
    let header = ethernet::parse(frame)?;
    parse_packet(frame, &header, &frame.info(), direction)
}

/// Counts a frame that was seen: into the flow of the packet that the second look kept, or under the
/// reason why it is in none. Returns whether its flow has attention.
#[inline(always)]
pub(crate) fn settle<F: Frame>(
    frame: &F,
    device: u32,
    direction: Direction,
    outcome: Result<WireTraffic, Reason>,
) -> bool {
    let Some(ledger) = Ledger::open(device, direction, &frame.info()) else {
        return false;
    };
    match outcome {
        Ok(traffic) => sample::found()
            .is_some_and(|packet| ledger.enter(&packet.key(device), traffic, packet.opening)),
        Err(reason) => {
            add_unaccounted(ledger.counters, reason, ledger.l2_octets);
            false
        }
    }
}

/// Returns the address that is the device's.
#[inline(always)]
pub(crate) fn address_of(header: &ethernet::Header, direction: Direction) -> u64 {
    match direction {
        Direction::Up => header.source,
        Direction::Down => header.destination,
    }
}

/// A device's counters of one direction, and the frame to be entered in them.
struct Ledger {
    counters: &'static mut DeviceCounters,
    direction: Direction,
    l2_octets: u64,
}

impl Ledger {
    #[inline(always)]
    fn open(device: u32, direction: Direction, info: &FrameInfo) -> Option<Self> {
        let counters = DEVICE_COUNTERS.get_ptr_mut(device_counters_index(device, direction))?;
        let tags = u64::from(info.tags_taken) * vlan::TAG_LENGTH as u64;
        Some(Self {
            // SAFETY: the kernel returned this CPU's own value, and BPF programs don't interrupt
            // each other on a CPU in these hooks.
            counters: unsafe { &mut *counters },
            direction,
            l2_octets: u64::from(info.length) + tags,
        })
    }

    /// Counts a packet into its flow's entry in the active epoch. Returns whether the flow has
    /// attention.
    #[inline(always)]
    fn enter(self, key: &FlowKey, traffic: WireTraffic, opening: u32) -> bool {
        let Some(flow) = EPOCH.get_value_ptr_mut(0, key) else {
            let new = New {
                traffic,
                l2_octets: self.l2_octets,
                direction: self.direction,
                opening,
            };
            return enter_new(self.counters, key, &new);
        };
        // SAFETY: as in `open`; the words are the counters', and aligned like them.
        let flow = unsafe { &mut *flow.cast::<FlowCounters>() };
        let tick = jiffies();
        add_traffic(side(flow, self.direction), traffic);
        flow.last_tick = tick;
        add_in_flow(self.counters, traffic, self.l2_octets);
        if flow.attention.is_calm(self.direction) && opening == 0 {
            return false;
        }
        attend(flow, key.transport, self.direction, opening);
        true
    }
}

/// Takes the flow's attention on by one packet. The first on this CPU is the entry's first here:
/// another CPU made it.
#[inline(never)]
fn attend(flow: &mut FlowCounters, transport: u32, direction: Direction, opening: u32) {
    let attention = flow.attention;
    flow.attention = attention.after(flow.last_tick, transport, direction, opening != 0);
}

/// A packet whose flow has no entry yet.
struct New {
    traffic: WireTraffic,
    l2_octets: u64,
    direction: Direction,
    opening: u32,
}

/// Counts it: makes the entry, or counts the packet into the device's overflow. Returns whether the
/// flow has attention.
#[inline(never)]
fn enter_new(counters: &mut DeviceCounters, key: &FlowKey, new: &New) -> bool {
    let tick = jiffies();
    let attention =
        Attention::default().after(tick, key.transport, new.direction, new.opening != 0);
    match insert_flow(key, new, tick, attention) {
        Ok(()) => add_in_flow(counters, new.traffic, new.l2_octets),
        Err(reason) => {
            add_traffic(&mut counters.overflow, new.traffic);
            add_unaccounted(counters, reason, new.l2_octets);
        }
    }
    new.opening != 0 || !attention.is_calm(new.direction)
}

/// Makes the flow's entry. `BPF_ANY` is right for a per-CPU table: should another CPU make the
/// same entry meanwhile, this writes only this CPU's value, in which nothing has been counted.
#[inline(always)]
fn insert_flow(key: &FlowKey, new: &New, tick: u64, attention: Attention) -> Result<(), Reason> {
    let mut counters = FlowCounters {
        attention,
        last_tick: tick,
        ..FlowCounters::default()
    };
    add_traffic(side(&mut counters, new.direction), new.traffic);
    let table = EPOCH.get(0).ok_or(Reason::FlowTableBusy)?;
    // SAFETY: the counters are whole words, without padding.
    let words = unsafe { &*(&raw const counters).cast::<FlowWords>() };
    match table.insert(key, words, u64::from(BPF_ANY)) {
        Ok(()) => Ok(()),
        Err(TABLE_FULL) => Err(Reason::FlowTableFull),
        Err(_) => Err(Reason::FlowTableBusy),
    }
}

/// Returns the kernel's tick counter, which the verifier makes a load of.
#[inline(always)]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: the helper takes nothing and always returns the tick counter.
    unsafe { bpf_jiffies64() }
}

#[inline(always)]
fn side(counters: &mut FlowCounters, direction: Direction) -> &mut TrafficCounter {
    match direction {
        Direction::Up => &mut counters.up,
        Direction::Down => &mut counters.down,
    }
}

#[inline(always)]
fn add_in_flow(counters: &mut DeviceCounters, traffic: WireTraffic, l2_octets: u64) {
    add_frame(&mut counters.in_flows, l2_octets);
    add_traffic(&mut counters.flow_traffic, traffic);
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
    let number = reason as u32;
    // SAFETY: the pointer is to a value of this frame. The compiler knows that each reason has its
    // counter and would leave the test below out, which the verifier wants to see.
    let number = unsafe { core::ptr::read_volatile(&raw const number) };
    if let Some(counter) = counters.unaccounted.get_mut(number as usize) {
        add_frame(counter, l2_octets);
    }
}
