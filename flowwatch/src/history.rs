//! The memory: what was counted, by device, destination and time, in one SQLite file.
//!
//! Written by the recorder while `run` counts; read by `report` and `diff`.

mod archive;
mod batch;
mod catalogue;
mod circumstances;
mod cover;
mod destinations;
mod devices;
mod epoch;
mod error;
mod file;
mod journal;
mod migrations;
mod naming;
mod pending;
mod reader;
mod record;
mod recorder;
mod recording;
mod remembered;
mod rollup;
#[cfg(test)]
mod samples;
mod schema;
mod span;
#[cfg(test)]
mod tests;
mod totals;
mod writer;

use jiff::Timestamp;
use rusqlite::Row;

pub use archive::Archive;
pub use batch::Known;
pub use epoch::{Epoch, GenerationId};
pub use error::HistoryError;
pub use reader::History;
pub use recorder::{EARLIEST_PLAUSIBLE, Recorder, RecorderOptions};
pub use remembered::RememberedNames;
pub use rollup::Retention;
pub use span::{Bucket, Span, Step};
pub use totals::growth;

/// Reads a count. SQLite's integers have a sign; what is less than nothing was not written here.
fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default())
}

/// Reads a moment; one that no clock can show is the last that can be told.
fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let at = row.get(column)?;
    Ok(Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX))
}
