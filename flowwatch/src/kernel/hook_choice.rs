//! Which hook takes what an interface's devices send.

use super::attach::{AttachMode, IngressHook};
use super::interface::Interface;
use super::link_pins::{self, LinkPins, Place};

/// Chooses the ingress hook. Where the choice is free, what an earlier process chose and pinned
/// stays: another hook would leave a gap.
pub(super) fn choose_or_keep(
    interface: &Interface,
    mode: AttachMode,
    pins: Option<&LinkPins>,
) -> (IngressHook, String) {
    let (hook, reason) = choose(interface, mode);
    let has = |hook| pins.is_some_and(|pins| pins.has(Place::of(interface, hook)));
    let pinned = match (has(link_pins::XDP), has(link_pins::INGRESS)) {
        (true, false) => IngressHook::Xdp,
        (false, true) => IngressHook::Tc,
        _ => hook,
    };
    if mode != AttachMode::Auto || pinned == hook {
        return (hook, reason);
    }
    (pinned, "chosen when it was first attached".to_owned())
}

/// Chooses the ingress hook by what the interface is; returns with it why.
#[must_use]
pub fn choose(interface: &Interface, mode: AttachMode) -> (IngressHook, String) {
    let software = match interface.kind.as_str() {
        "" if is_virtio(&interface.name) => Some("virtio"),
        "" => None,
        kind => Some(kind),
    };
    match (mode, software) {
        (AttachMode::Xdp, _) => (IngressHook::Xdp, "asked for".to_owned()),
        (AttachMode::Tc, _) => (IngressHook::Tc, "asked for".to_owned()),
        (AttachMode::Auto, None) => (
            IngressHook::Xdp,
            "a card's driver runs XDP before GRO".to_owned(),
        ),
        (AttachMode::Auto, Some(kind)) => (
            IngressHook::Tc,
            format!("on {kind}, native XDP would slow down forwarding"),
        ),
    }
}

/// Returns whether a card without a link kind is a virtual machine's.
fn is_virtio(interface: &str) -> bool {
    let driver = format!("/sys/class/net/{interface}/device/driver");
    std::fs::read_link(driver).is_ok_and(|target| target.ends_with("virtio_net"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook_of(kind: &str, mode: AttachMode) -> IngressHook {
        let interface = Interface {
            name: "none".into(),
            kind: kind.into(),
            ..Interface::default()
        };
        choose(&interface, mode).0
    }

    #[test]
    fn auto_takes_xdp_on_a_card_and_tc_where_the_kernel_forwards_aggregates() {
        assert_eq!(hook_of("", AttachMode::Auto), IngressHook::Xdp);
        for kind in ["veth", "tun", "bond", "vlan", "bridge"] {
            assert_eq!(hook_of(kind, AttachMode::Auto), IngressHook::Tc, "{kind}");
        }
    }

    #[test]
    fn what_was_asked_for_wins() {
        assert_eq!(hook_of("veth", AttachMode::Xdp), IngressHook::Xdp);
        assert_eq!(hook_of("", AttachMode::Tc), IngressHook::Tc);
    }
}
