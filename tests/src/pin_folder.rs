//! A BPF file system of a test's own: pins that outlive the program under test, and vanish with the
//! test, however it ends.
//!
//! It is mounted nowhere: this process holds it by a descriptor, and its path goes through that.

#![expect(unsafe_code, reason = "libc has no functions for these system calls")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};

/// `FSCONFIG_CMD_CREATE` (include/uapi/linux/mount.h).
const CREATE: libc::c_long = 6;

/// A BPF file system.
#[derive(Debug)]
pub struct PinFolder {
    mount: OwnedFd,
}

impl PinFolder {
    /// Makes a file system with nothing in it.
    pub fn new() -> Result<Self> {
        let make = || -> io::Result<OwnedFd> {
            let kind: &CStr = c"bpf";
            // SAFETY: a C string; the result is a descriptor of nobody else's.
            let context = unsafe { descriptor(libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 0)) }?;
            let raw = context.as_raw_fd();
            // SAFETY: the command takes neither key nor value.
            let made = unsafe { libc::syscall(libc::SYS_fsconfig, raw, CREATE, 0, 0, 0) };
            if made != 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: no addresses; the result is a descriptor of nobody else's.
            unsafe { descriptor(libc::syscall(libc::SYS_fsmount, raw, 0, 0)) }
        };
        let mount = make().context("make a BPF file system")?;
        Ok(Self { mount })
    }

    /// A folder in it, yet to be made, by a path that is good in this process and in those that it
    /// starts, which inherit the descriptor: who gives up privileges may not look into others'.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/self/fd/{}/flowwatch", self.mount.as_raw_fd())
    }
}

/// Returns a system call's descriptor.
///
/// # Safety
/// Nobody else has it.
unsafe fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller vouches for it.
    Ok(unsafe { OwnedFd::from_raw_fd(result as libc::c_int) })
}
