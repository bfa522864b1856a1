//! The journal: what was taken and is not in the history yet, so that it outlives the process.
//!
//! Segments of records in a folder, best one in memory (`/run`); a new segment begins with each
//! batch that goes to the writer, which removes the older ones once it has written it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{Epoch, HistoryError, record};

/// Octets beyond which what is pending is recorded at once: they are in memory.
const LONG: u64 = 32 << 20;

/// Octets beyond which nothing is appended, as the history takes nothing: `/run` is not flowwatch's
/// alone.
const MOST: u64 = 256 << 20;

/// The journal of one history.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    /// What its files' names begin with.
    stem: String,
    number: u64,
    segment: Option<File>,
    length: u64,
    /// Octets that no batch was made of.
    octets: u64,
    /// Octets that the last batch was made of; the writer removes them.
    handed_over: u64,
    most: u64,
    /// Segments with records that no batch was made of.
    pending: Vec<PathBuf>,
    /// Held as long as the journal is: another process must not take from it or add to it.
    _lock: File,
}

impl Journal {
    /// Opens the journal of the history with that number, and returns the epochs that it holds, in
    /// the order in which they were taken.
    pub(super) fn open(
        folder: &Path,
        history: u64,
        path: &Path,
    ) -> Result<(Self, Vec<Epoch>), HistoryError> {
        let failed = |cause| failed("open", folder, cause);
        fs::create_dir_all(folder).map_err(failed)?;
        let stem = format!("history-{history:016x}");
        let lock = folder.join(format!("{stem}.lock"));
        let lock = File::create(lock).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(HistoryError::Taken(path.to_owned())),
            Err(fs::TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        let segments = segments(folder, &stem).map_err(failed)?;
        let (mut epochs, mut length) = (Vec::new(), 0);
        for (_, segment) in &segments {
            let octets = fs::read(segment).map_err(failed)?;
            length += octets.len() as u64;
            let (found, dropped) = record::decode_all(&octets);
            if dropped > 0 {
                log::warn!(
                    "dropped {dropped} torn records of the journal `{}`, and kept {}",
                    segment.display(),
                    found.len()
                );
            }
            epochs.extend(found);
        }
        let number = segments.last().map_or(0, |(number, _)| number + 1);
        let journal = Self {
            folder: folder.to_owned(),
            stem,
            number,
            segment: None,
            length: 0,
            octets: length,
            handed_over: 0,
            most: MOST,
            pending: segments.into_iter().map(|(_, path)| path).collect(),
            _lock: lock,
        };
        Ok((journal, epochs))
    }

    /// Returns whether it has grown so long that it should be cut.
    pub(super) fn is_long(&self) -> bool {
        self.octets > LONG
    }

    /// Appends an epoch, whole or not at all.
    pub(super) fn append(&mut self, epoch: &Epoch) -> Result<(), HistoryError> {
        let mut octets = Vec::new();
        record::encode(epoch, &mut octets);
        let path = self.path();
        let appended = if self.handed_over + self.octets < self.most {
            self.append_octets(&octets)
        } else {
            Err(io::Error::other("it is as long as it may be"))
        };
        appended.map_err(|cause| failed("append to", &path, cause))
    }

    fn append_octets(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.segment.is_none() {
            let path = self.path();
            let made = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            self.pending.push(path);
            self.length = 0;
            self.segment = Some(made);
        }
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        if let Err(error) = segment.write_all(octets) {
            // Half a record would cost the next one a search.
            segment.set_len(self.length)?;
            return Err(error);
        }
        self.length += octets.len() as u64;
        self.octets += octets.len() as u64;
        Ok(())
    }

    /// Ends the segment; returns it and those before it, which are done with when what they hold is
    /// written.
    pub(super) fn cut(&mut self) -> Vec<PathBuf> {
        if self.segment.take().is_some() {
            self.number += 1;
        }
        self.handed_over = std::mem::take(&mut self.octets);
        std::mem::take(&mut self.pending)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}-{}", self.stem, self.number))
    }
}

fn segments(folder: &Path, stem: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(stem)?.strip_prefix('-')?.parse().ok());
        segments.extend(number.map(|number| (number, path)));
    }
    segments.sort_unstable();
    Ok(segments)
}

fn failed(attempt: &'static str, path: &Path, cause: io::Error) -> HistoryError {
    HistoryError::Journal {
        attempt,
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::epoch;
    use super::*;

    fn open(folder: &Path) -> (Journal, Vec<Epoch>) {
        Journal::open(folder, 5, Path::new("history.db")).unwrap()
    }

    #[test]
    fn what_was_appended_is_there_after_the_process_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, epochs) = open(folder.path());
        assert_eq!(epochs, []);
        journal.append(&epoch(1, 1, 10)).unwrap();
        let first = journal.cut();
        journal.append(&epoch(1, 2, 20)).unwrap();
        drop(journal);

        let (mut journal, epochs) = open(folder.path());
        assert_eq!(epochs, [epoch(1, 1, 10), epoch(1, 2, 20)]);
        // What is appended now comes behind it.
        journal.append(&epoch(1, 3, 30)).unwrap();
        assert_eq!(journal.cut().len(), 3);
        drop(journal);
        fs::remove_file(&first[0]).unwrap();
        assert_eq!(open(folder.path()).1, [epoch(1, 2, 20), epoch(1, 3, 30)]);
    }

    #[test]
    fn two_recorders_do_not_share_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let (_journal, _) = open(folder.path());
        let error = Journal::open(folder.path(), 5, Path::new("history.db")).unwrap_err();
        assert!(
            error.to_string().contains("another flowwatch does"),
            "{error}"
        );
        // Another history's is another.
        Journal::open(folder.path(), 6, Path::new("other.db")).unwrap();
    }

    #[test]
    fn a_journal_that_is_not_cut_takes_no_more_than_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(folder.path());
        journal.append(&epoch(1, 1, 10)).unwrap();
        journal.most = journal.octets + 1;
        journal.append(&epoch(1, 2, 10)).unwrap();
        let error = journal.append(&epoch(1, 3, 10)).unwrap_err().to_string();
        assert!(error.contains("it is as long as it may be"), "{error}");
        // What was handed over counts until the next batch: the writer may still be at it.
        journal.cut();
        assert!(journal.append(&epoch(1, 3, 10)).is_err());
        journal.cut();
        journal.append(&epoch(1, 3, 10)).unwrap();
        drop(journal);
        // It counts what an earlier process left.
        let (journal, epochs) = open(folder.path());
        assert_eq!(epochs.len(), 3);
        let segments = segments(folder.path(), &journal.stem).unwrap();
        let octets = segments.iter().map(|it| fs::metadata(&it.1).unwrap().len());
        assert_eq!(journal.octets, octets.sum::<u64>());
    }
}
