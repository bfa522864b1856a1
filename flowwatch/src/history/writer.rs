//! The writer: a thread that puts batches into the file, and keeps trying while the disk takes none.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{HistoryError, Retention, batch::Batch, catalogue::Catalogue, file, recording};

/// Time between two attempts to write a batch that could not be written.
const RETRY_PERIOD: Duration = Duration::from_secs(10);

/// For how long the clock must have kept pace with the processor's before anything is removed by its
/// word: one that was set wrong must not cost years of history.
const TRUST_PERIOD: Duration = Duration::from_hours(1);

/// By how much it may differ in that time.
const TRUST_SLACK: Duration = Duration::from_mins(1);

/// What the thread is told.
#[derive(Debug)]
enum Order {
    /// Write this.
    Write(Box<Batch>),
    /// Write this, where there is something left, and end.
    Finish(Option<Box<Batch>>),
}

/// The thread's other end.
#[derive(Debug)]
pub(super) struct Writer {
    orders: SyncSender<Order>,
    is_busy: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), HistoryError>>,
    path: PathBuf,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        connection: Connection,
        path: &Path,
        retention: Retention,
    ) -> Result<Self, HistoryError> {
        let (orders, receiver) = sync_channel(1);
        let is_busy = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            connection: Some(connection),
            identity: identity_of(path),
            catalogue: Catalogue::default(),
            path: path.to_owned(),
            retention,
            clock: Trust::new(Timestamp::now()),
            is_busy: Arc::clone(&is_busy),
            told: None,
        };
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || worker.work(&receiver))
            .map_err(|cause| thread_error(path, cause))?;
        Ok(Self {
            orders,
            is_busy,
            thread,
            path: path.to_owned(),
        })
    }

    /// Returns whether a batch is still being written, or waits for the disk.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    /// Hands over a batch; to be called when the writer isn't busy, and then it doesn't wait.
    pub(super) fn write(&self, batch: Batch) -> Result<(), HistoryError> {
        self.is_busy.store(true, Ordering::Release);
        let sent = self.orders.send(Order::Write(Box::new(batch)));
        sent.map_err(|_| thread_error(&self.path, std::io::ErrorKind::BrokenPipe.into()))
    }

    /// Hands over the last batch, and waits until it is written or can't be.
    pub(super) fn finish(self, batch: Option<Batch>) -> Result<(), HistoryError> {
        let gone = || thread_error(&self.path, std::io::ErrorKind::BrokenPipe.into());
        let sent = self.orders.send(Order::Finish(batch.map(Box::new)));
        sent.map_err(|_| gone())?;
        self.thread.join().map_err(|_| {
            thread_error(&self.path, std::io::Error::other("it came to a sudden end"))
        })?
    }
}

fn thread_error(path: &Path, cause: std::io::Error) -> HistoryError {
    HistoryError::Thread {
        path: path.to_owned(),
        cause,
    }
}

/// What the thread holds.
struct Worker {
    /// Nothing after a failure: the file may have been replaced.
    connection: Option<Connection>,
    /// Which file the connection has.
    identity: Option<Identity>,
    catalogue: Catalogue,
    path: PathBuf,
    retention: Retention,
    clock: Trust,
    is_busy: Arc<AtomicBool>,
    /// The failure that was told last.
    told: Option<String>,
}

impl Worker {
    fn work(mut self, orders: &Receiver<Order>) -> Result<(), HistoryError> {
        loop {
            let batch = match orders.recv() {
                Ok(Order::Write(batch)) => batch,
                Ok(Order::Finish(batch)) => return self.write_last(None, batch),
                Err(_) => return Ok(()),
            };
            while let Err(error) = self.write(&batch) {
                self.tell(&error);
                match orders.recv_timeout(RETRY_PERIOD) {
                    Err(RecvTimeoutError::Disconnected) => return Err(self.left(&error)),
                    Ok(Order::Finish(last)) => return self.write_last(Some(batch), last),
                    // Nobody hands over a second batch to write.
                    Err(RecvTimeoutError::Timeout) | Ok(Order::Write(_)) => {}
                }
            }
            self.tell_success();
            self.is_busy.store(false, Ordering::Release);
        }
    }

