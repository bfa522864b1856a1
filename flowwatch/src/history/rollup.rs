//! Roll-up and retention: minutes become hours, hours days, and each is kept for its time.
//!
//! An hour is summed when it is over, in the order of its keys, so that the table fills page by page.
//! What comes late, by a clock that was set back, is added to every step that is already summed.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Step, cover::Holdings, schema::flow_key};

/// For how long each step's rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Minutes.
    pub minutes: Duration,
    /// Hours.
    pub hours: Duration,
    /// Days, and with them what is known of destinations.
    pub days: Duration,
}

impl Default for Retention {
    /// Two days, two weeks, three years: what a home's history has room for in 2 GiB a year.
    fn default() -> Self {
        Self {
            minutes: Duration::from_hours(2 * 24),
            hours: Duration::from_hours(14 * 24),
            days: Duration::from_hours(3 * 365 * 24),
        }
    }
}

/// The tables of one step, less the step's name: with the columns of a row's key behind the bucket,
/// and those that are summed.
const TABLES: [(&str, &str, &str); 2] = [
    (
        "device",
        "device, direction",
        "packets, octets, overflow_packets, overflow_octets, frames_seen, l2_octets_seen, \
         frames_in_flows",
    ),
    (
        "unaccounted",
        "device, direction, reason",
        "frames, l2_octets",
    ),
];

/// The columns of a flow table that are summed.
pub(super) const COUNTS: &str = "up_packets, up_octets, down_packets, down_octets";

/// Returns the assignments by which an insertion adds to the row that is there.
pub(super) fn added(columns: &str) -> String {
    let columns = columns.split(", ").map(str::trim);
    let each = columns.map(|column| format!("{column} = {column} + excluded.{column}"));
    each.collect::<Vec<_>>().join(", ")
}

/// Returns the steps that a minute's counts are to be added to, and notes what is to be summed later.
pub(super) fn steps_of(
    connection: &Connection,
    holdings: &mut Holdings,
    minute: i64,
) -> rusqlite::Result<Vec<Step>> {
    let hour = Step::Minute.bucket_within(minute, Step::Hour);
    let mut steps = Vec::new();
    if minute >= holdings.minutes_since {
        steps.push(Step::Minute);
        let is_summed = has_rows(connection, Step::Hour, hour)?;
        if holdings.unsummed_hours.contains(&hour) || !is_summed {
            if holdings.unsummed_hours.insert(hour) {
                note(connection, Step::Hour, hour)?;
            }
            return Ok(steps);
        }
    }
    steps.extend(steps_of_hour(connection, holdings, hour)?);
    Ok(steps)
}

/// Returns the steps that an hour's sums are to be added to, likewise.
fn steps_of_hour(
    connection: &Connection,
    holdings: &mut Holdings,
    hour: i64,
) -> rusqlite::Result<Vec<Step>> {
    let day = Step::Hour.bucket_within(hour, Step::Day);
    let mut steps = Vec::new();
    if hour >= holdings.hours_since {
        steps.push(Step::Hour);
        let is_summed = has_rows(connection, Step::Day, day)?;
        if holdings.unsummed_days.contains(&day) || !is_summed {
            if holdings.unsummed_days.insert(day) {
                note(connection, Step::Day, day)?;
            }
            return Ok(steps);
        }
    }
    steps.push(Step::Day);
    Ok(steps)
}

fn has_rows(connection: &Connection, step: Step, bucket: i64) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM device_{} WHERE bucket = ?)",
        step.name()
    );
    connection
        .prepare_cached(&sql)?
        .query_row([bucket], |row| row.get(0))
}

fn note(connection: &Connection, step: Step, bucket: i64) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT OR IGNORE INTO unsummed VALUES (?, ?)")?;
    statement.execute(params![step.name(), bucket]).map(drop)
}

/// Sums the hours and days that are not those of this minute.
pub(super) fn roll_up(
    connection: &Connection,
    holdings: &mut Holdings,
    minute: i64,
) -> rusqlite::Result<()> {
    let now = Step::Minute.bucket_within(minute, Step::Hour);
    let over: Vec<_> = holdings.unsummed_hours.iter().copied().collect();
    for hour in over.into_iter().filter(|&hour| hour != now) {
        holdings.unsummed_hours.remove(&hour);
        forget(connection, Step::Hour, hour)?;
        for step in steps_of_hour(connection, holdings, hour)? {
            sum(connection, (Step::Minute, Step::Hour), hour, step)?;
        }
    }
    let today = Step::Hour.bucket_within(now, Step::Day);
    let over: Vec<_> = holdings.unsummed_days.iter().copied().collect();
    for day in over.into_iter().filter(|&day| day != today) {
        let hours = day * 24..(day + 1) * 24;
        if holdings.unsummed_hours.range(hours).next().is_none() {
            holdings.unsummed_days.remove(&day);
            forget(connection, Step::Day, day)?;
            sum(connection, (Step::Hour, Step::Day), day, Step::Day)?;
        }
    }
    Ok(())
}

fn forget(connection: &Connection, step: Step, bucket: i64) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM unsummed WHERE step = ? AND bucket = ?")?;
    statement.execute(params![step.name(), bucket]).map(drop)
}

