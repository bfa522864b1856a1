//! The sentences on how a device resolves names: whom it asks, and whether the network wanted it to.
//!
//! From a snapshot's figures to plain, unwrapped lines; the formats for people share them.

use std::net::IpAddr;

use super::statement::count;
use crate::{
    names::{Answers, Resolver, Resolving, Transport},
    store::{DeviceResolving, DeviceSummary, Snapshot},
    text::printable,
};

/// Resolvers that are told of in a sentence; `json` has more.
const MAX_RESOLVERS_SHOWN: usize = 6;
/// Names that are told to have never resolved, likewise.
const MAX_UNRESOLVED_SHOWN: usize = 3;

/// Returns how a device resolves names; nothing where nothing was seen of it.
pub(crate) fn of(snapshot: &Snapshot, device: &DeviceSummary) -> Option<String> {
    let resolving = figures_of(snapshot, device)?;
    let phrases: Vec<_> = phrases(&resolving.resolvers, &resolving.offered).collect();
    let mut sentence = if phrases.is_empty() {
        format!("no resolver was seen{}", offer(&resolving.offered))
    } else {
        let shown = phrases.len().min(MAX_RESOLVERS_SHOWN);
        let rest = (phrases.len() - shown) as u64 + resolving.resolvers_not_shown;
        let more = if rest == 0 {
            String::new()
        } else {
            format!("; and {}", count(rest, "more resolver"))
        };
        format!("{}{more}", phrases[..shown].join("; "))
    };
    for part in [answers(resolving.answers), unresolved(resolving)] {
        sentence += &part.map(|part| format!(". {part}")).unwrap_or_default();
    }
    Some(format!("Resolves names: {sentence}."))
}

/// Returns that a device goes round the resolvers that the network gave it, when it does.
pub(super) fn goes_round(snapshot: &Snapshot, device: &DeviceSummary) -> Option<String> {
    let resolving = figures_of(snapshot, device)?;
    let own = resolving.resolvers.iter();
    let own: Vec<_> = own
        .filter(|resolver| resolver.given == Some(false))
        .cloned()
        .collect();
    let phrases: Vec<_> = phrases(&own, &resolving.offered)
        .take(MAX_RESOLVERS_SHOWN)
        .collect();
    (!phrases.is_empty()).then(|| format!("{}.", phrases.join("; ")))
}

fn figures_of<'a>(snapshot: &'a Snapshot, device: &DeviceSummary) -> Option<&'a Resolving> {
    let is_of_device = |one: &&DeviceResolving| one.device == device.device;
    let found = snapshot.resolving.iter().find(is_of_device);
    found.map(|one| &one.resolving)
}

/// One phrase a resolver; UDP and TCP to the same one are one way of asking.
fn phrases<'a>(
    resolvers: &'a [Resolver],
    offered: &'a [IpAddr],
) -> impl Iterator<Item = String> + 'a {
    let is_asked = |address, transport| {
        resolvers
            .iter()
            .any(|other| other.address == address && other.transport == transport)
    };
    resolvers.iter().filter_map(move |resolver| {
        let is_asked_by = |transport| is_asked(resolver.address, transport);
        let over = match resolver.transport {
            Transport::Udp if is_asked_by(Transport::Tcp) => " over UDP and TCP",
            Transport::Tcp if is_asked_by(Transport::Udp) => return None,
            Transport::Tcp => " over TCP",
            _ => "",
        };
        Some(phrase(resolver, over, offered))
    })
}

fn phrase(resolver: &Resolver, over: &str, offered: &[IpAddr]) -> String {
    let Resolver {
        address,
        name,
        transport,
        given,
        ..
    } = resolver;
    let name = name.as_deref().map(printable);
    let whom = match (transport.is_plain(), name) {
        (true, Some(name)) => format!("asks {address} ({name}){over}"),
        (true, None) => format!("asks {address}{over}"),
        (false, Some(name)) => format!("{} to {name} at {address}", protocol(*transport)),
        (false, None) => format!("{} to {address}", protocol(*transport)),
    };
    match given {
        Some(true) => format!("{whom} (given by the network)"),
        Some(false) if transport.is_plain() => format!("{whom} directly{}", offer(offered)),
        Some(false) => format!("{whom}{}", offer(offered)),
        None => whom,
    }
}

const fn protocol(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp | Transport::Tcp => "DNS",
        Transport::Dot => "DoT",
        Transport::Doq => "DoQ",
        Transport::Doh => "DoH",
    }
}

