//! The drain: swap the epoch's flow table for an empty one, then read and empty the quiet one.
//!
//! The kernel's update of a map-in-map returns after an RCU grace period
//! (kernel/bpf/syscall.c, `maybe_wait_bpf_programs`), so no program still adds to a table that
//! was swapped out: nothing is lost and nothing is counted twice.
//!
//! Of tables that are pinned, an epoch stays in the quiet one until [`Drain::finish`], which comes
//! after it was put in safety; the serials beside the tables tell whoever comes then which epoch
//! each holds. `docs/persist.md` has what a restart finds after each step.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use aya::maps::{Array, ArrayOfMaps, IterableMap as _, Map, MapData, MapError, PerCpuHashMap};
use aya::pin::PinError;
use flowwatch_common::abi::{FlowCounters, FlowKey};

use super::batch::{Access, TableReader};
use super::clock::TickClock;
use super::layout::FlowLayout;
use super::raw_map::RawMap;
use super::totals::traffic_of;
use crate::observation::{DeviceId, EpochFlow, Traffic};

/// One epoch's table, as the loader makes it.
pub type FlowTable = PerCpuHashMap<MapData, FlowKey, FlowCounters>;

/// The slot from which the kernel takes the active table.
pub type EpochSlot = ArrayOfMaps<MapData, MapData>;

