//! Names that an earlier run recorded: what each device's remotes went by before this one began.
//!
//! Handed over by `run`, out of the history; read by `NameTable::naming_of` where nothing else names a
//! flow. Their times are by the clock of then, and a clock that is set now does not move them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Binding, Candidate, Contact};
use crate::observation::DeviceId;

/// Names that are kept of one address of one device; the first that are handed over.
const MAX_NAMES_PER_ADDRESS: usize = 32;
/// Names of one device, likewise.
const MAX_NAMES_PER_DEVICE: usize = 4096;
/// Names of all devices, likewise: 16 MB, by half a kilobyte each.
const MAX_NAMES: usize = 32_768;

/// A name that a device's remote went by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedName {
    /// The remote.
    pub remote: IpAddr,
    /// The name, and when it was told; its source is `history`.
    pub binding: Binding,
    /// Whether the device was seen to ask DNS for it then; nothing where that was not known.
    pub asked: Option<bool>,
}

/// All devices' names.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    by_address: HashMap<(DeviceId, IpAddr), Vec<Candidate>>,
    counts: HashMap<DeviceId, usize>,
    held: usize,
    turned_away: u64,
}

impl Remembered {
    /// Takes in a name of a device's, behind those that it has for the address; returns whether there
    /// was room.
    pub(super) fn hold(&mut self, device: DeviceId, name: RememberedName) -> bool {
        let count = self.counts.entry(device).or_default();
        let names = self.by_address.entry((device, name.remote)).or_default();
        let has_room = self.held < MAX_NAMES
            && *count < MAX_NAMES_PER_DEVICE
            && names.len() < MAX_NAMES_PER_ADDRESS;
        if has_room {
            self.held += 1;
            *count += 1;
            names.push(Candidate {
                binding: Arc::new(name.binding),
                asked: name.asked,
                offer: None,
            });
        } else {
            self.turned_away += 1;
        }
        has_room
    }

    /// Returns the names under which the device may have reached the remote, each once, in the order
    /// in which they were handed over.
    pub(super) fn candidates(&self, contact: &Contact) -> Vec<Candidate> {
        let names = self.by_address.get(&(contact.device, contact.remote));
        let names = names.into_iter().flatten();
        let mut candidates: Vec<Candidate> = Vec::new();
        for name in names.filter(|it| it.binding.names(contact.service)) {
            let is_known = |known: &Candidate| known.binding.name == name.binding.name;
            if !candidates.iter().any(is_known) {
                candidates.push(name.clone());
            }
        }
        candidates
    }

    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::dns::tests::answer;
    use super::super::{NameChanges, NameSource, NameTable, Naming, Service};
    use super::*;
    use crate::observation::PayloadSample;

    const CAMERA: DeviceId = 0;
    const PLUG: DeviceId = 1;
    const CDN: &str = "50.7.98.242";
    const HTTPS: Service = Service {
        protocol: 6,
        port: 443,
    };

    fn now() -> Timestamp {
        "2026-03-02T12:00:00Z".parse().unwrap()
    }

    fn remembered(name: &str, service: Option<Service>) -> RememberedName {
        let told = now() - SignedDuration::from_hours(30);
        RememberedName {
            remote: CDN.parse().unwrap(),
            binding: Binding {
                name: name.into(),
                chain: Arc::default(),
                source: NameSource::History,
                service,
                first_told: told,
                last_told: told,
                ttl: 60,
            },
            asked: Some(true),
        }
    }

    fn table(names: &[RememberedName]) -> NameTable {
        let mut table = NameTable::default();
        table.remember(CAMERA, names.to_vec());
        table
    }

    /// The camera's flow to the address for so many seconds from now on.
    fn naming(table: &NameTable, device: DeviceId, port: u16, seconds: i64) -> Naming {
        table.naming_of(&Contact {
            device,
            remote: CDN.parse().unwrap(),
            service: Service { port, ..HTTPS },
            first_seen: now(),
            last_seen: now() + SignedDuration::from_secs(seconds),
        })
    }

    fn told(table: &mut NameTable, name: &str, seconds: i64) {
        let sample = answer(name, &[(name, 1, CDN)]);
        table.observe(&PayloadSample {
            device: CAMERA,
            at: now() + SignedDuration::from_secs(seconds),
            ..sample
        });
    }

