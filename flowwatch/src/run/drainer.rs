//! The drains in the background: while one waits for the kernel, samples are still taken up.

use std::collections::BTreeMap;

use aya::maps::{MapData, MapError, PerCpuArray};
use flowwatch_common::abi::DeviceCounters;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::earlier::Earlier;
use super::loading::window;
use super::numbers::Numbers;
use super::recording::Recording;
use super::sampled::SampleLosses;
use crate::console;
use crate::history::{Epoch, GenerationId, Recorder};
use crate::kernel::clock::{Moment, TickClock};
use crate::kernel::drain::{Drain, DrainError};
use crate::kernel::found::FoundDevices;
use crate::kernel::noted::LossCounters;
use crate::kernel::totals;
use crate::model::{Device, MacAddress, PrefixTag, TaggedDevices};
use crate::observation::{DeviceId, DeviceTotals, EpochFlow};
use crate::plan::RunPlan;
use crate::retirement;
use crate::store::FlowTable;

/// A drain did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrainerError {
    /// The flows could not be drained.
    #[error("{0}")]
    Drain(#[from] DrainError),
    /// The devices' totals could not be read.
    #[error("read the devices' totals")]
    Totals(#[source] MapError),
    /// The devices that appeared could not be read.
    #[error("read the devices that appeared")]
    Found(#[source] MapError),
    /// The thread was lost.
    #[error("wait for the drain")]
    Thread(#[from] JoinError),
    /// The thread was lost before, and what had been counted with it.
    #[error("find the counts: they were lost with the thread that drained")]
    Lost,
}

/// The kernel's counters and the window that they are added to.
pub(crate) struct Counting {
    pub(crate) kernel: KernelSide,
    pub(crate) table: FlowTable,
    /// The devices, with those that appeared.
    pub(crate) devices: TaggedDevices,
    /// What earlier loads of the programs had counted.
    pub(crate) before: Before,
    /// Epochs drained so far.
    pub(crate) epochs: u64,
    /// The last reading of the clock that the window's times are by.
    pub(crate) clock: Moment,
    /// What takes epochs for the history; nothing when none is kept.
    pub(crate) recorder: Option<Recording>,
    /// Whether programs count on when this process has ended.
    pub(crate) goes_on: bool,
}

/// One load of the programs: its counters.
pub(crate) struct KernelSide {
    pub(crate) drain: Drain,
    pub(crate) device_counters: PerCpuArray<MapData, DeviceCounters>,
    pub(crate) found: FoundDevices,
    /// The devices' numbers here.
    pub(crate) numbers: Numbers,
    /// Whose epochs these are.
    pub(crate) generation: GenerationId,
    /// What the counters had when the window began.
    pub(crate) earlier: Earlier,
}

/// Another load of the programs, and whom it counts.
pub(crate) struct NextLoad {
    pub(crate) drain: Drain,
    pub(crate) device_counters: PerCpuArray<MapData, DeviceCounters>,
    pub(crate) found: FoundDevices,
    pub(crate) generation: GenerationId,
    /// The devices' addresses, in the order of the kernel's numbers.
    pub(crate) addresses: Vec<MacAddress>,
    pub(crate) devices: Vec<Device>,
    pub(crate) prefixes: Vec<PrefixTag>,
}

/// What earlier loads of the programs had counted, whose counters began at zero, too.
#[derive(Debug, Default)]
pub(crate) struct Before {
    totals: Vec<DeviceTotals>,
    frames_without_room: u64,
}

/// An epoch that ended.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    pub(super) serial: u64,
    /// Whether it did so when an earlier process counted.
    pub(super) is_of_earlier: bool,
    /// Whether no program counts any more.
    pub(super) is_last: bool,
}

impl Counting {
    /// Begins a window of what a plan wants counted. `goes_on` says whether programs count on when
    /// this process has ended.
    pub(crate) fn new(
        plan: &RunPlan,
        kernel: KernelSide,
        (recorder, goes_on): (Option<Recorder>, bool),
        clock: &TickClock,
    ) -> Self {
        Self {
            kernel,
            table: window(plan),
            devices: TaggedDevices::new(&plan.devices, &plan.prefixes),
            before: Before::default(),
            epochs: 0,
            clock: *clock.moment(),
            recorder: recorder.map(Recording::new),
            goes_on,
        }
    }

    /// Ends the epoch, adds its flows to the window and reads the totals.
    pub(crate) fn end_epoch(&mut self, clock: &TickClock) -> Result<u64, DrainerError> {
        self.end(clock, false)
    }

    /// Likewise, when no program counts any more.
    pub(crate) fn end_last_epoch(&mut self, clock: &TickClock) -> Result<u64, DrainerError> {
        self.end(clock, true)
    }

    fn end(&mut self, clock: &TickClock, is_last: bool) -> Result<u64, DrainerError> {
        let serial = self.kernel.drain.begin()?;
        let ended = Ended {
            serial,
            is_of_earlier: false,
            is_last,
        };
        self.take_in(clock, ended)
    }

    /// Takes in the quiet table's epoch, and empties the table when the epoch is in safety.
    pub(super) fn take_in(&mut self, clock: &TickClock, ended: Ended) -> Result<u64, DrainerError> {
        self.follow_clock(clock);
        self.take_up_found()?;
        let table = &mut self.table;
        let records = self.recorder.is_some();
        let mut drained = Vec::new();
        let numbers = self.kernel.numbers.all();
        let number_of = |device: DeviceId| {
            let known = numbers.get(usize::from(device)).copied().flatten();
            known.unwrap_or_else(|| self.kernel.numbers.of(device))
        };
        let flows = self.kernel.drain.read(clock, &mut |flow| {
            let device = number_of(flow.device);
            let flow = EpochFlow { device, ..*flow };
            table.fold(&flow);
            if records {
                drained.push(flow);
            }
        })?;
        let totals = self.read_totals(ended.is_last)?;
        self.epochs += 1;
        self.record(drained, &totals, ended);
        self.kernel.drain.finish()?;
        Ok(flows)
    }

    /// Moves what was counted before the clock was set, so that it is as long ago as it was.
    fn follow_clock(&mut self, clock: &TickClock) {
        let earlier = std::mem::replace(&mut self.clock, *clock.moment());
        if let Some(step) = self.clock.step_since(&earlier) {
            self.table.shift(step);
            if let Some(recording) = &mut self.recorder {
                recording.recorder.shift(step);
            }
        }
    }

    /// Hands the epoch to the recorder.
    fn record(&mut self, flows: Vec<EpochFlow>, totals: &[(DeviceId, DeviceTotals)], ended: Ended) {
        let Some(recording) = &mut self.recorder else {
            return;
        };
        let ended_at = if ended.is_of_earlier {
            retirement::ended_at(&flows, &self.clock)
        } else {
            // By the clock that the flows are dated by: it may be set at any moment.
            self.clock.time_now()
        };
        let devices = self.devices.devices();
        let of_known = totals.iter().filter_map(|(number, totals)| {
            let device = devices.get(usize::from(*number))?;
            (!device.is_vacant()).then(|| (*number, device.clone(), *totals))
        });
        recording.take(&Epoch {
            generation: self.kernel.generation,
            serial: ended.serial,
            ended_at,
            is_last: ended.is_last,
            flows,
            totals: of_known.collect(),
        });
    }

    /// Reads the totals of this load's devices, and sets the window's.
    fn read_totals(
        &mut self,
        is_last: bool,
    ) -> Result<Vec<(DeviceId, DeviceTotals)>, DrainerError> {
        let mut all = Vec::new();
        for (device, number) in (0..).zip(self.kernel.numbers.all()) {
            let Some(number) = number else { continue };
            let read = totals::read(&self.kernel.device_counters, device);
            let totals = read.map_err(DrainerError::Totals)?;
            let mut shown = self.kernel.earlier.growth(device, &totals);
            let before = self.before.totals.get(usize::from(number));
            shown += before.copied().unwrap_or_default();
            if is_last {
                self.table.set_device_totals(number, shown);
            } else {
                self.table.set_totals_under_way(number, shown);
            }
            all.push((number, totals));
        }
        Ok(all)
    }

    /// Returns the frames of devices that a prefix tags and that found no room.
    pub(crate) fn frames_without_room(&self) -> u64 {
        let frames = self.kernel.found.frames_without_room();
        self.before.frames_without_room + self.kernel.earlier.frames_since(frames)
    }

    /// Returns what the load counts of its losses.
    pub(super) fn loss_counters(&self, samples: &SampleLosses) -> LossCounters {
        LossCounters {
            samples_dropped: samples.counted(),
            prefix_frames: self.kernel.found.frames_without_room(),
        }
    }

    /// Goes on with another load of the programs, which has taken the place of this one: what this one
    /// has counted is drained for the last time, and stays with its devices.
    fn succeed(&mut self, clock: &TickClock, next: NextLoad) -> Result<(), DrainerError> {
        // Programs of this load may have been under way when they were replaced: the first swap
        // waits for them, and the second drain has what they were given meanwhile.
        self.end_epoch(clock)?;
        self.end_last_epoch(clock)?;
        self.before.frames_without_room = self.frames_without_room();
        let numbers = 0..self.devices.devices().len() as DeviceId;
        let totals = numbers.map(|number| self.table.device(number).totals);
        self.before.totals = totals.collect();
        for (number, totals) in (0..).zip(&self.before.totals) {
            self.table.set_device_totals(number, *totals);
        }
        let old = &self.kernel.numbers;
        let mut free = || old.take_free();
        self.devices.retag(&next.devices, &next.prefixes, &mut free);
        let known = next.addresses.iter();
        let known = known.filter_map(|mac| self.devices.number_of(*mac));
        let numbers = Numbers::new(known, old.free());
        self.kernel = KernelSide {
            drain: next.drain,
            device_counters: next.device_counters,
            found: next.found,
            numbers,
            generation: next.generation,
            earlier: Earlier::default(),
        };
        Ok(())
    }

    /// Takes up the devices that appeared under a prefix. After the swap: a device is noted before its
    /// first frame is counted, so all that are in the quiet table are known.
    pub(super) fn take_up_found(&mut self) -> Result<(), DrainerError> {
        let found = self.kernel.found.read().map_err(DrainerError::Found)?;
        let mut by_number = BTreeMap::new();
        for (device, octets) in found {
            let mac = MacAddress::new(octets).ok();
            if let Some(number) = mac.and_then(|mac| self.devices.number_of(mac)) {
                self.kernel.numbers.bind(device, number);
            } else {
                by_number.insert(self.kernel.numbers.of(device), octets);
            }
        }
        let found = by_number;
        for device in self.devices.appear(&found) {
            let name = &device.name;
            console::tell(&format!("`{name}` appeared, and is counted"));
        }
        Ok(())
    }
}

type Drained = (Box<Counting>, Result<u64, DrainerError>);

/// Counting at rest, or a drain under way.
pub(crate) enum Drainer {
    /// Nothing under way.
    Idle(Box<Counting>),
    /// A drain under way on a thread of its own.
    Busy(JoinHandle<Drained>),
    /// The thread was lost, and the counting with it.
    Lost,
}

impl Drainer {
    /// Begins a drain, unless one is under way.
    pub(crate) fn begin(&mut self, clock: TickClock) {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Idle(mut counting) => Self::Busy(spawn_blocking(move || {
                let outcome = counting.end_epoch(&clock);
                (counting, outcome)
            })),
            other => other,
        };
    }

    /// Waits for the drain under way; for ever, when there is none. May be dropped and called again.
    pub(crate) async fn finished(&mut self) -> Result<&mut Counting, DrainerError> {
        let Self::Busy(handle) = self else {
            return std::future::pending().await;
        };
        let joined = handle.await;
        *self = Self::Lost;
        let (counting, outcome) = joined?;
        *self = Self::Idle(counting);
        outcome?;
        match self {
            Self::Idle(counting) => Ok(counting),
            _ => std::future::pending().await,
        }
    }

    /// Goes on with another load of the programs, once a drain under way is over. Returns its
    /// devices' numbers.
    pub(crate) async fn succeed(
        &mut self,
        clock: TickClock,
        next: NextLoad,
    ) -> Result<Numbers, DrainerError> {
        self.at_rest().await?;
        if let Self::Idle(mut counting) = std::mem::replace(self, Self::Lost) {
            *self = Self::Busy(spawn_blocking(move || {
                let outcome = counting.succeed(&clock, next).map(|()| 0);
                (counting, outcome)
            }));
        }
        Ok(self.at_rest().await?.kernel.numbers.clone())
    }

    /// Waits for a drain under way, and returns the counting at rest.
    pub(crate) async fn at_rest(&mut self) -> Result<&mut Counting, DrainerError> {
        if let Self::Busy(handle) = self {
            let joined = handle.await;
            *self = Self::Lost;
            let (counting, outcome) = joined?;
            *self = Self::Idle(counting);
            outcome?;
        }
        match self {
            Self::Idle(counting) => Ok(counting),
            _ => Err(DrainerError::Lost),
        }
    }

    /// Waits for a drain under way, and gives the counting back with that drain's outcome.
    pub(crate) async fn into_counting(
        self,
    ) -> Result<(Box<Counting>, Result<(), DrainerError>), DrainerError> {
        match self {
            Self::Idle(counting) => Ok((counting, Ok(()))),
            Self::Busy(handle) => {
                let (counting, outcome) = handle.await?;
                Ok((counting, outcome.map(drop)))
            }
            Self::Lost => Err(DrainerError::Lost),
        }
    }
}
