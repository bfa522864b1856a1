//! Judgements of what forwards, joins or cuts packets where no program sees it.

#![expect(
    clippy::unnecessary_wraps,
    reason = "judgements have one type, also those that always have something to say"
)]

use super::facts::{Facts, InterfaceFacts};
use super::finding::Verdict;
use crate::kernel::flowtables::Flowtable;
use crate::kernel::offloads::Offloads;

/// Modules of vendors' kernels that forward round the kernel, and what switches each off.
pub(super) const ACCELERATORS: &[(&str, &str)] = &[
    ("mtkhnat", "rmmod mtkhnat"),
    ("qca_nss_ecm", "rmmod qca_nss_ecm"),
    ("ecm", "rmmod ecm"),
    (
        "shortcut_fe",
        "rmmod shortcut_fe_cm, or fast_classifier, and then shortcut_fe",
    ),
    ("qca_nss_sfe", "rmmod qca_nss_ecm, and then qca_nss_sfe"),
    ("fast_classifier", "rmmod fast_classifier"),
];

pub(super) fn accelerator(facts: &Facts) -> Option<Verdict> {
    let loaded = &facts.host.accelerators;
    let is_loaded = |name: &str| loaded.iter().any(|module| module == name);
    let found: Vec<_> = ACCELERATORS
        .iter()
        .filter(|(name, _)| is_loaded(name))
        .collect();
    let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
    let Some((_, advice)) = found.first() else {
        return Some(Verdict::ok(
            "no vendor's module that forwards round the kernel is loaded",
        ));
    };
    Some(Verdict::warning(
        format!(
            "the module {} forwards connections round the kernel, where nothing is counted",
            names.join(", ")
        ),
        *advice,
    ))
}

pub(super) fn hw_tc_offload(_: &Facts, facts: &InterfaceFacts) -> Option<Verdict> {
    let offloads = facts.offloads.as_ref()?;
    Some(if offloads.has(Offloads::HARDWARE_TC) {
        Verdict::warning(
            "hw-tc-offload is on: what its card forwards by itself, no software sees",
            switch_off(facts, "hw-tc-offload"),
        )
    } else {
        Verdict::ok("its card forwards nothing by itself (hw-tc-offload is off)")
    })
}

pub(super) fn switch(_: &Facts, facts: &InterfaceFacts) -> Option<Verdict> {
    facts.details.is_switch_port.then(|| {
        Verdict::info(
            "it is a port of a hardware switch: what devices behind the switch's ports send one \
             another does not pass the kernel",
        )
        .advised("count on the devices' traffic with the gateway and the internet alone")
    })
}

pub(super) fn lro(_: &Facts, facts: &InterfaceFacts) -> Option<Verdict> {
    let offloads = facts.offloads.as_ref()?;
    Some(if offloads.has(Offloads::LARGE_RECEIVE) {
        Verdict::warning(
            "LRO is on: what it joins can't be taken apart again, so packets may count too few",
            switch_off(facts, "lro"),
        )
    } else {
        Verdict::ok("LRO is off")
    })
}

fn switch_off(facts: &InterfaceFacts, feature: &str) -> String {
    format!("ethtool -K {} {feature} off", facts.interface.name)
}

/// Offloads that are counted rightly, and their usual names.
const COUNTED: [(&str, &str); 5] = [
    (Offloads::GRO, "GRO"),
    (Offloads::HARDWARE_GRO, "hardware GRO"),
    (Offloads::GSO, "GSO"),
    (Offloads::TSO, "TSO"),
    (Offloads::VLAN_RECEIVE, "VLAN tags taken off"),
];

pub(super) fn aggregates(_: &Facts, facts: &InterfaceFacts) -> Option<Verdict> {
    let offloads = facts.offloads.as_ref()?;
    let on = COUNTED.iter().filter(|(feature, _)| offloads.has(feature));
    let on: Vec<_> = on.map(|(_, name)| *name).collect();
    Some(Verdict::ok(if on.is_empty() {
        "no other offload is on".to_owned()
    } else {
        format!(
            "on, and counted as the packets on the wire: {}",
            on.join(", ")
        )
    }))
}

