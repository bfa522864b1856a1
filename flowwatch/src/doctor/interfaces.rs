//! Facts of interfaces: which are counted on, and what kernel and driver tell of each.

use std::collections::BTreeMap;
use std::fs;

use super::gathering::Gathering;
use crate::diagnosis::{BridgePort, InterfaceFacts};
use crate::kernel::hook_choice::choose;
use crate::kernel::interface::{self, Interface};
use crate::kernel::link_details::{self, LinkDetails};
use crate::kernel::places::{self, TcPlaces};
use crate::kernel::{offloads, xdp_modes};
use crate::plan::DoctorPlan;

/// Interfaces that are looked at: a host of containers has thousands.
const MOST: usize = 64;

/// Returns the interfaces that the names stand for, and what is wrong with names; without names,
/// those that could be counted on.
pub(super) fn chosen(names: &[String], existing: &[Interface]) -> (Vec<Interface>, Vec<String>) {
    if names.is_empty() {
        let could_be = |it: &&Interface| it.is_ethernet && it.kind != "bridge";
        let chosen = existing.iter().filter(could_be).take(MOST);
        return (chosen.cloned().collect(), Vec::new());
    }
    match interface::resolve(names, existing) {
        Ok(chosen) => (chosen, Vec::new()),
        Err(error) => {
            let (chosen, mut refused) = interface::resolve_present(names, existing);
            if refused.is_empty() {
                refused.push(error);
            }
            let refused = refused.iter().map(ToString::to_string);
            (chosen, refused.collect())
        }
    }
}

impl Gathering {
    /// Returns all facts of the interfaces, but for what is heard at them.
    pub(super) async fn interfaces(
        &mut self,
        plan: &DoctorPlan,
        chosen: &[Interface],
        existing: &[Interface],
    ) -> Vec<InterfaceFacts> {
        let facts = self.interfaces_in_short(&plan.interfaces, chosen, existing);
        let mut all = facts.await;
        if plan.interfaces.is_empty() {
            // Of those that nobody named, what is switched off is of no interest.
            all.retain(|facts| facts.details.is_up);
        }
        for facts in &mut all {
            let (index, name) = (facts.interface.index, facts.interface.name.clone());
            let modes = xdp_modes::of(index).await;
            facts.xdp_modes = self.known("interface.hook", Some(&name), modes);
            facts.choice = Some(choose(&facts.interface, plan.attach));
            facts.driver = driver_of(&name);
            let filters = places::at_clsact(index).await;
            let filters = self.known("interface.tc_programs", Some(&name), filters);
            let tcx = places::at_tcx(&name);
            let tcx = self.known("interface.tc_programs", Some(&name), tcx);
            facts.tc = tcx
                .zip(filters)
                .map(|(tcx, filters)| TcPlaces { tcx, filters });
        }
        all
    }

    /// Returns what is quickly told of the interfaces and may hide traffic.
    pub(super) async fn interfaces_in_short(
        &mut self,
        names: &[String],
        chosen: &[Interface],
        existing: &[Interface],
    ) -> Vec<InterfaceFacts> {
        let details = link_details::all().await;
        let mut details = self
            .known("interface.link", None, details)
            .unwrap_or_default();
        let mut all = Vec::new();
        for interface in chosen.iter().take(MOST) {
            all.push(
                self.in_short(names, (interface, chosen), existing, &mut details)
                    .await,
            );
        }
        all
    }

    async fn in_short(
        &mut self,
        names: &[String],
        (interface, chosen): (&Interface, &[Interface]),
        existing: &[Interface],
        details: &mut BTreeMap<u32, LinkDetails>,
    ) -> InterfaceFacts {
        let name = Some(interface.name.as_str());
        let offloads = offloads::of(interface.index).await;
        let details = details.remove(&interface.index).unwrap_or_default();
        let program = details.xdp.as_ref().and_then(|slot| slot.program);
        InterfaceFacts {
            interface: interface.clone(),
            xdp_program: program.and_then(places::name_of_program),
            offloads: self.known("interface.hw_tc_offload", name, offloads),
            bridge: bridge_of(interface, names, chosen, existing),
            details,
            ..InterfaceFacts::default()
        }
    }
}

/// Returns an interface's place in its bridge.
fn bridge_of(
    interface: &Interface,
    names: &[String],
    chosen: &[Interface],
    existing: &[Interface],
) -> Option<BridgePort> {
    let is_bridge = |it: &&Interface| Some(it.index) == interface.master && it.kind == "bridge";
    let bridge = existing.iter().find(is_bridge)?;
    let is_left_out = |it: &&Interface| {
        it.master == Some(bridge.index) && !chosen.iter().any(|other| other.index == it.index)
    };
    let left_out = existing.iter().filter(is_left_out);
    Some(BridgePort {
        bridge: bridge.name.clone(),
        is_named: names.contains(&bridge.name),
        left_out: left_out.map(|it| it.name.clone()).collect(),
    })
}

/// Returns the name of an interface's driver; nothing of one that has no device of its own.
fn driver_of(interface: &str) -> Option<String> {
    let link = fs::read_link(format!("/sys/class/net/{interface}/device/driver")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card, a bridge with two ports, and a tunnel.
    fn host() -> Vec<Interface> {
        let interface = |index, name: &str, kind: &str, master| Interface {
            index,
            name: name.into(),
            kind: kind.into(),
            master,
            is_ethernet: kind != "wireguard",
            ..Interface::default()
        };
        vec![
            interface(2, "eth0", "", None),
            interface(3, "br0", "bridge", None),
            interface(4, "lan0", "veth", Some(3)),
            interface(5, "lan1", "veth", Some(3)),
            interface(6, "wg0", "wireguard", None),
        ]
    }

    fn names_of(interfaces: &[Interface]) -> Vec<&str> {
        interfaces.iter().map(|it| it.name.as_str()).collect()
    }

    #[test]
    fn without_names_every_interface_that_could_be_counted_on_is_looked_at() {
        let (interfaces, refused) = chosen(&[], &host());
        assert_eq!(names_of(&interfaces), ["eth0", "lan0", "lan1"]);
        assert!(refused.is_empty());
    }

    #[test]
    fn what_can_not_be_counted_on_is_refused_and_the_rest_is_looked_at() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let check = |named: &[&str], expected: &[&str], part: &str| {
            let (interfaces, refused) = chosen(&names(named), &host());
            assert_eq!(names_of(&interfaces), expected);
            let refused = refused.join("; ");
            assert!(refused.contains(part), "{refused}");
            assert_eq!(refused.is_empty(), part.is_empty(), "{refused}");
        };
        check(&["br0"], &["lan0", "lan1"], "");
        check(&["eth0", "eth9"], &["eth0"], "`eth9`");
        check(&["wg0", "eth0"], &["eth0"], "no MAC addresses");
    }

    #[test]
    fn a_port_knows_its_bridge_and_the_ports_that_are_left_out() {
        let existing = host();
        let port = |names: &[&str], counted: &[Interface]| {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            bridge_of(&existing[2], &names, counted, &existing).unwrap()
        };
        let alone = port(&["lan0"], &existing[2..3]);
        assert!(!alone.is_named);
        assert_eq!(
            (alone.bridge.as_str(), &alone.left_out[..]),
            ("br0", &["lan1".to_owned()][..])
        );
        let all = port(&["br0"], &existing[2..4]);
        assert!(all.is_named && all.left_out.is_empty(), "{all:?}");
        assert_eq!(bridge_of(&existing[0], &[], &[], &existing), None);
    }
}