    fn write_last(
        &mut self,
        waiting: Option<Box<Batch>>,
        last: Option<Box<Batch>>,
    ) -> Result<(), HistoryError> {
        for batch in waiting.into_iter().chain(last) {
            self.write(&batch).map_err(|error| self.left(&error))?;
        }
        Ok(())
    }

    fn left(&self, error: &HistoryError) -> HistoryError {
        HistoryError::Left {
            path: self.path.clone(),
            cause: error.to_string(),
        }
    }

    fn write(&mut self, batch: &Batch) -> Result<(), HistoryError> {
        let written = self.try_write(batch);
        if written.is_err() {
            self.connection = None;
            self.catalogue = Catalogue::default();
            return written;
        }
        for segment in &batch.segments {
            if let Err(error) = fs::remove_file(segment)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                log::warn!("remove the journal `{}`: {error}", segment.display());
            }
        }
        Ok(())
    }

    fn try_write(&mut self, batch: &Batch) -> Result<(), HistoryError> {
        let is_trusted = self.clock.is_trusted(batch.at, Instant::now());
        let retention = is_trusted.then_some(&self.retention);
        if identity_of(&self.path) != self.identity {
            // Moved away or replaced: what is written to the open one would be lost with it.
            self.connection = None;
            self.catalogue = Catalogue::default();
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(file::open_to_write(&self.path)?),
        };
        self.identity = identity_of(&self.path);
        recording::write(connection, &mut self.catalogue, batch, retention)
            .map_err(file::failed("write", &self.path))
    }

    /// Tells a failure, unless it was told last.
    fn tell(&mut self, error: &HistoryError) {
        let text = error.to_string();
        if self.told.as_ref() != Some(&text) {
            log::warn!("{text}; counting goes on, and what is counted is recorded when it can be");
            self.told = Some(text);
        }
    }

    fn tell_success(&mut self) {
        if self.told.take().is_some() {
            log::warn!("the history `{}` is written again", self.path.display());
        }
    }
}

/// A file's device and number.
type Identity = (u64, u64);

fn identity_of(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Whether the clock is to be believed: it has kept pace with the processor's for a while.
#[derive(Debug)]
struct Trust {
    since: Instant,
    said: Timestamp,
}

impl Trust {
    fn new(now: Timestamp) -> Self {
        Self {
            since: Instant::now(),
            said: now,
        }
    }

    fn is_trusted(&mut self, said: Timestamp, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        let said_passed = said.duration_since(self.said);
        let passed_signed = jiff::SignedDuration::try_from(passed).unwrap_or_default();
        let slack = jiff::SignedDuration::try_from(TRUST_SLACK).unwrap_or_default();
        if (said_passed - passed_signed).abs() > slack {
            self.since = now;
            self.said = said;
            return false;
        }
        passed >= TRUST_PERIOD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leaps_is_trusted_only_after_an_hour_without() {
        let mut trust = Trust::new(Timestamp::UNIX_EPOCH);
        let began = trust.since;
        let mut check = |said: u64, passed: u64, expected: bool| {
            let said = Timestamp::UNIX_EPOCH + Duration::from_secs(said);
            let now = began + Duration::from_secs(passed);
            assert_eq!(trust.is_trusted(said, now), expected, "{said} {passed}");
        };
        check(3_599, 3_599, false);
        check(3_600, 3_600, true);
        check(3_700, 3_660, true);
        // A century ahead, and for an hour after that.
        check(3_155_760_000, 3_700, false);
        check(3_155_763_599, 7_299, false);
        check(3_155_763_600, 7_300, true);
        // Back again.
        check(7_400, 7_400, false);
        check(11_000, 11_000, true);
    }
}
