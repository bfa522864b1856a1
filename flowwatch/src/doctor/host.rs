//! Facts of the host: from `/proc`, and from trying.

use std::fs;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::files;
use super::gathering::Gathering;
use crate::diagnosis::{HostFacts, KernelRelease, MemoryLock};
use crate::kernel::load::LoadError;
use crate::kernel::probe::{self, ProgramProbe};
use crate::kernel::support::{causes, missing_capabilities};
use crate::plan::DoctorPlan;

/// Where BPF's file system is looked for: where everybody mounts it.
const BPF_FILE_SYSTEM: &str = "/sys/fs/bpf";

impl Gathering {
    /// Returns the host's facts, but for what is wrong with the interfaces that were named.
    pub(super) fn host(&mut self, plan: &DoctorPlan) -> HostFacts {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease");
        let release = self.known("kernel.version", None, release);
        let mounts = fs::read_to_string("/proc/self/mounts");
        let mounts = self.known("bpf.file_system", None, mounts);
        let synchronized = probe::is_clock_synchronized();
        HostFacts {
            kernel: release.and_then(|text| release_of(text.trim())),
            missing_capabilities: missing_capabilities(&status),
            missing_maps: self.known("kernel.maps", None, probe::missing_maps()),
            programs: self.programs(),
            has_tcx: self.known("kernel.tcx", None, probe::has_tcx()),
            has_bpf_file_system: mounts.map(|mounts| has_bpf_file_system(&mounts)),
            memory_lock: self.memory_lock(),
            jit: jit(),
            is_clock_synchronized: self.known("host.clock", None, synchronized),
            accelerators: modules(),
            has_choice: !plan.interfaces.is_empty(),
            refused_interfaces: Vec::new(),
            attach: plan.attach,
            history: plan.history.as_deref().map(files::history),
        }
    }

    fn programs(&mut self) -> Option<Result<Vec<ProgramProbe>, String>> {
        match probe::load_programs() {
            Err(LoadError::NotPermitted(error)) => self.known("kernel.programs", None, Err(error)),
            Err(error) => Some(Err(causes(&error))),
            Ok(probes) => Some(Ok(probes)),
        }
    }

    fn memory_lock(&mut self) -> Option<MemoryLock> {
        // Before any load of this process lifted it, as far as it could.
        let limit = getrlimit(Resource::RLIMIT_MEMLOCK);
        let (soft, _) = self.known("bpf.memory_lock", None, limit)?;
        let is_charged = self.known("bpf.memory_lock", None, probe::locks_memory())?;
        Some(MemoryLock {
            is_charged,
            limit: (soft != RLIM_INFINITY).then_some(soft),
        })
    }
}

/// Returns whether and how the kernel compiles BPF programs; nothing where it does not say.
pub(super) fn jit() -> Option<u8> {
    let text = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").ok()?;
    text.trim().parse().ok()
}

/// Returns the names of the kernel's modules.
pub(super) fn modules() -> Vec<String> {
    // A kernel without modules has no such file.
    let text = fs::read_to_string("/proc/modules").unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// Reads a release such as `6.1.0-13-amd64`.
fn release_of(text: &str) -> Option<KernelRelease> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let major = numbers.next()?.ok()?;
    let minor = numbers.next()?.ok()?;
    Some(KernelRelease {
        text: text.to_owned(),
        version: (major, minor),
    })
}

/// Returns whether these mounts (`/proc/self/mounts`, proc(5)) have a BPF file system in its place.
fn has_bpf_file_system(mounts: &str) -> bool {
    // The last one mounted there is the one that is seen.
    let mut at_place = mounts.lines().rev().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        (fields.next()? == BPF_FILE_SYSTEM).then(|| fields.next())?
    });
    at_place.next() == Some("bpf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_up_to_its_second_number() {
        let check = |text: &str, version| {
            let release = release_of(text);
            assert_eq!(release.map(|it| it.version), version, "{text}");
        };
        check("6.1.0-13-amd64", Some((6, 1)));
        check("5.10", Some((5, 10)));
        check("6.18.44-fc-v657", Some((6, 18)));
        check("6", None);
        check("", None);
    }

    #[test]
    fn the_file_system_that_was_mounted_last_counts() {
        let other = "sysfs /sys sysfs rw 0 0\nbpf /run/bpf bpf rw 0 0\n";
        let there = "bpf /sys/fs/bpf bpf rw,mode=700 0 0\n";
        assert!(!has_bpf_file_system(other));
        assert!(has_bpf_file_system(&format!("{other}{there}")));
        let hidden = "none /sys/fs/bpf tmpfs rw 0 0\n";
        assert!(!has_bpf_file_system(&format!("{there}{hidden}")));
    }
}
