//! Where the document goes: standard output or a file.
//!
//! A regular file appears whole or not at all: written beside its place, synced, then renamed. What
//! can't be written there goes to standard output instead, so that hours of counting are not lost.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::unix::ffi::OsStrExt,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// What files are created with, less the process's umask, as by any program.
const CREATE_MODE: u32 = 0o666;

/// Other names of standard output: opening them anew would cut off what is before.
const STDOUT_NAMES: &[&str] = &["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Why the document is not where it was wanted.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Found before anything was counted: there is no folder to write to, or it refuses.
    #[error("write to `{}`: its folder `{}` can't be written to", .path.display(), .folder.display())]
    Folder {
        /// The output.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Found before anything was counted: a folder is where the file should be.
    #[error("write to `{}`: it names a folder; name a file in it", .0.display())]
    IsFolder(PathBuf),
    /// Found before anything was counted: a device or pipe that refuses.
    #[error("write to `{}`", .path.display())]
    Refused {
        /// The output.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be written; standard output has the document.
    #[error("write `{}` (the result went to standard output instead)", .path.display())]
    Diverted {
        /// The output.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither the file nor standard output could be written.
    #[error("write `{}`: {reason}; write to standard output instead", .path.display())]
    Lost {
        /// The output.
        path: PathBuf,
        /// Why the file could not be written.
        reason: io::Error,
        /// Why standard output could not.
        source: io::Error,
    },
    /// Standard output could not be written.
    #[error("write to standard output")]
    Stdout(#[source] io::Error),
}

impl OutputError {
    /// Returns whether the wish was wrong, rather than its execution.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Folder { .. } | Self::IsFolder(_) | Self::Refused { .. }
        )
    }
}

/// A place for the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A regular file, there already or not: its true path.
    File(PathBuf),
    /// A device, a pipe or a socket's name.
    Special(PathBuf),
}

/// Writes the document to what it is given; called again when the first place refuses.
pub type Render<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

impl Output {
    /// Returns the place that a path names, after a look whether it can be written to: the document
    /// comes at the end of a run, which is late to find out.
    ///
    /// # Errors
    /// `Folder`, `IsFolder` and `Refused`.
    pub fn open(path: Option<&Path>) -> Result<Self, OutputError> {
        let Some(path) = path.filter(|path| !STDOUT_NAMES.iter().any(|name| *path == *name)) else {
            return Ok(Self::Stdout);
        };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(OutputError::IsFolder(path.to_owned())),
            Ok(metadata) if metadata.is_file() => {
                // A link's target is replaced, not the link.
                let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
                Self::file(path)
            }
            // A pipe's reader may come later.
            Ok(metadata) if metadata.file_type().is_fifo() => Ok(Self::Special(path.to_owned())),
            Ok(_) => match OpenOptions::new().write(true).open(path) {
                Ok(_) => Ok(Self::Special(path.to_owned())),
                Err(source) => Err(OutputError::Refused {
                    path: path.to_owned(),
                    source,
                }),
            },
            Err(_) => Self::file(path.to_owned()),
        }
    }

    fn file(path: PathBuf) -> Result<Self, OutputError> {
        if path.file_name().is_none() || path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(OutputError::IsFolder(path));
        }
        // Making a file is the one test that knows of read-only mounts and access lists.
        match temporary(&path) {
            Ok(_) => Ok(Self::File(path)),
            Err(source) => {
                let folder = folder_of(&path).to_owned();
                Err(OutputError::Folder {
                    path,
                    folder,
                    source,
                })
            }
        }
    }

    /// Writes the document to its place, or else to `stdout`.
    ///
    /// # Errors
    /// `Diverted` when it went to `stdout` instead; `Lost` and `Stdout` when it is nowhere.
    pub fn write(&self, render: Render<'_>, stdout: &mut dyn Write) -> Result<(), OutputError> {
        let (path, written) = match self {
            Self::Stdout => return write_to(stdout, render).map_err(OutputError::Stdout),
            Self::File(path) => (path, write_file(path, render)),
            Self::Special(path) => (path, write_special(path, render)),
        };
        let Err(reason) = written else { return Ok(()) };
        let path = path.clone();
        match write_to(stdout, render) {
            Ok(()) => Err(OutputError::Diverted {
                path,
                source: reason,
            }),
            Err(source) => Err(OutputError::Lost {
                path,
                reason,
                source,
            }),
        }
    }
}

