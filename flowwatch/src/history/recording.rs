//! The transaction: a batch's counts, destinations, names, places and circumstances become rows.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{
    GenerationId, Retention, Step,
    batch::{Batch, BatchDevice, MinuteBatch},
    catalogue::{self, Catalogue},
    circumstances::LOSSES,
    pending::Generation,
    reader::holdings,
    rollup::{self, COUNTS, added},
    schema::flow_key,
    totals::words_of,
};
use crate::{
    observation::{DirectionTotals, Traffic},
    store::Losses,
};
use flowwatch_common::abi::Reason;

/// A gap in which a circumstance is taken to have lasted: nothing else is recorded of it meanwhile.
const LASTS: i64 = 15 * 60 * 1_000_000;

/// Writes a batch, all at once or not at all. One that was written before is left out.
///
/// `retention` says what to remove; nothing, while the time is not to be trusted.
pub(super) fn write(
    connection: &mut Connection,
    catalogue: &mut Catalogue,
    batch: &Batch,
    retention: Option<&Retention>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_written(&transaction, batch)? {
        return Ok(());
    }
    let devices = catalogue::devices(&transaction, &batch.devices)?;
    let mut holdings = holdings(&transaction)?;
    for minute in &batch.minutes {
        let steps = rollup::steps_of(&transaction, &mut holdings, minute.minute)?;
        write_flows(&transaction, catalogue, minute, &devices, &steps)?;
        for device in &minute.devices {
            write_device(&transaction, minute.minute, device, &devices, &steps)?;
        }
    }
    for (id, generation) in &batch.generations {
        write_generation(&transaction, *id, generation, &devices)?;
    }
    write_circumstances(&transaction, batch)?;
    if let Some(last) = batch.minutes.last() {
        rollup::roll_up(&transaction, &mut holdings, last.minute)?;
    }
    if let Some(retention) = retention {
        rollup::retire(&transaction, &mut holdings, retention, batch.at)?;
    }
    transaction.commit()
}

fn is_written(connection: &Connection, batch: &Batch) -> rusqlite::Result<bool> {
    for (id, generation) in &batch.generations {
        let serial: Option<i64> = connection
            .prepare_cached("SELECT serial FROM generation WHERE id = ?")?
            .query_row([id.0.cast_signed()], |row| row.get(0))
            .optional()?;
        if serial.is_some_and(|serial| serial.cast_unsigned() >= generation.serial) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn write_flows(
    connection: &Connection,
    catalogue: &mut Catalogue,
    minute: &MinuteBatch,
    devices: &[i64],
    steps: &[Step],
) -> rusqlite::Result<()> {
    let mut rows = Vec::with_capacity(minute.flows.len());
    for flow in &minute.flows {
        let Some(&device) = devices.get(usize::from(flow.entry.device)) else {
            continue;
        };
        let destination = catalogue.destination(connection, device, flow)?;
        rows.push((destination, flow.entry.counts.traffic));
    }
    // In the order of the table.
    rows.sort_unstable_by_key(|(destination, _)| *destination);
    for &step in steps {
        let bucket = Step::Minute.bucket_within(minute.minute, step);
        let sql = format!(
            "INSERT INTO {} (key, {COUNTS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET {}",
            step.name(),
            added(COUNTS)
        );
        let mut statement = connection.prepare_cached(&sql)?;
        for (destination, traffic) in &rows {
            statement.execute(params![
                flow_key(step, bucket, *destination),
                number(traffic.up.packets),
                number(traffic.up.octets),
                number(traffic.down.packets),
                number(traffic.down.octets),
            ])?;
        }
    }
    Ok(())
}

fn write_device(
    connection: &Connection,
    minute: i64,
    counts: &BatchDevice,
    devices: &[i64],
    steps: &[Step],
) -> rusqlite::Result<()> {
    let Some(&device) = devices.get(usize::from(counts.device)) else {
        return Ok(());
    };
    let BatchDevice {
        in_flows,
        overflow,
        growth,
        ..
    } = counts;
    for &step in steps {
        let key = (Step::Minute.bucket_within(minute, step), device);
        let up = (in_flows.up, overflow.up, &growth.up);
        let down = (in_flows.down, overflow.down, &growth.down);
        write_direction(connection, step, key, "up", up)?;
        write_direction(connection, step, key, "down", down)?;
    }
    Ok(())
}

fn write_direction(
    connection: &Connection,
    step: Step,
    (bucket, device): (i64, i64),
    direction: &str,
    (in_flows, mut overflow, growth): (Traffic, Traffic, &DirectionTotals),
) -> rusqlite::Result<()> {
    overflow += growth.overflow;
    let columns = [
        in_flows.packets,
        in_flows.octets,
        overflow.packets,
        overflow.octets,
        growth.seen.frames,
        growth.seen.l2_octets,
        growth.in_flows.frames,
    ];
    if columns.iter().any(|&count| count > 0) {
        let counts = "packets, octets, overflow_packets, overflow_octets, frames_seen, \
                      l2_octets_seen, frames_in_flows";
        let sql = format!(
            "INSERT INTO device_{} (bucket, device, direction, {counts})
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET {}",
            step.name(),
            added(counts)
        );
        let [a, b, c, d, e, f, g] = columns.map(number);
        let row = params![bucket, device, direction, a, b, c, d, e, f, g];
        connection.prepare_cached(&sql)?.execute(row)?;
    }
    for (reason, frames) in Reason::ALL.into_iter().zip(growth.unaccounted) {
        if frames.frames > 0 {
            let sql = format!(
                "INSERT INTO unaccounted_{} VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET {}",
                step.name(),
                added("frames, l2_octets")
            );
            let (frames, octets) = (number(frames.frames), number(frames.l2_octets));
            let row = params![bucket, device, direction, reason.name(), frames, octets];
            connection.prepare_cached(&sql)?.execute(row)?;
        }
    }
    Ok(())
}

fn write_generation(
    connection: &Connection,
    id: GenerationId,
    generation: &Generation,
    devices: &[i64],
) -> rusqlite::Result<()> {
    let id = id.0.cast_signed();
    connection
        .prepare_cached(
            "INSERT INTO generation VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
             serial = excluded.serial, epochs = epochs + excluded.epochs,
             since = min(since, excluded.since), until = max(until, excluded.until),
             is_over = excluded.is_over",
        )?
        .execute(params![
            id,
            generation.serial.cast_signed(),
            number(generation.epochs),
            generation.since.as_microsecond(),
            generation.until.as_microsecond(),
            generation.is_over,
        ])?;
    for (number, recorded) in &generation.devices {
        let Some(&device) = devices.get(usize::from(*number)) else {
            continue;
        };
        let missing = |counted: u64, drained: u64| counted.wrapping_sub(drained).cast_signed();
        let (totals, drained) = (&recorded.totals, &recorded.drained);
        let words = words_of(totals).into_iter().chain([
            drained.up.packets,
            drained.up.octets,
            drained.down.packets,
            drained.down.octets,
        ]);
        let words: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO generation_device VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                id,
                device,
                missing(totals.up.flow_traffic.packets, drained.up.packets),
                missing(totals.up.flow_traffic.octets, drained.up.octets),
                missing(totals.down.flow_traffic.packets, drained.down.packets),
                missing(totals.down.flow_traffic.octets, drained.down.octets),
                words,
            ])?;
    }
    Ok(())
}

