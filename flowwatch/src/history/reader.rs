//! The reader: what the history holds of a span, as the snapshot that every view gets.
//!
//! Reads within one transaction, so that a writer at work changes nothing under it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::{
    Bucket, HistoryError, Span, Step, circumstances,
    cover::{Holdings, Piece},
    destinations::Destinations,
    devices, file,
    remembered::{self, RememberedNames},
};
use crate::{
    observation::Traffic,
    store::{Snapshot, WINDOW_FLOWS},
};

/// A history, opened for reading; it may be written meanwhile.
#[derive(Debug)]
pub struct History {
    connection: Connection,
    path: PathBuf,
}

impl History {
    /// Opens the history at this path for reading.
    ///
    /// # Errors
    /// When there is no such file, it can't be read, is not one of flowwatch's, or of another version.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        Ok(Self {
            connection: file::open_to_read(path)?,
            path: path.to_owned(),
        })
    }

    /// Returns the span that the history has counts of, from the first bucket's first moment to the
    /// last one's end; nothing when it has none.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn span(&self) -> Result<Option<Span>, HistoryError> {
        self.reading(|transaction| held(transaction))
    }

    /// Returns what was counted in a span: the flows that had packets in it, summed over it, with
    /// the names and places as they were known, and the devices with what is in no flow.
    ///
    /// The span is widened to the borders of the buckets that are kept; `meta` says to which. A
    /// flow's first and last packet are exact where they lie in the span, else the bucket's border.
    /// How devices resolve names is not kept.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn snapshot(&self, span: Span) -> Result<Snapshot, HistoryError> {
        self.reading(|transaction| {
            let holdings = holdings(transaction)?;
            let Some(span) = within(held(transaction)?, holdings.widened(span)) else {
                return circumstances::nothing(transaction, span);
            };
            let pieces = holdings.cover(span, Step::Day);
            let mut destinations = Destinations::new(transaction, WINDOW_FLOWS.get());
            for piece in &pieces {
                destinations.add(piece)?;
            }
            let overflow = destinations.take_overflow();
            let flows = destinations.into_records(span)?;
            let meta = circumstances::of(transaction, span)?;
            devices::snapshot(transaction, &pieces, (meta, flows, overflow), span)
        })
    }

    /// Returns what each device sent and received, bucket by bucket: by time, then by device in the
    /// user's order. Where buckets of the step are no longer kept, they are longer.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn series(&self, span: Span, step: Step) -> Result<Vec<Bucket>, HistoryError> {
        self.reading(|transaction| {
            let holdings = holdings(transaction)?;
            let Some(span) = within(held(transaction)?, holdings.widened(span)) else {
                return Ok(Vec::new());
            };
            let mut buckets = BTreeMap::new();
            for piece in holdings.cover(span, step) {
                add_traffic(transaction, &piece, step, &mut buckets)?;
            }
            Ok(buckets
                .into_iter()
                .map(|((starts_at, _, device), (up, down))| Bucket {
                    starts_at,
                    device,
                    up,
                    down,
                })
                .collect())
        })
    }

    /// Returns the names that devices' remotes went by in the seven days before `now`, within bounds.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn remembered(&self, now: Timestamp) -> Result<RememberedNames, HistoryError> {
        self.reading(|transaction| remembered::names(transaction, now))
    }

    fn reading<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        let transaction = self.connection.unchecked_transaction();
        transaction
            .and_then(|transaction| read(&transaction))
            .map_err(file::failed("read", &self.path))
    }
}

/// Returns the part of the span that the history has counts of.
fn within(held: Option<Span>, span: Span) -> Option<Span> {
    let held = held?;
    let part = Span {
        since: span.since.max(held.since),
        until: span.until.min(held.until),
    };
    (part.since < part.until).then_some(part)
}

pub(super) fn held(connection: &Connection) -> rusqlite::Result<Option<Span>> {
    let mut held: Option<Span> = None;
    for step in Step::ALL {
        let sql = format!(
            "SELECT min(bucket), max(bucket) FROM device_{}",
            step.name()
        );
        let (first, last): (Option<i64>, Option<i64>) =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if let (Some(first), Some(last)) = (first, last) {
            let span = Span {
                since: step.start_of(first),
                until: step.start_of(last.saturating_add(1)),
            };
            // A bucket that is long ends no later than its first part that is short.
            held = Some(held.map_or(span, |held| Span {
                since: held.since.min(span.since),
                until: held.until.max(span.until),
            }));
        }
    }
    Ok(held)
}

/// Returns what the file says that it holds of each step.
pub(super) fn holdings(connection: &Connection) -> rusqlite::Result<Holdings> {
    let mut holdings = Holdings::default();
    let mut statement = connection.prepare_cached("SELECT subject, value FROM about")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let value = row.get(1)?;
        match row.get_ref(0)?.as_str()? {
            "minutes_since" => holdings.minutes_since = value,
            "hours_since" => holdings.hours_since = value,
            _ => {}
        }
    }
    let mut statement = connection.prepare_cached("SELECT step, bucket FROM unsummed")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bucket = row.get(1)?;
        match row.get_ref(0)?.as_str()? {
            "hour" => holdings.unsummed_hours.insert(bucket),
            _ => holdings.unsummed_days.insert(bucket),
        };
    }
    Ok(holdings)
}

/// Traffic by first moment, and device by position and name.
type Series = BTreeMap<(Timestamp, i64, String), (Traffic, Traffic)>;

fn add_traffic(
    transaction: &Transaction<'_>,
    piece: &Piece,
    step: Step,
    buckets: &mut Series,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT bucket, direction, position, name, packets + overflow_packets, octets + overflow_octets
         FROM device_{} JOIN device ON device.id = device WHERE bucket >= ? AND bucket < ?",
        piece.step.name()
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params![piece.buckets.start, piece.buckets.end])?;
    while let Some(row) = rows.next()? {
        let starts_at = piece.step.start_of(row.get(0)?);
        let bucket = step.max(piece.step).bucket_of(starts_at);
        let key = (
            step.max(piece.step).start_of(bucket),
            row.get(2)?,
            row.get(3)?,
        );
        let (up, down) = buckets.entry(key).or_default();
        let traffic = Traffic {
            packets: super::count(row, 4)?,
            octets: super::count(row, 5)?,
        };
        match row.get_ref(1)?.as_str()? {
            "up" => *up += traffic,
            _ => *down += traffic,
        }
    }
    Ok(())
}
