//! The BPF file system, where maps and links outlive the process: found, or mounted.
//!
//! Names in it have no dots (kernel/bpf/inode.c, `bpf_lookup`), and a folder is renamed in one step.
#![expect(unsafe_code, reason = "statfs and mount take addresses")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::support::{NotPermitted, is_not_permitted};

/// Where the BPF file system is mounted by convention.
const MOUNT_POINT: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` (include/uapi/linux/magic.h).
const MAGIC: u64 = 0xcafe_4a11;

/// Something about pins failed.
#[derive(Debug, thiserror::Error)]
pub enum BpffsError {
    /// Privileges are missing.
    #[error("{0}")]
    NotPermitted(#[from] NotPermitted),
    /// The folder is elsewhere.
    #[error(
        "pin under `{}`: no BPF file system is there; mount one \
         (`mount -t bpf bpf {MOUNT_POINT}`), or name a folder on one with --pin-directory",
        .0.display()
    )]
    Elsewhere(PathBuf),
    /// It is not mounted, and can't be.
    #[error(
        "mount the BPF file system at {MOUNT_POINT}: {0}; mount it (`mount -t bpf bpf \
         {MOUNT_POINT}`), or run without --persist"
    )]
    Mount(#[source] io::Error),
    /// A folder or a pin can't be made, read or removed.
    #[error("{attempt} `{}`: {cause}; look after the BPF file system there", .path.display())]
    Path {
        /// What was attempted, as `make`.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
}

/// Makes sure that a folder can hold pins: finds the BPF file system there, or mounts it where it
/// usually is; makes the folder.
///
/// # Errors
/// [`BpffsError`].
pub(super) fn make_folder(folder: &Path) -> Result<(), BpffsError> {
    if !is_bpffs(folder) {
        if !folder.starts_with(MOUNT_POINT) || is_bpffs(Path::new(MOUNT_POINT)) {
            return Err(BpffsError::Elsewhere(folder.to_owned()));
        }
        mount()?;
    }
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.map_err(|cause| failed("make", folder, cause))
}

/// Returns whether a path, or what there is of it, is on a BPF file system.
fn is_bpffs(path: &Path) -> bool {
    let existing = path.ancestors().find(|path| path.exists());
    let existing = existing.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
    let Some(existing) = existing else {
        return false;
    };
    // SAFETY: an all-zero statfs is one, as it holds integers alone.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string, and the result is this frame's.
    let status = unsafe { libc::statfs(existing.as_ptr(), &raw mut found) };
    status == 0 && found.f_type.cast_unsigned() == MAGIC
}

fn mount() -> Result<(), BpffsError> {
    let (target, kind) = (c"/sys/fs/bpf", c"bpf");
    // SAFETY: all four are C strings that outlive the call.
    let status = unsafe {
        libc::mount(
            kind.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            0,
            c"mode=0700".as_ptr().cast(),
        )
    };
    if status == 0 {
        return Ok(());
    }
    let cause = io::Error::last_os_error();
    if is_not_permitted(&cause) {
        let attempt =
            format!("mount the BPF file system, as root can (`mount -t bpf bpf {MOUNT_POINT}`)");
        return Err(NotPermitted { attempt }.into());
    }
    Err(BpffsError::Mount(cause))
}

/// Returns the names in a folder, sorted; none where there is no such folder.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, BpffsError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed("list", folder, cause)),
    };
    let name_of = |entry: io::Result<std::fs::DirEntry>| {
        let name = entry.map_err(|cause| failed("list", folder, cause))?;
        Ok(name.file_name().to_string_lossy().into_owned())
    };
    let mut names = entries
        .map(name_of)
        .collect::<Result<Vec<_>, BpffsError>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Renames a folder, in one step.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), BpffsError> {
    std::fs::rename(from, to).map_err(|cause| failed("rename", from, cause))
}

/// Removes a folder with all that is pinned in it; one that is not there is removed.
pub(super) fn remove_folder(folder: &Path) -> Result<(), BpffsError> {
    match std::fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", folder, cause))
        }
        _ => Ok(()),
    }
}

/// Removes a pin; one that is not there is removed.
pub(super) fn remove_pin(path: &Path) -> Result<(), BpffsError> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, cause)),
        _ => Ok(()),
    }
}

fn failed(attempt: &'static str, path: &Path, cause: io::Error) -> BpffsError {
    if is_not_permitted(&cause) {
        let attempt = format!("{attempt} `{}`", path.display());
        return NotPermitted { attempt }.into();
    }
    BpffsError::Path {
        attempt,
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_on_another_file_system_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = make_folder(&folder.path().join("flowwatch/v1")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("no BPF file system is there; mount one"),
            "{text}"
        );
        assert!(!folder.path().join("flowwatch").exists());
    }

    #[test]
    fn what_is_not_there_has_no_names_and_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        assert!(names_in(&absent).unwrap().is_empty());
        remove_folder(&absent).unwrap();
        remove_pin(&absent).unwrap();
    }
}