fn write_to(target: &mut dyn Write, render: Render<'_>) -> io::Result<()> {
    let mut buffered = BufWriter::new(target);
    render(&mut buffered)?;
    // Dropped unflushed, it would hide the error.
    buffered.flush()
}

fn write_file(path: &Path, render: Render<'_>) -> io::Result<()> {
    let mut file = temporary(path)?;
    write_to(&mut file, render)?;
    if let Ok(existing) = fs::metadata(path) {
        // First the owner, which takes rights away; who may not give files away keeps this one.
        let _ = fchown(file.as_file(), Some(existing.uid()), Some(existing.gid()));
        file.as_file().set_permissions(existing.permissions())?;
    }
    // A full network disk says so only here.
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn write_special(path: &Path, render: Render<'_>) -> io::Result<()> {
    // Opened so, a pipe that nobody reads is an error; opened otherwise, it would be waited for.
    let probe = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let mut file: File = OpenOptions::new().write(true).open(path)?;
    drop(probe);
    write_to(&mut file, render)
}

fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".flowwatch-")
        .permissions(Permissions::from_mode(CREATE_MODE))
        .tempfile_in(folder_of(path))
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn document(out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"document\n")
    }

    fn open(path: &Path) -> Output {
        Output::open(Some(path)).unwrap()
    }

    fn files_in(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_is_written_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let output = open(&path);
        assert!(!path.exists(), "the look left something");
        output.write(&document, &mut io::sink()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "document\n");
        assert_eq!(files_in(folder.path()), 1);
        let plain = folder.path().join("plain");
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain), "as any program would create it");
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_permissions_and_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "old, and longer than the document").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        symlink(&target, &link).unwrap();
        open(&link).write(&document, &mut io::sink()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "document\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::metadata(&target).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_document_that_breaks_off_leaves_the_old_file_and_goes_to_stdout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        let output = open(&path);
        fs::remove_dir_all(folder.path()).unwrap();
        let mut stdout = Vec::new();
        let error = output.write(&document, &mut stdout).unwrap_err();
        assert!(
            matches!(error, OutputError::Diverted { .. }) && !error.is_usage(),
            "{error}"
        );
        assert_eq!(stdout, b"document\n");
    }

    #[test]
    fn a_full_device_diverts_to_stdout() {
        let output = open(Path::new("/dev/full"));
        assert_eq!(output, Output::Special("/dev/full".into()));
        let mut stdout = Vec::new();
        let error = output.write(&document, &mut stdout).unwrap_err();
        assert_eq!(
            error.to_string(),
            "write `/dev/full` (the result went to standard output instead)"
        );
        assert_eq!(stdout, b"document\n");
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = output.write(&document, &mut full).unwrap_err();
        assert!(matches!(error, OutputError::Lost { .. }), "{error}");
        let error = Output::Stdout.write(&document, &mut full).unwrap_err();
        assert!(matches!(error, OutputError::Stdout(_)), "{error}");
    }

    #[test]
    fn a_pipe_that_nobody_reads_diverts_to_stdout_instead_of_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let output = open(&path);
        let mut stdout = Vec::new();
        let error = output.write(&document, &mut stdout).unwrap_err();
        assert!(matches!(error, OutputError::Diverted { .. }), "{error}");
        assert_eq!(stdout, b"document\n");
        let reader = std::thread::spawn(move || fs::read(path).unwrap());
        while output.write(&document, &mut io::sink()).is_err() {
            std::thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), b"document\n");
    }

    #[test]
    fn a_wrong_place_is_found_before_counting() {
        let refusal = |path: &str| Output::open(Some(Path::new(path))).unwrap_err();
        assert!(matches!(refusal("/"), OutputError::IsFolder(_)));
        assert!(matches!(refusal("/tmp"), OutputError::IsFolder(_)));
        let new_folder = refusal("/tmp/flowwatch-not-there/");
        assert!(matches!(new_folder, OutputError::IsFolder(_)));
        let error = refusal("/nonexistent/out.csv");
        assert_eq!(
            error.to_string(),
            "write to `/nonexistent/out.csv`: its folder `/nonexistent` can't be written to"
        );
        assert!(error.is_usage());
    }

    #[test]
    fn names_of_stdout_are_stdout() {
        for name in STDOUT_NAMES {
            assert_eq!(open(Path::new(name)), Output::Stdout);
        }
        assert_eq!(Output::open(None).unwrap(), Output::Stdout);
    }
}
