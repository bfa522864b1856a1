//! What this kernel can do, found out by trying: maps are made, helpers called, flowwatch's own
//! programs loaded, and all of it let go again. Nothing is attached.

use std::io;

use aya::maps::MapType;
use aya::programs::{ProgramError, ProgramType, SchedClassifier, TcAttachType};
use aya::sys::{BpfHelper, SyscallError, is_helper_supported, is_map_supported};

use super::batch::Access;
use super::load::{self, LoadError, LoadOptions, program};
use super::support::{causes, io_error_of};

/// The kinds of map that the programs use: their names, and the kernel that brought each.
const MAPS: [(MapType, &str, &str); 8] = [
    (MapType::Array, "array", "3.19"),
    (MapType::Hash, "hash", "3.19"),
    (MapType::PerCpuArray, "percpu_array", "4.6"),
    (MapType::PerCpuHash, "percpu_hash", "4.6"),
    (MapType::LruHash, "lru_hash", "4.10"),
    (MapType::ArrayOfMaps, "array_of_maps", "4.12"),
    (MapType::Stack, "stack", "4.20"),
    (MapType::RingBuf, "ringbuf", "5.8"),
];

/// The programs that count, tc's first; the census, which `devices` takes.
const PROGRAMS: [&str; 5] = [
    program::INGRESS,
    program::EGRESS,
    program::XDP,
    program::XDP_FRAGMENTS,
    program::CENSUS,
];

/// A device that is none, for programs that are only loaded: the first locally administered address.
const NOBODY: u64 = 0x02;

/// A kind of map that the kernel lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingMap {
    /// Its name, as bpftool has it.
    pub name: &'static str,
    /// The kernel release that brought it.
    pub since_kernel: &'static str,
}

/// What became of one of flowwatch's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramProbe {
    /// The program.
    pub name: &'static str,
    /// Why the kernel doesn't take it; nothing where it does.
    pub refusal: Option<String>,
}

impl ProgramProbe {
    /// Returns whether counting does without it: XDP has tc, and large frames have XDP's other
    /// program or tc.
    #[must_use]
    pub fn is_dispensable(&self) -> bool {
        matches!(self.name, program::XDP | program::XDP_FRAGMENTS)
    }
}

/// Returns the kinds of map that the programs use and the kernel lacks.
///
/// # Errors
/// The kernel's error where it can't be told.
pub fn missing_maps() -> Result<Vec<MissingMap>, SyscallError> {
    let mut missing = Vec::new();
    for (kind, name, since_kernel) in MAPS {
        if !is_map_supported(kind)? {
            missing.push(MissingMap { name, since_kernel });
        }
    }
    Ok(missing)
}

/// Loads each of flowwatch's programs, and lets it go.
///
/// # Errors
/// [`LoadError`] where it is not the programs that are refused: privileges, maps.
pub fn load_programs() -> Result<Vec<ProgramProbe>, LoadError> {
    let options = LoadOptions {
        devices: &[NOBODY],
        prefixes: &[],
        flow_table_size: 1,
        log_level: 0,
        access: Access::Batch,
        pins: None,
    };
    let mut loaded = load::load(&options)?;
    let mut probes = Vec::new();
    for name in PROGRAMS {
        let refusal = match load::load_program(&mut loaded.programs.ebpf, name) {
            Ok(()) => None,
            Err(LoadError::Program { source, .. }) => Some(causes(source.as_ref())),
            Err(error) => return Err(error),
        };
        probes.push(ProgramProbe { name, refusal });
    }
    Ok(probes)
}

/// Returns whether tc programs can be attached by tcx, by asking which there are.
///
/// # Errors
/// The kernel's error where it can't be told.
pub fn has_tcx() -> Result<bool, ProgramError> {
    match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
        Ok(_) => Ok(true),
        Err(error) if is_unknown(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Kernels answer `EINVAL` to an attach type that they don't know.
pub(super) fn is_unknown(error: &ProgramError) -> bool {
    io_error_of(error).and_then(io::Error::raw_os_error) == Some(libc::EINVAL)
}

/// Returns whether maps are charged to the process's locked memory, as before Linux 5.11. A helper of
/// the same release tells it, as libbpf has it (`probe_memcg_account`).
///
/// # Errors
/// The kernel's error where it can't be told.
pub fn locks_memory() -> Result<bool, ProgramError> {
    let helper = BpfHelper::BPF_FUNC_ktime_get_coarse_ns;
    is_helper_supported(ProgramType::SchedClassifier, helper).map(|supported| !supported)
}

/// Returns whether something keeps the clock right (NTP), by the kernel's word.
///
/// # Errors
/// The kernel's error where it can't be told.
#[expect(unsafe_code, reason = "adjtimex writes through a pointer")]
pub fn is_clock_synchronized() -> io::Result<bool> {
    // SAFETY: all zeroes are a timex that changes nothing.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a timex of this frame.
    match unsafe { libc::adjtimex(&raw mut clock) } {
        -1 => Err(io::Error::last_os_error()),
        state => Ok(state != libc::TIME_ERROR && clock.status & libc::STA_UNSYNC == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_can_be_asked_without_privileges() {
        is_clock_synchronized().unwrap();
    }
}
