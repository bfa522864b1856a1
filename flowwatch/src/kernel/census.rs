//! The census in the kernel: its program at the LAN's interfaces, and what it saw.

use std::io;

use aya::maps::{MapData, MapError, PerCpuArray, PerCpuHashMap, RingBuf};
use aya::{Ebpf, EbpfLoader};
use flowwatch_common::bytes::PacketBytes as _;
use flowwatch_common::census::{CensusCounters, MAX_SIGHTINGS, SightingCounter, SightingKey};
use tokio::io::unix::AsyncFd;

use super::attach::{self, AttachError, Attached, TcHook};
use super::interface::Interface;
use super::load::{self, LoadError, OBJECT, Programs};

/// Octets of the ring for frames that carry names. They come one at a time, but for the answers to
/// a question by multicast.
const RING_OCTETS: u32 = 1 << 20;

/// The loaded program, and the loader's ends of its maps.
pub struct LoadedCensus {
    /// The program, and the clock.
    pub programs: Programs,
    /// Frames that carry names.
    pub frames: RingBuf<MapData>,
    /// Who was seen.
    pub sightings: Seen,
}

/// Who was seen, by the kernel's count.
pub struct Seen {
    sightings: PerCpuHashMap<MapData, SightingKey, SightingCounter>,
    counters: PerCpuArray<MapData, CensusCounters>,
}

/// Loads the census' program.
///
/// # Errors
/// [`LoadError`], one variant a cause.
pub fn load() -> Result<LoadedCensus, LoadError> {
    let mut loader = EbpfLoader::new();
    loader
        .map_max_entries("SIGHTINGS", MAX_SIGHTINGS)
        .map_max_entries("CENSUS_FRAMES", RING_OCTETS);
    let mut ebpf = load::load_object(&mut loader, OBJECT)?;
    Ok(LoadedCensus {
        frames: load::take(&mut ebpf, "CENSUS_FRAMES")?,
        sightings: Seen {
            sightings: load::take(&mut ebpf, "SIGHTINGS")?,
            counters: load::take(&mut ebpf, "CENSUS_COUNTERS")?,
        },
        programs: Programs::new(ebpf)?,
    })
}

/// Attaches the program to every interface, or to none.
///
/// # Errors
/// [`AttachError`]; what had been attached is detached.
pub fn attach(ebpf: &mut Ebpf, interfaces: &[Interface]) -> Result<Attached, AttachError> {
    attach::attach_census(ebpf, interfaces, TcHook::Auto)
}

impl Seen {
    /// Returns who was seen, summed over the CPUs. Complete when the program is detached.
    ///
    /// # Errors
    /// The map's error.
    pub fn read(&self) -> Result<Vec<(SightingKey, SightingCounter)>, MapError> {
        let mut seen = Vec::new();
        for entry in self.sightings.iter().take(2 * MAX_SIGHTINGS as usize) {
            let (key, values) = entry?;
            seen.push((key, summed(&values)));
        }
        Ok(seen)
    }

    /// Returns what found no room. A figure that can't be read is no reason to stop.
    #[must_use]
    pub fn without_room(&self) -> CensusCounters {
        let mut total = CensusCounters::default();
        if let Ok(values) = self.counters.get(&0, 0) {
            for value in values.iter() {
                total.sightings_without_room += value.sightings_without_room;
                total.frames_without_room += value.frames_without_room;
            }
        }
        total
    }
}

fn summed(values: &[SightingCounter]) -> SightingCounter {
    let mut total = SightingCounter::default();
    for value in values.iter().filter(|value| value.frames > 0) {
        if total.frames == 0 || value.first_tick < total.first_tick {
            total.first_tick = value.first_tick;
        }
        total.frames += value.frames;
        total.last_tick = total.last_tick.max(value.last_tick);
    }
    total
}

/// Returns the ring as something whose frames can be awaited.
///
/// # Errors
/// The event queue's error.
pub fn watch(ring: RingBuf<MapData>) -> io::Result<AsyncFd<RingBuf<MapData>>> {
    super::samples::watch(ring)
}

/// Takes `most` of the frames that wait in the ring, and hands each to `visit`, with its length on
/// the wire. Returns whether the ring is empty.
pub fn take(ring: &mut RingBuf<MapData>, most: usize, visit: &mut dyn FnMut(&[u8], u32)) -> bool {
    for _ in 0..most {
        let Some(record) = ring.next() else {
            return true;
        };
        if let Some((octets, wire_length)) = frame_of(&record) {
            visit(octets, wire_length);
        }
    }
    false
}

/// Returns the frame in a record; nothing when the record is not one of ours.
fn frame_of(record: &[u8]) -> Option<(&[u8], u32)> {
    let length = u32::from_ne_bytes(record.octets(0)?) as usize;
    let wire_length = u32::from_ne_bytes(record.octets(4)?);
    let octets = record.get(8..)?.get(..length)?;
    Some((octets, wire_length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_span_the_cpus_that_saw_something() {
        let counter = |frames, first_tick, last_tick| SightingCounter {
            frames,
            first_tick,
            last_tick,
        };
        let none = SightingCounter::default();
        assert_eq!(summed(&[none, none]), none);
        let total = summed(&[none, counter(2, 7, 9), counter(1, 5, 5)]);
        assert_eq!(total, counter(3, 5, 9));
    }

    #[test]
    fn a_record_that_claims_more_than_it_holds_is_no_frame() {
        let mut record = [3_u32.to_ne_bytes(), 9_u32.to_ne_bytes()].concat();
        record.extend(b"abc");
        assert_eq!(frame_of(&record), Some((&b"abc"[..], 9)));
        record.pop();
        assert_eq!(frame_of(&record), None);
        assert_eq!(frame_of(&record[..7]), None);
    }
}
