//! The facts that checks judge. What was not looked at, or could not be told, is absent; why it could
//! not is among [`Facts::unknown`].

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::history::Span;
use crate::kernel::attach::{AttachMode, IngressHook};
use crate::kernel::flowtables::Flowtable;
use crate::kernel::interface::Interface;
use crate::kernel::link_details::LinkDetails;
use crate::kernel::offloads::Offloads;
use crate::kernel::places::TcPlaces;
use crate::kernel::probe::{MissingMap, ProgramProbe};
use crate::kernel::xdp_modes::XdpModes;
use crate::model::MacAddress;

/// Everything that was found out.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When.
    pub now: Timestamp,
    /// The host.
    pub host: HostFacts,
    /// The interfaces that are to be counted on; without a choice, those that could be.
    pub interfaces: Vec<InterfaceFacts>,
    /// nftables' flowtables.
    pub flowtables: Vec<Flowtable>,
    /// The tagged devices.
    pub devices: Vec<DeviceFacts>,
    /// The databases of places.
    pub databases: Vec<DatabaseFacts>,
    /// For how long devices were listened to; nothing where they were not.
    pub listened: Option<Duration>,
    /// What could not be told.
    pub unknown: Vec<Unknown>,
}

/// Something that could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The check that wanted it.
    pub check: &'static str,
    /// The interface that it is of; none of the host.
    pub subject: Option<String>,
    /// Why; nothing where privileges are missing.
    pub reason: Option<String>,
}

/// A kernel's release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRelease {
    /// As the kernel says it: `6.1.0-13-amd64`.
    pub text: String,
    /// Its first two numbers.
    pub version: (u32, u32),
}

/// How much memory a process may lock, where maps are charged to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLock {
    /// Whether maps are charged to it at all.
    pub is_charged: bool,
    /// The limit in octets; nothing where there is none.
    pub limit: Option<u64>,
}

/// The host.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// The kernel.
    pub kernel: Option<KernelRelease>,
    /// The capabilities that counting needs and this process lacks.
    pub missing_capabilities: Vec<&'static str>,
    /// The kinds of map that the kernel lacks.
    pub missing_maps: Option<Vec<MissingMap>>,
    /// What became of flowwatch's programs; or why none could be tried.
    pub programs: Option<Result<Vec<ProgramProbe>, String>>,
    /// Whether the kernel has tcx.
    pub has_tcx: Option<bool>,
    /// Whether `/sys/fs/bpf` is a BPF file system.
    pub has_bpf_file_system: Option<bool>,
    /// Memory that may be locked.
    pub memory_lock: Option<MemoryLock>,
    /// `net.core.bpf_jit_enable`; nothing where the kernel has no such setting.
    pub jit: Option<u8>,
    /// Whether something keeps the clock right.
    pub is_clock_synchronized: Option<bool>,
    /// Loaded modules that forward round the kernel, by name.
    pub accelerators: Vec<String>,
    /// Whether the user chose interfaces.
    pub has_choice: bool,
    /// Why the interfaces that were named can't all be counted on.
    pub refused_interfaces: Vec<String>,
    /// Which hook was asked for.
    pub attach: AttachMode,
    /// The history; nothing where none is asked for.
    pub history: Option<HistoryFacts>,
}

/// An interface.
#[derive(Clone, Debug, Default)]
pub struct InterfaceFacts {
    /// What counting knows of it.
    pub interface: Interface,
    /// Its driver; nothing where it has none of its own.
    pub driver: Option<String>,
    /// What rtnetlink tells beside.
    pub details: LinkDetails,
    /// What its driver can do of XDP.
    pub xdp_modes: Option<XdpModes>,
    /// The name of the program in its XDP slot.
    pub xdp_program: Option<String>,
    /// The hook that would take what devices send, and why that.
    pub choice: Option<(IngressHook, String)>,
    /// Who is at its tc hooks.
    pub tc: Option<TcPlaces>,
    /// What its card does by itself.
    pub offloads: Option<Offloads>,
    /// The bridge that it is a port of.
    pub bridge: Option<BridgePort>,
    /// What the programs saw while it was listened to.
    pub heard: Option<Heard>,
}

/// A port's place in its bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgePort {
    /// The bridge's name.
    pub bridge: String,
    /// Whether the bridge was named, so that its ports are followed.
    pub is_named: bool,
    /// Its other ports that are not counted on.
    pub left_out: Vec<String>,
}

/// What the programs saw at an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Why nothing could be attached.
    pub refusal: Option<String>,
    /// Packets that it received and sent meanwhile, by its own count.
    pub passed: (u64, u64),
    /// The sides at which no program ran, though packets passed.
    pub silent: Vec<&'static str>,
}

/// A tagged device, or all that have a prefix.
#[derive(Clone, Debug, Default)]
pub struct DeviceFacts {
    /// The user's name.
    pub name: String,
    /// Its address; none of a prefix.
    pub mac: Option<MacAddress>,
    /// The address or the prefix as the user writes it.
    pub address: String,
    /// Where it was seen, interface by interface; nothing where nobody listened.
    pub heard: Option<Vec<HeardDevice>>,
    /// The interfaces at which the host knows it and that are not counted on.
    pub known_elsewhere: Vec<String>,
    /// How it resolves names, as a sentence without the full stop.
    pub resolving: Option<String>,
    /// Whether its questions can't all be read.
    pub asks_encrypted: bool,
}

/// A device at an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeardDevice {
    /// The interface.
    pub interface: String,
    /// Frames from it.
    pub up: u64,
    /// Frames to it.
    pub down: u64,
}

/// A database of places.
#[derive(Clone, Debug, Default)]
pub struct DatabaseFacts {
    /// Its file, or `built-in`.
    pub name: String,
    /// Whether it is the built-in one.
    pub is_builtin: bool,
    /// Its type and when it was built, or why it can't be used.
    pub opened: Option<Result<(String, Option<Timestamp>), String>>,
}

/// The history.
#[derive(Clone, Debug)]
pub struct HistoryFacts {
    /// Its file.
    pub path: PathBuf,
    /// What is there.
    pub state: HistoryState,
    /// Octets that are free where it is.
    pub free_octets: Option<u64>,
}

/// What is at a history's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryState {
    /// Nothing, and it can be made.
    CanBeMade,
    /// Nothing, and there is no such folder.
    NoFolder,
    /// A folder or a file that this user may not write to.
    NotWritable,
    /// A history, with the span that it has counts of.
    Held(Option<Span>),
    /// Something else, or a history that can't be read.
    Unusable(String),
}
