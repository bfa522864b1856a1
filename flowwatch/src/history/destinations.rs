//! Destinations of a span: summed, then named and placed as they were known in it.

use std::{collections::HashMap, net::IpAddr, ops::Range, sync::Arc};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params, types::ValueRef};

use super::{
    Span,
    cover::Piece,
    naming::Names,
    schema::{flow_key, parts_of_key},
};
use crate::{
    geo::{Place, Scope},
    model::{Device, FlowRecord, MacAddress},
    observation::Traffic,
    store::BothWays,
};

/// A destination's sums, and the times between which its buckets lie.
#[derive(Clone, Copy, Debug)]
struct Sums {
    traffic: BothWays,
    since: Timestamp,
    until: Timestamp,
}

/// Sums by destination, as many as there is room for.
pub(super) struct Destinations<'a> {
    connection: &'a Connection,
    sums: HashMap<u32, Sums, RandomState>,
    capacity: usize,
    overflow: HashMap<i64, BothWays>,
}

impl<'a> Destinations<'a> {
    pub(super) fn new(connection: &'a Connection, capacity: usize) -> Self {
        Self {
            connection,
            sums: HashMap::default(),
            capacity,
            overflow: HashMap::new(),
        }
    }

    /// Adds the rows of a range of buckets.
    pub(super) fn add(&mut self, piece: &Piece) -> rusqlite::Result<()> {
        let step = piece.step;
        let sql = format!(
            "SELECT key, up_packets, up_octets, down_packets, down_octets FROM {}
             WHERE key >= ? AND key < ?",
            step.name()
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let Range { start, end } = piece.buckets;
        let mut rows =
            statement.query(params![flow_key(step, start, 0), flow_key(step, end, 0)])?;
        while let Some(row) = rows.next()? {
            let (bucket, destination) = parts_of_key(step, row.get(0)?);
            let sums = Sums {
                traffic: traffic(row, 1)?,
                since: step.start_of(bucket),
                until: step.start_of(bucket + 1),
            };
            self.add_one(destination, sums)?;
        }
        Ok(())
    }

    fn add_one(&mut self, destination: u32, sums: Sums) -> rusqlite::Result<()> {
        let is_full = self.sums.len() >= self.capacity;
        match self.sums.get_mut(&destination) {
            Some(known) => {
                known.traffic += sums.traffic;
                known.since = known.since.min(sums.since);
                known.until = known.until.max(sums.until);
            }
            None if is_full => {
                let mut device = self
                    .connection
                    .prepare_cached("SELECT device FROM destination WHERE id = ?")?;
                let device = device.query_row([destination], |row| row.get(0))?;
                *self.overflow.entry(device).or_default() += sums.traffic;
            }
            None => {
                self.sums.insert(destination, sums);
            }
        }
        Ok(())
    }

    /// Returns, by device, what found no room.
    pub(super) fn take_overflow(&mut self) -> HashMap<i64, BothWays> {
        std::mem::take(&mut self.overflow)
    }

    /// Returns the flows, the one with the most octets first.
    pub(super) fn into_records(self, span: Span) -> rusqlite::Result<Vec<FlowRecord>> {
        let mut sums: Vec<_> = self.sums.into_iter().collect();
        // Rows that lie together are read together.
        sums.sort_unstable_by_key(|(destination, _)| *destination);
        let mut known = Known::new(self.connection)?;
        let mut records = Vec::with_capacity(sums.len());
        for (destination, sums) in sums {
            records.extend(known.record(destination, &sums, span)?);
        }
        records.sort_by_cached_key(|(record, device)| {
            let octets = std::cmp::Reverse(record.octets());
            let place = (record.remote_address, record.protocol, record.remote_port);
            (octets, *device, place)
        });
        Ok(records.into_iter().map(|(record, _)| record).collect())
    }
}

/// What is known of destinations, each text once.
struct Known<'a> {
    connection: &'a Connection,
    /// Asked for each destination: looking for it among the prepared ones would cost as much.
    statement: Statement<'a>,
    devices: HashMap<i64, (i64, Device)>,
    places: HashMap<i64, Place>,
    names: Names<'a>,
    has_former_places: bool,
}

