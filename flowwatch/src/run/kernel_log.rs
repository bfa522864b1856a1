//! What the programs in the kernel log, as much as this process does.

use std::io;

use anyhow::Context as _;
use aya::Ebpf;
use tokio::io::unix::{AsyncFd, AsyncFdReadyMutGuard};

use crate::kernel;
use crate::kernel::log::KernelLog;

/// Returns what the programs log, as aya's level: as much as this process, but nothing by default,
/// so that the verifier removes the statements.
pub(super) fn kernel_log_level() -> u8 {
    match log::max_level() {
        log::LevelFilter::Off | log::LevelFilter::Error | log::LevelFilter::Warn => 0,
        level => level as u8,
    }
}

pub(super) fn open_kernel_log(ebpf: &mut Ebpf) -> anyhow::Result<Option<AsyncFd<KernelLog>>> {
    if kernel_log_level() == 0 {
        return Ok(None);
    }
    let log = kernel::log::open(ebpf).context("open the programs' log")?;
    let log = log.map(kernel::log::watch).transpose();
    log.context("watch the programs' log")
}

/// Waits for the programs' log; for ever, when there is none.
pub(super) async fn readable(
    log: &mut Option<AsyncFd<KernelLog>>,
) -> io::Result<AsyncFdReadyMutGuard<'_, KernelLog>> {
    match log {
        Some(log) => log.readable_mut().await,
        None => std::future::pending().await,
    }
}
