//! What each device asked DNS for, whom it asked, and what came of it.
//!
//! Made of the readers' facts by `NameTable::observe`; read by `NameTable::naming_of` (was a name
//! asked for?) and by `resolving` (whom does the device ask?). Bounded, device by device.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::changes::Noted;
use super::reading::{Lookup, LookupResult};
use super::{ServiceOffer, Transport};
use crate::observation::DeviceId;

/// How much is remembered. What a device asks beyond it costs the device's own oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LookupLimits {
    /// Names of one device.
    pub(super) names_per_device: usize,
    /// Names of all devices; above it, the device that holds most loses its oldest.
    pub(super) names_total: usize,
    /// Resolvers of one device whose answers are counted one by one; the others' count for the
    /// device alone. Anybody can send what looks like an answer.
    pub(super) resolvers_per_device: usize,
    /// Resolvers that a network may give to one device.
    pub(super) offered: usize,
}

impl Default for LookupLimits {
    fn default() -> Self {
        Self {
            names_per_device: 4096,
            names_total: 65_536,
            resolvers_per_device: 64,
            offered: 16,
        }
    }
}

/// Questions of a device's that were answered in plain DNS, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Answers {
    /// Answers that were whole.
    pub answered: u64,
    /// Of those, that there is no such name, or nothing of the type asked for.
    pub negative: u64,
    /// Of those, that the resolver could not or would not say.
    pub failed: u64,
    /// Of those, with a blocker's address in place of the true one.
    pub blocked: u64,
    /// Answers beside those that were not whole, as the datagram had no room: the device asks again.
    pub truncated: u64,
}

impl Answers {
    fn add(&mut self, result: LookupResult) {
        if result == LookupResult::Truncated {
            self.truncated += 1;
            return;
        }
        self.answered += 1;
        match result {
            LookupResult::Negative => self.negative += 1,
            LookupResult::Failed => self.failed += 1,
            LookupResult::Blocked => self.blocked += 1,
            LookupResult::Answered | LookupResult::Truncated => {}
        }
    }
}

/// What came of one name.
#[derive(Clone, Debug, Default)]
struct Asked {
    /// Whether it ever had anything of a type that was asked for.
    is_resolved: bool,
    /// Whether an answer was whole.
    is_answered: bool,
    offer: Option<Arc<ServiceOffer>>,
}

/// One device's lookups.
#[derive(Debug, Default)]
struct DeviceLookups {
    names: HashMap<Arc<str>, Asked>,
    /// The names in the order in which they were first asked for.
    order: VecDeque<Arc<str>>,
    /// Whether a name is not remembered any more.
    has_forgotten: bool,
    resolvers: HashMap<(IpAddr, Transport), Answers>,
    answers: Answers,
    offered: Vec<IpAddr>,
}

impl DeviceLookups {
    /// Takes in what came of a name; returns whether it is a new one, and whether what is said of the
    /// name changes by it.
    fn hold(&mut self, lookup: &Lookup) -> (bool, bool) {
        let is_new = !self.names.contains_key(&lookup.name);
        if is_new {
            self.order.push_back(Arc::clone(&lookup.name));
        }
        let asked = self.names.entry(Arc::clone(&lookup.name)).or_default();
        asked.is_resolved |= lookup.result == LookupResult::Answered;
        asked.is_answered |= lookup.result != LookupResult::Truncated;
        let offer = &lookup.offer;
        let is_offered = offer.is_none() || asked.offer.as_deref() == Some(offer);
        if !is_offered {
            asked.offer = Some(Arc::new(offer.clone()));
        }
        (is_new, is_new || !is_offered)
    }

    /// Removes the oldest names above `limit`, and returns them.
    fn shrink(&mut self, limit: usize) -> Vec<Arc<str>> {
        let surplus = self.order.len().saturating_sub(limit);
        let gone: Vec<_> = self.order.drain(..surplus).collect();
        for name in &gone {
            self.names.remove(name);
        }
        gone
    }
}

/// All devices' lookups.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    limits: LookupLimits,
    devices: HashMap<DeviceId, DeviceLookups>,
    held: usize,
    turned_away: u64,
    /// The names of which something else is said now; nothing for all of a device's.
    changes: Noted<(DeviceId, Option<Arc<str>>)>,
}

