//! From the ring to the names: samples are taken up, and those that did not arrive are told.

use aya::maps::{MapData, PerCpuArray, RingBuf};
use flowwatch_common::abi::SampleCounters;

use super::numbers::Numbers;
use crate::kernel::clock::TickClock;
use crate::kernel::{samples, totals};
use crate::names::NameTable;
use crate::observation::PayloadSample;

/// Takes in the names in the ring's samples; returns whether none is left.
pub(super) fn take_samples(
    ring: &mut RingBuf<MapData>,
    clock: &TickClock,
    most: usize,
    numbers: &Numbers,
    names: &mut NameTable,
) -> bool {
    samples::take(ring, clock, most, &mut |sample| {
        let device = numbers.of(sample.device);
        names.observe(&PayloadSample { device, ..sample });
    })
}

/// Samples that did not arrive since the window began.
pub(super) struct SampleLosses {
    counters: PerCpuArray<MapData, SampleCounters>,
    /// Of earlier loads of the programs.
    before: u64,
    /// What the counters have that an earlier process told.
    told: u64,
}

impl SampleLosses {
    /// Begins with a load's counters, of which so much was told.
    pub(super) const fn new(counters: PerCpuArray<MapData, SampleCounters>, told: u64) -> Self {
        Self {
            counters,
            before: 0,
            told,
        }
    }

    /// Goes on with another load's counters, which began at zero.
    pub(super) fn succeed(&mut self, counters: PerCpuArray<MapData, SampleCounters>) {
        self.before = self.since_the_window(self.counted());
        self.counters = counters;
        self.told = 0;
    }

    /// Returns what the load's counters have. A figure that can't be read is no reason to stop.
    pub(super) fn counted(&self) -> u64 {
        totals::read_samples(&self.counters).map_or(0, |counters| {
            counters.no_room + counters.unreadable + counters.turned_away
        })
    }

    /// Returns how many that is since the window began.
    pub(super) const fn since_the_window(&self, counted: u64) -> u64 {
        self.before + counted.saturating_sub(self.told)
    }
}
