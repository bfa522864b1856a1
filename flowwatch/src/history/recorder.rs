//! The recorder: takes epochs over from the kernel's tables for good.
//!
//! Fed by `run` after each drain. An epoch that was taken is in the journal; once a record interval
//! what is pending goes to the writer with what is known of it, and from there to the history.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::{
    Epoch, GenerationId, HistoryError, Known, Retention, Step,
    batch::Batch,
    file,
    journal::Journal,
    pending::{Generation, Pending, Recorded},
    rollup,
    totals::{WORDS, totals_of},
    writer::Writer,
};
use crate::{
    model::Device,
    observation::{DeviceTotals, Traffic},
    store::{BothWays, Losses},
};

/// 2026-01-01: before this, there was no flowwatch to count anything.
pub const EARLIEST_PLAUSIBLE: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Where and how to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderOptions {
    /// The history's file.
    pub history: PathBuf,
    /// The journal's folder, best one in memory.
    pub journal: PathBuf,
    /// Time between two transactions.
    pub interval: Duration,
    /// For how long rows are kept.
    pub retention: Retention,
}

/// Takes epochs over and records them.
#[derive(Debug)]
pub struct Recorder {
    /// The history's own number.
    number: u64,
    journal: Journal,
    pending: Pending,
    writer: Writer,
    interval: Duration,
    recorded_at: Instant,
    /// Whether to record before the interval is over.
    interval_is_over: bool,
    /// What was turned away, as of the last batch.
    losses: Losses,
}

impl Recorder {
    /// Opens the history, or makes it, and takes up what the journal of an earlier process holds.
    ///
    /// # Errors
    /// When the history or the journal can't be used; nothing is lost by it.
    pub fn open(options: &RecorderOptions) -> Result<Self, HistoryError> {
        let path = &options.history;
        let connection = file::open_to_write(path)?;
        let failed = file::failed("open", path);
        let number = number_of(&connection).map_err(&failed)?;
        let mut pending = Pending::default();
        take_up(&connection, &mut pending).map_err(&failed)?;
        let (journal, mut epochs) = Journal::open(&options.journal, number, path)?;
        date(&mut epochs, Timestamp::now());
        let mut recorder = Self {
            number,
            journal,
            pending,
            writer: Writer::start(connection, path, options.retention)?,
            interval: options.interval,
            recorded_at: Instant::now(),
            interval_is_over: false,
            losses: Losses::default(),
        };
        for epoch in epochs
            .iter()
            .filter(|epoch| recorder.is_new(epoch))
            .collect::<Vec<_>>()
        {
            recorder.pending.fold(epoch);
        }
        Ok(recorder)
    }

    /// Takes an epoch over. When this returns `Ok`, the epoch survives the process's death, and the
    /// kernel's quiet table may be emptied. An epoch that was taken before is left out.
    ///
    /// # Errors
    /// When the journal can't be written: the epoch is not taken, and the quiet table has to keep
    /// it, or [`Self::hold`] has to.
    pub fn take(&mut self, epoch: &Epoch) -> Result<(), HistoryError> {
        if self.is_new(epoch) {
            self.journal.append(epoch)?;
            self.pending.fold(epoch);
        }
        Ok(())
    }

    /// Takes an epoch over in memory alone, where the kernel keeps it no longer and the journal can't
    /// take it: it survives as long as the process does, and is recorded as the others are.
    pub fn hold(&mut self, epoch: &Epoch) {
        if self.is_new(epoch) {
            self.pending.fold(epoch);
        }
    }

    fn is_new(&self, epoch: &Epoch) -> bool {
        let last = self.last_taken(epoch.generation);
        last.is_none_or(|last| epoch.serial > last)
    }

    /// Returns the highest serial of the generation that was taken, whether it is in the journal or
    /// already in the history.
    #[must_use]
    pub fn last_taken(&self, generation: GenerationId) -> Option<u64> {
        let generation = self.pending.generations.get(&generation);
        generation.map(|generation| generation.serial)
    }

    /// Returns the history's own number: what is counted for it is known as that by it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the totals of a device of a generation as far as they were taken; of flows, what was
    /// drained: totals are read after a drain, and have what passed since it began, too.
    #[must_use]
    pub fn taken_of(&self, generation: GenerationId, device: &Device) -> DeviceTotals {
        let recorded = self.pending.recorded(generation, device);
        let Recorded {
            mut totals,
            drained,
        } = recorded.unwrap_or_default();
        (totals.up.flow_traffic, totals.down.flow_traffic) = (drained.up, drained.down);
        totals
    }

    /// Returns whether the generation's last epoch was taken.
    #[must_use]
    pub fn is_over(&self, generation: GenerationId) -> bool {
        let generation = self.pending.generations.get(&generation);
        generation.is_some_and(|generation| generation.is_over)
    }

    /// Moves what is pending, as the clock that it is dated by was set, and has it recorded soon:
    /// until then, the journal has the old dates.
    pub fn shift(&mut self, by: SignedDuration) {
        self.pending.shift(by);
        self.interval_is_over = true;
    }

