//! The devices' totals: what the programs saw, counted and could not count, summed over the CPUs.

use aya::maps::{MapData, MapError, PerCpuArray};
use flowwatch_common::abi::{
    DeviceCounters, Direction, FrameCounter, SampleCounters, TrafficCounter, device_counters_index,
};

use crate::observation::{DeviceId, DeviceTotals, DirectionTotals, Frames, Traffic};

/// Readings of one device before a difference counts as one: a reading may fall between the two
/// additions of a frame that is passing.
const READINGS: usize = 64;

/// Reads a device's totals. While frames pass, reads again until every frame seen is accounted
/// for, at most 64 times.
///
/// # Errors
/// The map's error.
pub fn read(
    counters: &PerCpuArray<MapData, DeviceCounters>,
    device: DeviceId,
) -> Result<DeviceTotals, MapError> {
    Ok(DeviceTotals {
        up: read_direction(counters, device, Direction::Up)?,
        down: read_direction(counters, device, Direction::Down)?,
    })
}

fn read_direction(
    counters: &PerCpuArray<MapData, DeviceCounters>,
    device: DeviceId,
    direction: Direction,
) -> Result<DirectionTotals, MapError> {
    let index = device_counters_index(u32::from(device), direction);
    let mut totals = DirectionTotals::default();
    for _ in 0..READINGS {
        totals = sum(&counters.get(&index, 0)?);
        if totals.is_conserved() {
            break;
        }
    }
    Ok(totals)
}

fn sum(values: &[DeviceCounters]) -> DirectionTotals {
    let mut totals = DirectionTotals::default();
    for value in values {
        add_frames(&mut totals.seen, value.seen);
        add_frames(&mut totals.in_flows, value.in_flows);
        totals.flow_traffic += traffic_of(value.flow_traffic);
        totals.overflow += traffic_of(value.overflow);
        for (total, counter) in totals.unaccounted.iter_mut().zip(value.unaccounted) {
            add_frames(total, counter);
        }
    }
    totals
}

fn add_frames(total: &mut Frames, counter: FrameCounter) {
    total.frames += counter.frames;
    total.l2_octets += counter.l2_octets;
}

/// Returns a kernel's counter as the rest has it.
pub(super) fn traffic_of(counter: TrafficCounter) -> Traffic {
    Traffic {
        packets: counter.packets,
        octets: counter.octets,
    }
}

/// Reads what became of the payload samples.
///
/// # Errors
/// The map's error.
pub fn read_samples(
    counters: &PerCpuArray<MapData, SampleCounters>,
) -> Result<SampleCounters, MapError> {
    let mut total = SampleCounters::default();
    for value in counters.get(&0, 0)?.iter() {
        total.sampled += value.sampled;
        total.no_room += value.no_room;
        total.unreadable += value.unreadable;
        total.turned_away += value.turned_away;
        total.streams_refused += value.streams_refused;
    }
    Ok(total)
}