impl Lookups {
    /// Takes in a resolver's answer.
    pub(super) fn hold(&mut self, device: DeviceId, lookup: &Lookup) {
        let limits = self.limits;
        let lookups = self.devices.entry(device).or_default();
        lookups.answers.add(lookup.result);
        let (key, count) = ((lookup.resolver, lookup.transport), lookups.resolvers.len());
        if count < limits.resolvers_per_device || lookups.resolvers.contains_key(&key) {
            lookups.resolvers.entry(key).or_default().add(lookup.result);
        } else {
            self.turned_away += 1;
        }
        let (is_new, is_changed) = lookups.hold(lookup);
        self.held += usize::from(is_new);
        if is_changed {
            self.changes
                .note(|| (device, Some(Arc::clone(&lookup.name))));
        }
        self.shrink(device, limits.names_per_device);
        if self.held > limits.names_total {
            self.shrink_largest(device);
        }
    }

    /// Takes one name from the device that holds most, which is `device` where others hold as many.
    fn shrink_largest(&mut self, device: DeviceId) {
        let largest = self
            .devices
            .iter()
            .max_by_key(|(id, lookups)| (lookups.order.len(), **id == device));
        if let Some((&largest, lookups)) = largest {
            self.shrink(largest, lookups.order.len().saturating_sub(1));
        }
    }

    /// Removes a device's oldest names above `limit`.
    fn shrink(&mut self, device: DeviceId, limit: usize) {
        let Some(lookups) = self.devices.get_mut(&device) else {
            return;
        };
        let gone = lookups.shrink(limit);
        self.held -= gone.len();
        self.turned_away += gone.len() as u64;
        if !gone.is_empty() && !lookups.has_forgotten {
            lookups.has_forgotten = true;
            // Of every other name it isn't known any more that it was not asked for.
            self.changes.note(|| (device, None));
        }
        for name in gone {
            self.changes.note(|| (device, Some(name)));
        }
    }

    /// The notes of what changes.
    pub(super) fn changes(&mut self) -> &mut Noted<(DeviceId, Option<Arc<str>>)> {
        &mut self.changes
    }

    /// Takes in the resolvers that the network gave; those of the same family that it gave before
    /// are no longer.
    pub(super) fn offer(&mut self, device: DeviceId, addresses: &[IpAddr]) {
        let most = self.limits.offered;
        let offered = &mut self.devices.entry(device).or_default().offered;
        let is_renewed = |old: &IpAddr| addresses.iter().any(|new| new.is_ipv4() == old.is_ipv4());
        offered.retain(|old| !is_renewed(old));
        for address in addresses {
            if offered.len() < most && !offered.contains(address) {
                offered.push(*address);
            }
        }
    }

    /// Returns whether the device was seen to ask for the name, or nothing where that was forgotten.
    pub(super) fn is_asked(&self, device: DeviceId, name: &str) -> Option<bool> {
        let Some(lookups) = self.devices.get(&device) else {
            return Some(false);
        };
        let is_known = lookups.names.contains_key(name);
        (is_known || !lookups.has_forgotten).then_some(is_known)
    }

    /// Returns what the service bindings of a name say that the device was told.
    pub(super) fn offer_of(&self, device: DeviceId, name: &str) -> Option<Arc<ServiceOffer>> {
        self.devices.get(&device)?.names.get(name)?.offer.clone()
    }

    /// Returns the resolvers that the network gave the device; none where no offer was seen.
    pub(super) fn offered(&self, device: DeviceId) -> &[IpAddr] {
        let lookups = self.devices.get(&device);
        lookups.map_or(&[], |lookups| &lookups.offered)
    }

    /// Returns what a resolver answered the device.
    pub(super) fn answers_of(&self, device: DeviceId, key: (IpAddr, Transport)) -> Option<Answers> {
        self.devices.get(&device)?.resolvers.get(&key).copied()
    }

    /// Returns what all resolvers together answered the device.
    pub(super) fn answers(&self, device: DeviceId) -> Answers {
        let lookups = self.devices.get(&device);
        lookups.map_or_else(Answers::default, |lookups| lookups.answers)
    }

    /// Returns the names that the device asked for in vain, in the order of asking.
    pub(super) fn unresolved(&self, device: DeviceId) -> impl Iterator<Item = &Arc<str>> {
        let lookups = self.devices.get(&device).into_iter();
        lookups.flat_map(|lookups| {
            lookups.order.iter().filter(|name| {
                let asked = lookups.names.get(*name);
                asked.is_some_and(|asked| asked.is_answered && !asked.is_resolved)
            })
        })
    }

    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: DeviceId = 0;
    const PHONE: DeviceId = 1;

    fn limited() -> Lookups {
        Lookups {
            limits: LookupLimits {
                names_per_device: 3,
                names_total: 5,
                resolvers_per_device: 2,
                offered: 2,
            },
            ..Lookups::default()
        }
    }

