//! The census: who is on the LAN, tagged or not. Attached by `flowwatch devices` alone.
#![expect(
    unsafe_code,
    reason = "counters and ring memory are reached by address; each write is bounded here"
)]

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::programs::TcContext;
use flowwatch_common::census::{
    CENSUS_FRAME_MAX, CensusCounters, CensusFrame, Sighting, SightingCounter, SightingKey,
    sighting_of,
};

use crate::account::jiffies;
use crate::frame::{Frame as _, SkbAddress};
use crate::maps::{CENSUS_COUNTERS, CENSUS_FRAMES, SIGHTINGS};
use crate::whole_frame::{Source as _, Tc, WholeFrame as _};

/// Notes who a frame is from, and hands it over if it carries names. Octets are copied out one
/// header at a time, wherever they lie: a census has the time for that.
#[inline(always)]
pub(crate) fn take(ctx: &TcContext) {
    let skb = SkbAddress::of(ctx);
    let frame = Tc::<false>(skb).frame();
    let Some(Sighting { key, carries_names }) = sighting_of(&frame, &frame.info()) else {
        return;
    };
    note(&key);
    if carries_names {
        hand_over(skb);
    }
}

#[inline(never)]
fn note(key: &SightingKey) {
    let tick = jiffies();
    if let Some(counter) = SIGHTINGS.get_ptr_mut(key) {
        // SAFETY: the kernel returned this CPU's own value, and these programs don't interrupt each
        // other on a CPU.
        let counter = unsafe { &mut *counter };
        counter.frames += 1;
        if counter.first_tick == 0 {
            counter.first_tick = tick;
        }
        counter.last_tick = tick;
        return;
    }
    let first = SightingCounter {
        frames: 1,
        first_tick: tick,
        last_tick: tick,
    };
    if SIGHTINGS.insert(key, first, u64::from(BPF_ANY)).is_err()
        && let Some(counters) = counters()
    {
        counters.sightings_without_room += 1;
    }
}

#[inline(never)]
fn hand_over(skb: SkbAddress) {
    let Some(counters) = counters() else {
        return;
    };
    let Some(mut entry) = CENSUS_FRAMES.reserve(0) else {
        counters.frames_without_room += 1;
        return;
    };
    let wire_length = skb.context().len();
    let frame: *mut CensusFrame = entry.as_mut_ptr();
    let length = wire_length.min(CENSUS_FRAME_MAX as u32);
    if copy_octets(skb, length, frame) {
        // SAFETY: the entry is a whole frame, and this program's alone.
        unsafe {
            (&raw mut (*frame).length).write(length);
            (&raw mut (*frame).wire_length).write(wire_length);
        }
        entry.submit(0);
    } else {
        counters.frames_without_room += 1;
        entry.discard(0);
    }
}

/// Returns whether `length` octets were copied.
#[inline(always)]
fn copy_octets(skb: SkbAddress, length: u32, frame: *mut CensusFrame) -> bool {
    // SAFETY: that is the frame's size, and no more is written.
    unsafe {
        let octets = (&raw mut (*frame).octets).cast();
        let frame = Tc::<false>(skb).frame();
        frame.copy::<CENSUS_FRAME_MAX>(0, length, octets)
    }
}

#[inline(always)]
fn counters() -> Option<&'static mut CensusCounters> {
    let counters = CENSUS_COUNTERS.get_ptr_mut(0)?;
    // SAFETY: the kernel returned this CPU's own value.
    Some(unsafe { &mut *counters })
}
