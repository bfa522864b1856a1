//! A file that lines are appended to: whole batches or nothing, rotated by size, and made anew when it
//! was moved away, as logrotate does.
//!
//! It blocks: a sink has a thread of its own.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where devices send their data is the household's own: the group may read it, others not.
const MODE: u32 = 0o640;

/// When a file gives way to a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::export) struct Rotation {
    /// Octets that it may have; without, it grows.
    pub(in crate::export) octets: Option<u64>,
    /// Older files that are kept: `PATH.1` is the newest.
    pub(in crate::export) files: u32,
}

/// A file that is appended to.
#[derive(Debug)]
pub(in crate::export) struct LineFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
}

impl LineFile {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            rotation,
            file: open(path)?,
        })
    }

    /// Appends lines as a whole, in a file that begins with `head`. After an error, the file is as it
    /// was before.
    pub(super) fn append(&mut self, head: &[u8], lines: &[u8]) -> io::Result<()> {
        let mut metadata = self.follow_path()?;
        if !metadata.is_file() {
            return self.file.write_all(lines);
        }
        let is_full = self.rotation.octets.is_some_and(|most| {
            metadata.len() > 0 && metadata.len().saturating_add(lines.len() as u64) > most
        });
        if is_full {
            self.rotate()?;
            metadata = self.file.metadata()?;
        }
        let length = metadata.len();
        let written = self.begin(head, length);
        let written = written.and_then(|()| self.file.write_all(lines));
        written.inspect_err(|_| {
            // Half a line would spoil the file; what can't be cut off either is left.
            let _ = self.file.set_len(length);
        })
    }

    /// Writes what comes before the first line; in a file that ends amid a line, as a process that was
    /// killed leaves it, that line's end.
    fn begin(&mut self, head: &[u8], length: u64) -> io::Result<()> {
        if length == 0 {
            return self.file.write_all(head);
        }
        let mut last = [0];
        self.file.seek(SeekFrom::Start(length - 1))?;
        let read = self.file.read(&mut last)?;
        if read == 1 && last != *b"\n" {
            self.file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Opens what has the path now, if that is another file than the one that is open.
    fn follow_path(&mut self) -> io::Result<Metadata> {
        let opened = self.file.metadata()?;
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let is_same = fs::metadata(&self.path).is_ok_and(|it| identity(&it) == identity(&opened));
        if is_same {
            return Ok(opened);
        }
        self.file = open(&self.path)?;
        self.file.metadata()
    }

    /// Moves the file away, the older ones before it, and makes a new one.
    fn rotate(&mut self) -> io::Result<()> {
        let older = |number: u32| {
            let mut name = OsString::from(&self.path);
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.rotation.files == 0 {
            return self.file.set_len(0);
        }
        for number in (1..self.rotation.files).rev() {
            match fs::rename(older(number), older(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, older(1))?;
        self.file = open(&self.path)?;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|it| it.file_type().is_fifo()) {
        let message = "it is a pipe; write to standard output (-) or a socket (unix:PATH)";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const HEAD: &[u8] = b"head\n";

    struct Place {
        folder: TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self {
                folder: TempDir::new().unwrap(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn open(&self, octets: u64, files: u32) -> LineFile {
            let octets = Some(octets);
            LineFile::open(&self.path("a"), Rotation { octets, files }).unwrap()
        }

        fn check(&self, name: &str, expected: &str) {
            let text = fs::read_to_string(self.path(name)).unwrap_or_default();
            assert_eq!(text, expected, "{name}");
        }
    }

    #[test]
    fn a_full_file_gives_way_and_the_oldest_goes() {
        let place = Place::new();
        let mut file = place.open(12, 2);
        for line in [b"1111\n", b"2222\n", b"3333\n", b"4444\n"] {
            file.append(HEAD, line).unwrap();
        }
        place.check("a", "head\n4444\n");
        place.check("a.1", "head\n3333\n");
        place.check("a.2", "head\n2222\n");
        assert!(!place.path("a.3").exists());
    }

    #[test]
    fn without_older_files_the_one_begins_anew() {
        let place = Place::new();
        let mut file = place.open(12, 0);
        file.append(HEAD, b"1111\n").unwrap();
        file.append(HEAD, b"2222\n").unwrap();
        place.check("a", "head\n2222\n");
        assert!(!place.path("a.1").exists());
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let place = Place::new();
        let mut file = place.open(999, 2);
        file.append(HEAD, b"1\n").unwrap();
        fs::rename(place.path("a"), place.path("moved")).unwrap();
        file.append(HEAD, b"2\n").unwrap();
        place.check("moved", "head\n1\n");
        place.check("a", "head\n2\n");
        fs::remove_file(place.path("a")).unwrap();
        file.append(HEAD, b"3\n").unwrap();
        place.check("a", "head\n3\n");
    }

    #[test]
    fn a_file_that_was_cut_is_gone_on_with() {
        let place = Place::new();
        let mut file = place.open(999, 2);
        file.append(HEAD, b"1\n").unwrap();
        fs::write(place.path("a"), "").unwrap();
        file.append(HEAD, b"2\n").unwrap();
        place.check("a", "head\n2\n");
    }

    #[test]
    fn what_a_killed_process_left_of_a_line_is_a_line_by_itself() {
        let place = Place::new();
        fs::write(place.path("a"), "head\n1\ntor").unwrap();
        let mut file = place.open(999, 2);
        file.append(HEAD, b"2\n").unwrap();
        file.append(HEAD, b"3\n").unwrap();
        place.check("a", "head\n1\ntor\n2\n3\n");
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let place = Place::new();
        nix::unistd::mkfifo(&place.path("a"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let rotation = Rotation {
            octets: None,
            files: 1,
        };
        let error = LineFile::open(&place.path("a"), rotation).unwrap_err();
        assert!(error.to_string().contains("it is a pipe"), "{error}");
    }
}
