//! Terminals of a test's own: the end that a program has, and the one behind it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

/// Opens a terminal: the end behind it and the program's, neither of which a child inherits unasked.
pub fn open(rows: u16, columns: u16) -> Result<(File, File)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).context("open a terminal")?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname_r(&master)?;
    let slave = File::options()
        .read(true)
        .write(true)
        .custom_flags(flags.bits())
        .open(name)?;
    resize(&slave, rows, columns)?;
    Ok((File::from(OwnedFd::from(master)), slave))
}

/// Gives a terminal a size; who runs on it is told.
pub fn resize(terminal: &File, rows: u16, columns: u16) -> Result<()> {
    let mut size = Command::new("stty");
    let (rows, columns) = (rows.to_string(), columns.to_string());
    size.args(["rows", &rows, "columns", &columns]);
    let sized = size.stdin(terminal.try_clone()?).status()?;
    ensure!(sized.success(), "stty: {sized}");
    Ok(())
}