fn write_circumstances(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let at = batch.at;
    let version = env!("CARGO_PKG_VERSION");
    lasts(connection, "program", &["version"], &[&version], at)?;
    for it in &batch.interfaces {
        let columns = ["interface", "ingress", "egress", "reason"];
        let values: [&dyn rusqlite::ToSql; 4] =
            [&it.interface, &it.ingress, &it.egress, &it.reason];
        lasts(connection, "attachment", &columns, &values, at)?;
    }
    for it in &batch.databases {
        let built = it.built.map(Timestamp::as_microsecond);
        let attribution = it.attribution.as_deref();
        let columns = ["name", "type", "built", "attribution"];
        let values: [&dyn rusqlite::ToSql; 4] = [&it.name, &it.database_type, &built, &attribution];
        lasts(connection, "geo_database", &columns, &values, at)?;
    }
    let mut losses: Losses = batch.losses;
    for (kind, amount) in LOSSES {
        let amount = *amount(&mut losses);
        if amount > 0 {
            let sql = "INSERT INTO loss VALUES (?, ?, ?)
                       ON CONFLICT DO UPDATE SET amount = amount + excluded.amount";
            let row = params![Step::Hour.bucket_of(at), kind, number(amount)];
            connection.prepare_cached(sql)?.execute(row)?;
        }
    }
    Ok(())
}

/// Notes that a circumstance lasts, or that it began.
fn lasts(
    connection: &Connection,
    table: &str,
    columns: &[&str],
    values: &[&dyn rusqlite::ToSql],
    at: Timestamp,
) -> rusqlite::Result<()> {
    let at = at.as_microsecond();
    let last = at.saturating_sub(LASTS);
    let same = columns.iter().map(|column| format!("{column} IS ?"));
    let sql = format!(
        "UPDATE {table} SET until = max(until, ?) WHERE {} AND until >= ? AND since <= ?",
        same.collect::<Vec<_>>().join(" AND ")
    );
    let mut row: Vec<&dyn rusqlite::ToSql> = vec![&at];
    row.extend(values);
    row.extend([&last as &dyn rusqlite::ToSql, &at]);
    if connection.prepare_cached(&sql)?.execute(&*row)? > 0 {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO {table} ({}, since, until) VALUES ({}?, ?)",
        columns.join(", "),
        "?, ".repeat(columns.len())
    );
    let mut row = values.to_vec();
    row.extend([&at as &dyn rusqlite::ToSql, &at]);
    connection.prepare_cached(&sql)?.execute(&*row).map(drop)
}

/// Returns a count as SQLite's integer, which has a sign.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
