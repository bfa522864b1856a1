//! What the ledger notes of one reader: which flows have something new for it, and what it was given.

use crate::store::{BothWays, Marks};

/// One reader. What it was given of all flows and rests sums up to all that it was given, whatever
/// becomes of the flows.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The slots of the flows that may have something new.
    pub(super) changed: Marks,
    /// What it was given of the flow in a slot.
    given: Vec<BothWays>,
    /// What it was given of a device's rest, and of flows that are no more, by account.
    rests: Vec<BothWays>,
}

impl Reader {
    /// Returns what it was given of the flow in a slot.
    pub(super) fn given(&self, slot: usize) -> BothWays {
        self.given.get(slot).copied().unwrap_or_default()
    }

    /// Returns what it was given of a device's rest.
    pub(super) fn rest(&self, account: usize) -> BothWays {
        self.rests.get(account).copied().unwrap_or_default()
    }

    /// Notes what it was given of the flow in a slot, all in all.
    pub(super) fn give(&mut self, slot: usize, all: BothWays) {
        *at_mut(&mut self.given, slot) = all;
    }

    /// Notes what it was given of a device's rest, or of a flow that is no more, in addition.
    pub(super) fn give_of_rest(&mut self, account: usize, more: BothWays) {
        *at_mut(&mut self.rests, account) += more;
    }

    /// Lets a flow go that is no more: its counts are in the rest.
    pub(super) fn let_go(&mut self, slot: usize, account: usize) {
        let given = std::mem::take(at_mut(&mut self.given, slot));
        self.give_of_rest(account, given);
        self.changed.clear(slot);
    }
}

fn at_mut(counts: &mut Vec<BothWays>, at: usize) -> &mut BothWays {
    if at >= counts.len() {
        counts.resize(at + 1, BothWays::default());
    }
    &mut counts[at]
}
