//! The drains in the background: while one waits for the kernel, samples are still taken up.

use aya::maps::{MapData, MapError, PerCpuArray};
use flowwatch_common::abi::DeviceCounters;
use jiff::Timestamp;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use crate::console;
use crate::history::{Epoch, GenerationId, Recorder};
use crate::kernel::clock::{Moment, TickClock};
use crate::kernel::drain::{Drain, DrainError};
use crate::kernel::found::FoundDevices;
use crate::kernel::totals;
use crate::model::TaggedDevices;
use crate::observation::{DeviceId, EpochFlow};
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
    pub(crate) drain: Drain,
    pub(crate) device_counters: PerCpuArray<MapData, DeviceCounters>,
    pub(crate) table: FlowTable,
    /// The devices, with those that appeared.
    pub(crate) devices: TaggedDevices,
    pub(crate) found: FoundDevices,
    /// Epochs drained so far.
    pub(crate) epochs: u64,
    /// The last reading of the clock that the window's times are by.
    pub(crate) clock: Moment,
    /// What takes epochs for the history; nothing when none is kept.
    pub(crate) recorder: Option<Recording>,
}

/// The recorder, and whose epochs it is given.
pub(crate) struct Recording {
    pub(crate) recorder: Recorder,
    pub(crate) generation: GenerationId,
    /// Whether it was told that the journal takes nothing.
    is_told: bool,
}

impl Counting {
    /// Ends the epoch, adds its flows to the window and reads the totals.
    pub(crate) fn end_epoch(&mut self, clock: &TickClock) -> Result<u64, DrainerError> {
        self.end(clock, false)
    }

    /// Likewise, when no program counts any more.
    pub(crate) fn end_last_epoch(&mut self, clock: &TickClock) -> Result<u64, DrainerError> {
        self.end(clock, true)
    }

    fn end(&mut self, clock: &TickClock, is_last: bool) -> Result<u64, DrainerError> {
        self.follow_clock(clock);
        let table = &mut self.table;
        let records = self.recorder.is_some();
        let mut drained = Vec::new();
        let flows = self.drain.end_epoch(clock, &mut |flow| {
            table.fold(flow);
            if records {
                drained.push(*flow);
            }
        })?;
        self.take_up_found()?;
        for device in 0..self.devices.devices().len() as DeviceId {
            let read = totals::read(&self.device_counters, device);
            self.table
                .set_device_totals(device, read.map_err(DrainerError::Totals)?);
        }
        self.epochs += 1;
        self.record(drained, is_last);
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
    fn record(&mut self, flows: Vec<EpochFlow>, is_last: bool) {
        let Some(recording) = &mut self.recorder else {
            return;
        };
        let devices = (0..).zip(self.devices.devices());
        let totals = devices
            .filter(|(_, device)| !device.is_vacant())
            .map(|(id, device)| (id, device.clone(), self.table.device(id).totals));
        recording.take(&Epoch {
            generation: recording.generation,
            serial: self.epochs,
            ended_at: Timestamp::now(),
            is_last,
            flows,
            totals: totals.collect(),
        });
    }

    /// Takes up the devices that appeared under a prefix. After the epoch's flows: a device is noted
    /// before its first frame is counted.
    fn take_up_found(&mut self) -> Result<(), DrainerError> {
        let found = self.found.read().map_err(DrainerError::Found)?;
        for device in self.devices.appear(&found) {
            let name = &device.name;
            console::tell(&format!("`{name}` appeared, and is counted"));
        }
        Ok(())
    }
}

impl Recording {
    /// Begins to give a recorder the epochs of a new set of maps.
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            generation: GenerationId::random(),
            is_told: false,
        }
    }

    /// Hands an epoch over; the kernel's tables have it no longer, so what the journal can't take
    /// stays in memory.
    fn take(&mut self, epoch: &Epoch) {
        if let Err(error) = self.recorder.take(epoch) {
            self.recorder.hold(epoch);
            if !std::mem::replace(&mut self.is_told, true) {
                log::warn!("{error}; until then, what is not recorded yet is in memory alone");
            }
        }
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
