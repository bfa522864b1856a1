//! What this kernel and this process may do, as typed conditions instead of bare error numbers.

use std::io;

use aya::maps::MapError;
use aya::programs::ProgramError;

/// The kernel lacks something that flowwatch needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{feature}: this kernel lacks it (it came with Linux {since_kernel}); {advice}")]
pub struct NotSupported {
    /// What is missing.
    pub feature: &'static str,
    /// The kernel release that brought it.
    pub since_kernel: &'static str,
    /// What the user can do.
    pub advice: &'static str,
}

/// This process may not do what flowwatch needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{attempt}: not permitted; run flowwatch as root or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
)]
pub struct NotPermitted {
    /// What was attempted.
    pub attempt: String,
}

/// Capabilities by their numbers (include/uapi/linux/capability.h).
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// What counting needs, and whether `CAP_SYS_ADMIN` includes it.
const NEEDED: [(u32, &str, bool); 3] = [
    (CAP_BPF, "CAP_BPF", true),
    (CAP_NET_ADMIN, "CAP_NET_ADMIN", false),
    (CAP_PERFMON, "CAP_PERFMON", true),
];

/// Returns whether this process may load and attach programs.
#[must_use]
pub fn may_count() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Where that can't be read, the kernel says so itself.
    missing_capabilities(&status).is_empty()
}

/// Returns whether an error number means that privileges are missing. `EACCES` is the verifier's
/// answer to a program that it refuses: for what it is, or for want of `CAP_PERFMON`.
#[must_use]
pub fn is_not_permitted(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(libc::EPERM) => true,
        Some(libc::EACCES) => {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            lacks_perfmon(&status)
        }
        _ => false,
    }
}

/// Returns whether a process of this `/proc/PID/status` has neither `CAP_PERFMON` nor what includes
/// it.
fn lacks_perfmon(status: &str) -> bool {
    missing_capabilities(status).contains(&"CAP_PERFMON")
}

/// Returns the capabilities that counting needs and that a process of this `/proc/PID/status` has
/// neither itself nor with another; none of one that tells nothing.
#[must_use]
pub fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let Some(held) = held_by(status) else {
        return Vec::new();
    };
    let has = |capability: u32| held >> capability & 1 == 1;
    let missing = NEEDED.iter().filter(|&&(capability, _, is_in_sys_admin)| {
        !(has(capability) || is_in_sys_admin && has(CAP_SYS_ADMIN))
    });
    missing.map(|&(_, name, _)| name).collect()
}

/// Returns the effective capabilities of a process of this `/proc/PID/status`, a bit each.
fn held_by(status: &str) -> Option<u64> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    u64::from_str_radix(effective?.trim(), 16).ok()
}

/// Returns the first I/O error in an error's chain of causes. aya passes some off as its own, which
/// the chain then leaves out.
#[must_use]
pub fn io_error_of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut current = Some(error);
    while let Some(cause) = current {
        if let Some(found) = cause.downcast_ref::<io::Error>() {
            return Some(found);
        }
        if let Some(ProgramError::IOError(found)) = cause.downcast_ref() {
            return Some(found);
        }
        if let Some(MapError::IoError(found)) = cause.downcast_ref() {
            return Some(found);
        }
        current = cause.source();
    }
    None
}

/// Returns an error's chain of causes in one line.
#[must_use]
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut current = error.source();
    while let Some(cause) = current {
        text = format!("{text}: {cause}");
        current = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_is_found_however_aya_wraps_it() {
        let busy = || io::Error::from_raw_os_error(libc::EBUSY);
        let check = |error: &(dyn std::error::Error + 'static)| {
            let found = io_error_of(error).and_then(io::Error::raw_os_error);
            assert_eq!(found, Some(libc::EBUSY), "{error:?}");
        };
        let syscall = || aya::sys::SyscallError {
            call: "bpf_link_create",
            io_error: busy(),
        };
        check(&ProgramError::IOError(busy()));
        check(&ProgramError::SyscallError(syscall()));
        check(&MapError::IoError(busy()));
        check(&MapError::SyscallError(syscall()));
    }

    #[test]
    fn capabilities_are_read_from_the_processs_status() {
        // Root's, CAP_BPF with CAP_NET_ADMIN, the same with CAP_PERFMON, and CAP_SYS_ADMIN.
        assert!(!lacks_perfmon("CapPrm:\t0\nCapEff:\t000001ffffffffff\n"));
        assert!(lacks_perfmon("CapEff:\t0000008000001000\n"));
        assert!(!lacks_perfmon("CapEff:\t000000c000001000\n"));
        assert!(!lacks_perfmon("CapEff:\t0000000000200000\n"));
        assert!(!lacks_perfmon(""), "unknown is not missing");
    }

    #[test]
    fn who_may_count_has_what_programs_and_their_hooks_need() {
        let check = |held: &str, missing: &[&str]| {
            let status = format!("CapEff:\t{held}\n");
            assert_eq!(missing_capabilities(&status), missing, "{held}");
        };
        check("000001ffffffffff", &[]);
        check("000000c000001000", &[]);
        check("0000008000001000", &["CAP_PERFMON"]);
        check("000000c000000000", &["CAP_NET_ADMIN"]);
        check("0000000000200000", &["CAP_NET_ADMIN"]);
        let all = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"];
        check("0000000000000000", &all);
        assert!(
            missing_capabilities("").is_empty(),
            "unknown is not missing"
        );
    }
}
