//! What is pinned, and where: generations of maps, each in a folder with its descriptor, and the
//! links that their programs are attached by.
//!
//! A generation is made in a folder of another name and gets its own when it is whole; it loses that
//! before it is taken apart. So whatever ends a process, what has a generation's name is one.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aya::maps::MapError;

use super::bpffs;
pub use super::bpffs::BpffsError;
use super::descriptor::{Descriptor, DescriptorError};

/// Where pins are, unless the user says otherwise.
pub const DEFAULT_PIN_DIRECTORY: &str = "/sys/fs/bpf/flowwatch";
/// The version of what this file says: a folder's name.
const VERSION: &str = "v1";
/// The name of a generation that is not whole yet, before its number.
const MAKING: &str = "making-";
/// The name of one that is taken apart, likewise.
const GONE: &str = "gone-";

/// Pins can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// The BPF file system.
    #[error("{0}")]
    Bpffs(#[from] BpffsError),
    /// Another process uses them.
    #[error(
        "use the pins in `{}`: another flowwatch does; end that one first, or name another folder with \
         --pin-directory",
        .0.display()
    )]
    InUse(PathBuf),
    /// Another version of flowwatch pins there.
    #[error(
        "use the pins in `{}`: `{other}` is of another version of flowwatch; end that one, or remove \
         its pins with `flowwatch detach`, which loses what they hold",
        .base.display()
    )]
    Version {
        /// The folder.
        base: PathBuf,
        /// What is in it.
        other: String,
    },
    /// A generation is not understood.
    #[error(
        "take over the counts in `{}`: {why}; drain them with the flowwatch that made them, or remove \
         them with `flowwatch detach`, which loses them",
        .folder.display()
    )]
    NotUnderstood {
        /// The generation's folder.
        folder: PathBuf,
        /// Why not.
        why: DescriptorError,
    },
    /// A generation counts on interfaces of another namespace.
    #[error(
        "take over the counts in `{}`: they are of another network namespace; run flowwatch there, \
         or name another folder with --pin-directory",
        .0.display()
    )]
    Namespace(PathBuf),
    /// The descriptor can't be written.
    #[error("describe the maps in `{}`", .folder.display())]
    Describe {
        /// The generation's folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: MapError,
    },
}

/// The folder of this version's pins, which one process uses at a time.
#[derive(Debug)]
pub struct Pins {
    root: PathBuf,
    /// The lock on the folder of all versions', held as long as this is.
    _lock: File,
}

/// A generation of maps.
#[derive(Clone, Debug)]
pub struct PinnedGeneration {
    /// Its folder, in which each map has its name in the object.
    pub folder: PathBuf,
    /// What it says of itself.
    pub descriptor: Descriptor,
}

impl Pins {
    /// Opens the folder for pins; makes it where it is not there. What an earlier process left half
    /// made or half removed goes.
    ///
    /// # Errors
    /// [`PinsError`].
    pub fn open(base: &Path) -> Result<Self, PinsError> {
        bpffs::make_folder(base)?;
        let pins = Self {
            root: base.join(VERSION),
            _lock: lock(base)?,
        };
        bpffs::make_folder(&pins.links())?;
        bpffs::make_folder(&pins.generations_folder())?;
        pins.sweep()?;
        Ok(pins)
    }

    /// Checks that no other version has pins beside these: it may count the same.
    ///
    /// # Errors
    /// [`PinsError::Version`].
    pub fn ensure_alone(&self) -> Result<(), PinsError> {
        let base = self.root.parent().unwrap_or(&self.root);
        let mut others = versions_in(base)?.into_iter();
        match others.find(|name| name != VERSION) {
            Some(other) => Err(PinsError::Version {
                base: base.to_owned(),
                other,
            }),
            None => Ok(()),
        }
    }

    /// Returns the folder of the links.
    #[must_use]
    pub fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    fn generations_folder(&self) -> PathBuf {
        self.root.join("generations")
    }

    fn sweep(&self) -> Result<(), BpffsError> {
        for name in bpffs::names_in(&self.generations_folder())? {
            if name.starts_with(MAKING) || name.starts_with(GONE) {
                bpffs::remove_folder(&self.generations_folder().join(name))?;
            }
        }
        Ok(())
    }

    /// Returns the generations.
    ///
    /// # Errors
    /// [`PinsError`] when one is not understood, or is of another namespace.
    pub fn generations(&self) -> Result<Vec<PinnedGeneration>, PinsError> {
        let each = self.each()?.into_iter();
        each.collect()
    }

