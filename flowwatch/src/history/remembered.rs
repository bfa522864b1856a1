//! The names that devices' remotes went by lately: what a run that begins knows of them.
//!
//! Read out of the file for `run`, which hands them to `names`. The destinations that were met last come
//! first, so that a bound costs those that were met longest ago. However old a name is, it is good as
//! long as its destination is met.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    net::IpAddr,
    ops::Range,
    sync::Arc,
};

use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Statement, params};

use super::{
    Span, Step,
    cover::Piece,
    destinations::{address, devices},
    naming::{Names, STANDINGS, standing},
    reader::{held, holdings},
    schema::{flow_key, parts_of_key},
};
use crate::{
    model::MacAddress,
    names::{Candidate, NameSource, RememberedName},
};

/// For how long a destination that is not met any more is remembered.
const MEMORY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Names that are read; of one device, and of all.
const MOST_OF_DEVICE: usize = 4096;
const MOST: usize = 32_768;

/// Rows of counts that are looked at for destinations.
const MOST_ROWS: usize = 4_000_000;

/// Names by device, of each remote the best first.
pub type RememberedNames = HashMap<MacAddress, Vec<RememberedName>>;

/// Returns the names of the destinations that were met lately, as of `now`.
pub(super) fn names(connection: &Connection, now: Timestamp) -> rusqlite::Result<RememberedNames> {
    let Some(held) = held(connection)? else {
        return Ok(RememberedNames::new());
    };
    // A clock that was not set yet doesn't know what was lately.
    let now = if now < held.since { held.until } else { now };
    let lately = now.checked_sub(MEMORY).unwrap_or(now);
    let span = Span {
        since: held.since.max(lately),
        until: held.until,
    };
    let mut reading = Reading::new(connection, lately)?;
    if span.since < span.until {
        for piece in holdings(connection)?.cover(span, Step::Day).iter().rev() {
            reading.add(piece)?;
        }
    }
    Ok(reading.into_names())
}

/// What was read so far.
struct Reading<'a> {
    connection: &'a Connection,
    destination: Statement<'a>,
    names: Names<'a>,
    /// The devices' addresses by their numbers in the file.
    devices: HashMap<i64, MacAddress>,
    /// Names that were told since are good, and of those told before, the newest.
    since: Timestamp,
    met: HashSet<u32, RandomState>,
    rows: usize,
    found: HashMap<MacAddress, Found>,
    count: usize,
}

/// What was found of one device.
#[derive(Default)]
struct Found {
    names: HashMap<IpAddr, Vec<Candidate>, RandomState>,
    count: usize,
}

impl<'a> Reading<'a> {
    fn new(connection: &'a Connection, since: Timestamp) -> rusqlite::Result<Self> {
        let devices = devices(connection)?.into_iter();
        let sql = "SELECT device, remote, protocol, port FROM destination WHERE id = ?";
        Ok(Self {
            connection,
            destination: connection.prepare(sql)?,
            names: Names::new(connection)?,
            devices: devices
                .filter_map(|(id, (_, device))| Some((id, device.mac?)))
                .collect(),
            since,
            met: HashSet::default(),
            rows: 0,
            found: HashMap::new(),
            count: 0,
        })
    }

    /// Adds the destinations of a range of buckets, the last bucket's first.
    fn add(&mut self, piece: &Piece) -> rusqlite::Result<()> {
        let step = piece.step;
        let sql = format!(
            "SELECT key FROM {} WHERE key >= ? AND key < ? ORDER BY key DESC",
            step.name()
        );
        let Range { start, end } = piece.buckets;
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows =
            statement.query(params![flow_key(step, start, 0), flow_key(step, end, 0)])?;
        while self.count < MOST && self.rows < MOST_ROWS {
            let Some(row) = rows.next()? else { break };
            self.rows += 1;
            let (_, destination) = parts_of_key(step, row.get(0)?);
            if self.met.insert(destination) {
                self.add_destination(destination)?;
            }
        }
        Ok(())
    }

    fn add_destination(&mut self, destination: u32) -> rusqlite::Result<()> {
        let (device, remote, service) = self.destination.query_row([destination], |row| {
            let service = (row.get(2)?, row.get(3)?);
            Ok((row.get(0)?, address(row, 1)?, service))
        })?;
        let (Some(&mac), Some(remote)) = (self.devices.get(&device), remote) else {
            return Ok(());
        };
        let found = self.found.entry(mac).or_default();
        if found.count >= MOST_OF_DEVICE {
            return Ok(());
        }
        let names = good(self.names.all_of(destination, service)?, self.since);
        if names.is_empty() {
            return Ok(());
        }
        let known = found.names.entry(remote).or_default();
        let before = known.len();
        for name in names {
            merge(known, name);
        }
        found.count += known.len() - before;
        self.count += known.len() - before;
        Ok(())
    }

    fn into_names(self) -> RememberedNames {
        let found = self.found.into_iter();
        found
            .map(|(mac, found)| {
                let names = found.names.into_iter().flat_map(|(remote, mut names)| {
                    names.sort_by_key(|it| (standing_of(it), Reverse(it.binding.last_told)));
                    names.into_iter().map(move |it| remembered(remote, it))
                });
                (mac, names.collect())
            })
            .collect()
    }
}

/// Returns the names that were told since that moment, and of each standing the newest. What a neighbour
/// says of itself is left out: it says so again, and its address may be another's by now.
fn good(mut names: Vec<Candidate>, since: Timestamp) -> Vec<Candidate> {
    let mut newest = [None; STANDINGS];
    for name in &names {
        let newest = &mut newest[standing_of(name)];
        *newest = (*newest).max(Some(name.binding.last_told));
    }
    names.retain(|name| {
        let last_told = name.binding.last_told;
        let is_good = last_told >= since || newest[standing_of(name)] == Some(last_told);
        is_good && name.binding.source != NameSource::Mdns
    });
    names
}

fn standing_of(name: &Candidate) -> usize {
    standing(name.binding.source)
}

/// Adds a name; one that is known of another port of the remote is told when either was.
fn merge(known: &mut Vec<Candidate>, name: Candidate) {
    let same = known.iter_mut().find(|it| {
        let (one, other) = (&it.binding, &name.binding);
        (&one.name, one.source, one.service) == (&other.name, other.source, other.service)
    });
    let Some(same) = same else {
        known.push(name);
        return;
    };
    let first_told = same.binding.first_told.min(name.binding.first_told);
    if same.binding.last_told < name.binding.last_told {
        *same = name;
    }
    Arc::make_mut(&mut same.binding).first_told = first_told;
}

fn remembered(remote: IpAddr, name: Candidate) -> RememberedName {
    let mut binding = Arc::unwrap_or_clone(name.binding);
    binding.source = NameSource::History;
    RememberedName {
        remote,
        binding,
        asked: name.asked,
    }
}