fn offer(offered: &[IpAddr]) -> String {
    let addresses: Vec<_> = offered.iter().map(ToString::to_string).collect();
    if addresses.is_empty() {
        String::new()
    } else {
        format!(" (the network gave {})", addresses.join(", "))
    }
}

fn answers(answers: Answers) -> Option<String> {
    if answers == Answers::default() {
        return None;
    }
    let kinds = [
        (answers.negative, "negative"),
        (answers.failed, "failed"),
        (answers.blocked, "blocked"),
    ];
    let kinds = kinds.into_iter().filter(|(amount, _)| *amount > 0);
    let kinds = kinds.map(|(amount, kind)| format!("{amount} {kind}"));
    let all = std::iter::once(count(answers.answered, "answer"));
    Some(all.chain(kinds).collect::<Vec<_>>().join(", "))
}

fn unresolved(resolving: &Resolving) -> Option<String> {
    let names = &resolving.unresolved;
    let shown: Vec<_> = names
        .iter()
        .take(MAX_UNRESOLVED_SHOWN)
        .map(|name| printable(name))
        .collect();
    let rest = (names.len() - shown.len()) as u64 + resolving.unresolved_not_shown;
    let more = if rest == 0 {
        String::new()
    } else {
        format!(" and {rest} more")
    };
    (!shown.is_empty()).then(|| format!("Never resolved: {}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample::{self, resolver};

    /// Compares the sentences on these resolvers, of which the network gave 192.168.1.1.
    fn check(resolvers: Vec<Resolver>, expected: &str, round: Option<&str>) {
        let mut snapshot = sample::snapshot();
        let resolving = &mut snapshot.resolving[0].resolving;
        *resolving = Resolving {
            offered: resolving.offered.clone(),
            resolvers,
            ..Resolving::default()
        };
        let device = &snapshot.devices[0];
        let expected = format!("Resolves names: {expected}.");
        assert_eq!(of(&snapshot, device).unwrap(), expected);
        assert_eq!(goes_round(&snapshot, device).as_deref(), round);
    }

    #[test]
    fn whom_a_device_asks_is_said_with_whether_the_network_gave_it() {
        use Transport::{Doh, Doq, Dot, Tcp, Udp};
        let given = resolver(([192, 168, 1, 1], None), Udp, Some(true));
        check(
            vec![given.clone()],
            "asks 192.168.1.1 (given by the network)",
            None,
        );
        let google = ([8, 8, 8, 8], Some("dns.google"));
        let round = "asks 8.8.8.8 (dns.google) directly (the network gave 192.168.1.1)";
        check(
            vec![given, resolver(google, Udp, Some(false))],
            &format!("asks 192.168.1.1 (given by the network); {round}"),
            Some(&format!("{round}.")),
        );
        check(
            vec![
                resolver(google, Doh, None),
                resolver(([1, 1, 1, 1], None), Dot, None),
                resolver(([9, 9, 9, 9], None), Doq, None),
            ],
            "DoH to dns.google at 8.8.8.8; DoT to 1.1.1.1; DoQ to 9.9.9.9",
            None,
        );
        let own = ([192, 168, 1, 2], None);
        check(
            vec![resolver(own, Udp, None), resolver(own, Tcp, None)],
            "asks 192.168.1.2 over UDP and TCP",
            None,
        );
        check(
            vec![resolver(own, Tcp, None)],
            "asks 192.168.1.2 over TCP",
            None,
        );
        check(
            vec![],
            "no resolver was seen (the network gave 192.168.1.1)",
            None,
        );
    }

    #[test]
    fn many_resolvers_and_names_are_counted() {
        let mut snapshot = sample::snapshot();
        let resolving = &mut snapshot.resolving[0].resolving;
        let many = (0..8).map(|last| resolver(([10, 0, 0, last], None), Transport::Udp, None));
        resolving.resolvers = many.collect();
        resolving.resolvers_not_shown = 5;
        resolving.unresolved = vec!["a".into(), "b".into(), "c".into(), "d".into()];
        resolving.unresolved_not_shown = 2;
        let text = of(&snapshot, &snapshot.devices[0]).unwrap();
        let expected = "asks 10.0.0.5; and 7 more resolvers. 4 answers, 2 negative. Never \
                        resolved: a, b, c and 3 more.";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_device_of_which_nothing_was_seen_is_not_spoken_of() {
        let mut snapshot = sample::snapshot();
        snapshot.resolving.clear();
        assert_eq!(of(&snapshot, &snapshot.devices[0]), None);
        assert_eq!(goes_round(&snapshot, &snapshot.devices[0]), None);
    }
}
