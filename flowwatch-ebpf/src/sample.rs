//! The payload samples: octets that may carry names, on their way to user space.
#![expect(
    unsafe_code,
    reason = "ring memory is reached by address; each write is bounded here"
)]

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use aya_ebpf::programs::TcContext;
use flowwatch_common::abi::{
    Direction, FlowKey, SAMPLE_PAYLOAD_MAX, Sample, SampleCounters, SampleHeader,
};
use flowwatch_common::parse::Packet;
use flowwatch_common::wire::transport::UDP_HEADER_LENGTH;

use crate::account;
use crate::frame::SkbAddress;
use crate::maps::{SAMPLE_COUNTERS, SAMPLES};

/// Copies a UDP packet's payload to the ring, as much of it as a sample holds.
#[inline(always)]
pub(crate) fn payload(ctx: &TcContext, key: &FlowKey, packet: &Packet, direction: Direction) {
    let headers = packet.transport_offset - packet.ip_offset + UDP_HEADER_LENGTH;
    let payload = Payload {
        offset: packet.transport_offset + UDP_HEADER_LENGTH,
        length: packet.octets.saturating_sub(headers),
        local_port: packet.local_port,
        direction: direction as u16,
    };
    if payload.length != 0 {
        hand_over(SkbAddress::of(ctx), key, &payload);
    }
}

/// Where a payload is, and whose.
struct Payload {
    /// From the Ethernet header on.
    offset: u32,
    /// Octets on the wire.
    length: u32,
    local_port: u16,
    direction: u16,
}

#[inline(never)]
fn hand_over(skb: SkbAddress, key: &FlowKey, payload: &Payload) {
    let Some(counters) = SAMPLE_COUNTERS.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the kernel returned this CPU's own value.
    let counters: &mut SampleCounters = unsafe { &mut *counters };
    let Some(mut entry) = SAMPLES.reserve(0) else {
        counters.no_room += 1;
        return;
    };
    let sample: *mut Sample = entry.as_mut_ptr();
    let header = SampleHeader {
        key: *key,
        tick: account::jiffies(),
        wire_length: payload.length,
        sampled_length: payload.length.min(SAMPLE_PAYLOAD_MAX as u32),
        local_port: payload.local_port,
        direction: payload.direction,
        reserved: 0,
    };
    if copy_octets(skb, payload.offset, header.sampled_length, sample) {
        // SAFETY: the entry is a whole sample, aligned to 8 octets, and this program's alone.
        unsafe { (&raw mut (*sample).header).write(header) };
        counters.sampled += 1;
        entry.submit(0);
    } else {
        counters.unreadable += 1;
        entry.discard(0);
    }
}

/// Returns whether `length` octets were copied.
#[inline(always)]
fn copy_octets(skb: SkbAddress, offset: u32, length: u32, sample: *mut Sample) -> bool {
    // SAFETY: the pointer is to a value of this frame. The detour keeps the compiler from proving
    // the test below by other means: the verifier wants to see both bounds on this very value.
    let length = unsafe { core::ptr::read_volatile(&raw const length) };
    if length == 0 || length > SAMPLE_PAYLOAD_MAX as u32 {
        return false;
    }
    // SAFETY: `length` is at most the payload's size, and the helper writes no more than that.
    let status = unsafe {
        let octets = (&raw mut (*sample).payload).cast();
        bpf_skb_load_bytes(skb.context().as_ptr(), offset, octets, length)
    };
    status == 0
}