impl<'a> Known<'a> {
    fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        let former = "SELECT EXISTS (SELECT 1 FROM former_place)";
        Ok(Self {
            connection,
            statement: connection.prepare(
                "SELECT device, remote, protocol, port, place, first_seen, last_seen
                 FROM destination WHERE id = ?",
            )?,
            devices: devices(connection)?,
            places: HashMap::new(),
            names: Names::new(connection)?,
            has_former_places: connection.query_row(former, [], |row| row.get(0))?,
        })
    }

    /// Returns a flow and its device's position.
    fn record(
        &mut self,
        destination: u32,
        sums: &Sums,
        span: Span,
    ) -> rusqlite::Result<Option<(FlowRecord, i64)>> {
        let mut rows = self.statement.query([destination])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let device = self.devices.get(&row.get(0)?);
        let (Some((position, device)), Some(remote)) = (device, address(row, 1)?) else {
            return Ok(None);
        };
        let (position, device) = (*position, device.clone());
        let (protocol, remote_port) = (row.get(2)?, row.get(3)?);
        let (first, last) = (super::time(row, 5)?, super::time(row, 6)?);
        let place = row.get(4)?;
        drop(rows);
        let first_seen = first.max(sums.since).min(sums.until);
        let last_seen = last.min(sums.until).max(first_seen);
        let place = self.place(destination, place, span.until)?;
        let seen = (first_seen, last_seen);
        let naming = self.names.of(destination, seen, (protocol, remote_port))?;
        let record = FlowRecord {
            device,
            naming,
            remote_address: remote,
            scope: Scope::of(remote),
            protocol,
            remote_port,
            place,
            up: sums.traffic.up,
            down: sums.traffic.down,
            first_seen,
            last_seen,
        };
        Ok(Some((record, position)))
    }

    /// Returns where a destination was at the span's end.
    fn place(
        &mut self,
        destination: u32,
        last: Option<i64>,
        until: Timestamp,
    ) -> rusqlite::Result<Place> {
        let former = if self.has_former_places {
            self.connection
                .prepare_cached(
                    "SELECT place FROM former_place WHERE destination = ? AND until >= ?
                     ORDER BY until LIMIT 1",
                )?
                .query_row(params![destination, until.as_microsecond()], |row| {
                    row.get(0)
                })
                .optional()?
        } else {
            None
        };
        let Some(id) = former.unwrap_or(last) else {
            return Ok(Place::default());
        };
        if let Some(place) = self.places.get(&id) {
            return Ok(place.clone());
        }
        let place = place(self.connection, id)?;
        self.places.insert(id, place.clone());
        Ok(place)
    }
}

fn place(connection: &Connection, id: i64) -> rusqlite::Result<Place> {
    let mut statement = connection.prepare_cached(
        "SELECT country, country_name, city, asn, organization FROM place WHERE id = ?",
    )?;
    let text = |row: &Row<'_>, column| -> rusqlite::Result<Option<Arc<str>>> { row.get(column) };
    let place = statement.query_row([id], |row| {
        Ok(Place {
            country: text(row, 0)?,
            country_name: text(row, 1)?,
            city: text(row, 2)?,
            asn: row.get(3)?,
            organization: text(row, 4)?,
        })
    });
    Ok(place.optional()?.unwrap_or_default())
}

/// Returns the devices by their numbers in the file, each with its position.
pub(super) fn devices(connection: &Connection) -> rusqlite::Result<HashMap<i64, (i64, Device)>> {
    let mut statement = connection.prepare_cached("SELECT id, position, name, mac FROM device")?;
    let rows = statement.query_map([], |row| {
        let mac: Option<MacAddress> = row.get_ref(3)?.as_str()?.parse().ok();
        let device = Device {
            name: row.get::<_, Arc<str>>(2)?,
            mac,
        };
        Ok((row.get(0)?, (row.get(1)?, device)))
    })?;
    rows.collect()
}

/// Reads both directions' counts from this column on.
pub(super) fn traffic(row: &Row<'_>, column: usize) -> rusqlite::Result<BothWays> {
    let count = |index| super::count(row, column + index);
    let traffic = |index| -> rusqlite::Result<Traffic> {
        Ok(Traffic {
            packets: count(index)?,
            octets: count(index + 1)?,
        })
    };
    Ok(BothWays {
        up: traffic(0)?,
        down: traffic(2)?,
    })
}

/// Reads an address: an IPv4 one is an integer, an IPv6 one its octets.
pub(super) fn address(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<IpAddr>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(bits) => u32::try_from(bits).ok().map(|bits| IpAddr::V4(bits.into())),
        ValueRef::Blob(octets) => <[u8; 16]>::try_from(octets)
            .ok()
            .map(|it| IpAddr::V6(it.into())),
        _ => None,
    })
}
