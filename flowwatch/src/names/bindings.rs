//! The bindings of names to addresses, device by device, within their limits.
//!
//! Written by `NameTable::observe`, read by `NameTable::naming_of`. Knows nothing of samples.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::changes::Noted;
use super::reading::Claim;
use super::{Contact, NameSource, Service};
use crate::observation::DeviceId;

/// By how much an answer may seem to come after the packet that it caused.
///
/// Flows carry the time of the kernel's tick, up to 10 ms old, samples the true one.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_millis(50);

/// For how long a binding is good at least, whatever its ttl.
///
/// A name server that spreads load says 0 or a few seconds, and a device connects when it is ready.
const MIN_LIFETIME: SignedDuration = SignedDuration::from_secs(60);

/// How much a table may hold. A limit that is reached costs the least recently told bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameLimits {
    /// Bindings of one device; above it, the device loses its own oldest.
    pub bindings_per_device: usize,
    /// Names that one device holds for one address; above it, the address loses its oldest.
    pub names_per_address: usize,
    /// Bindings of all devices; above it, the device that holds most loses its oldest.
    pub bindings_total: usize,
}

impl Default for NameLimits {
    /// About half a kilobyte a binding, 32 MB in all; with the longest names, seven times as much.
    fn default() -> Self {
        Self {
            bindings_per_device: 4096,
            names_per_address: 32,
            bindings_total: 65_536,
        }
    }
}

/// That a device was told, or said itself, that a name stands for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The name: the one that was asked for, or under which the device connected.
    pub name: Arc<str>,
    /// The names that it is an alias of, one after the other, down to the one that has the address.
    pub chain: Arc<[Arc<str>]>,
    /// Who says so.
    pub source: NameSource,
    /// What it is the name of at the address; nothing where it is the address's own.
    pub service: Option<Service>,
    /// When it was said first.
    pub first_told: Timestamp,
    /// When it was said last.
    pub last_told: Timestamp,
    /// For how many seconds it was to be kept when it was said last; of no weight where there is a
    /// service.
    pub ttl: u32,
}

impl Binding {
    pub(super) fn of(claim: Claim, at: Timestamp) -> Self {
        Self {
            name: claim.name,
            chain: claim.chain,
            source: claim.source,
            service: claim.service,
            first_told: at,
            last_told: at,
            ttl: claim.ttl,
        }
    }

    fn is_of(&self, claim: &Claim) -> bool {
        self.name == claim.name && self.source == claim.source && self.service == claim.service
    }

    /// Returns whether it says anything of connections to that service.
    pub(super) fn names(&self, service: Service) -> bool {
        self.service.is_none_or(|own| own == service)
    }

    /// Returns for how long it is good without being said again. What a device says as it connects
    /// is said of that connection; of those before it speaks whatever was said last.
    fn lifetime(&self) -> SignedDuration {
        match self.service {
            Some(_) => CLOCK_SLACK,
            None => SignedDuration::from_secs(i64::from(self.ttl)).max(MIN_LIFETIME),
        }
    }

    pub(super) fn is_told_by(&self, time: Timestamp) -> bool {
        self.first_told.duration_since(time) <= CLOCK_SLACK
    }

    /// Returns whether it was still to be kept at that time, or was told later.
    pub(super) fn lives_until(&self, time: Timestamp) -> bool {
        time.duration_since(self.last_told) <= self.lifetime()
    }

    /// Moves its times, as the clock that they are by was set.
    pub(super) fn shift(&mut self, by: SignedDuration) {
        for time in [&mut self.first_told, &mut self.last_told] {
            *time = time.checked_add(by).unwrap_or(*time);
        }
    }

    pub(super) fn renew(&mut self, claim: Claim, at: Timestamp) {
        self.first_told = self.first_told.min(at);
        // Samples of several CPUs may come out of order.
        if at >= self.last_told {
            self.last_told = at;
            self.ttl = claim.ttl;
            self.chain = claim.chain;
        }
    }
}

/// A binding in the table. Snapshots share it; one that is renewed leaves them theirs.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) binding: Arc<Binding>,
    /// The number of the answer that said it last; unique in the table, and higher is newer.
    recency: u64,
}

