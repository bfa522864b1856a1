//! What this kernel and this process may do, as typed conditions instead of bare error numbers.

use std::io;

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

/// Returns whether an error number means that privileges are missing. `EACCES` isn't one of them:
/// it is the verifier's answer to a program that it refuses.
#[must_use]
pub fn is_not_permitted(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EPERM)
}

/// Returns the first I/O error in an error's chain of causes.
#[must_use]
pub fn io_error_of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut current = Some(error);
    while let Some(cause) = current {
        if let Some(found) = cause.downcast_ref::<io::Error>() {
            return Some(found);
        }
        current = cause.source();
    }
    None
}
