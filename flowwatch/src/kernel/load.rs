//! Loading: the BPF object into the kernel, with maps sized and constants set for this run.
//!
//! The object is committed beside the sources (`cargo xtask build-ebpf`); nothing is attached here.

use std::io;
use std::path::Path;

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::{Program, ProgramError, SchedClassifier};
use aya::{Ebpf, EbpfError, EbpfLoader};
use flowwatch_common::abi::{DeviceCounters, SampleCounters};
use flowwatch_common::prefix::PrefixRule;

use super::batch::Access;
use super::clock::{ClockError, TickClock};
use super::device_table::{DeviceTable, DeviceTableError};
use super::drain::{self, Drain, DrainError, EpochSlot};
use super::found::{self, FoundDevices};
use super::support::{NotPermitted, io_error_of, is_not_permitted};

/// The BPF object.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/flowwatch.bpf.o");

/// The names of the programs in the object.
pub mod program {
    /// XDP on ingress, frames of several buffers allowed.
    pub const XDP_FRAGMENTS: &str = "flowwatch_xdp_frags";
    /// XDP on ingress.
    pub const XDP: &str = "flowwatch_xdp";
    /// tc on ingress.
    pub const INGRESS: &str = "flowwatch_ingress";
    /// tc on egress.
    pub const EGRESS: &str = "flowwatch_egress";
    /// The census of the LAN, on ingress.
    pub const CENSUS: &str = "flowwatch_census";
    /// The clock, which is only test-run.
    pub const CLOCK: &str = "flowwatch_clock";
}

/// What a load depends on.
#[derive(Clone, Debug)]
pub struct LoadOptions<'a> {
    /// The devices' addresses as `abi::mac_word`s; a device's number is its position.
    pub devices: &'a [u64],
    /// How the addresses of devices begin that are tagged as they appear, at most
    /// `MAX_PREFIX_RULES`; they get the numbers behind those of `devices`.
    pub prefixes: &'a [PrefixRule],
    /// Flows that one epoch's table holds.
    pub flow_table_size: u32,
    /// What the programs log: 0 nothing, else `aya_log::Level` as a number.
    pub log_level: u8,
    /// How tables are read; batches, unless a test wants the other way.
    pub access: Access,
    /// Where the maps are pinned that outlive the process; nothing when none does.
    pub pins: Option<MapPins<'a>>,
}

/// Pinned maps: made, or those of an earlier process.
#[derive(Clone, Copy, Debug)]
pub struct MapPins<'a> {
    /// Their folder.
    pub folder: &'a Path,
    /// Whether they are there; then they are taken as they are, with what they hold.
    pub is_taken_over: bool,
}

/// The maps that are pinned, beside flow tables and serials: all that holds what was seen. What is
/// written here only is written anew.
const PINNED: [&str; 8] = [
    drain::EPOCH,
    "DEVICE_COUNTERS",
    "FOUND_DEVICES",
    "FREE_NUMBERS",
    "FOUND_NO_ROOM",
    "SAMPLES",
    "SAMPLE_COUNTERS",
    "STREAMS",
];

