//! What one page is made of: the ledger, the sums, the sinks' figures, as of one moment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::accept::Syntax;
use super::destinations::{Destinations, Limits};
use super::metrics;
use super::page::page_of;
use crate::export::{Account, Bookmarks, Figures, Latest, Ledger, Wiring};
use crate::model::MacAddress;

/// Rows that are added at a time; none of them waits for anything.
const ROWS: usize = 4096;

/// What is kept from one scrape to the next.
pub(super) struct Scraper {
    wiring: Wiring,
    bookmarks: Bookmarks,
    destinations: Destinations,
}

/// What metrics are found in.
pub(super) struct Scrape<'a> {
    /// Nothing before the first drain.
    pub(super) latest: Option<&'a Latest>,
    pub(super) destinations: &'a Destinations,
    /// Each device's name here, which no other has, with its account.
    pub(super) devices: Vec<(String, &'a Account)>,
    names: HashMap<MacAddress, String>,
    pub(super) sinks: &'a [Arc<Figures>],
}

impl Scrape<'_> {
    /// Returns a device's name here.
    pub(super) fn name_of(&self, mac: Option<MacAddress>) -> Option<&str> {
        self.names.get(&mac?).map(String::as_str)
    }
}

impl Scraper {
    pub(super) fn new(limits: Limits, wiring: Wiring) -> Self {
        let bookmarks = Bookmarks::new(&mut wiring.ledger_mut());
        Self {
            bookmarks,
            wiring,
            destinations: Destinations::new(limits),
        }
    }

    /// Takes up what is new, and returns the page.
    pub(super) fn scrape(&mut self, syntax: Syntax, now: Instant) -> String {
        let wiring = self.wiring.clone();
        let mut ledger = wiring.ledger_mut();
        self.take_up(&mut ledger, now);
        let devices = named(&ledger);
        let names = devices.iter();
        let names = names.filter_map(|(name, it)| Some((it.device.mac?, name.clone())));
        let scrape = Scrape {
            latest: ledger.latest(),
            names: names.collect(),
            devices,
            destinations: &self.destinations,
            sinks: &wiring.all,
        };
        page_of(metrics(), &scrape, syntax)
    }

    /// Returns the page of a ledger that knows no more than these rows.
    #[cfg(test)]
    pub(super) fn scrape_rows(
        &mut self,
        rows: &[crate::export::Row],
        syntax: Syntax,
        now: Instant,
    ) -> String {
        let wiring = self.wiring.clone();
        for row in rows {
            wiring.ledger_mut().open(row.device());
            self.destinations.add(row, now);
        }
        self.scrape(syntax, now)
    }

    fn take_up(&mut self, ledger: &mut Ledger, now: Instant) {
        if let Some(mut cycle) = self.bookmarks.begin(ledger) {
            while let Some(batch) = cycle.batch(ROWS) {
                for row in &batch.rows {
                    self.destinations.add(row, now);
                }
                self.bookmarks.commit(ledger, &batch);
            }
            self.bookmarks.end(&cycle);
        }
        self.destinations.expire(now);
    }
}

/// Returns the devices with names that differ: one that was given the name of another that is no longer
/// counted has its address in it.
fn named(ledger: &Ledger) -> Vec<(String, &Account)> {
    let mut taken = HashSet::new();
    let named = ledger.accounts().map(|account| {
        let name = &account.device.name;
        if taken.insert(name.to_string()) {
            return (name.to_string(), account);
        }
        let mac = account.device.mac.map(|mac| mac.to_string());
        let longer = format!("{name} ({})", mac.unwrap_or_default());
        taken.insert(longer.clone());
        (longer, account)
    });
    named.collect()
}
