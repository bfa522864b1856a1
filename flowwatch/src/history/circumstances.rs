//! The circumstances of a span: interfaces, databases, versions, and what was turned away.

use std::{borrow::Cow, collections::HashMap};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Span, Step};
use crate::store::{AttachedInterface, DatabaseMeta, Losses, Meta, Snapshot};

/// Returns the snapshot of a span without counts.
pub(super) fn nothing(connection: &Connection, span: Span) -> rusqlite::Result<Snapshot> {
    Ok(Snapshot {
        meta: of(connection, span)?,
        devices: Vec::new(),
        flows: Vec::new(),
        unaccounted: Vec::new(),
        resolving: Vec::new(),
    })
}

/// Returns a span's circumstances; what overflowed is filled in with the devices.
pub(super) fn of(connection: &Connection, span: Span) -> rusqlite::Result<Meta> {
    let (since, until) = (span.since.as_microsecond(), span.until.as_microsecond());
    let overlapping = params![until, since];
    let version = connection
        .prepare("SELECT version FROM program WHERE since < ? AND until >= ? ORDER BY id DESC")?
        .query_row(overlapping, |row| row.get(0))
        .optional()?;
    let epochs: i64 = connection.query_row(
        "SELECT coalesce(sum(epochs), 0) FROM generation WHERE since < ? AND until >= ?",
        overlapping,
        |row| row.get(0),
    )?;
    let last: Option<i64> =
        connection.query_row("SELECT max(until) FROM generation", [], |row| row.get(0))?;
    let last = last.and_then(|at| Timestamp::from_microsecond(at).ok());
    let ended_at = last.map_or(span.until, |last| span.until.min(last).max(span.since));
    let mut meta = Meta::new((span.since, ended_at), 0, interfaces(connection, span)?, 0);
    meta.version = version.unwrap_or(meta.version);
    meta.epochs = epochs.unsigned_abs();
    meta.databases = databases(connection, span)?;
    meta.losses = losses(connection, span)?;
    Ok(meta)
}

fn interfaces(connection: &Connection, span: Span) -> rusqlite::Result<Vec<AttachedInterface>> {
    let mut statement = connection.prepare(
        "SELECT DISTINCT interface, ingress, egress, reason FROM attachment
         WHERE since < ? AND until >= ? ORDER BY id",
    )?;
    let rows = statement.query_map(
        params![span.until.as_microsecond(), span.since.as_microsecond()],
        |row| {
            Ok(AttachedInterface {
                interface: row.get(0)?,
                ingress: hook(row.get_ref(1)?.as_str()?),
                egress: hook(row.get_ref(2)?.as_str()?),
                reason: row.get(3)?,
                attached_at: None,
                gone_at: None,
            })
        },
    )?;
    rows.collect()
}

/// The hooks' words, which views compare.
fn hook(name: &str) -> &'static str {
    let known = ["xdp", "tc"].into_iter().find(|known| *known == name);
    known.unwrap_or("unknown")
}

fn databases(connection: &Connection, span: Span) -> rusqlite::Result<Vec<DatabaseMeta>> {
    let mut statement = connection.prepare(
        // One that was opened several times is told once.
        "SELECT name, type, built, attribution FROM geo_database
         WHERE since < ? AND until >= ? GROUP BY 1, 2, 3, 4 ORDER BY min(id)",
    )?;
    let rows = statement.query_map(
        params![span.until.as_microsecond(), span.since.as_microsecond()],
        |row| {
            let built: Option<i64> = row.get(2)?;
            Ok(DatabaseMeta {
                name: row.get(0)?,
                database_type: row.get(1)?,
                built: built.and_then(|at| Timestamp::from_microsecond(at).ok()),
                attribution: row.get::<_, Option<String>>(3)?.map(Cow::Owned),
            })
        },
    )?;
    rows.collect()
}

/// Returns one kind's amount.
type LossOf = fn(&mut Losses) -> &mut u64;

/// The kinds of losses that are kept by the hour; the others follow from the devices' counts.
pub(super) const LOSSES: &[(&str, LossOf)] = &[
    ("samples_dropped", |losses| &mut losses.samples_dropped),
    ("prefix_frames", |losses| &mut losses.prefix_frames),
    ("names_turned_away", |losses| &mut losses.names_turned_away),
    ("places_unreadable", |losses| &mut losses.places_unreadable),
];

fn losses(connection: &Connection, span: Span) -> rusqlite::Result<Losses> {
    let (since, until) = (
        Step::Hour.bucket_of(span.since),
        Step::Hour.bucket_from(span.until),
    );
    let mut statement = connection.prepare(
        "SELECT kind, sum(amount) FROM loss WHERE bucket >= ? AND bucket < ? GROUP BY kind",
    )?;
    let rows = statement.query_map(params![since, until], |row| {
        Ok((row.get::<_, String>(0)?, super::count(row, 1)?))
    })?;
    let amounts: HashMap<_, _> = rows.collect::<rusqlite::Result<_>>()?;
    let mut losses = Losses::default();
    for (kind, amount) in LOSSES {
        *amount(&mut losses) = amounts.get(*kind).copied().unwrap_or_default();
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::schema::TABLES;

    #[test]
    fn a_database_that_was_opened_again_is_told_once() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        for (name, at) in [("b", 0), ("a", 1), ("b", 10), ("c", 99)] {
            let sql = "INSERT INTO geo_database (name, type, since, until) VALUES (?, 't', ?, ?)";
            connection.execute(sql, params![name, at, at + 5]).unwrap();
        }
        let moment = |at| Timestamp::from_microsecond(at).unwrap();
        let span = Span {
            since: moment(2),
            until: moment(20),
        };
        let told = databases(&connection, span).unwrap();
        let names: Vec<_> = told.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["b", "a"]);
    }
}