/// Loading failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Privileges are missing.
    #[error("{0}")]
    NotPermitted(#[from] NotPermitted),
    /// The devices can't be laid out.
    #[error("{0}")]
    Devices(#[from] DeviceTableError),
    /// The kernel refused a map, or the object can't be read.
    #[error("load the BPF maps")]
    Maps(#[source] EbpfError),
    /// The verifier refused a program.
    #[error("load the BPF program {name}")]
    Program {
        /// The program.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<ProgramError>,
    },
    /// The object isn't the one that this loader was built for.
    #[error("find `{0}` in the BPF object; rebuild it with `cargo xtask build-ebpf`")]
    Missing(&'static str),
    /// A map refused a value or is of another kind.
    #[error("fill the BPF map {name}")]
    Fill {
        /// The map.
        name: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
    /// The flow tables could not be made.
    #[error("{0}")]
    Drain(#[from] DrainError),
}

/// The loaded programs.
pub struct Programs {
    /// The programs, and the maps that only they use.
    pub ebpf: Ebpf,
    clock: Array<MapData, u64>,
}

/// The loaded programs and the loader's ends of their maps.
pub struct Loaded {
    /// The programs.
    pub programs: Programs,
    /// The flow tables.
    pub drain: Drain,
    /// Totals by device and direction.
    pub device_counters: PerCpuArray<MapData, DeviceCounters>,
    /// The devices that were found by how their addresses begin.
    pub found: FoundDevices,
    /// The payload samples.
    pub samples: RingBuf<MapData>,
    /// What became of the samples.
    pub sample_counters: PerCpuArray<MapData, SampleCounters>,
    /// The hooks that the self-test saw run.
    pub hooks_seen: HashMap<MapData, u64, u32>,
    /// Whether hooks leave notes in `hooks_seen`.
    pub self_test: Array<MapData, u32>,
}

impl Programs {
    /// Takes the clock's map, and loads its program.
    pub(super) fn new(mut ebpf: Ebpf) -> Result<Self, LoadError> {
        load_program(&mut ebpf, program::CLOCK)?;
        Ok(Self {
            clock: take(&mut ebpf, "CLOCK")?,
            ebpf,
        })
    }

    /// Returns the clock on which the kernel's ticks are times.
    ///
    /// # Errors
    /// [`ClockError`] when it can't be read.
    pub fn clock(&self) -> Result<TickClock, ClockError> {
        let found = self.ebpf.program(program::CLOCK);
        let clock: &SchedClassifier = found
            .ok_or(ClockError::Run(ProgramError::NotLoaded))?
            .try_into()
            .map_err(ClockError::Run)?;
        TickClock::read(clock, &self.clock)
    }
}

/// Returns the object's checksum (CRC-32 of IEEE 802.3), by which it is told from other versions'.
pub(super) fn checksum() -> u32 {
    crc32fast::hash(OBJECT)
}

/// Loads the object. The programs for XDP and tc are loaded when they are attached.
///
/// # Errors
/// [`LoadError`], one variant a cause.
pub fn load(options: &LoadOptions<'_>) -> Result<Loaded, LoadError> {
    raise_memory_lock_limit();
    let table = DeviceTable::lay_out(options.devices)?;
    let mut ebpf = load_maps(options, &table)?;
    fill_devices(&mut ebpf, &table)?;
    let room = found::room(options.devices.len(), options.prefixes.len());
    found::fill_rules(&mut ebpf, options.prefixes)?;
    if !options.pins.is_some_and(|pins| pins.is_taken_over) {
        let first = options.devices.len() as u32;
        found::fill_numbers(&mut ebpf, first..first + room)?;
    }
    let epoch = take(&mut ebpf, drain::EPOCH)?;
    Ok(Loaded {
        drain: start_drain(options, epoch)?,
        device_counters: take(&mut ebpf, "DEVICE_COUNTERS")?,
        found: FoundDevices {
            numbers: take(&mut ebpf, "FOUND_DEVICES")?,
            no_room: take(&mut ebpf, "FOUND_NO_ROOM")?,
            room,
        },
        samples: take(&mut ebpf, "SAMPLES")?,
        sample_counters: take(&mut ebpf, "SAMPLE_COUNTERS")?,
        hooks_seen: take(&mut ebpf, "HOOKS_SEEN")?,
        self_test: take(&mut ebpf, ".data.self_test")?,
        programs: Programs::new(ebpf)?,
    })
}

fn start_drain(options: &LoadOptions<'_>, epoch: EpochSlot) -> Result<Drain, DrainError> {
    let (entries, access) = (options.flow_table_size, options.access);
    match options.pins {
        None => Drain::start(epoch, entries, access),
        Some(pins) if pins.is_taken_over => {
            Ok(Drain::resume(pins.folder, access, None)?.through(epoch))
        }
        Some(pins) => Drain::pin(pins.folder, epoch, entries, access),
    }
}

fn load_maps(options: &LoadOptions<'_>, table: &DeviceTable) -> Result<Ebpf, LoadError> {
    let room = found::room(options.devices.len(), options.prefixes.len());
    let counters = ((options.devices.len() as u32 + room) * 2).max(1);
    let prefixes = options.prefixes.len() as u32;
    let mut loader = EbpfLoader::new();
    found::size(&mut loader, &prefixes, room);
    loader
        .override_global("DEVICE_MULTIPLIER", &table.multiplier, true)
        .override_global("DEVICE_SHIFT", &table.shift, true)
        .override_global(aya_log::LEVEL, &options.log_level, false)
        .map_max_entries("DEVICES", table.slot_count())
        .map_max_entries("DEVICE_COUNTERS", counters);
    if let Some(pins) = options.pins {
        for name in PINNED {
            loader.map_pin_path(name, pins.folder.join(name));
        }
    }
    load_object(&mut loader, OBJECT)
}

/// Loads an object's maps.
pub(super) fn load_object(loader: &mut EbpfLoader<'_>, object: &[u8]) -> Result<Ebpf, LoadError> {
    let result = loader.load(object);
    result.map_err(|error| match io_error_of(&error) {
        Some(cause) if is_not_permitted(cause) => LoadError::NotPermitted(NotPermitted {
            attempt: "load the BPF maps".to_owned(),
        }),
        _ => LoadError::Maps(error),
    })
}

fn fill_devices(ebpf: &mut Ebpf, table: &DeviceTable) -> Result<(), LoadError> {
    let fill = |source| LoadError::Fill {
        name: "DEVICES",
        source,
    };
    let map = ebpf
        .map_mut("DEVICES")
        .ok_or(LoadError::Missing("DEVICES"))?;
    let mut devices: Array<_, u64> = map.try_into().map_err(fill)?;
    for (index, slot) in &table.slots {
        devices.set(*index, slot, 0).map_err(fill)?;
    }
    Ok(())
}

/// Takes a map out of the object as the type that its users want.
pub(super) fn take<T>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, LoadError>
where
    T: TryFrom<Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    map.try_into()
        .map_err(|source| LoadError::Fill { name, source })
}

/// Has the verifier check a program and the kernel keep it; does nothing if that was done before.
///
/// # Errors
/// [`LoadError::Program`] with the verifier's words, [`LoadError::NotPermitted`].
pub fn load_program(ebpf: &mut Ebpf, name: &'static str) -> Result<(), LoadError> {
    let found = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    let outcome = match found {
        Program::Xdp(xdp) if xdp.fd().is_err() => xdp.load(),
        Program::SchedClassifier(tc) if tc.fd().is_err() => tc.load(),
        Program::Xdp(_) | Program::SchedClassifier(_) => Ok(()),
        _ => return Err(LoadError::Missing(name)),
    };
    outcome.map_err(|error| match io_error_of(&error) {
        Some(cause) if is_not_permitted(cause) => LoadError::NotPermitted(NotPermitted {
            attempt: format!("load the program {name}"),
        }),
        _ => LoadError::Program {
            name,
            source: Box::new(error),
        },
    })
}

/// Raises the process's limit of locked memory, where it may: kernels before 5.11 charge maps to it.
#[expect(unsafe_code, reason = "setrlimit reads through a pointer")]
pub fn raise_memory_lock_limit() {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the pointer is to a value of this frame.
    let status = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    if status != 0 {
        // Newer kernels don't need it; on older ones the map's own error says what is wrong.
        ::log::debug!(
            "raise the locked-memory limit: {}",
            io::Error::last_os_error()
        );
    }
}