    /// Returns each generation, or why it is not understood.
    ///
    /// # Errors
    /// [`PinsError::Bpffs`]; [`PinsError::Namespace`] when one is of another namespace.
    pub fn each(&self) -> Result<Vec<Result<PinnedGeneration, PinsError>>, PinsError> {
        let namespace = namespace();
        let open = |name| {
            let folder = self.generations_folder().join(name);
            match Descriptor::open(&folder) {
                Ok(descriptor) if descriptor.namespace != namespace => {
                    Err(PinsError::Namespace(folder))
                }
                Ok(descriptor) => Ok(Ok(PinnedGeneration { folder, descriptor })),
                Err(why) => Ok(Err(PinsError::NotUnderstood { folder, why })),
            }
        };
        let names = bpffs::names_in(&self.generations_folder())?;
        names.into_iter().map(open).collect()
    }

    /// Makes a folder for the maps of a generation to be. What was begun before and not completed goes.
    ///
    /// # Errors
    /// [`PinsError::Bpffs`].
    pub fn begin(&self, descriptor: Descriptor) -> Result<PinnedGeneration, PinsError> {
        self.sweep()?;
        let folder = self.folder_of(MAKING, &descriptor);
        bpffs::make_folder(&folder)?;
        Ok(PinnedGeneration { folder, descriptor })
    }

    fn folder_of(&self, before: &str, descriptor: &Descriptor) -> PathBuf {
        let name = format!("{before}{:016x}", descriptor.generation);
        self.generations_folder().join(name)
    }

    /// Gives a generation whose maps are pinned its name: from here on, a restart finds it.
    ///
    /// # Errors
    /// [`PinsError`].
    pub fn complete(&self, begun: PinnedGeneration) -> Result<PinnedGeneration, PinsError> {
        let PinnedGeneration { folder, descriptor } = begun;
        if let Err(source) = descriptor.pin(&folder) {
            return Err(PinsError::Describe { folder, source });
        }
        let whole = self.folder_of("", &descriptor);
        bpffs::rename(&folder, &whole)?;
        Ok(PinnedGeneration {
            folder: whole,
            descriptor,
        })
    }

    /// Removes a generation.
    ///
    /// # Errors
    /// [`PinsError::Bpffs`].
    pub fn remove(&self, generation: &PinnedGeneration) -> Result<(), PinsError> {
        let gone = self.folder_of(GONE, &generation.descriptor);
        bpffs::rename(&generation.folder, &gone)?;
        Ok(bpffs::remove_folder(&gone)?)
    }
}

/// Locks the folder, whatever run directory others have.
fn lock(base: &Path) -> Result<File, PinsError> {
    let failed = |cause| BpffsError::Path {
        attempt: "lock",
        path: base.to_owned(),
        cause,
    };
    let folder = File::open(base).map_err(failed)?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(PinsError::InUse(base.to_owned())),
        Err(TryLockError::Error(cause)) => Err(failed(cause).into()),
    }
}

/// Returns the number of the network namespace that this process is in; 0 where it is not known.
#[must_use]
pub fn namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/net").map_or(0, |it| it.ino())
}

/// Makes sure that there is a folder for pins: mounts the BPF file system where it is not.
///
/// # Errors
/// [`BpffsError`].
pub fn prepare(base: &Path) -> Result<(), BpffsError> {
    bpffs::make_folder(base)
}

/// Returns whether a flowwatch of any version has pinned something.
///
/// # Errors
/// [`BpffsError`] when the folder can't be read.
pub fn has_any(base: &Path) -> Result<bool, BpffsError> {
    Ok(!versions_in(base)?.is_empty())
}

/// Removes every pin of every version; nobody else's, in a folder that is not flowwatch's alone.
///
/// # Errors
/// [`BpffsError`] when one can't be removed.
pub fn remove_all(base: &Path) -> Result<(), BpffsError> {
    for version in versions_in(base)? {
        bpffs::remove_folder(&base.join(version))?;
    }
    // The folder may be others', too, or nobody's to remove; an empty one pins nothing.
    let _ = std::fs::remove_dir(base);
    Ok(())
}

/// Returns the names of the folders of flowwatch's versions.
fn versions_in(base: &Path) -> Result<Vec<String>, BpffsError> {
    let mut names = bpffs::names_in(base)?;
    names.retain(|name| is_version(name));
    Ok(names)
}

/// Returns whether a name is that of a version's folder: `v` and a number.
fn is_version(name: &str) -> bool {
    let number = name.strip_prefix('v').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_pinned_in_the_same_folder_is_nobodys_version() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        for name in ["v1", "v20", "tc", "v", "vmlinux", "v1x", "v+1"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        assert_eq!(versions_in(base).unwrap(), ["v1", "v20"]);
        remove_all(base).unwrap();
        assert!(!has_any(base).unwrap());
        assert_eq!(bpffs::names_in(base).unwrap().len(), 5);
        for name in ["tc", "v", "vmlinux", "v1x", "v+1"] {
            std::fs::remove_dir(base.join(name)).unwrap();
        }
        remove_all(base).unwrap();
        assert!(!base.exists());
    }
}
