//! That one flowwatch persists at a time: a lock in the run directory, which the kernel lets go when
//! the process ends, in whatever way.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kernel::support::{NotPermitted, is_not_permitted};

/// The lock's file, which holds the process's number.
const LOCK: &str = "flowwatch.lock";

/// Another flowwatch runs, or it can't be found out.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Privileges are missing.
    #[error("{0}")]
    NotPermitted(#[from] NotPermitted),
    /// It does.
    #[error(
        "use what is pinned: a flowwatch that persists runs already, as process {pid} (`{}`); \
         end that one first (`flowwatch detach --stop` ends its counting, too), or give this one \
         folders of its own with --run-directory and --pin-directory",
        .lock.display()
    )]
    Runs {
        /// Its number, or what stands for it.
        pid: String,
        /// The lock that it holds.
        lock: PathBuf,
    },
    /// The lock can't be had.
    #[error(
        "lock `{}`: {cause}; let flowwatch write there, or name another folder with --run-directory",
        .path.display()
    )]
    Lock {
        /// The lock or its folder.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
}

/// The lock, held as long as this is.
#[derive(Debug)]
pub struct Instance {
    _lock: File,
}

impl Instance {
    /// Becomes the flowwatch that persists.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn claim(run_directory: &Path) -> Result<Self, InstanceError> {
        let (lock, path) = open(run_directory)?;
        match lock.try_lock() {
            Ok(()) => Self::hold(lock, &path),
            Err(TryLockError::WouldBlock) => {
                let pid = told(holder(&path));
                Err(InstanceError::Runs { pid, lock: path })
            }
            Err(TryLockError::Error(cause)) => Err(failed(&path, cause)),
        }
    }

    /// Likewise; one that runs is asked to end as Ctrl-C does, and waited for.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn succeed(run_directory: &Path) -> Result<Self, InstanceError> {
        let (lock, path) = open(run_directory)?;
        match lock.try_lock() {
            Ok(()) => return Self::hold(lock, &path),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(cause)) => return Err(failed(&path, cause)),
        }
        let Some(pid) = holder(&path) else {
            let pid = told(None);
            return Err(InstanceError::Runs { pid, lock: path });
        };
        kill(pid, Signal::SIGTERM).map_err(|error| failed(&path, error.into()))?;
        lock.lock().map_err(|cause| failed(&path, cause))?;
        Self::hold(lock, &path)
    }

    /// Notes who holds the lock.
    fn hold(mut lock: File, path: &Path) -> Result<Self, InstanceError> {
        let mut note = || {
            lock.set_len(0)?;
            lock.write_all(format!("{}\n", std::process::id()).as_bytes())
        };
        note().map_err(|cause| failed(path, cause))?;
        Ok(Self { _lock: lock })
    }

    /// Returns the number of the flowwatch that persists, if one runs.
    #[must_use]
    pub fn running(run_directory: &Path) -> Option<String> {
        let path = run_directory.join(LOCK);
        let lock = File::open(&path).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(told(holder(&path))),
            _ => None,
        }
    }
}

/// Makes the run directory, where it is not there. Others may look into it, whatever this process's
/// mask says: the socket of views is there, too, and says itself who may connect.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))
}

/// Opens the lock's file, and makes it where it is not there.
fn open(run_directory: &Path) -> Result<(File, PathBuf), InstanceError> {
    make_folder(run_directory).map_err(|cause| failed(run_directory, cause))?;
    let path = run_directory.join(LOCK);
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        // The folder may be an unprivileged user's, who is not to say what root writes to.
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path);
    match opened {
        Ok(lock) => Ok((lock, path)),
        Err(cause) => Err(failed(&path, cause)),
    }
}

fn failed(path: &Path, cause: io::Error) -> InstanceError {
    if is_not_permitted(&cause) {
        let attempt = format!("lock `{}`", path.display());
        return NotPermitted { attempt }.into();
    }
    InstanceError::Lock {
        path: path.to_owned(),
        cause,
    }
}

/// Returns the holder of a lock, which wrote its number there. Before it does, the file has that of
/// one that is gone, and some other process may have got it since: that has no such file open.
fn holder(path: &Path) -> Option<Pid> {
    let text = fs::read_to_string(path).ok()?;
    let pid = text.trim().parse::<i32>().ok()?;
    (pid > 0 && has_open(pid, path)).then(|| Pid::from_raw(pid))
}

fn has_open(pid: i32, path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let is_it = |entry: io::Result<fs::DirEntry>| {
        let file = entry.and_then(|entry| fs::read_link(entry.path()));
        file.is_ok_and(|file| file == path)
    };
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    files.is_ok_and(|mut files| files.any(is_it))
}

fn told(holder: Option<Pid>) -> String {
    holder.map_or_else(|| "of an unknown number".to_owned(), |pid| pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_the_first_is_and_the_lock_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        assert_eq!(Instance::running(&runs), None);
        let first = Instance::claim(&runs).unwrap();
        let pid = std::process::id();
        let text = Instance::claim(&runs).unwrap_err().to_string();
        assert!(
            text.contains(&format!("runs already, as process {pid} ")),
            "{text}"
        );
        assert_eq!(Instance::running(&runs), Some(pid.to_string()));
        drop(first);
        assert_eq!(Instance::running(&runs), None);
        Instance::claim(&runs).unwrap();
    }

    #[test]
    fn who_has_not_the_file_open_is_not_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK);
        let pid = std::process::id();
        fs::write(&path, pid.to_string()).unwrap();
        assert_eq!(holder(&path), None);
        let _open = File::open(&path).unwrap();
        assert_eq!(holder(&path), Some(Pid::from_raw(pid.cast_signed())));
    }

    #[test]
    fn a_folder_that_cant_be_made_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let text = Instance::claim(&file.join("runs")).unwrap_err().to_string();
        assert!(
            text.contains("name another folder with --run-directory"),
            "{text}"
        );
    }
}
