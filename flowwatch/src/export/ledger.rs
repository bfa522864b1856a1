//! The ledger: what is counted, as the sinks know it.
//!
//! Filled with the updates of one view; read by every sink. A flow has a slot as long as the window
//! holds it: its record (about 500 octets, as its names and place have it), and for each sink what it has
//! delivered of it (32 octets). So its bound is the window's. Pure: time is in the updates.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use jiff::Timestamp;

use super::account::{Account, Holder};
use super::reader::Reader;
use crate::live::{Changed, FlowNumber, Update};
use crate::model::{Device, FlowRecord};
use crate::observation::Traffic;
use crate::store::{BothWays, DeviceResolving, DeviceSummary, Meta, UnaccountedRow, WINDOW_FLOWS};

/// Flows of a window that the ledger knows, at most: those that it can hold.
const MOST_FLOWS: usize = WINDOW_FLOWS.get();
/// No slot.
const NONE: u32 = u32::MAX;

/// A flow, and what was counted of it so far.
#[derive(Clone, Debug)]
pub struct KnownFlow {
    /// The position of its device among the accounts.
    pub account: usize,
    /// Device, remote, names and place. Its counts are those of when it was told.
    pub record: Arc<FlowRecord>,
    /// What was counted so far.
    pub traffic: BothWays,
    /// The last packet so far.
    pub last_seen: Timestamp,
}

/// What was told last beside flows.
#[derive(Clone, Debug)]
pub struct Latest {
    /// When the counts were drained.
    pub at: Timestamp,
    /// The circumstances.
    pub meta: Meta,
    /// One summary a device, since counting began.
    pub devices: Vec<DeviceSummary>,
    /// Frames in no flow.
    pub unaccounted: Vec<UnaccountedRow>,
    /// How the devices resolve names.
    pub resolving: Vec<DeviceResolving>,
}

/// What makes a flow the same in another window: its account, and its remote, protocol and port.
type FlowKey = (usize, IpAddr, u8, u16);

/// A place for one flow after the other.
#[derive(Debug, Default)]
struct Slot {
    /// Flows that had it before.
    serial: u32,
    flow: Option<KnownFlow>,
}

/// What is counted, as the sinks know it.
#[derive(Debug, Default)]
pub struct Ledger {
    latest: Option<Latest>,
    /// The number of the window's first flow.
    first: FlowNumber,
    /// The slots of the window's flows, by their numbers from the first.
    numbers: Vec<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The slots of flows that had other numbers, and that were not told again yet: the window forgot
    /// some, and numbers the others anew.
    unconfirmed: HashMap<FlowKey, u32, RandomState>,
    /// The slots of flows that were forgotten for sure, and are let go with those.
    forgotten: Vec<u32>,
    accounts: IndexMap<Holder, Account, RandomState>,
    readers: Vec<Reader>,
    /// Flows that were told and found no room here.
    turned_away: u64,
}

impl Ledger {
    /// Takes up an update.
    pub fn take_in(&mut self, update: Update) {
        if let Some(last) = update.forgotten.last() {
            self.begin_window(last.wrapping_add(1));
        }
        for summary in &update.devices {
            self.sum_up(summary);
        }
        for (number, record) in update.told {
            self.enter(number, record);
        }
        for changed in &update.changed {
            self.count(changed);
        }
        self.settle();
        self.latest = Some(Latest {
            at: update.at,
            meta: update.meta,
            devices: update.devices,
            unaccounted: update.unaccounted,
            resolving: update.resolving,
        });
    }

    /// Returns what was told last beside flows; nothing before the first update.
    #[must_use]
    pub const fn latest(&self) -> Option<&Latest> {
        self.latest.as_ref()
    }