/// The slot's pin.
pub(super) const EPOCH: &str = "EPOCH";
/// The tables' pins.
pub(super) const TABLES: [&str; 2] = ["TABLE_0", "TABLE_1"];
/// The pin of the serials.
pub(super) const SERIALS: &str = "SERIALS";

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
    /// The epochs could not be numbered.
    #[error("number the epochs of the flow tables")]
    Serials(#[source] MapError),
    /// A map could not be pinned.
    #[error("pin the flow tables")]
    Pin(#[from] PinError),
    /// A pinned map could not be opened.
    #[error("open the pinned map `{name}`")]
    Open {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
}

/// The numbers of the epochs that the two tables hold. Those of a generation count from 1.
enum Serials {
    /// Of tables that go with the process.
    Own([u64; 2]),
    /// Of tables that are pinned.
    Pinned(Array<MapData, u64>),
}

impl Serials {
    const FIRST: [u64; 2] = [1, 0];

    fn of(&self, table: usize) -> Result<u64, DrainError> {
        match self {
            Self::Own(serials) => Ok(serials[table]),
            Self::Pinned(map) => map.get(&(table as u32), 0).map_err(DrainError::Serials),
        }
    }

    fn set(&mut self, table: usize, serial: u64) -> Result<(), DrainError> {
        match self {
            Self::Own(serials) => serials[table] = serial,
            Self::Pinned(map) => map
                .set(table as u32, serial, 0)
                .map_err(DrainError::Serials)?,
        }
        Ok(())
    }
}

/// The two tables that take turns, and the slot from which the kernel takes the active one.
pub struct Drain {
    epoch: EpochSlot,
    tables: [MapData; 2],
    active: usize,
    serials: Serials,
    reader: TableReader,
    /// Of tables that another version made.
    layout: Option<FlowLayout>,
}

impl Drain {
    /// Makes both tables and puts the first in the kernel's hands.
    ///
    /// # Errors
    /// [`DrainError`] when the kernel has no memory for them.
    pub fn start(epoch: EpochSlot, entries: u32, access: Access) -> Result<Self, DrainError> {
        let create = || {
            let table = FlowTable::create(entries, 0).and_then(|table| {
                let descriptor = table.map().fd().as_fd().try_clone_to_owned()?;
                MapData::from_fd(descriptor)
            });
            table.map_err(|source| DrainError::Create { entries, source })
        };
        let tables = [create()?, create()?];
        let mut drain = Self {
            epoch,
            tables,
            active: 0,
            serials: Serials::Own(Serials::FIRST),
            reader: TableReader::new(access).map_err(DrainError::Cpus)?,
            layout: None,
        };
        drain.put_in_slot(0)?;
        Ok(drain)
    }

    /// Likewise, and pins tables and serials in a folder, where the slot is pinned.
    ///
    /// # Errors
    /// [`DrainError`] when the kernel has no memory for them, or refuses the pins.
    pub fn pin(
        folder: &Path,
        epoch: EpochSlot,
        entries: u32,
        access: Access,
    ) -> Result<Self, DrainError> {
        let mut drain = Self::start(epoch, entries, access)?;
        for (table, name) in drain.tables.iter().zip(TABLES) {
            table.pin(folder.join(name))?;
        }
        let serials = Array::create(2, 0).map_err(DrainError::Serials)?;
        drain.serials = Serials::Pinned(serials);
        for (table, serial) in Serials::FIRST.into_iter().enumerate() {
            drain.serials.set(table, serial)?;
        }
        if let Serials::Pinned(serials) = drain.serials {
            serials.pin(folder.join(SERIALS))?;
        }
        drain.serials = Serials::Pinned(open(folder, SERIALS)?);
        Ok(drain)
    }

    /// Takes over what is pinned in a folder. `layout` says how another version's tables lie.
    ///
    /// # Errors
    /// [`DrainError`] when a pin is missing or is none of those.
    pub fn resume(
        folder: &Path,
        access: Access,
        layout: Option<FlowLayout>,
    ) -> Result<Self, DrainError> {
        let epoch: EpochSlot = open(folder, EPOCH)?;
        let table = |name| {
            let table = MapData::from_pin(folder.join(name));
            table.map_err(|source| DrainError::Open { name, source })
        };
        let tables = [table(TABLES[0])?, table(TABLES[1])?];
        let active = active_of(folder, &tables).map_err(|source| DrainError::Open {
            name: EPOCH,
            source,
        })?;
        Ok(Self {
            active,
            epoch,
            tables,
            serials: Serials::Pinned(open(folder, SERIALS)?),
            reader: TableReader::new(access).map_err(DrainError::Cpus)?,
            layout,
        })
    }

    /// Swaps through the slot that programs yet to be loaded go by: it must live until then.
    #[must_use]
    pub(super) fn through(self, epoch: EpochSlot) -> Self {
        Self { epoch, ..self }
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
        self.begin()?;
        let flows = self.read(clock, fold)?;
        self.finish()?;
        Ok(flows)
    }

    /// The first step of ending an epoch: numbers the next, and has the programs count into its
    /// table, which must be empty. Returns the number of the epoch that ended.
    ///
    /// # Errors
    /// [`DrainError`] when the kernel refuses.
    pub fn begin(&mut self) -> Result<u64, DrainError> {
        let serial = self.number_next()?;
        self.swap()?;
        Ok(serial)
    }

    /// Returns the number of the epoch that goes on.
    ///
    /// # Errors
    /// [`DrainError::Serials`].
    pub fn serial(&self) -> Result<u64, DrainError> {
        self.serials.of(self.active)
    }

    /// Writes the next epoch's number beside its table, before anything counts there. Returns that
    /// of the epoch that goes on.
    ///
    /// # Errors
    /// [`DrainError::Serials`].
    pub fn number_next(&mut self) -> Result<u64, DrainError> {
        let serial = self.serial()?;
        self.serials.set(1 - self.active, serial + 1)?;
        Ok(serial)
    }

    /// The second step: hands each flow of the epoch that ended, summed over the CPUs, to `fold`.
    /// Returns their number. Of tables that are pinned, they stay in the table.
    ///
    /// # Errors
    /// [`DrainError::Read`].
    pub fn read(
        &mut self,
        clock: &TickClock,
        fold: &mut dyn FnMut(&EpochFlow),
    ) -> Result<u64, DrainError> {
        let table = &self.tables[1 - self.active];
        let layout = self.layout;
        let mut visit = |key: &[u8], values: &[u8]| {
            let flow = match &layout {
                None => flow_of(key, values, clock),
                Some(layout) => layout.flow_of(key, values, clock),
            };
            if let Some(flow) = flow {
                fold(&flow);
            }
        };
        let read = match self.serials {
            Serials::Own(_) => self.reader.empty(table, &mut visit),
            Serials::Pinned(_) => self.reader.read(table, &mut visit),
        };
        read.map_err(DrainError::Read)
    }

    /// The last step, when what was read is in safety: empties its table.
    ///
    /// # Errors
    /// [`DrainError::Read`].
    pub fn finish(&mut self) -> Result<(), DrainError> {
        if let Serials::Pinned(_) = self.serials {
            let table = &self.tables[1 - self.active];
            let emptied = self.reader.empty(table, &mut |_, _| ());
            emptied.map_err(DrainError::Read)?;
        }
        Ok(())
    }

    /// Returns the number of the epoch that an earlier process left in the quiet table: it has ended,
    /// and is yet to be read, taken and finished. `last_taken` is the highest number that is in
    /// safety: what the table has of that epoch goes.
    ///
    /// # Errors
    /// [`DrainError`] when the kernel refuses.
    pub fn left(&mut self, last_taken: Option<u64>) -> Result<Option<u64>, DrainError> {
        let serial = self.serials.of(1 - self.active)?;
        if serial == 0 || serial > self.serials.of(self.active)? {
            // There was none, or the number is that of the next, which has not begun.
            return Ok(None);
        }
        if last_taken.is_some_and(|taken| taken >= serial) {
            self.finish()?;
            return Ok(None);
        }
        Ok(Some(serial))
    }

    /// Has the programs count into the other table, which must be empty. Returns when none counts
    /// into this one any more: it waits for an RCU grace period, which takes milliseconds
    /// (`cargo xtask bench` prints them).
    ///
    /// # Errors
    /// [`DrainError::Swap`].
    pub fn swap(&mut self) -> Result<(), DrainError> {
        self.put_in_slot(1 - self.active)
    }

    fn put_in_slot(&mut self, table: usize) -> Result<(), DrainError> {
        let put = self.epoch.set(0, &self.tables[table], 0);
        put.map_err(DrainError::Swap)?;
        self.active = table;
        Ok(())
    }

    /// Returns how tables are read.
    #[must_use]
    pub fn access(&self) -> Access {
        self.reader.access()
    }
}

/// Returns which of two tables is in the pinned slot: the kernel tells its number.
fn active_of(folder: &Path, tables: &[MapData; 2]) -> Result<usize, MapError> {
    let slot = RawMap::open(&folder.join(EPOCH))?;
    let number = slot.element(0)?.unwrap_or_default();
    for (index, table) in tables.iter().enumerate() {
        if table.info()?.id().to_ne_bytes() == *number {
            return Ok(index);
        }
    }
    Err(MapError::ElementNotFound)
}

/// Opens a pinned map as the type that its users want.
pub(super) fn open<T>(folder: &Path, name: &'static str) -> Result<T, DrainError>
where
    T: TryFrom<Map, Error = MapError>,
{
    let map = MapData::from_pin(folder.join(name)).and_then(Map::from_map_data);
    map.and_then(T::try_from)
        .map_err(|source| DrainError::Open { name, source })
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