/// Adds the rows of one step that lie in one bucket of a longer step to the bucket of the step `to`
/// that holds it.
fn sum(
    connection: &Connection,
    (from, longer): (Step, Step),
    bucket: i64,
    to: Step,
) -> rusqlite::Result<()> {
    let parts = longer.seconds() / from.seconds();
    let (first, last) = (bucket * parts, (bucket + 1) * parts);
    let target = longer.bucket_within(bucket, to);
    let keys = [
        flow_key(to, target, 0),
        flow_key(from, first, 0),
        flow_key(from, last, 0),
    ];
    let (from, to) = (from.name(), to.name());
    let summed = |columns: &str| {
        let columns = columns.split(", ").map(|column| format!("sum({column})"));
        columns.collect::<Vec<_>>().join(", ")
    };
    connection
        .prepare_cached(&format!(
            "INSERT INTO {to} (key, {COUNTS})
             SELECT ?1 | destination AS summed, {} FROM {from}
             WHERE key >= ?2 AND key < ?3 GROUP BY summed ORDER BY summed
             ON CONFLICT DO UPDATE SET {}",
            summed(COUNTS),
            added(COUNTS)
        ))?
        .execute(keys)?;
    for (table, keys, counts) in TABLES {
        connection
            .prepare_cached(&format!(
                "INSERT INTO {table}_{to} (bucket, {keys}, {counts})
                 SELECT ?1, {keys}, {} FROM {table}_{from}
                 WHERE bucket >= ?2 AND bucket < ?3 GROUP BY {keys}
                 ON CONFLICT DO UPDATE SET {}",
                summed(counts),
                added(counts)
            ))?
            .execute([target, first, last])?;
    }
    Ok(())
}

/// Removes the rows whose time is over. What isn't summed yet stays.
pub(super) fn retire(
    connection: &Connection,
    holdings: &mut Holdings,
    retention: &Retention,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let border = |kept: Duration, longer: Step| {
        let since = now.checked_sub(kept).unwrap_or(Timestamp::UNIX_EPOCH);
        longer.bucket_of(since)
    };
    let hour = border(retention.minutes, Step::Hour);
    let hour = hour.min(*holdings.unsummed_hours.first().unwrap_or(&hour));
    if hour * 60 > holdings.minutes_since {
        holdings.minutes_since = hour * 60;
        remove(connection, Step::Minute, hour * 60)?;
        set(connection, "minutes_since", hour * 60)?;
    }
    let day = border(retention.hours, Step::Day);
    let day = day.min(*holdings.unsummed_days.first().unwrap_or(&day));
    let day = day.min(Step::Minute.bucket_within(holdings.minutes_since, Step::Day));
    if day * 24 > holdings.hours_since {
        holdings.hours_since = day * 24;
        remove(connection, Step::Hour, day * 24)?;
        set(connection, "hours_since", day * 24)?;
    }
    let last = border(retention.days, Step::Day);
    let last = last.min(Step::Hour.bucket_within(holdings.hours_since, Step::Day));
    if last > subject(connection, "days_since")? {
        set(connection, "days_since", last)?;
        remove(connection, Step::Day, last)?;
        forget_before(connection, Step::Day.start_of(last))?;
    }
    Ok(())
}

fn remove(connection: &Connection, step: Step, before: i64) -> rusqlite::Result<()> {
    let name = step.name();
    let sql = format!("DELETE FROM {name} WHERE key < ?");
    connection.execute(&sql, [flow_key(step, before, 0)])?;
    for (table, ..) in TABLES {
        let sql = format!("DELETE FROM {table}_{name} WHERE bucket < ?");
        connection.execute(&sql, [before])?;
    }
    Ok(())
}

/// Forgets what no row that is kept refers to.
fn forget_before(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    let before = at.as_microsecond();
    for table in ["naming", "former_place"] {
        let sql = format!(
            "DELETE FROM {table} WHERE destination IN (SELECT id FROM destination WHERE last_seen < ?)"
        );
        connection.execute(&sql, [before])?;
    }
    connection.execute("DELETE FROM destination WHERE last_seen < ?", [before])?;
    connection.execute(
        "DELETE FROM loss WHERE bucket < ?",
        [Step::Hour.bucket_of(at)],
    )?;
    for table in ["attachment", "geo_database", "program"] {
        connection.execute(&format!("DELETE FROM {table} WHERE until < ?"), [before])?;
    }
    connection.execute(
        "DELETE FROM generation_device WHERE generation IN (SELECT id FROM generation WHERE until < ?)",
        [before],
    )?;
    connection.execute("DELETE FROM generation WHERE until < ?", [before])?;
    Ok(())
}

/// Returns what the file says of itself under a subject; 0 where it says nothing.
pub(super) fn subject(connection: &Connection, subject: &str) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT coalesce((SELECT value FROM about WHERE subject = ?), 0)",
        [subject],
        |row| row.get(0),
    )
}

/// Has the file say something of itself.
pub(super) fn set(connection: &Connection, subject: &str, value: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO about VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
    connection.execute(sql, params![subject, value]).map(drop)
}
