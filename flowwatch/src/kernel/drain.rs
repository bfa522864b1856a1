//! The drain: swap the epoch's flow table for an empty one, then read and empty the quiet one.
//!
//! The kernel's update of a map-in-map returns after an RCU grace period
//! (kernel/bpf/syscall.c, `maybe_wait_bpf_programs`), so no program still adds to a table that
//! was swapped out: nothing is lost and nothing is counted twice.

use std::io;

use aya::maps::{ArrayOfMaps, MapData, MapError, PerCpuHashMap};
use flowwatch_common::abi::{FlowCounters, FlowKey};

use super::batch::{Access, TableReader};
use super::clock::TickClock;
use super::totals::traffic_of;
use crate::observation::{DeviceId, EpochFlow, Traffic};

/// One epoch's table, as the loader makes it.
pub type FlowTable = PerCpuHashMap<MapData, FlowKey, FlowCounters>;

/// A drain failed.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// A flow table could not be made.
    #[error("make a flow table of {entries} entries; choose a smaller --flow-table-size")]
    Create {
        /// The entries asked for.
        entries: u32,
        /// Why.
        #[source]
        source: MapError,
    },
    /// The number of CPUs is unknown.
    #[error("count the possible CPUs")]
    Cpus(#[source] io::Error),
    /// The tables could not be swapped.
    #[error("swap the flow tables")]
    Swap(#[source] MapError),
    /// The quiet table could not be read.
    #[error("read the flow table")]
    Read(#[source] io::Error),
}

/// The two tables that take turns, and the slot from which the kernel takes the active one.
pub struct Drain {
    epoch: ArrayOfMaps<MapData, FlowTable>,
    tables: [FlowTable; 2],
    active: usize,
    reader: TableReader<FlowKey, FlowCounters>,
}

impl Drain {
    /// Makes both tables and puts the first in the kernel's hands.
    ///
    /// # Errors
    /// [`DrainError`] when the kernel has no memory for them.
    pub fn start(
        mut epoch: ArrayOfMaps<MapData, FlowTable>,
        entries: u32,
        access: Access,
    ) -> Result<Self, DrainError> {
        let create = || {
            FlowTable::create(entries, 0).map_err(|source| DrainError::Create { entries, source })
        };
        let tables = [create()?, create()?];
        epoch.set(0, &tables[0], 0).map_err(DrainError::Swap)?;
        Ok(Self {
            epoch,
            tables,
            active: 0,
            reader: TableReader::new(access).map_err(DrainError::Cpus)?,
        })
    }

    /// Ends the epoch: hands each of its flows, summed over the CPUs, to `fold`. Returns their
    /// number.
    ///
    /// # Errors
    /// [`DrainError`] when the kernel refuses the swap or the reading.
    pub fn end_epoch(
        &mut self,
        clock: &TickClock,
        fold: &mut dyn FnMut(&EpochFlow),
    ) -> Result<u64, DrainError> {
        self.swap()?;
        self.empty_quiet_table(clock, fold)
    }

    /// Has the programs count into the other table, which must be empty. Returns when none counts
    /// into this one any more: it waits for an RCU grace period, which takes milliseconds
    /// (`cargo xtask bench` prints them).
    ///
    /// # Errors
    /// [`DrainError::Swap`].
    pub fn swap(&mut self) -> Result<(), DrainError> {
        let next = 1 - self.active;
        self.epoch
            .set(0, &self.tables[next], 0)
            .map_err(DrainError::Swap)?;
        self.active = next;
        Ok(())
    }

    /// Takes every flow out of the table that was swapped out. Returns their number.
    ///
    /// # Errors
    /// [`DrainError::Read`].
    pub fn empty_quiet_table(
        &mut self,
        clock: &TickClock,
        fold: &mut dyn FnMut(&EpochFlow),
    ) -> Result<u64, DrainError> {
        let table = &self.tables[1 - self.active];
        let mut visit = |key: &[u8], values: &[u8]| {
            if let Some(flow) = flow_of(key, values, clock) {
                fold(&flow);
            }
        };
        self.reader
            .empty(table, &mut visit)
            .map_err(DrainError::Read)
    }

    /// Returns how tables are read.
    #[must_use]
    pub fn access(&self) -> Access {
        self.reader.access()
    }
}

/// Sums an entry over the CPUs.
fn flow_of(key: &[u8], values: &[u8], clock: &TickClock) -> Option<EpochFlow> {
    let key = FlowKey::from_octets(key)?;
    let mut up = Traffic::default();
    let mut down = Traffic::default();
    let mut first_tick = u64::MAX;
    let mut last_tick = 0;
    for value in values.chunks_exact(size_of::<FlowCounters>()) {
        let counters = FlowCounters::from_octets(value)?;
        up += traffic_of(counters.up);
        down += traffic_of(counters.down);
        let seen = counters.attention.first_tick();
        if seen != 0 {
            first_tick = first_tick.min(seen);
        }
        last_tick = last_tick.max(counters.last_tick);
    }
    Some(EpochFlow {
        device: key.device as DeviceId,
        remote: key.remote_address(),
        protocol: key.protocol(),
        remote_port: key.remote_port(),
        up,
        down,
        first_seen: clock.time_of(first_tick.min(last_tick)),
        last_seen: clock.time_of(last_tick),
    })
}
