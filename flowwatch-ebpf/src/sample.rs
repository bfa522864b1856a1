//! The payload samples: octets that may carry names, on their way to user space.
//!
//! Out of the way of most packets: a frame of a flow that has attention is parsed once more, so that
//! the others need not keep anything for it. Each step is a function of its own, whose frame is gone
//! before the next one's: a chain of calls has 512 octets of stack.
#![expect(
    unsafe_code,
    reason = "ring memory and map values are reached by address; each write is bounded here"
)]

use aya_ebpf::bindings::BPF_ANY;
use flowwatch_common::abi::{SAMPLE_PAYLOAD_MAX, Sample, SampleCounters, SampleHeader};
use flowwatch_common::parse::Packet;
use flowwatch_common::sampling::stream::{StreamKey, StreamState, Streams};
use flowwatch_common::sampling::{self, Piece, Plan, SAMPLES_A_PACKET};

use crate::account;
use crate::frame::Frame as _;
use crate::maps::{FOUND, SAMPLE_COUNTERS, SAMPLES, STREAMS};
use crate::whole_frame::{Source, WholeFrame as _};

/// Copies to the ring what the rules ask for of a device's frame.
#[inline(never)]
pub(crate) fn take<S: Source>(source: S, device: u32) {
    if find(source) {
        take_found(source, device);
    }
}

#[inline(never)]
fn find<S: Source>(source: S) -> bool {
    let Ok(packet) = source.packet() else {
        return false;
    };
    let Some(found) = found() else {
        return false;
    };
    *found = packet;
    true
}

/// Returns the place of the packet that is looked at again; it is always there.
#[inline(always)]
pub(crate) fn found() -> Option<&'static mut Packet> {
    let packet = FOUND.get_ptr_mut(0)?;
    // SAFETY: the kernel returned this CPU's own value, which is a packet or zeros, and those are a
    // packet, too.
    Some(unsafe { &mut *packet })
}

/// The same of a frame whose packet was found.
#[inline(never)]
pub(crate) fn take_found<S: Source>(source: S, device: u32) {
    let Some(packet) = found() else {
        return;
    };
    let Some(plan) = plan(source, device, packet) else {
        return;
    };
    let Some(counters) = counters() else {
        return;
    };
    counters.turned_away += u64::from(plan.turned_away);
    for number in 0..SAMPLES_A_PACKET {
        if !hand_over(source, device, packet, &plan, number) {
            break;
        }
    }
}

#[inline(never)]
fn plan<S: Source>(source: S, device: u32, packet: &Packet) -> Option<Plan> {
    let frame = source.frame();
    let (info, key) = (frame.info(), packet.key(device));
    let streams = &mut KernelStreams;
    sampling::plan(&frame, packet, &info, &key, S::DIRECTION, streams)
}

/// Hands one piece over; returns whether there was one.
#[inline(never)]
fn hand_over<S: Source>(source: S, device: u32, packet: &Packet, plan: &Plan, number: u32) -> bool {
    let Some(piece) = plan.piece(number) else {
        return false;
    };
    let Some(counters) = counters() else {
        return false;
    };
    let Some(mut entry) = SAMPLES.reserve(0) else {
        counters.no_room += 1;
        return true;
    };
    let sample: *mut Sample = entry.as_mut_ptr();
    // The header comes second: the copy may change it.
    if copy(source, &piece, sample) {
        let header = SampleHeader {
            key: packet.key(device),
            tick: account::jiffies(),
            wire_length: piece.wire_length,
            sampled_length: piece.length,
            local_port: packet.local_port,
            direction: S::DIRECTION as u16,
            stream_start: plan.stream_start,
            sequence: piece.sequence,
            reserved: 0,
        };
        // SAFETY: the entry is a whole sample, aligned to 8 octets, and this program's alone.
        unsafe { (&raw mut (*sample).header).write(header) };
        counters.sampled += 1;
        entry.submit(0);
    } else {
        counters.unreadable += 1;
        entry.discard(0);
    }
    true
}

/// Returns whether the piece's octets were copied.
#[inline(always)]
fn copy<S: Source>(source: S, piece: &Piece, sample: *mut Sample) -> bool {
    // SAFETY: that is the payload's size, which is aligned to 8 octets; the header is before it.
    unsafe {
        let to = (&raw mut (*sample).payload).cast();
        let frame = source.frame();
        frame.copy::<SAMPLE_PAYLOAD_MAX>(piece.offset, piece.length, to)
    }
}

#[inline(always)]
fn counters() -> Option<&'static mut SampleCounters> {
    let counters = SAMPLE_COUNTERS.get_ptr_mut(0)?;
    // SAFETY: the kernel returned this CPU's own value.
    Some(unsafe { &mut *counters })
}

/// The map of streams. Two CPUs with segments of one stream may write its state one over the other's:
/// then a sample more is taken than the limit says.
struct KernelStreams;

impl Streams for KernelStreams {
    #[inline(always)]
    fn get(&mut self, key: &StreamKey) -> Option<StreamState> {
        // SAFETY: the value is copied at once.
        unsafe { STREAMS.get(key) }.copied()
    }

    #[inline(always)]
    fn insert(&mut self, key: &StreamKey, state: &StreamState) {
        let inserted = STREAMS.insert(key, state, u64::from(BPF_ANY));
        if let (Err(_), Some(counters)) = (inserted, counters()) {
            counters.streams_refused += 1;
        }
    }
}
