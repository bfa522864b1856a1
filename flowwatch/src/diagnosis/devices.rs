//! Judgements of the tagged devices: whether they are seen, and whom they ask for names.

use super::facts::{DeviceFacts, Facts};
use super::finding::Verdict;

/// Frames in one direction from which on none in the other is strange.
const ONE_WAY: u64 = 20;

pub(super) fn seen(facts: &Facts, device: &DeviceFacts) -> Option<Verdict> {
    let elsewhere = device.known_elsewhere.join(", ");
    let advice_there = format!("count there too: --interface {elsewhere}");
    let Some(heard) = &device.heard else {
        return (!elsewhere.is_empty()).then(|| {
            let told = format!(
                "{} was last known at {elsewhere}, which is not counted on",
                device.address
            );
            Verdict::warning(told, advice_there)
        });
    };
    let seconds = facts.listened.unwrap_or_default().as_secs_f64();
    let (up, down) = heard
        .iter()
        .fold((0, 0), |(up, down), it| (up + it.up, down + it.down));
    let places = heard.iter().map(|it| {
        format!(
            "{} ({} frames from it, {} to it)",
            it.interface, it.up, it.down
        )
    });
    let places = places.collect::<Vec<_>>().join(", ");
    Some(match (up, down) {
        (0, 0) if elsewhere.is_empty() => Verdict::warning(
            format!("no frame of {} was seen in {seconds:.1} s", device.address),
            "see whether it is on, sends, and is behind these interfaces (flowwatch devices); \
             listen for longer: --listen 1m",
        ),
        (0, 0) => Verdict::error(
            format!(
                "no frame of {} was seen in {seconds:.1} s, and the host knows it at {elsewhere}, \
                 which is not counted on",
                device.address
            ),
            advice_there,
        ),
        (0, ONE_WAY..) | (ONE_WAY.., 0) => Verdict::warning(
            format!("it is seen in one direction alone: on {places}"),
            "see whether the other goes by another interface, or is forwarded by hardware",
        ),
        _ => Verdict::ok(format!("it is seen on {places}")),
    })
}

pub(super) fn dns(_: &Facts, device: &DeviceFacts) -> Option<Verdict> {
    let resolving = device.resolving.as_deref()?;
    Some(if device.asks_encrypted {
        Verdict::info(format!("{resolving}; what it asks encrypted can't be read"))
            .advised("its names come from what its connections say (docs/connections.md)")
    } else {
        Verdict::ok(resolving)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnosis::HeardDevice;
    use crate::diagnosis::finding::Severity::{Error, Info, Ok as Well, Warning};
    use crate::diagnosis::fixtures::{check, facts};

    fn camera(heard: Option<&[(&str, u64, u64)]>, elsewhere: &[&str]) -> DeviceFacts {
        let heard = heard.map(|heard| {
            let heard = heard.iter().map(|&(interface, up, down)| HeardDevice {
                interface: interface.to_owned(),
                up,
                down,
            });
            heard.collect()
        });
        DeviceFacts {
            name: "camera".to_owned(),
            address: "2c:aa:8e:00:00:01".to_owned(),
            heard,
            known_elsewhere: elsewhere.iter().map(ToString::to_string).collect(),
            ..DeviceFacts::default()
        }
    }

    #[test]
    fn a_device_is_told_where_it_is_seen_or_that_it_is_not() {
        let mut facts = facts();
        facts.listened = Some(Duration::from_secs(5));
        let both = [("lan0", 12, 7), ("lan1", 1, 0)];
        let told = "lan0 (12 frames from it, 7 to it), lan1 (1 frames from it, 0 to it)";
        check(seen(&facts, &camera(Some(&both), &[])), Well, told);
        let none = "no frame of 2c:aa:8e:00:00:01 was seen in 5.0 s";
        check(seen(&facts, &camera(Some(&[]), &[])), Warning, none);
        check(
            seen(&facts, &camera(Some(&[("lan0", 0, 0)]), &["lan3"])),
            Error,
            "at lan3",
        );
    }

    #[test]
    fn frames_in_one_direction_alone_are_strange_once_there_are_some() {
        let facts = facts();
        check(
            seen(&facts, &camera(Some(&[("lan0", 19, 0)]), &[])),
            Well,
            "is seen",
        );
        check(
            seen(&facts, &camera(Some(&[("lan0", 20, 0)]), &[])),
            Warning,
            "one direction",
        );
        check(
            seen(&facts, &camera(Some(&[("lan0", 0, 20)]), &[])),
            Warning,
            "one direction",
        );
    }

    #[test]
    fn a_device_that_nobody_listened_to_is_spoken_of_where_it_is_elsewhere() {
        let facts = facts();
        assert_eq!(seen(&facts, &camera(None, &[])), None);
        check(
            seen(&facts, &camera(None, &["lan3"])),
            Warning,
            "last known at lan3",
        );
    }

    #[test]
    fn questions_that_can_not_be_read_are_told() {
        let facts = facts();
        let mut device = camera(None, &[]);
        assert_eq!(dns(&facts, &device), None);
        device.resolving = Some("asks 192.168.8.1".to_owned());
        check(dns(&facts, &device), Well, "asks 192.168.8.1");
        device.asks_encrypted = true;
        check(dns(&facts, &device), Info, "can't be read");
    }
}
