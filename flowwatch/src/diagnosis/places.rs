//! Judgements of the places where programs are attached: which hook it would be, who is there
//! already, and whether what is attached runs.

#![expect(
    clippy::unnecessary_wraps,
    reason = "judgements have one type, also those that always have something to say"
)]

use super::facts::{Facts, InterfaceFacts};
use super::finding::Verdict;
use crate::kernel::attach::{AttachMode, IngressHook};
use crate::kernel::places::is_own;

/// The MTU up to which a frame fits in one buffer of a page: 4096 octets less what XDP keeps free
/// before it (`XDP_PACKET_HEADROOM`), what the kernel notes behind it (`skb_shared_info`), and the
/// Ethernet header.
const ONE_BUFFER: u32 = 4096 - 256 - 320 - 14;

pub(super) fn hook(facts: &Facts, interface: &InterfaceFacts) -> Option<Verdict> {
    let (choice, reason) = interface.choice.as_ref()?;
    let modes = interface.xdp_modes;
    let lacks = modes.is_some_and(|modes| !modes.native);
    let is_too_large =
        interface.details.mtu > ONE_BUFFER && modes.is_some_and(|modes| !modes.native_fragments);
    let is_taken = interface.details.xdp.is_some();
    let why = match choice {
        IngressHook::Tc => {
            let native = match modes {
                Some(modes) if modes.native => "; native XDP is possible (--attach xdp)",
                Some(_) => "; its driver has no native XDP",
                None => "",
            };
            return Some(Verdict::ok(format!(
                "tc would take what devices send: {reason}{native}"
            )));
        }
        IngressHook::Xdp if is_taken => "another program has its XDP slot",
        IngressHook::Xdp if lacks => "its driver has no native XDP",
        IngressHook::Xdp if is_too_large => {
            "its MTU is too large for its driver to run XDP on frames of several buffers"
        }
        IngressHook::Xdp => {
            return Some(Verdict::ok(format!(
                "native XDP would take what devices send: {reason}"
            )));
        }
    };
    Some(if facts.host.attach == AttachMode::Xdp {
        let advice = "use --attach auto or --attach tc";
        Verdict::error(format!("native XDP can't be attached: {why}"), advice)
    } else {
        Verdict::ok(format!("tc would take what devices send: {why}"))
    })
}

pub(super) fn xdp_slot(_: &Facts, interface: &InterfaceFacts) -> Option<Verdict> {
    let Some(slot) = &interface.details.xdp else {
        return Some(Verdict::ok("its XDP slot is free"));
    };
    let name = interface.xdp_program.as_deref();
    if name.is_some_and(is_own) {
        return Some(Verdict::ok("flowwatch's own program is in its XDP slot"));
    }
    let program = match (name, slot.program) {
        (Some(name), Some(number)) => format!("the program {name} (number {number})"),
        (_, Some(number)) => format!("the program with the number {number}"),
        _ => "another program".to_owned(),
    };
    Some(Verdict::warning(
        format!(
            "{program} is in its XDP slot ({}), and what it drops or redirects is not counted",
            slot.mode
        ),
        format!(
            "see what it does (bpftool prog show), or take it off: ip link set {} xdp off",
            interface.interface.name
        ),
    ))
}

pub(super) fn tc_programs(_: &Facts, interface: &InterfaceFacts) -> Option<Verdict> {
    let places = interface.tc.as_ref()?;
    let (own, others): (Vec<_>, Vec<_>) = places.tcx.iter().partition(|name| is_own(name));
    let others = others.into_iter().map(|name| format!("{name} (tcx)"));
    let filters = places.filters.iter().map(|kind| format!("{kind} (clsact)"));
    let others: Vec<_> = others.chain(filters).collect();
    Some(match (&own[..], &others[..]) {
        ([], []) => Verdict::ok("nobody is at its tc hooks"),
        (_, []) => Verdict::info("another flowwatch counts on it; both can"),
        _ => Verdict::info(format!(
            "at its tc hooks are {}; flowwatch's programs go before them",
            others.join(", ")
        )),
    })
}

