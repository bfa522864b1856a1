//! Taking over: what maps that are older than the window had counted before it, and the epoch that an
//! earlier process left in them.

use super::drainer::{Counting, DrainerError, Ended};
use super::recording::Recording;
use crate::history::growth;
use crate::kernel::clock::TickClock;
use crate::kernel::noted::LossCounters;
use crate::observation::{DeviceId, DeviceTotals};

/// What a load's counters had when the window began; nothing where they began with it.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// By the kernel's numbers.
    totals: Vec<DeviceTotals>,
    frames_without_room: u64,
}

impl Earlier {
    /// Returns by how much a device's totals have grown since then.
    pub(super) fn growth(&self, device: DeviceId, now: &DeviceTotals) -> DeviceTotals {
        let before = self.totals.get(usize::from(device));
        growth(&before.copied().unwrap_or_default(), now)
    }

    /// Returns how many of the frames that found no room came since then.
    pub(super) const fn frames_since(&self, frames: u64) -> u64 {
        frames.saturating_sub(self.frames_without_room)
    }
}

impl Counting {
    /// Goes on with maps that an earlier process made: the window begins where its record ended, and
    /// these are the losses that it told.
    pub(super) fn go_on_from(&mut self, told: LossCounters) -> Result<(), DrainerError> {
        self.take_up_found()?;
        self.kernel.earlier = Earlier {
            totals: self.taken_before(),
            frames_without_room: told.prefix_frames,
        };
        Ok(())
    }

    /// Returns the totals of each of the kernel's devices as far as they were taken.
    fn taken_before(&self) -> Vec<DeviceTotals> {
        let Some(Recording { recorder, .. }) = &self.recorder else {
            return Vec::new();
        };
        let devices = self.devices.devices();
        let taken_of = |number: Option<DeviceId>| {
            let device = devices.get(usize::from(number?))?;
            Some(recorder.taken_of(self.kernel.generation, device))
        };
        let numbers = self.kernel.numbers.all().into_iter();
        numbers
            .map(|number| taken_of(number).unwrap_or_default())
            .collect()
    }

    /// Brings in the epoch that an earlier process ended, unless it did so itself.
    pub(super) fn end_left_epoch(&mut self, clock: &TickClock) -> Result<(), DrainerError> {
        let recorder = self.recorder.as_ref().map(|it| &it.recorder);
        let taken = recorder.and_then(|it| it.last_taken(self.kernel.generation));
        let Some(serial) = self.kernel.drain.left(taken)? else {
            return Ok(());
        };
        let ended = Ended {
            serial,
            is_of_earlier: true,
            is_last: false,
        };
        self.take_in(clock, ended).map(drop)
    }
}
