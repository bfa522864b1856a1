//! The catalogue: the numbers that devices, destinations, places and names have in the file.
//!
//! What was asked for lately is remembered, within a bound; a transaction that failed may have taken
//! numbers back, so then all is forgotten.

use std::{collections::HashMap, net::IpAddr};

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params, types::ToSqlOutput};

use super::{batch::BatchFlow, naming::NEVER_SAID, schema::destination_number};
use crate::{
    geo::Place,
    model::Device,
    names::{Binding, Candidate, Naming},
};

/// Destinations, texts and places that are remembered, each.
const MOST: usize = 1 << 16;

/// What identifies a destination: device, remote, protocol and port.
type DestinationKey = (i64, IpAddr, u8, u16);

/// What is remembered of a destination.
#[derive(Clone, Debug)]
struct Destination {
    id: u32,
    place: Option<i64>,
    naming: Naming,
}

/// The numbers.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    destinations: HashMap<DestinationKey, Destination, RandomState>,
    places: HashMap<Place, i64, RandomState>,
    texts: HashMap<String, i64, RandomState>,
}

/// An address as the file holds it.
struct Remote(IpAddr);

impl ToSql for Remote {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            IpAddr::V4(address) => i64::from(address.to_bits()).into(),
            IpAddr::V6(address) => address.octets().to_vec().into(),
        })
    }
}

/// Returns the devices' numbers, in their order.
pub(super) fn devices(connection: &Connection, devices: &[Device]) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO device (name, mac, position) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET position = excluded.position RETURNING id",
    )?;
    let numbered = (0_i64..).zip(devices);
    numbered
        .map(|(position, device)| {
            let mac = device.mac.map(|mac| mac.to_string()).unwrap_or_default();
            let row = params![&*device.name, mac, position];
            statement.query_row(row, |row| row.get(0))
        })
        .collect()
}

impl Catalogue {
    /// Returns a flow's destination's number, and writes what is new of it.
    pub(super) fn destination(
        &mut self,
        connection: &Connection,
        device: i64,
        flow: &BatchFlow,
    ) -> rusqlite::Result<u32> {
        let entry = &flow.entry;
        let key = (device, entry.remote, entry.protocol, entry.remote_port);
        let place = self.place(connection, &flow.place)?;
        let mut known = match self.destinations.remove(&key) {
            Some(known) => known,
            None => {
                found(connection, key)?.map_or_else(|| made(connection, key, flow, place), Ok)?
            }
        };
        self.update(connection, &mut known, flow, place)?;
        let id = known.id;
        if self.destinations.len() >= MOST {
            self.destinations.clear();
        }
        self.destinations.insert(key, known);
        Ok(id)
    }

    fn update(
        &mut self,
        connection: &Connection,
        known: &mut Destination,
        flow: &BatchFlow,
        place: Option<i64>,
    ) -> rusqlite::Result<()> {
        let counts = &flow.entry.counts;
        let first = counts.first_seen.as_microsecond();
        connection
            .prepare_cached(
                "UPDATE destination SET first_seen = min(first_seen, ?), last_seen = max(last_seen, ?)
                 WHERE id = ?",
            )?
            .execute(params![first, counts.last_seen.as_microsecond(), known.id])?;
        if known.place != place {
            let mut former =
                connection.prepare_cached("INSERT OR IGNORE INTO former_place VALUES (?, ?, ?)")?;
            former.execute(params![known.id, first, known.place])?;
            let mut now =
                connection.prepare_cached("UPDATE destination SET place = ? WHERE id = ?")?;
            now.execute(params![place, known.id])?;
            known.place = place;
        }
        if known.naming != flow.naming {
            for candidate in &flow.naming.candidates {
                self.name(connection, known.id, candidate)?;
            }
            known.naming = flow.naming.clone();
        }
        Ok(())
    }

