//! Facts of the tagged devices: where they were heard, and where else the host knows them.

use std::collections::BTreeSet;

use super::gathering::Gathering;
use super::listening::Listening;
use crate::diagnosis::DeviceFacts;
use crate::kernel::interface::Interface;
use crate::kernel::neighbours::{self, Neighbour};
use crate::model::MacAddress;
use crate::plan::DoctorPlan;

impl Gathering {
    /// Returns the facts of each tag, devices first.
    pub(super) async fn devices(
        &mut self,
        plan: &DoctorPlan,
        (chosen, existing): (&[Interface], &[Interface]),
        listening: Option<&Listening>,
    ) -> Vec<DeviceFacts> {
        // Without a choice of interfaces, none is elsewhere.
        let others = if plan.interfaces.is_empty() {
            Vec::new()
        } else {
            elsewhere(chosen, existing)
        };
        let indexes: Vec<_> = others.iter().map(|it| it.index).collect();
        let known = neighbours::list(&indexes).await;
        let known = self.known("device.seen", None, known).unwrap_or_default();
        let places = |is_it: &dyn Fn(MacAddress) -> bool| places(&known, &others, is_it);
        let devices = plan
            .devices
            .iter()
            .zip(0..)
            .map(|(device, number)| DeviceFacts {
                name: device.name.to_string(),
                mac: device.mac,
                address: device.mac.map(|mac| mac.to_string()).unwrap_or_default(),
                heard: listening.map(|it| it.of_device(number)),
                known_elsewhere: places(&|mac| Some(mac) == device.mac),
                resolving: listening.and_then(|it| it.resolving(number)),
                asks_encrypted: listening.is_some_and(|it| it.asks_encrypted(number)),
            });
        let prefixes = plan.prefixes.iter().map(|tag| DeviceFacts {
            name: tag.name.to_string(),
            address: tag.prefix.to_string(),
            heard: listening.map(|it| it.of_prefix(tag)),
            known_elsewhere: places(&|mac| tag.prefix.matches(mac)),
            ..DeviceFacts::default()
        });
        devices.chain(prefixes).collect()
    }
}

/// Returns the interfaces where a device would not be seen: not those that are counted on, nor what
/// lies upon them or below.
fn elsewhere(chosen: &[Interface], existing: &[Interface]) -> Vec<Interface> {
    let mut related: BTreeSet<u32> = chosen.iter().map(|it| it.index).collect();
    related.extend(chosen.iter().filter_map(|it| it.lower));
    loop {
        let before = related.len();
        for interface in existing {
            if related.contains(&interface.index) {
                related.extend(interface.master);
            } else if interface
                .lower
                .is_some_and(|lower| related.contains(&lower))
            {
                related.insert(interface.index);
            }
        }
        if related.len() == before {
            break;
        }
    }
    let is_other = |it: &&Interface| !related.contains(&it.index);
    existing.iter().filter(is_other).cloned().collect()
}

fn places(
    known: &[Neighbour],
    others: &[Interface],
    is_it: &dyn Fn(MacAddress) -> bool,
) -> Vec<String> {
    let here = known
        .iter()
        .filter(|it| MacAddress::new(it.mac).is_ok_and(is_it));
    let indexes: BTreeSet<u32> = here.map(|it| it.interface).collect();
    let others = others.iter().filter(|it| indexes.contains(&it.index));
    others.map(|it| it.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str, master: Option<u32>, lower: Option<u32>) -> Interface {
        Interface {
            index,
            name: name.into(),
            master,
            lower,
            ..Interface::default()
        }
    }

    #[test]
    fn what_lies_upon_a_counted_interface_is_not_elsewhere() {
        let existing = [
            interface(1, "br0.5", None, Some(2)),
            interface(2, "br0", None, None),
            interface(3, "lan0", Some(2), None),
            interface(4, "lan1", Some(2), None),
            interface(5, "wan0", None, None),
            interface(6, "wan0.7", None, Some(5)),
        ];
        let names = |chosen: &[usize]| {
            let chosen: Vec<_> = chosen.iter().map(|&at| existing[at].clone()).collect();
            let others = elsewhere(&chosen, &existing).into_iter();
            others.map(|it| it.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[2]), ["lan1", "wan0", "wan0.7"]);
        assert_eq!(names(&[2, 3]), ["wan0", "wan0.7"]);
        assert_eq!(names(&[5]), ["br0.5", "br0", "lan0", "lan1"]);
    }

    #[test]
    fn a_device_is_known_where_its_address_is() {
        let neighbour = |interface, last| Neighbour {
            interface,
            mac: [0x2c, 0xaa, 0x8e, 0, 0, last],
            address: None,
        };
        let known = [neighbour(4, 1), neighbour(5, 2), neighbour(4, 1)];
        let others = [
            interface(4, "lan1", None, None),
            interface(5, "wan0", None, None),
        ];
        let camera = MacAddress::new([0x2c, 0xaa, 0x8e, 0, 0, 1]).unwrap();
        assert_eq!(places(&known, &others, &|mac| mac == camera), ["lan1"]);
        assert_eq!(places(&known, &others, &|_| true), ["lan1", "wan0"]);
    }
}
