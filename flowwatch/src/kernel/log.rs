//! What the BPF programs log for an operator, passed on to this process's log.
//!
//! Off, the programs' log statements are dead code that the verifier removes.

use std::io;

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::unix::AsyncFd;

/// The programs' log messages.
pub type KernelLog = EbpfLogger<&'static dyn ::log::Log>;

/// Starts reading the programs' log messages; nothing where the programs have none.
///
/// # Errors
/// aya-log's error.
pub fn open(ebpf: &mut Ebpf) -> Result<Option<KernelLog>, aya_log::Error> {
    match EbpfLogger::init(ebpf) {
        Ok(log) => Ok(Some(log)),
        Err(aya_log::Error::MapNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the log as something whose messages can be awaited.
///
/// # Errors
/// The event queue's error.
#[expect(
    unsafe_code,
    reason = "tokio wants the promise that the descriptor stays open"
)]
pub fn watch(log: KernelLog) -> io::Result<AsyncFd<KernelLog>> {
    // SAFETY: the log owns its ring's descriptor, which stays open and the same until it is dropped.
    unsafe { AsyncFd::register(log) }.map_err(io::Error::from)
}