    fn name(
        &mut self,
        connection: &Connection,
        destination: u32,
        candidate: &Candidate,
    ) -> rusqlite::Result<()> {
        let Binding {
            name,
            chain,
            source,
            ..
        } = &*candidate.binding;
        let name = self.text(connection, name)?;
        let chain = if chain.is_empty() {
            None
        } else {
            Some(self.text(connection, &array(chain))?)
        };
        let binding = &candidate.binding;
        let offer = candidate.offer.as_deref();
        connection
            .prepare_cached(
                "INSERT INTO naming SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
                 WHERE ?3 <> 'history'
                     OR NOT EXISTS (SELECT 1 FROM naming WHERE destination = ?1 AND name = ?2)
                 ON CONFLICT DO UPDATE SET
                 first_told = min(first_told, excluded.first_told),
                 last_told = max(last_told, excluded.last_told), ttl = excluded.ttl,
                 chain = excluded.chain, asked = coalesce(excluded.asked, asked),
                 alpn = coalesce(excluded.alpn, alpn), ech = coalesce(excluded.ech, ech)",
            )?
            .execute(params![
                destination,
                name,
                source.name(),
                binding.first_told.as_microsecond(),
                binding.last_told.as_microsecond(),
                binding.service.map_or(Some(binding.ttl), |_| NEVER_SAID),
                chain,
                candidate.asked,
                offer.map(|offer| array(&offer.alpn)),
                offer.map(|offer| offer.has_ech),
            ])?;
        Ok(())
    }

    fn text(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(&id) = self.texts.get(text) {
            return Ok(id);
        }
        connection
            .prepare_cached("INSERT OR IGNORE INTO name (text) VALUES (?)")?
            .execute([text])?;
        let id = connection
            .prepare_cached("SELECT id FROM name WHERE text = ?")?
            .query_row([text], |row| row.get(0))?;
        if self.texts.len() >= MOST {
            self.texts.clear();
        }
        self.texts.insert(text.to_owned(), id);
        Ok(id)
    }

    fn place(&mut self, connection: &Connection, place: &Place) -> rusqlite::Result<Option<i64>> {
        if *place == Place::default() {
            return Ok(None);
        }
        if let Some(&id) = self.places.get(place) {
            return Ok(Some(id));
        }
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        let row = params![
            text(&place.country),
            text(&place.country_name),
            text(&place.city),
            place.asn,
            text(&place.organization),
        ];
        let known = connection
            .prepare_cached(
                "SELECT id FROM place WHERE country IS ?1 AND country_name IS ?2 AND city IS ?3
                 AND asn IS ?4 AND organization IS ?5",
            )?
            .query_row(row, |row| row.get(0))
            .optional()?;
        let id = match known {
            Some(id) => id,
            None => connection
                .prepare_cached(
                    "INSERT INTO place (country, country_name, city, asn, organization)
                     VALUES (?, ?, ?, ?, ?)",
                )?
                .insert(row)?,
        };
        if self.places.len() >= MOST {
            self.places.clear();
        }
        self.places.insert(place.clone(), id);
        Ok(Some(id))
    }
}

fn array<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
    serde_json::Value::from(texts).to_string()
}

fn found(connection: &Connection, key: DestinationKey) -> rusqlite::Result<Option<Destination>> {
    let (device, remote, protocol, port) = key;
    let mut statement = connection.prepare_cached(
        "SELECT id, place FROM destination
         WHERE remote = ? AND device = ? AND protocol = ? AND port = ?",
    )?;
    let row = params![Remote(remote), device, protocol, port];
    let found = statement.query_row(row, |row| {
        Ok(Destination {
            id: row.get(0)?,
            place: row.get(1)?,
            naming: Naming::default(),
        })
    });
    found.optional()
}

fn made(
    connection: &Connection,
    (device, remote, protocol, port): DestinationKey,
    flow: &BatchFlow,
    place: Option<i64>,
) -> rusqlite::Result<Destination> {
    let counts = &flow.entry.counts;
    let id = connection
        .prepare_cached(
            "INSERT INTO destination (device, remote, protocol, port, place, first_seen, last_seen)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .insert(params![
            device,
            Remote(remote),
            protocol,
            port,
            place,
            counts.first_seen.as_microsecond(),
            counts.last_seen.as_microsecond(),
        ])?;
    Ok(Destination {
        id: destination_number(id).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, id))?,
        place,
        naming: Naming::default(),
    })
}