    /// Returns whether it is time to record, and the writer is done with what it had. It is not as
    /// long as the clock that counts are dated by can't be right: a machine without a battery for it
    /// sets it soon.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let is_over = self.interval_is_over
            || self.recorded_at.elapsed() >= self.interval
            || self.journal.is_long();
        is_over && !self.pending.is_empty() && self.is_dated() && !self.writer.is_busy()
    }

    /// Returns whether everything pending has a date that can be.
    fn is_dated(&self) -> bool {
        let first = self.pending.minutes.keys().next();
        first.is_none_or(|minute| Step::Minute.start_of(*minute) >= EARLIEST_PLAUSIBLE)
    }

    /// Hands what is pending to the writer, with what is known now; never waits for the disk.
    ///
    /// # Errors
    /// When the writer's thread is gone.
    pub fn record(&mut self, known: &Known<'_>) -> Result<(), HistoryError> {
        self.recorded_at = Instant::now();
        self.interval_is_over = false;
        match self.batch(known) {
            Some(batch) => self.writer.write(batch),
            None => Ok(()),
        }
    }

    /// Records what is left, and waits until it is written. What has no date that can be stays in the
    /// journal.
    ///
    /// # Errors
    /// When it can't be written: it stays in the journal.
    pub fn finish(mut self, known: &Known<'_>) -> Result<(), HistoryError> {
        if !self.is_dated() {
            log::warn!(
                "the clock was not set, so what was counted has no date; it is recorded when \
                 flowwatch runs again"
            );
            return self.writer.finish(None);
        }
        let batch = self.batch(known);
        self.writer.finish(batch)
    }

    fn batch(&mut self, known: &Known<'_>) -> Option<Batch> {
        if self.pending.is_empty() {
            return None;
        }
        let mut batch = Batch::of(&mut self.pending, known, Timestamp::now());
        let now = Losses {
            names_turned_away: known.names.counters().turned_away,
            places_unreadable: known.databases.bad_records(),
            ..known.losses
        };
        batch.losses = growth(&self.losses, &now);
        self.losses = now;
        batch.segments = self.journal.cut();
        Some(batch)
    }
}

/// Dates the epochs of an earlier process whose clock was never set, if this one's is: they ended
/// before now, as long after one another as they did.
fn date(epochs: &mut [Epoch], now: Timestamp) {
    let has_no_date = |epoch: &&mut Epoch| epoch.ended_at < EARLIEST_PLAUSIBLE;
    let last = epochs.iter().map(|epoch| epoch.ended_at);
    let last = last.filter(|ended_at| *ended_at < EARLIEST_PLAUSIBLE).max();
    let Some(last) = last.filter(|_| now >= EARLIEST_PLAUSIBLE) else {
        return;
    };
    let by = now.duration_since(last);
    for epoch in epochs.iter_mut().filter(has_no_date) {
        epoch.shift(by);
    }
}

fn growth(before: &Losses, now: &Losses) -> Losses {
    let (mut before, mut growth) = (*before, *now);
    for (_, amount) in super::circumstances::LOSSES {
        *amount(&mut growth) = amount(&mut growth).saturating_sub(*amount(&mut before));
    }
    growth
}

/// Returns the history's own number, by which its journal is known; it gets one.
fn number_of(connection: &Connection) -> rusqlite::Result<u64> {
    let number = rollup::subject(connection, "history")?;
    if number != 0 {
        return Ok(number.cast_unsigned());
    }
    let number = GenerationId::random().0.cast_signed() | 1;
    rollup::set(connection, "history", number)?;
    Ok(number.cast_unsigned())
}

/// Takes up how far each generation is recorded.
fn take_up(connection: &Connection, pending: &mut Pending) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare("SELECT id, serial, since, until, is_over FROM generation")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = GenerationId(row.get::<_, i64>(0)?.cast_unsigned());
        let generation = Generation {
            serial: row.get::<_, i64>(1)?.cast_unsigned(),
            epochs: 0,
            since: super::time(row, 2)?,
            until: super::time(row, 3)?,
            is_over: row.get(4)?,
            devices: std::collections::BTreeMap::new(),
            last: HashMap::new(),
        };
        pending.generations.insert(id, generation);
    }
    let devices: HashMap<i64, (i64, Device)> = super::destinations::devices(connection)?;
    // Those that are over grow no more.
    let mut statement = connection.prepare(
        "SELECT generation, device, totals FROM generation_device
         JOIN generation ON generation.id = generation WHERE NOT is_over",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = GenerationId(row.get::<_, i64>(0)?.cast_unsigned());
        let Some((_, device)) = devices.get(&row.get(1)?) else {
            continue;
        };
        let number = pending.number_of(device);
        let recorded = recorded_of(row.get_ref(2)?.as_blob()?);
        if let Some(generation) = pending.generations.get_mut(&id) {
            generation.take_up(number, device.mac, &recorded);
        }
    }
    Ok(())
}

fn recorded_of(octets: &[u8]) -> Recorded {
    let words: Vec<u64> = octets
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect();
    let (totals, drained) = words.split_at(words.len().saturating_sub(4).min(WORDS));
    let word = |index: usize| drained.get(index).copied().unwrap_or_default();
    let traffic = |index| Traffic {
        packets: word(index),
        octets: word(index + 1),
    };
    Recorded {
        totals: totals_of(totals),
        drained: BothWays {
            up: traffic(0),
            down: traffic(2),
        },
    }
}
