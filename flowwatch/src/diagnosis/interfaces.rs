//! Judgements of which interfaces are counted on, and of their state.

#![expect(
    clippy::unnecessary_wraps,
    reason = "judgements have one type, also those that always have something to say"
)]

use super::facts::{Facts, InterfaceFacts};
use super::finding::Verdict;

pub(super) fn choice(facts: &Facts) -> Option<Verdict> {
    let refused = &facts.host.refused_interfaces;
    let names: Vec<_> = facts
        .interfaces
        .iter()
        .map(|it| it.interface.name.as_str())
        .collect();
    let names = names.join(", ");
    Some(match (&refused[..], facts.host.has_choice) {
        ([], true) => Verdict::ok(format!("counting would be on {names}")),
        ([], false) if names.is_empty() => {
            Verdict::info("no interface is named, and none is up that carries MAC addresses")
                .advised("name the LAN's with --interface")
        }
        ([], false) => Verdict::info(format!("no interface is named; looked at are {names}"))
            .advised("name the LAN's with --interface, and devices with --device"),
        // They say themselves what to do.
        _ => Verdict::error(
            refused.join("; "),
            "name the LAN's interface, where the devices' MAC addresses are seen",
        ),
    })
}

pub(super) fn link(_: &Facts, facts: &InterfaceFacts) -> Option<Verdict> {
    let (interface, details) = (&facts.interface, &facts.details);
    let driver = facts.driver.as_deref().or_else(|| {
        let kind = interface.kind.as_str();
        (!kind.is_empty()).then_some(kind)
    });
    let driver = driver.map_or(String::new(), |driver| format!("{driver}, "));
    let about = format!("{driver}MTU {}", details.mtu);
    Some(if !details.is_up {
        let advice = format!("ip link set {} up", interface.name);
        Verdict::warning(format!("it is switched off ({about})"), advice)
    } else if !details.has_carrier {
        let advice = "see whether the cable, the access point or the other end is there";
        Verdict::warning(format!("nothing is at its other end ({about})"), advice)
    } else {
        Verdict::ok(format!("it is up ({about})"))
    })
}

pub(super) fn bridge(facts: &Facts, interface: &InterfaceFacts) -> Option<Verdict> {
    let port = interface.bridge.as_ref()?;
    let bridge = &port.bridge;
    Some(if port.is_named {
        Verdict::ok(format!(
            "it stands for the bridge {bridge}, as its port, past which no software forwards"
        ))
    } else if port.left_out.is_empty() || !facts.host.has_choice {
        Verdict::info(format!("it is a port of the bridge {bridge}")).advised(format!(
            "name the bridge, whose ports are then followed: --interface {bridge}"
        ))
    } else {
        Verdict::warning(
            format!(
                "it is a port of the bridge {bridge}, whose other ports are not counted on: {}",
                port.left_out.join(", ")
            ),
            format!("name the bridge, so that no device moves out of sight: --interface {bridge}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::BridgePort;
    use crate::diagnosis::finding::Severity::{Error, Info, Ok as Well, Warning};
    use crate::diagnosis::fixtures::{check, facts, lan0};

    #[test]
    fn interfaces_that_can_not_be_counted_on_are_an_error() {
        let mut facts = facts();
        check(choice(&facts), Well, "counting would be on lan0");
        facts.host.has_choice = false;
        check(choice(&facts), Info, "looked at are lan0");
        facts.interfaces.clear();
        check(choice(&facts), Info, "none is up");
        facts.host.has_choice = true;
        facts.host.refused_interfaces = vec!["count on `eth9`: there is none".to_owned()];
        check(choice(&facts), Error, "`eth9`");
    }

    #[test]
    fn an_interface_that_is_down_or_alone_is_warned_of() {
        let facts = facts();
        let mut port = lan0();
        check(link(&facts, &port), Well, "it is up (veth, MTU 1500)");
        port.driver = Some("igb".to_owned());
        port.details.has_carrier = false;
        check(
            link(&facts, &port),
            Warning,
            "nothing is at its other end (igb, MTU 1500)",
        );
        port.details.is_up = false;
        check(link(&facts, &port), Warning, "switched off");
    }

    #[test]
    fn a_port_that_is_named_alone_is_warned_of_with_the_others() {
        let mut facts = facts();
        let mut port = lan0();
        assert_eq!(bridge(&facts, &port), None);
        port.bridge = Some(BridgePort {
            bridge: "br0".to_owned(),
            is_named: true,
            left_out: Vec::new(),
        });
        check(bridge(&facts, &port), Well, "stands for the bridge br0");
        let place = port.bridge.as_mut().unwrap();
        place.is_named = false;
        check(bridge(&facts, &port), Info, "a port of the bridge br0");
        port.bridge.as_mut().unwrap().left_out = vec!["lan1".to_owned()];
        check(bridge(&facts, &port), Warning, "not counted on: lan1");
        facts.host.has_choice = false;
        check(bridge(&facts, &port), Info, "a port of the bridge br0");
    }
}