pub(super) fn programs_run(_: &Facts, interface: &InterfaceFacts) -> Option<Verdict> {
    let heard = interface.heard.as_ref()?;
    if let Some(refusal) = &heard.refusal {
        return Some(Verdict::error(
            format!("the programs can't be attached: {refusal}"),
            "do what the sentence says; interface.tc_programs tells who else is there",
        ));
    }
    let (received, sent) = heard.passed;
    Some(if !heard.silent.is_empty() {
        Verdict::error(
            format!(
                "packets pass it, and the program at {} does not run",
                heard.silent.join(" and ")
            ),
            "see who else is at its hooks (interface.tc_programs): another may end the chain",
        )
    } else if received + sent == 0 {
        Verdict::info("no packet passed it while it was listened to")
    } else {
        Verdict::ok(format!(
            "the programs ran; meanwhile it received {received} packets and sent {sent}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Heard;
    use crate::diagnosis::finding::Severity::{Error, Info, Ok as Well, Warning};
    use crate::diagnosis::fixtures::{check, facts, lan0};
    use crate::kernel::link_details::XdpSlot;
    use crate::kernel::places::TcPlaces;
    use crate::kernel::xdp_modes::XdpModes;

    const SLOT: XdpSlot = XdpSlot {
        mode: "generic",
        program: Some(17),
    };

    fn card(modes: XdpModes) -> InterfaceFacts {
        InterfaceFacts {
            xdp_modes: Some(modes),
            choice: Some((IngressHook::Xdp, "a card".to_owned())),
            ..lan0()
        }
    }

    const ALL: XdpModes = XdpModes {
        native: true,
        native_fragments: true,
        hardware: false,
    };

    #[test]
    fn the_hook_is_told_with_why_and_tc_is_an_error_only_where_xdp_was_asked_for() {
        let mut facts = facts();
        let mut port = lan0();
        check(hook(&facts, &port), Well, "tc would take");
        port.xdp_modes = Some(ALL);
        check(
            hook(&facts, &port),
            Well,
            "native XDP is possible (--attach xdp)",
        );
        check(hook(&facts, &card(ALL)), Well, "native XDP would take");
        let mut taken = card(ALL);
        taken.details.xdp = Some(SLOT);
        let mut large = card(XdpModes {
            native_fragments: false,
            ..ALL
        });
        large.details.mtu = 9000;
        let none = card(XdpModes::default());
        let cases = [(&none, "driver"), (&taken, "slot"), (&large, "MTU")];
        for (interface, part) in cases {
            check(hook(&facts, interface), Well, part);
        }
        facts.host.attach = AttachMode::Xdp;
        for (interface, part) in cases {
            check(hook(&facts, interface), Error, part);
        }
        large.xdp_modes = Some(ALL);
        check(hook(&facts, &large), Well, "native XDP would take");
    }

    #[test]
    fn another_program_in_the_xdp_slot_is_warned_of_but_not_flowwatchs_own() {
        let facts = facts();
        let mut port = lan0();
        check(xdp_slot(&facts, &port), Well, "free");
        port.details.xdp = Some(SLOT);
        check(
            xdp_slot(&facts, &port),
            Warning,
            "the number 17 is in its XDP slot (generic)",
        );
        port.xdp_program = Some("crowdsec".to_owned());
        check(
            xdp_slot(&facts, &port),
            Warning,
            "the program crowdsec (number 17)",
        );
        port.xdp_program = Some("flowwatch_xdp_f".to_owned());
        check(xdp_slot(&facts, &port), Well, "own program");
    }

    #[test]
    fn who_else_is_at_the_tc_hooks_is_told() {
        let facts = facts();
        let mut port = lan0();
        let mut with = |tcx: &[&str], filters: &[&str], severity, part| {
            let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            port.tc = Some(TcPlaces {
                tcx: owned(tcx),
                filters: owned(filters),
            });
            check(tc_programs(&facts, &port), severity, part);
        };
        with(&[], &[], Well, "nobody");
        with(&["flowwatch_ingre"], &[], Info, "another flowwatch");
        with(
            &["cil_from_netdev"],
            &["flower"],
            Info,
            "cil_from_netdev (tcx), flower (clsact)",
        );
    }

    #[test]
    fn programs_that_packets_pass_by_are_an_error() {
        let facts = facts();
        let mut port = lan0();
        assert_eq!(programs_run(&facts, &port), None);
        let mut with = |heard, severity, part| {
            port.heard = Some(heard);
            check(programs_run(&facts, &port), severity, part);
        };
        let quiet = Heard::default();
        let passed = (30, 20);
        with(quiet.clone(), Info, "no packet passed");
        with(
            Heard {
                passed,
                ..quiet.clone()
            },
            Well,
            "received 30 packets and sent 20",
        );
        let silent = vec!["ingress"];
        with(
            Heard {
                passed,
                silent,
                ..quiet.clone()
            },
            Error,
            "at ingress does not run",
        );
        let refusal = Some("attach tc ingress".to_owned());
        with(
            Heard { refusal, ..quiet },
            Error,
            "can't be attached: attach tc ingress",
        );
    }
}
