//! Bookmarks: how far one sink has delivered what is in the ledger.
//!
//! A [`Cycle`] freezes what is new at one moment; a [`Batch`] of it that was delivered moves the
//! bookmarks, and one that wasn't leaves them, so that the next cycle has the sum: nothing is lost,
//! nothing is told twice, and nothing queues up. A cycle takes 100 octets for each flow that changed.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Row;
use super::ledger::{Ledger, growth};
use crate::model::{Device, FlowRecord};
use crate::store::BothWays;

/// How far a sink has delivered.
#[derive(Debug)]
pub struct Bookmarks {
    reader: usize,
    /// Until when everything was delivered; nothing before the first delivery.
    since: Option<Timestamp>,
    /// By how many seconds the clock had been set by then.
    clock_step: i64,
}

/// What was new at one moment.
#[derive(Debug)]
pub struct Cycle {
    since: Timestamp,
    until: Timestamp,
    clock_step: i64,
    items: VecDeque<Item>,
}

/// What is new of a flow or of a rest.
#[derive(Debug)]
struct Item {
    account: usize,
    what: What,
    growth: BothWays,
}

#[derive(Debug)]
enum What {
    Flow {
        slot: usize,
        /// Which one of those that had the slot it is.
        serial: u32,
        record: Arc<FlowRecord>,
        last_seen: Timestamp,
        /// The counts with what is new.
        now: BothWays,
    },
    Rest(Device),
}

/// A part of a cycle, to be delivered as one.
#[derive(Debug)]
pub struct Batch {
    /// When the counting of the rows' packets began; after a delivery that failed in part, that of some
    /// rows' began later.
    pub since: Timestamp,
    /// When it ended: the drain.
    pub until: Timestamp,
    /// The rows, at least one.
    pub rows: Vec<Row>,
    items: Vec<Item>,
}

impl Bookmarks {
    /// Returns those of a sink that has delivered nothing.
    pub fn new(ledger: &mut Ledger) -> Self {
        Self {
            reader: ledger.join(),
            since: None,
            clock_step: 0,
        }
    }

    /// Freezes what is new; nothing before the ledger's first update.
    pub fn begin(&mut self, ledger: &mut Ledger) -> Option<Cycle> {
        let latest = ledger.latest()?;
        let clock_step = latest.meta.clock_step_seconds.unwrap_or(0);
        let mut cycle = Cycle {
            since: self.since_by(clock_step).unwrap_or(latest.meta.started_at),
            until: latest.at,
            clock_step,
            items: VecDeque::new(),
        };
        self.find_flows(ledger, &mut cycle);
        self.find_rests(ledger, &mut cycle);
        Some(cycle)
    }

    /// Notes that a batch was delivered.
    pub fn commit(&mut self, ledger: &mut Ledger, batch: &Batch) {
        for item in &batch.items {
            let (at_slot, is_current) = match item.what {
                What::Flow {
                    slot, serial, now, ..
                } => {
                    let current = ledger.slot(slot).filter(|it| it.0 == serial);
                    (
                        current.map(|_| (slot, now)),
                        current.is_some_and(|(_, flow)| flow.traffic == now),
                    )
                }
                What::Rest(_) => (None, false),
            };
            let Some(reader) = ledger.reader_mut(self.reader) else {
                return;
            };
            let Some((slot, now)) = at_slot else {
                // Of a flow that is no more, too: its counts are in the rest.
                reader.give_of_rest(item.account, item.growth);
                continue;
            };
            reader.give(slot, now);
            if is_current {
                reader.changed.clear(slot);
            }
        }
    }

    /// Notes that all of a cycle was delivered.
    pub fn end(&mut self, cycle: &Cycle) {
        self.since = Some(cycle.until);
        self.clock_step = cycle.clock_step;
    }

    /// Returns until when everything was delivered, by the clock as it is set now.
    fn since_by(&self, clock_step: i64) -> Option<Timestamp> {
        let since = self.since?;
        let step = SignedDuration::from_secs(clock_step.saturating_sub(self.clock_step));
        Some(since.checked_add(step).unwrap_or(since))
    }

    fn find_flows(&self, ledger: &mut Ledger, cycle: &mut Cycle) {
        let Some(reader) = ledger.reader(self.reader) else {
            return;
        };
        let mut idle = Vec::new();
        for slot in reader.changed.iter() {
            let found = ledger.slot(slot).map(|(serial, flow)| {
                let growth = growth(flow.traffic, reader.given(slot));
                (serial, flow, growth)
            });
            let Some((serial, flow, growth)) =
                found.filter(|(.., growth)| *growth != BothWays::default())
            else {
                // One that got another name is told by that with its next packet.
                idle.push(slot);
                continue;
            };
            cycle.items.push_back(Item {
                account: flow.account,
                what: What::Flow {
                    slot,
                    serial,
                    record: Arc::clone(&flow.record),
                    last_seen: flow.last_seen,
                    now: flow.traffic,
                },
                growth,
            });
        }
        if let Some(reader) = ledger.reader_mut(self.reader) {
            for slot in idle {
                reader.changed.clear(slot);
            }
        }
    }

    fn find_rests(&self, ledger: &Ledger, cycle: &mut Cycle) {
        let Some(reader) = ledger.reader(self.reader) else {
            return;
        };
        for (at, account) in ledger.accounts().enumerate() {
            let growth = growth(account.rest(), reader.rest(at));
            if growth != BothWays::default() {
                cycle.items.push_back(Item {
                    account: at,
                    what: What::Rest(account.device.clone()),
                    growth,
                });
            }
        }
    }
}

impl Cycle {
    /// Returns the moment at which it was frozen.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Returns how many rows are not in a batch yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.items.len()
    }

    /// Returns the next batch, of at most `most` rows; nothing at the end.
    pub fn batch(&mut self, most: usize) -> Option<Batch> {
        let count = self.items.len().min(most);
        if count == 0 {
            return None;
        }
        let items: Vec<_> = self.items.drain(..count).collect();
        Some(Batch {
            since: self.since,
            until: self.until,
            rows: items.iter().map(|item| item.row(self.until)).collect(),
            items,
        })
    }
}

#[cfg(test)]
impl Batch {
    /// Returns a batch of rows that come from nowhere.
    pub(super) fn for_test((since, until): (Timestamp, Timestamp), rows: Vec<Row>) -> Self {
        Self {
            since,
            until,
            rows,
            items: Vec::new(),
        }
    }
}

impl Item {
    fn row(&self, at: Timestamp) -> Row {
        match &self.what {
            What::Flow {
                record, last_seen, ..
            } => Row::of_flow(record, self.growth, *last_seen),
            What::Rest(device) => Row::of_rest(device.clone(), self.growth, at),
        }
    }
}