impl Held {
    fn age(&self) -> (Timestamp, u64) {
        (self.binding.last_told, self.recency)
    }
}

/// What a source's word is worth for a flow: the first of these settles what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The device said it on a connection of the flow's own.
    Connection,
    /// The device was told it of the address.
    Address,
    /// The device said it on a connection of the flow's own to hide another name behind it.
    Cover,
    /// A neighbour says it of itself.
    Hearsay,
    /// An earlier run recorded it. Of no weight here: it stands in where there is no binding.
    Memory,
}

impl Standing {
    const COUNT: usize = 5;

    const fn of(source: NameSource) -> Self {
        match source {
            NameSource::Sni | NameSource::Quic | NameSource::Http => Self::Connection,
            NameSource::Dns => Self::Address,
            NameSource::Ech => Self::Cover,
            NameSource::Mdns => Self::Hearsay,
            NameSource::History => Self::Memory,
        }
    }
}

/// All devices' bindings.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    limits: NameLimits,
    devices: HashMap<DeviceId, DeviceBindings>,
    held: usize,
    turned_away: u64,
    answers: u64,
    /// Whose names of which address changed.
    changes: Noted<(DeviceId, IpAddr)>,
}

impl Bindings {
    pub(super) fn new(limits: NameLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(super) fn held(&self) -> u64 {
        self.held as u64
    }

    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Returns the device's bindings of the address, in no order.
    pub(super) fn of(&self, device: DeviceId, address: IpAddr) -> &[Held] {
        let device = self.devices.get(&device);
        device
            .and_then(|device| device.by_address.get(&address))
            .map_or(&[], Vec::as_slice)
    }

    /// Returns the bindings that a flow of that time may go by: those of the best source first, and
    /// of one source the newest.
    ///
    /// Of each kind of source, these are the ones told in the flow's time, those that were still to
    /// be kept when it began, and, however old, the newest before it: a binding lives as long as its
    /// flows do.
    pub(super) fn candidates(&self, contact: &Contact) -> Vec<&Arc<Binding>> {
        let held = self.of(contact.device, contact.remote);
        let mut newest_before: [Option<&Held>; Standing::COUNT] = [None; Standing::COUNT];
        let is_of_flow = |held: &&Held| held.binding.names(contact.service);
        for held in held.iter().filter(is_of_flow) {
            if held.binding.is_told_by(contact.first_seen) {
                let newest = &mut newest_before[Standing::of(held.binding.source) as usize];
                if newest.is_none_or(|newest| newest.age() < held.age()) {
                    *newest = Some(held);
                }
            }
        }
        let is_newest = |held: &Held| {
            let newest = newest_before[Standing::of(held.binding.source) as usize];
            newest.is_some_and(|newest| newest.recency == held.recency)
        };
        let mut candidates: Vec<_> = held
            .iter()
            .filter(is_of_flow)
            .filter(|held| held.binding.is_told_by(contact.last_seen))
            .filter(|held| held.binding.lives_until(contact.first_seen) || is_newest(held))
            .collect();
        candidates.sort_by_key(|held| (Standing::of(held.binding.source), Reverse(held.age())));
        candidates.iter().map(|held| &held.binding).collect()
    }

    /// Returns whether no later packet of the contact could make it go by another binding.
    pub(super) fn are_settled(&self, contact: &Contact) -> bool {
        let held = self.of(contact.device, contact.remote);
        held.iter()
            .all(|held| held.binding.is_told_by(contact.last_seen))
    }

    /// Moves every time, as the clock was set.
    pub(super) fn shift(&mut self, by: SignedDuration) {
        let devices = self.devices.values_mut();
        let addresses = devices.flat_map(|device| device.by_address.values_mut());
        for held in addresses.flatten() {
            Arc::make_mut(&mut held.binding).shift(by);
        }
    }

    /// Takes in a claim that the device was told.
    pub(super) fn hold(&mut self, device: DeviceId, claim: Claim, at: Timestamp) {
        self.answers += 1;
        let address = claim.address;
        let bindings = self.devices.entry(device).or_default();
        self.held += usize::from(bindings.hold(claim, at, self.answers));
        let surplus = bindings.shorten(address, self.limits.names_per_address);
        let gone = bindings.shrink(self.limits.bindings_per_device);
        self.changes.note(|| (device, address));
        self.account(device, surplus, &gone);
        if self.held > self.limits.bindings_total {
            self.shrink_largest(device);
        }
    }

    /// Takes one binding from the device that holds most, which is `device` where others hold as
    /// many: nobody's names can push those of a device below the number that they have come to.
    fn shrink_largest(&mut self, device: DeviceId) {
        let largest = self
            .devices
            .iter_mut()
            .max_by_key(|(id, bindings)| (bindings.by_recency.len(), **id == device));
        let Some((&device, bindings)) = largest else {
            return;
        };
        let fewer = bindings.by_recency.len().saturating_sub(1);
        let gone = bindings.shrink(fewer);
        self.account(device, 0, &gone);
    }

    /// Accounts for a device's bindings that gave way: so many of the address that is being told, and
    /// one of each of these.
    fn account(&mut self, device: DeviceId, surplus: usize, gone: &[IpAddr]) {
        for &address in gone {
            self.changes.note(|| (device, address));
        }
        let count = surplus + gone.len();
        self.held -= count;
        self.turned_away += count as u64;
    }

    /// The notes of what changes.
    pub(super) fn changes(&mut self) -> &mut Noted<(DeviceId, IpAddr)> {
        &mut self.changes
    }

    /// Returns the addresses for which the device has a name that `is_meant`.
    pub(super) fn addresses_of(
        &self,
        device: DeviceId,
        is_meant: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = IpAddr> {
        let bindings = self.devices.get(&device).into_iter();
        bindings
            .flat_map(|bindings| &bindings.by_address)
            .filter(move |(_, held)| held.iter().any(|held| is_meant(&held.binding.name)))
            .map(|(address, _)| *address)
    }
}

/// One device's bindings.
#[derive(Debug, Default)]
struct DeviceBindings {
    by_address: HashMap<IpAddr, Vec<Held>>,
    /// The address of the binding of each recency, one entry a binding.
    by_recency: BTreeMap<u64, IpAddr>,
}

impl DeviceBindings {
    /// Makes or renews a binding; returns whether it was made.
    fn hold(&mut self, claim: Claim, at: Timestamp, recency: u64) -> bool {
        self.by_recency.insert(recency, claim.address);
        let bindings = self.by_address.entry(claim.address).or_default();
        let mut known = bindings.iter_mut();
        if let Some(known) = known.find(|known| known.binding.is_of(&claim)) {
            self.by_recency.remove(&known.recency);
            known.recency = recency;
            Arc::make_mut(&mut known.binding).renew(claim, at);
            return false;
        }
        bindings.push(Held {
            binding: Arc::new(Binding::of(claim, at)),
            recency,
        });
        true
    }

    /// Removes an address's oldest bindings above `limit`; returns how many.
    fn shorten(&mut self, address: IpAddr, limit: usize) -> usize {
        let bindings = self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
        let mut recencies: Vec<_> = bindings.iter().map(|held| held.recency).collect();
        recencies.sort_unstable_by_key(|recency| Reverse(*recency));
        let surplus = recencies.split_off(limit.min(recencies.len()));
        for recency in &surplus {
            self.remove(*recency);
        }
        surplus.len()
    }

    /// Removes the oldest bindings above `limit`; returns the address of each.
    fn shrink(&mut self, limit: usize) -> Vec<IpAddr> {
        let surplus = self.by_recency.len().saturating_sub(limit);
        let oldest = self.by_recency.iter().take(surplus);
        let oldest: Vec<_> = oldest
            .map(|(&recency, &address)| (recency, address))
            .collect();
        let remove = |(recency, address)| {
            self.remove(recency);
            address
        };
        oldest.into_iter().map(remove).collect()
    }

    fn remove(&mut self, recency: u64) {
        let Some(address) = self.by_recency.remove(&recency) else {
            return;
        };
        if let Some(bindings) = self.by_address.get_mut(&address) {
            bindings.retain(|held| held.recency != recency);
            if bindings.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: DeviceId = 0;
    const PHONE: DeviceId = 1;
    const LIMITS: NameLimits = NameLimits {
        bindings_per_device: 4,
        names_per_address: 3,
        bindings_total: 6,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_560_000_000 + seconds).unwrap()
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn hold(bindings: &mut Bindings, device: DeviceId, (last, name): (u8, &str), seconds: i64) {
        let claim = Claim {
            address: address(last),
            name: name.into(),
            source: NameSource::Dns,
            service: None,
            chain: [].into(),
            ttl: 300,
        };
        bindings.hold(device, claim, at(seconds));
    }

    /// A flow of the camera's to address 1.
    fn contact(first_seen: Timestamp, last_seen: Timestamp) -> Contact {
        Contact {
            device: CAMERA,
            remote: address(1),
            service: Service {
                protocol: 6,
                port: 443,
            },
            first_seen,
            last_seen,
        }
    }

    /// Holds each name for address 1, with a ttl of 300 s, at the second given.
    fn told(names: &[(&str, i64)]) -> Bindings {
        let mut bindings = Bindings::new(LIMITS);
        for (name, seconds) in names {
            hold(&mut bindings, CAMERA, (1, name), *seconds);
        }
        bindings
    }

    fn check(names: &[(&str, i64)], (first_seen, last_seen): (i64, i64), expected: &[&str]) {
        let bindings = told(names);
        let candidates = bindings.candidates(&contact(at(first_seen), at(last_seen)));
        let candidates: Vec<_> = candidates.iter().map(|binding| &*binding.name).collect();
        assert_eq!(candidates, expected);
    }

    #[test]
    fn answer_before_the_flow_names_it() {
        check(&[("a", 0)], (1, 2), &["a"]);
    }

    #[test]
    fn answer_after_the_flow_names_nothing() {
        check(&[("a", 10)], (1, 9), &[]);
    }

    #[test]
    fn answer_during_the_flow_names_it() {
        check(&[("a", 10)], (1, 10), &["a"]);
    }

    #[test]
    fn answer_may_seem_late_by_the_clocks_slack() {
        let bindings = told(&[("a", 10)]);
        let named_at = |early: SignedDuration| {
            let seen = at(10).checked_sub(early).unwrap();
            bindings.candidates(&contact(seen, seen)).len()
        };
        assert_eq!(named_at(CLOCK_SLACK), 1);
        assert_eq!(named_at(CLOCK_SLACK + SignedDuration::from_nanos(1)), 0);
    }

    #[test]
    fn name_outlives_its_ttl_when_no_newer_was_told() {
        check(&[("a", 0)], (86_400, 200_000), &["a"]);
    }

    #[test]
    fn expired_name_gives_way_to_a_newer_one() {
        check(&[("old", 0), ("new", 100)], (301, 400), &["new"]);
        check(&[("old", 0), ("new", 100)], (300, 400), &["new", "old"]);
    }

    #[test]
    fn of_expired_names_the_newest_stays() {
        check(&[("old", 0), ("new", 100)], (9000, 9001), &["new"]);
    }

    #[test]
    fn name_told_before_stays_beside_one_told_during() {
        check(
            &[("before", 0), ("during", 5000)],
            (4000, 6000),
            &["during", "before"],
        );
    }

    #[test]
    fn name_told_before_and_after_names_what_was_between() {
        check(&[("a", 0), ("a", 9000)], (4000, 4001), &["a"]);
    }

    #[test]
    fn name_told_again_counts_as_newest_before() {
        check(&[("a", 0), ("b", 10), ("a", 9000)], (4000, 4001), &["a"]);
    }

    #[test]
    fn short_ttl_lasts_the_least_lifetime() {
        let mut bindings = Bindings::new(LIMITS);
        for (name, seconds) in [("a", 0), ("b", 1)] {
            let claim = Claim {
                address: address(1),
                name: name.into(),
                source: NameSource::Dns,
                service: None,
                chain: [].into(),
                ttl: 0,
            };
            bindings.hold(CAMERA, claim, at(seconds));
        }
        assert_eq!(bindings.candidates(&contact(at(60), at(60))).len(), 2);
        assert_eq!(bindings.candidates(&contact(at(61), at(61))).len(), 1);
    }

    #[test]
    fn samples_out_of_order_leave_the_newer_answer() {
        let bindings = told(&[("a", 10), ("a", 5)]);
        let [Held { binding, .. }] = bindings.of(CAMERA, address(1)) else {
            panic!("one binding")
        };
        assert_eq!((binding.first_told, binding.last_told), (at(5), at(10)));
    }

    fn names(bindings: &Bindings, device: DeviceId) -> Vec<String> {
        let mut names: Vec<_> = (0..=255)
            .flat_map(|last| bindings.of(device, address(last)))
            .map(|held| held.binding.name.to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn device_above_its_limit_loses_what_was_answered_longest_ago() {
        let mut bindings = Bindings::new(LIMITS);
        hold(&mut bindings, PHONE, (1, "phone"), 0);
        for (second, name) in (0..).zip(["a", "b", "c", "d", "a", "e"]) {
            let last = name.as_bytes()[0];
            hold(&mut bindings, CAMERA, (last, name), second);
        }
        assert_eq!(names(&bindings, CAMERA), ["a", "c", "d", "e"]);
        assert_eq!(names(&bindings, PHONE), ["phone"]);
        assert_eq!((bindings.held(), bindings.turned_away()), (5, 1));
    }

    #[test]
    fn address_above_its_limit_loses_its_oldest_name() {
        let mut bindings = told(&[("a", 0), ("b", 1), ("c", 2), ("a", 3), ("d", 4)]);
        assert_eq!(names(&bindings, CAMERA), ["a", "c", "d"]);
        assert_eq!((bindings.held(), bindings.turned_away()), (3, 1));
        hold(&mut bindings, CAMERA, (2, "e"), 5);
        assert_eq!((bindings.held(), bindings.turned_away()), (4, 1));
    }

    #[test]
    fn total_above_its_limit_costs_the_device_that_holds_most() {
        let mut bindings = Bindings::new(LIMITS);
        for last in 1..=4 {
            hold(&mut bindings, CAMERA, (last, &format!("camera{last}")), 0);
        }
        for last in 1..=4 {
            hold(&mut bindings, PHONE, (last, &format!("phone{last}")), 1);
        }
        assert_eq!(names(&bindings, CAMERA), ["camera2", "camera3", "camera4"]);
        assert_eq!(names(&bindings, PHONE), ["phone2", "phone3", "phone4"]);
        hold(&mut bindings, CAMERA, (5, "camera5"), 2);
        assert_eq!(names(&bindings, CAMERA), ["camera3", "camera4", "camera5"]);
        assert_eq!((bindings.held(), bindings.turned_away()), (6, 3));
    }

    #[test]
    fn device_that_draws_level_loses_its_own_oldest() {
        let limits = NameLimits {
            bindings_total: 7,
            ..LIMITS
        };
        let mut bindings = Bindings::new(limits);
        for last in 1..=4 {
            hold(&mut bindings, CAMERA, (last, &format!("camera{last}")), 0);
        }
        for last in 1..=4 {
            hold(&mut bindings, PHONE, (last, &format!("phone{last}")), 1);
        }
        assert_eq!(names(&bindings, CAMERA).len(), 4);
        assert_eq!(names(&bindings, PHONE), ["phone2", "phone3", "phone4"]);
    }

    #[test]
    fn limits_of_nothing_hold_nothing() {
        let limits = NameLimits {
            bindings_per_device: 0,
            names_per_address: 0,
            bindings_total: 0,
        };
        let mut bindings = Bindings::new(limits);
        hold(&mut bindings, CAMERA, (1, "a"), 0);
        assert_eq!((bindings.held(), bindings.turned_away()), (0, 1));
        assert!(names(&bindings, CAMERA).is_empty());
    }
}