    /// Returns the devices' accounts, in the order in which they appeared; a position stays one
    /// device's.
    #[must_use]
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.accounts.values()
    }

    /// Returns the flows.
    pub fn flows(&self) -> impl Iterator<Item = &KnownFlow> {
        self.slots.iter().filter_map(|slot| slot.flow.as_ref())
    }

    /// Returns how many flows found no room here: none, as the window has no more room either.
    #[must_use]
    pub const fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Opens a device's account.
    #[cfg(test)]
    pub(super) fn open(&mut self, device: &Device) {
        self.account_of(device);
    }

    /// Lets somebody read, from the beginning; returns the reader's number.
    pub(super) fn join(&mut self) -> usize {
        let mut reader = Reader::default();
        reader.changed.set_below(self.slots.len());
        self.readers.push(reader);
        self.readers.len() - 1
    }

    /// Returns the flow in a slot, and which one of those that had it this is.
    pub(super) fn slot(&self, at: usize) -> Option<(u32, &KnownFlow)> {
        let slot = self.slots.get(at)?;
        Some((slot.serial, slot.flow.as_ref()?))
    }

    /// Returns what is noted of a reader.
    pub(super) fn reader_mut(&mut self, reader: usize) -> Option<&mut Reader> {
        self.readers.get_mut(reader)
    }

    /// Returns what is noted of a reader.
    pub(super) fn reader(&self, reader: usize) -> Option<&Reader> {
        self.readers.get(reader)
    }

    /// Begins another window: what the flows of the one before are called there is told next.
    fn begin_window(&mut self, first: FlowNumber) {
        for &slot in &self.numbers {
            let flow = self
                .slots
                .get(slot as usize)
                .and_then(|it| it.flow.as_ref());
            if let Some(flow) = flow {
                let key = key_of(flow.account, &flow.record);
                let earlier = self.unconfirmed.insert(key, slot);
                self.forgotten.extend(earlier);
            }
        }
        for account in self.accounts.values_mut() {
            account.begin_window();
        }
        self.first = first;
        self.numbers.clear();
    }

    fn sum_up(&mut self, summary: &DeviceSummary) {
        let device = Device {
            name: summary.device.as_str().into(),
            mac: summary.device_mac,
        };
        let at = self.account_of(&device);
        if let Some((_, account)) = self.accounts.get_index_mut(at) {
            account.sum_up(device, summary);
        }
    }

    /// Returns the position of a device's account, which is opened where there is none.
    fn account_of(&mut self, device: &Device) -> usize {
        let entry = self.accounts.entry(Holder::of(device));
        let at = entry.index();
        entry.or_insert_with(|| Account::new(device.clone()));
        at
    }

    /// Takes up a flow that was told as a whole: a new one, one with other names or another number.
    fn enter(&mut self, number: FlowNumber, record: FlowRecord) {
        let at = number.wrapping_sub(self.first) as usize;
        if at >= MOST_FLOWS {
            self.turned_away += 1;
            return;
        }
        if at >= self.numbers.len() {
            self.numbers.resize(at + 1, NONE);
        }
        let account = self.account_of(&record.device);
        let traffic = BothWays {
            up: record.up,
            down: record.down,
        };
        let mut told_before = BothWays::default();
        let slot = match self.numbers[at] {
            NONE => self.slot_for(account, &record, traffic),
            slot => {
                told_before = self.traffic_in(slot);
                slot
            }
        };
        self.numbers[at] = slot;
        self.add(account, growth(traffic, told_before));
        self.slots[slot as usize].flow = Some(KnownFlow {
            account,
            traffic,
            last_seen: record.last_seen,
            record: Arc::new(record),
        });
        self.mark(slot);
    }

    /// Returns the slot that a flow had under another number; a free one, where it is new.
    fn slot_for(&mut self, account: usize, record: &FlowRecord, traffic: BothWays) -> u32 {
        let key = key_of(account, record);
        if let Some(&slot) = self.unconfirmed.get(&key) {
            let before = self.traffic_in(slot);
            // One with less than before was forgotten, and is counted anew.
            if growth(before, traffic) == BothWays::default() {
                self.unconfirmed.remove(&key);
                return slot;
            }
        }
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        })
    }

    fn traffic_in(&self, slot: u32) -> BothWays {
        let flow = self
            .slots
            .get(slot as usize)
            .and_then(|it| it.flow.as_ref());
        flow.map(|flow| flow.traffic).unwrap_or_default()
    }

    fn count(&mut self, changed: &Changed) {
        let at = changed.flow.wrapping_sub(self.first) as usize;
        let slot = self.numbers.get(at).copied().unwrap_or(NONE);
        let Some(Slot {
            flow: Some(flow), ..
        }) = self.slots.get_mut(slot as usize)
        else {
            return;
        };
        let now = BothWays {
            up: changed.up,
            down: changed.down,
        };
        let (account, new) = (flow.account, growth(now, flow.traffic));
        flow.traffic = now;
        flow.last_seen = changed.last_seen;
        self.add(account, new);
        self.mark(slot);
    }

    fn add(&mut self, account: usize, new: BothWays) {
        if let Some((_, account)) = self.accounts.get_index_mut(account) {
            account.add(new);
        }
    }

    fn mark(&mut self, slot: u32) {
        for reader in &mut self.readers {
            reader.changed.set(slot as usize);
        }
    }

    /// When all flows were told: those that weren't are no more, and what they had is in the rests.
    fn settle(&mut self) {
        if !self.accounts.values().all(Account::is_whole) {
            return;
        }
        for account in self.accounts.values_mut() {
            account.settle();
        }
        let gone = std::mem::take(&mut self.unconfirmed).into_values();
        for at in gone.chain(std::mem::take(&mut self.forgotten)) {
            let slot = &mut self.slots[at as usize];
            let Some(flow) = slot.flow.take() else {
                continue;
            };
            slot.serial = slot.serial.wrapping_add(1);
            for reader in &mut self.readers {
                reader.let_go(at as usize, flow.account);
            }
            self.free.push(at);
        }
    }
}

fn key_of(account: usize, record: &FlowRecord) -> FlowKey {
    (
        account,
        record.remote_address,
        record.protocol,
        record.remote_port,
    )
}

/// Returns by how much counts grew; nothing where they fell.
pub(super) fn growth(now: BothWays, before: BothWays) -> BothWays {
    let of = |now: Traffic, before: Traffic| Traffic {
        packets: now.packets.saturating_sub(before.packets),
        octets: now.octets.saturating_sub(before.octets),
    };
    BothWays {
        up: of(now.up, before.up),
        down: of(now.down, before.down),
    }
}