    fn ask(lookups: &mut Lookups, device: DeviceId, name: &str, result: LookupResult) {
        ask_at(lookups, device, (name, [192, 0, 2, 53].into()), result);
    }

    fn ask_at(
        lookups: &mut Lookups,
        device: DeviceId,
        (name, resolver): (&str, IpAddr),
        result: LookupResult,
    ) {
        let lookup = Lookup {
            resolver,
            transport: Transport::Udp,
            name: name.into(),
            result,
            offer: ServiceOffer::default(),
        };
        lookups.hold(device, &lookup);
    }

    fn unresolved(lookups: &Lookups, device: DeviceId) -> Vec<&str> {
        lookups.unresolved(device).map(|name| &**name).collect()
    }

    #[test]
    fn a_name_is_asked_for_by_the_device_that_asked_alone() {
        let mut lookups = Lookups::default();
        ask(&mut lookups, CAMERA, "a.test", LookupResult::Negative);
        assert_eq!(lookups.is_asked(CAMERA, "a.test"), Some(true));
        assert_eq!(lookups.is_asked(CAMERA, "b.test"), Some(false));
        assert_eq!(lookups.is_asked(PHONE, "a.test"), Some(false));
    }

    #[test]
    fn a_name_resolves_when_any_answer_had_something() {
        let mut lookups = Lookups::default();
        for (name, result) in [
            ("aaaa-empty.test", LookupResult::Negative),
            ("aaaa-empty.test", LookupResult::Answered),
            ("none.test", LookupResult::Negative),
            ("ads.test", LookupResult::Blocked),
            ("cut.test", LookupResult::Truncated),
            ("refused.test", LookupResult::Failed),
        ] {
            ask(&mut lookups, CAMERA, name, result);
        }
        let expected = ["none.test", "ads.test", "refused.test"];
        assert_eq!(unresolved(&lookups, CAMERA), expected);
        let expected = Answers {
            answered: 5,
            negative: 2,
            failed: 1,
            blocked: 1,
            truncated: 1,
        };
        assert_eq!(lookups.answers(CAMERA), expected);
    }

    #[test]
    fn what_was_forgotten_is_not_said_not_to_have_been_asked() {
        let mut lookups = limited();
        for name in ["a", "b", "c", "d"] {
            ask(&mut lookups, CAMERA, name, LookupResult::Answered);
        }
        assert_eq!(lookups.is_asked(CAMERA, "a"), None);
        assert_eq!(lookups.is_asked(CAMERA, "b"), Some(true));
        assert_eq!((lookups.held, lookups.turned_away), (3, 1));
    }

    #[test]
    fn total_above_its_limit_costs_the_device_that_holds_most() {
        let mut lookups = limited();
        for name in ["a", "b", "c"] {
            ask(&mut lookups, CAMERA, name, LookupResult::Negative);
        }
        for name in ["d", "e", "f"] {
            ask(&mut lookups, PHONE, name, LookupResult::Negative);
        }
        assert_eq!(unresolved(&lookups, CAMERA), ["a", "b", "c"]);
        assert_eq!(unresolved(&lookups, PHONE), ["e", "f"]);
        assert_eq!((lookups.held, lookups.turned_away), (5, 1));
    }

    #[test]
    fn resolvers_beyond_the_limit_count_for_the_device_alone() {
        let mut lookups = limited();
        for last in 1..=4 {
            let resolver = [192, 0, 2, last].into();
            ask_at(&mut lookups, CAMERA, ("a", resolver), LookupResult::Failed);
        }
        let answers =
            |last| lookups.answers_of(CAMERA, (IpAddr::from([192, 0, 2, last]), Transport::Udp));
        assert_eq!(answers(2).map(|answers| answers.failed), Some(1));
        assert_eq!(answers(3), None);
        assert_eq!(lookups.answers(CAMERA).failed, 4);
        assert_eq!(lookups.turned_away, 2);
    }

    #[test]
    fn a_new_offer_replaces_that_of_its_family() {
        let mut lookups = limited();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        lookups.offer(CAMERA, &[address("192.0.2.1")]);
        lookups.offer(CAMERA, &[address("2001:db8::53")]);
        lookups.offer(CAMERA, &[address("192.0.2.2"), address("192.0.2.3")]);
        let expected = [address("2001:db8::53"), address("192.0.2.2")];
        assert_eq!(lookups.offered(CAMERA), expected);
        assert!(lookups.offered(PHONE).is_empty());
    }
}