pub(super) fn flowtable(facts: &Facts, flowtable: &Flowtable) -> Option<Verdict> {
    let all = flowtable.interfaces.join(", ");
    let is_counted = |name: &String| {
        facts.interfaces.iter().any(|it| {
            let bridge = it.bridge.as_ref().map(|port| &port.bridge);
            it.interface.name == *name || bridge == Some(name)
        })
    };
    let counted: Vec<_> = flowtable
        .interfaces
        .iter()
        .filter(|name| is_counted(name))
        .collect();
    let advice = "take `flags offload` out of the flowtable (OpenWrt: uci set \
                  firewall.@defaults[0].flow_offloading_hw=0)";
    Some(match (flowtable.is_hardware, &counted[..]) {
        (true, []) => Verdict::warning(
            format!("it hands connections of {all} to hardware, where no software sees them"),
            advice,
        ),
        (true, _) => Verdict::error(
            format!("it hands connections of {all} to hardware, where nothing is counted"),
            advice,
        ),
        (false, _) => Verdict::info(format!(
            "it forwards connections of {all} past bridges and filters, but not past the \
             interfaces' own hooks: they are counted"
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::BridgePort;
    use crate::diagnosis::finding::Severity::{Error, Info, Ok as Well, Warning};
    use crate::diagnosis::fixtures::{check, facts, lan0};

    fn with(features: &[&str]) -> InterfaceFacts {
        let on = features.iter().map(ToString::to_string).collect();
        InterfaceFacts {
            offloads: Some(Offloads { on }),
            ..lan0()
        }
    }

    #[test]
    fn what_a_card_forwards_by_itself_is_warned_of() {
        let facts = facts();
        check(
            hw_tc_offload(&facts, &with(&["rx-gro"])),
            Well,
            "nothing by itself",
        );
        let verdict = hw_tc_offload(&facts, &with(&["hw-tc-offload"]));
        check(verdict, Warning, "no software sees");
        assert_eq!(
            hw_tc_offload(&facts, &lan0()),
            None,
            "unknown is no finding"
        );
    }

    #[test]
    fn lro_is_warned_of_and_what_is_counted_rightly_is_not() {
        let facts = facts();
        check(lro(&facts, &with(&[])), Well, "off");
        check(lro(&facts, &with(&["rx-lro"])), Warning, "LRO is on");
        check(aggregates(&facts, &with(&[])), Well, "no other");
        let features = ["rx-gro", "tx-tcp-segmentation", "rx-vlan-hw-parse"];
        let told = "GRO, TSO, VLAN tags taken off";
        check(aggregates(&facts, &with(&features)), Well, told);
    }

    #[test]
    fn a_hardware_switch_and_a_vendors_accelerator_are_told() {
        let mut facts = facts();
        let mut port = lan0();
        assert_eq!(switch(&facts, &port), None);
        port.details.is_switch_port = true;
        check(switch(&facts, &port), Info, "hardware switch");
        facts.host.accelerators = vec!["ext4".to_owned()];
        check(accelerator(&facts), Well, "no vendor's module");
        facts.host.accelerators.push("mtkhnat".to_owned());
        check(accelerator(&facts), Warning, "mtkhnat");
    }

    #[test]
    fn a_flowtable_in_hardware_is_an_error_where_it_has_a_counted_interface_or_its_bridge() {
        let mut facts = facts();
        let table = |interfaces: &[&str], is_hardware| Flowtable {
            interfaces: interfaces.iter().map(ToString::to_string).collect(),
            is_hardware,
            ..Flowtable::default()
        };
        check(
            flowtable(&facts, &table(&["lan0", "wan0"], false)),
            Info,
            "are counted",
        );
        check(
            flowtable(&facts, &table(&["lan0", "wan0"], true)),
            Error,
            "lan0, wan0",
        );
        check(
            flowtable(&facts, &table(&["wan0"], true)),
            Warning,
            "hardware",
        );
        check(
            flowtable(&facts, &table(&["br0"], true)),
            Warning,
            "hardware",
        );
        facts.interfaces[0].bridge = Some(BridgePort {
            bridge: "br0".to_owned(),
            ..BridgePort::default()
        });
        check(flowtable(&facts, &table(&["br0"], true)), Error, "hardware");
    }
}