    #[test]
    fn a_remembered_name_stands_in_until_the_device_is_told_one() {
        let mut table = table(&[remembered("old.test", None)]);
        let flow = naming(&table, CAMERA, 443, 5);
        assert_eq!(flow.source(), Some(NameSource::History));
        assert_eq!(
            (flow.names(), flow.is_asked()),
            (vec!["old.test"], Some(true))
        );
        assert_eq!(flow.candidates[0].binding.ttl, 60);
        told(&mut table, "new.test", 9);
        let over = naming(&table, CAMERA, 443, 5);
        assert_eq!(over.names(), ["old.test"], "told when the flow was over");
        let flow = naming(&table, CAMERA, 443, 10);
        assert_eq!(flow.names(), ["new.test"]);
        assert_eq!(flow.source(), Some(NameSource::Dns));
    }

    #[test]
    fn several_remembered_names_are_all_candidates_each_once() {
        let names = ["b.test", "a.test", "b.test"].map(|name| remembered(name, None));
        let flow = naming(&table(&names), CAMERA, 443, 1);
        let names: Vec<_> = flow.candidates.iter().map(|it| &*it.binding.name).collect();
        assert_eq!(names, ["b.test", "a.test"]);
    }

    #[test]
    fn a_remembered_name_is_the_devices_own_and_of_the_connections_that_it_was_said_on() {
        let table = table(&[
            remembered("said.test", Some(HTTPS)),
            remembered("told.test", None),
        ]);
        let names = |device, port| -> Vec<String> {
            let naming = naming(&table, device, port, 1);
            naming.names().iter().map(ToString::to_string).collect()
        };
        assert_eq!(names(CAMERA, 443), ["said.test", "told.test"]);
        assert_eq!(names(CAMERA, 8443), ["told.test"]);
        assert_eq!(names(PLUG, 443), [""; 0]);
    }

    #[test]
    fn a_clock_that_is_set_leaves_remembered_names_where_they_were() {
        let mut table = table(&[remembered("old.test", None)]);
        table.shift(SignedDuration::from_hours(490_000));
        let told = |flow: Naming| flow.candidates[0].binding.last_told;
        let expected = now() - SignedDuration::from_hours(30);
        assert_eq!(told(naming(&table, CAMERA, 443, 1)), expected);
        // Nor does a flow from before the clock was set go without.
        let flow = table.naming_of(&Contact {
            device: CAMERA,
            remote: CDN.parse().unwrap(),
            service: HTTPS,
            first_seen: Timestamp::UNIX_EPOCH,
            last_seen: Timestamp::UNIX_EPOCH,
        });
        assert_eq!(flow.names(), ["old.test"]);
    }

    #[test]
    fn those_who_follow_the_table_are_told_of_remembered_names() {
        let mut table = NameTable::default();
        table.follow();
        table.remember(CAMERA, vec![remembered("old.test", None)]);
        let Some(NameChanges::Of { remotes, .. }) = table.take_changes() else {
            panic!("not told one by one")
        };
        assert_eq!(remotes, [(CAMERA, CDN.parse().unwrap())].into());
    }

    #[test]
    fn names_beyond_a_limit_are_turned_away_and_counted() {
        let numbered = |number: usize, address: usize| RememberedName {
            remote: IpAddr::from([10, 0, (address >> 8) as u8, address as u8]),
            ..remembered(&format!("{number}.test"), None)
        };
        let mut remembered = Remembered::default();
        for number in 0..=MAX_NAMES_PER_ADDRESS {
            remembered.hold(PLUG, numbered(number, 0));
        }
        assert_eq!(remembered.turned_away(), 1);
        for number in 0..=MAX_NAMES_PER_DEVICE {
            remembered.hold(CAMERA, numbered(number, number / 2));
        }
        assert_eq!(remembered.turned_away(), 2);
        for device in 2..20 {
            for number in 0..MAX_NAMES_PER_DEVICE {
                remembered.hold(device, numbered(number, number / 2));
            }
        }
        assert_eq!(remembered.held, MAX_NAMES);
    }
}
