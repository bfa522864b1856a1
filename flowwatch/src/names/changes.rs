//! Which names changed since somebody looked: for those who follow the table.
//!
//! Noted by the parts of the table as they change; put together by `NameTable::take_changes`. Nothing
//! is noted while nobody follows.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use crate::observation::DeviceId;

/// Notes that are kept between two looks; beyond, everything counts as changed.
const MOST_NOTES: usize = 1 << 16;

/// The remotes whose names may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameChanges {
    /// Too many to tell one by one.
    All,
    /// These.
    Of {
        /// The remotes as one device sees them.
        remotes: HashSet<(DeviceId, IpAddr)>,
        /// The remotes that announced themselves, to all devices.
        announced: HashSet<IpAddr>,
    },
}

/// What changed since it was taken; nothing while nobody follows.
#[derive(Debug)]
pub(super) struct Noted<T> {
    notes: Option<HashSet<T>>,
    is_full: bool,
}

impl<T> Default for Noted<T> {
    fn default() -> Self {
        Self {
            notes: None,
            is_full: false,
        }
    }
}

impl<T: Eq + Hash> Noted<T> {
    pub(super) fn follow(&mut self) {
        *self = Self {
            notes: Some(HashSet::new()),
            is_full: false,
        };
    }

    pub(super) fn unfollow(&mut self) {
        *self = Self::default();
    }

    pub(super) fn note(&mut self, make: impl FnOnce() -> T) {
        if let Some(notes) = &mut self.notes {
            if notes.len() < MOST_NOTES {
                notes.insert(make());
            } else {
                self.is_full = true;
            }
        }
    }

    /// Returns what was noted since the last call, and whether that is all; nothing while nobody
    /// follows.
    pub(super) fn take(&mut self) -> Option<(HashSet<T>, bool)> {
        let notes = std::mem::take(self.notes.as_mut()?);
        Some((notes, !std::mem::take(&mut self.is_full)))
    }
}

/// One device's names of which something else is said now.
#[derive(Debug, Default)]
pub(super) struct ChangedNames {
    are_all: bool,
    names: HashSet<Arc<str>>,
}

impl ChangedNames {
    /// Sorts notes, of which one without a name stands for all of its device's.
    pub(super) fn by_device(
        notes: HashSet<(DeviceId, Option<Arc<str>>)>,
    ) -> HashMap<DeviceId, Self> {
        let mut changed: HashMap<DeviceId, Self> = HashMap::new();
        for (device, name) in notes {
            let of_device = changed.entry(device).or_default();
            of_device.are_all |= name.is_none();
            of_device.names.extend(name);
        }
        changed
    }

    pub(super) fn include(&self, name: &str) -> bool {
        self.are_all || self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_noted_while_nobody_follows() {
        let mut noted = Noted::default();
        noted.note(|| 1);
        assert_eq!(noted.take(), None);
        noted.follow();
        noted.note(|| 2);
        noted.note(|| 2);
        assert_eq!(noted.take(), Some((HashSet::from([2]), true)));
        assert_eq!(noted.take(), Some((HashSet::new(), true)));
        noted.unfollow();
        assert_eq!(noted.take(), None);
    }

    #[test]
    fn notes_beyond_the_most_are_known_to_be_missing_until_they_are_taken() {
        let mut noted = Noted::default();
        noted.follow();
        for number in 0..=MOST_NOTES {
            noted.note(|| number);
        }
        let (taken, are_all) = noted.take().unwrap();
        assert_eq!((taken.len(), are_all), (MOST_NOTES, false));
        assert_eq!(noted.take(), Some((HashSet::new(), true)));
    }
}
