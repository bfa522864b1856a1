//! One flow as the screen knows it: its record, what a search looks through, and its rates.

use std::sync::Arc;

use super::rate::Rate;
use super::world::{Elapsed, Slot};
use crate::live::Changed;
use crate::model::{FlowRecord, protocol_name};
use crate::text::printable;

/// A flow.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) record: FlowRecord,
    /// Its device.
    pub(super) device: Slot,
    /// What it is called, safe to show; none where no name was seen.
    pub(super) name: Option<Arc<str>>,
    /// Its texts in lower case, each on a line of its own.
    pub(super) search: Arc<str>,
    /// Octets a second, smoothed.
    pub(super) smoothed: Rate,
}

impl Flow {
    /// Returns a flow that is told for the first time. What it has counted is a rate only where it
    /// began since the update before.
    pub(super) fn new(record: FlowRecord, device: Slot, elapsed: Elapsed) -> Self {
        let added = (record.up.octets, record.down.octets);
        let rate = elapsed.rate(added);
        let rate = rate.filter(|_| elapsed.holds(record.first_seen));
        let smoothed = elapsed.smoothed(Rate::default(), rate.unwrap_or_default());
        Self {
            name: name_of(&record),
            search: search_of(&record),
            record,
            device,
            smoothed,
        }
    }

    /// Takes in a record that was told again, with other names or in another place.
    pub(super) fn retell(&mut self, record: FlowRecord, device: Slot, elapsed: Elapsed) {
        let before = (self.record.up, self.record.down);
        let added = Rate::added((record.up, record.down), before);
        let smoothed = self.added(added, elapsed);
        *self = Self {
            name: name_of(&record),
            search: search_of(&record),
            record,
            device,
            smoothed,
        };
    }

    /// Takes in counts.
    pub(super) fn change(&mut self, changed: &Changed, elapsed: Elapsed) {
        let before = (self.record.up, self.record.down);
        let added = Rate::added((changed.up, changed.down), before);
        self.smoothed = self.added(added, elapsed);
        self.record.up = changed.up;
        self.record.down = changed.down;
        self.record.last_seen = changed.last_seen;
    }

    fn added(&self, added: (u64, u64), elapsed: Elapsed) -> Rate {
        let rate = elapsed.rate(added).unwrap_or_default();
        elapsed.smoothed(self.smoothed, rate)
    }
}

fn name_of(record: &FlowRecord) -> Option<Arc<str>> {
    let first = record.naming.candidates.first()?;
    let name = &first.binding.name;
    // The name that many flows share, they share in memory.
    Some(match printable(name) {
        std::borrow::Cow::Borrowed(_) => Arc::clone(name),
        std::borrow::Cow::Owned(escaped) => escaped.into(),
    })
}

fn search_of(record: &FlowRecord) -> Arc<str> {
    let place = &record.place;
    let places = [&place.country_name, &place.city, &place.organization];
    let mut text = record.names().join("\n");
    for part in places.into_iter().flatten() {
        text.push('\n');
        text += part;
    }
    let protocol = protocol_name(record.protocol);
    let rest = [
        record.device.name.to_string(),
        record.remote_address.to_string(),
        format!("{protocol}/{}", record.remote_port),
        record.scope.name().to_owned(),
    ];
    for part in rest {
        text.push('\n');
        text += &part;
    }
    text.to_lowercase().into()
}
