//! The names of a destination in a time: those that the live table would have told then.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, Statement};

use crate::names::{Binding, Candidate, NameSource, Naming, Service, ServiceOffer};

/// For how long a binding is good at least, whatever its ttl; as `names` has it.
const MIN_LIFETIME: SignedDuration = SignedDuration::from_secs(60);

/// By how much an answer may seem to come after the packet that it caused; likewise.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_millis(50);

/// The names that a name is an alias of.
type Chain = Arc<[Arc<str>]>;

/// The ttl of what the device said itself.
pub(super) const NEVER_SAID: Option<u32> = None;

/// Reads names, each text once.
pub(super) struct Names<'a> {
    connection: &'a Connection,
    /// Asked for each destination: looking for it among the prepared ones would cost as much.
    statement: Statement<'a>,
    texts: HashMap<i64, Arc<str>, RandomState>,
    chains: HashMap<i64, Chain, RandomState>,
}

impl<'a> Names<'a> {
    pub(super) fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            statement: connection.prepare(
                "SELECT name, source, first_told, last_told, ttl, chain, asked, alpn, ech
                 FROM naming WHERE destination = ?",
            )?,
            texts: HashMap::default(),
            chains: HashMap::default(),
        })
    }

    /// Returns what a destination went by between two moments, the best first.
    pub(super) fn of(
        &mut self,
        destination: u32,
        (since, until): (Timestamp, Timestamp),
        service: (u8, u16),
    ) -> rusqlite::Result<Naming> {
        let candidates = self.all_of(destination, service)?;
        Ok(Naming {
            candidates: of_time(candidates, since, until),
        })
    }

    /// Returns all that a destination ever went by, in no order.
    pub(super) fn all_of(
        &mut self,
        destination: u32,
        (protocol, port): (u8, u16),
    ) -> rusqlite::Result<Vec<Candidate>> {
        let mut texts = Texts {
            connection: self.connection,
            known: &mut self.texts,
            chains: &mut self.chains,
        };
        let mut rows = self.statement.query([destination])?;
        let mut candidates = Vec::new();
        while let Some(row) = rows.next()? {
            candidates.extend(texts.candidate(row, Service { protocol, port })?);
        }
        Ok(candidates)
    }
}

/// The texts of names and chains.
struct Texts<'a> {
    connection: &'a Connection,
    known: &'a mut HashMap<i64, Arc<str>, RandomState>,
    chains: &'a mut HashMap<i64, Chain, RandomState>,
}

impl Texts<'_> {
    fn candidate(
        &mut self,
        row: &Row<'_>,
        service: Service,
    ) -> rusqlite::Result<Option<Candidate>> {
        let source = row.get_ref(1)?.as_str()?;
        let all = NameSource::ALL.iter();
        let Some(&source) = all.clone().find(|known| known.name() == source) else {
            return Ok(None);
        };
        let ttl: Option<u32> = row.get(4)?;
        let chain: Option<i64> = row.get(5)?;
        let alpn: Option<String> = row.get(7)?;
        let offer = alpn.map(|alpn| -> rusqlite::Result<_> {
            Ok(Arc::new(ServiceOffer {
                alpn: texts(&alpn),
                has_ech: row.get::<_, Option<bool>>(8)?.unwrap_or_default(),
            }))
        });
        let binding = Binding {
            name: self.text(row.get(0)?)?,
            chain: chain.map_or_else(|| Ok(Arc::default()), |id| self.chain(id))?,
            source,
            service: ttl.is_none().then_some(service),
            first_told: super::time(row, 2)?,
            last_told: super::time(row, 3)?,
            ttl: ttl.unwrap_or_default(),
        };
        Ok(Some(Candidate {
            binding: Arc::new(binding),
            asked: row.get(6)?,
            offer: offer.transpose()?,
        }))
    }

    fn text(&mut self, id: i64) -> rusqlite::Result<Arc<str>> {
        if let Some(text) = self.known.get(&id) {
            return Ok(Arc::clone(text));
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT text FROM name WHERE id = ?")?;
        let text: Arc<str> = statement.query_row([id], |row| row.get(0))?;
        self.known.insert(id, Arc::clone(&text));
        Ok(text)
    }

    fn chain(&mut self, id: i64) -> rusqlite::Result<Arc<[Arc<str>]>> {
        if let Some(chain) = self.chains.get(&id) {
            return Ok(Arc::clone(chain));
        }
        let chain: Arc<[Arc<str>]> = texts(&self.text(id)?).into();
        self.chains.insert(id, Arc::clone(&chain));
        Ok(chain)
    }
}

/// Returns the texts of a JSON array; none of what is no such array.
fn texts(array: &str) -> Vec<Arc<str>> {
    let texts = serde_json::from_str::<Vec<String>>(array).unwrap_or_default();
    texts.into_iter().map(Into::into).collect()
}

/// Returns the candidates that may name a flow of that time, the best first: those told in it, those
/// that were still to be kept when it began, and of each standing the newest before it. What a run
/// knew of an earlier one stands in where there is nothing else.
fn of_time(candidates: Vec<Candidate>, since: Timestamp, until: Timestamp) -> Vec<Candidate> {
    let told_by = |candidate: &Candidate, at: Timestamp| {
        candidate.binding.first_told.duration_since(at) <= CLOCK_SLACK
    };
    let mut newest = [None; STANDINGS];
    for candidate in candidates
        .iter()
        .filter(|candidate| told_by(candidate, since))
    {
        let Binding {
            source, last_told, ..
        } = *candidate.binding;
        let newest = &mut newest[standing(source)];
        *newest = (*newest).max(Some(last_told));
    }
    let lives = |candidate: &Candidate| {
        let Binding {
            source, last_told, ..
        } = *candidate.binding;
        since.duration_since(last_told) <= lifetime(&candidate.binding)
            || newest[standing(source)] == Some(last_told)
    };
    let mut candidates: Vec<_> = candidates
        .into_iter()
        .filter(|candidate| told_by(candidate, until) && lives(candidate))
        .collect();
    candidates.sort_by_key(|candidate| {
        let Binding {
            source, last_told, ..
        } = *candidate.binding;
        (standing(source), Reverse(last_told), source)
    });
    let is_remembered = |candidate: &Candidate| candidate.binding.source == NameSource::History;
    if !candidates.iter().all(is_remembered) {
        candidates.retain(|candidate| !is_remembered(candidate));
    }
    candidates
}

fn lifetime(binding: &Binding) -> SignedDuration {
    match binding.service {
        Some(_) => CLOCK_SLACK,
        None => SignedDuration::from_secs(i64::from(binding.ttl)).max(MIN_LIFETIME),
    }
}

/// How many standings there are.
pub(super) const STANDINGS: usize = 5;

/// What a source's word is worth, the least number most; as `names` has it.
pub(super) const fn standing(source: NameSource) -> usize {
    match source {
        NameSource::Sni | NameSource::Quic | NameSource::Http => 0,
        NameSource::Dns => 1,
        NameSource::Ech => 2,
        NameSource::Mdns => 3,
        NameSource::History => 4,
    }
}
