//! The comparison against the write-up's table, and devices, names and octets at the edges.

use super::samples::{destination, fixed, old, side};
use super::*;

fn all(before: &Side, after: &Side) -> Comparison {
    let kinds: Vec<_> = KINDS.iter().collect();
    compare(before, after, (&kinds, Remotes::Internet))
}

/// Returns the values of a kind of which this became, with octets up and down.
fn values(differences: &[Difference], kind: &str, change: Change) -> Vec<(String, u64, u64)> {
    let difference = differences.iter().find(|it| it.kind.name == kind).unwrap();
    let entries = difference.with(change);
    let entries = entries.map(|entry| {
        let Octets { up, down } = entry.octets();
        (entry.value.to_string(), up, down)
    });
    entries.collect()
}

#[test]
fn the_fix_of_2019_is_as_the_owner_found_it() {
    let comparison = all(&old(), &fixed());
    let check = |kind: &str, change: Change, expected: &[(&str, u64, u64)]| {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(value, up, down)| (value.to_owned(), up, down))
            .collect();
        assert_eq!(values(&comparison.together, kind, change), expected);
        assert_eq!(
            values(&comparison.devices[0].differences, kind, change),
            expected
        );
    };
    let (gone, new, kept) = (Change::Gone, Change::New, Change::Kept);
    check(
        "names",
        gone,
        &[
            ("cm.iotcplatform.com", 11_000, 1_100),
            ("gm.iotcplatform.com", 1_500, 150),
        ],
    );
    check(
        "names",
        new,
        &[
            ("wyze-iot.s3-us-west-2.amazonaws.com", 150_000, 700),
            ("api.wyzecam.com", 4_800, 21_645),
            ("a24rq1e5m4mtei-ats.iot.us-west-2.amazonaws.com", 2_400, 900),
            ("us-master.iotcplatform.com", 1_000, 100),
        ],
    );
    check("names", kept, &[]);
    check(
        "addresses",
        gone,
        &[
            ("120.24.59.150", 11_000, 1_100),
            ("52.79.197.188", 700, 70),
            ("198.16.70.58", 300, 30),
        ],
    );
    check(
        "addresses",
        kept,
        &[("50.7.98.242", 400, 40), ("129.6.15.28", 97, 98)],
    );
    check(
        "organizations",
        gone,
        &[("Hangzhou Alibaba Advertising Co.,Ltd.", 11_000, 1_100)],
    );
    check("organizations", new, &[]);
    check(
        "countries",
        gone,
        &[("CN", 11_000, 1_100), ("KR", 700, 70), ("NL", 300, 30)],
    );
    check("countries", new, &[]);
}

#[test]
fn an_address_that_lives_on_under_a_new_name_is_seen_as_such() {
    let comparison = all(&old(), &fixed());
    let addresses = &comparison.together[1];
    let first = addresses.with(Change::Kept).next().unwrap();
    assert_eq!(&*first.value, "50.7.98.242");
    assert!(first.is_renamed());
    let [before, after] = [&first.names_before, &first.names_after];
    assert!(
        before
            .iter()
            .map(|name| &**name)
            .eq(["gm.iotcplatform.com"])
    );
    assert!(
        after
            .iter()
            .map(|name| &**name)
            .eq(["us-master.iotcplatform.com"])
    );
    assert_eq!(first.before, Some(Octets { up: 500, down: 50 }));
    assert_eq!(first.after, Some(Octets { up: 400, down: 40 }));
    // The time server never had a name: nothing about it changed.
    let second = addresses.with(Change::Kept).nth(1).unwrap();
    assert!(!second.is_renamed());
}

#[test]
fn every_octet_is_in_the_sums_of_every_kind_once() {
    let comparison = all(&old(), &fixed());
    let expected = [
        Octets {
            up: 12_596,
            down: 1_346,
        },
        Octets {
            up: 158_297,
            down: 23_443,
        },
    ];
    for difference in &comparison.together {
        assert_eq!(difference.totals(), expected, "{}", difference.kind.name);
    }
    let sides = [&comparison.before, &comparison.after];
    assert_eq!(sides.map(|side| side.octets), expected);
    let nameless = [Octets { up: 96, down: 96 }, Octets { up: 97, down: 98 }];
    assert_eq!(sides.map(|side| side.nameless), nameless);
    assert_eq!(comparison.together[0].without, nameless);
}

#[test]
fn the_same_side_twice_does_not_differ() {
    let comparison = all(&old(), &old());
    assert!(comparison.differing().is_empty());
    assert!(!comparison.devices[0].differs());
    let names = values(&comparison.together, "names", Change::Kept);
    assert_eq!(names.len(), 2);
}

#[test]
fn a_difference_is_told_by_its_kind() {
    let names = |comparison: &Comparison| -> Vec<&str> {
        comparison
            .differing()
            .iter()
            .map(|kind| kind.name)
            .collect()
    };
    assert_eq!(
        names(&all(&old(), &fixed())),
        ["names", "addresses", "organizations", "countries"]
    );
    let mut rotated = old();
    rotated.devices[0].destinations[0].address = "52.79.197.189".parse().unwrap();
    assert_eq!(names(&all(&old(), &rotated)), ["addresses"]);
    let kinds = [kind_of("names").unwrap(), kind_of("organizations").unwrap()];
    let comparison = compare(&old(), &rotated, (&kinds, Remotes::Internet));
    assert!(names(&comparison).is_empty());
    assert_eq!(comparison.together.len(), 2);
}

#[test]
fn what_stays_at_home_is_compared_only_when_asked_for() {
    let mut moved = old();
    let home = moved.devices[0].destinations.last_mut().unwrap();
    *home = destination(("printer.local", "192.168.8.9", "", "", 60, 90));
    assert!(all(&old(), &moved).differing().is_empty());
    let kinds: Vec<_> = KINDS.iter().collect();
    let comparison = compare(&old(), &moved, (&kinds, Remotes::All));
    let gone = values(&comparison.together, "addresses", Change::Gone);
    assert_eq!(gone, [("192.168.8.1".to_owned(), 60, 90)]);
    let new = values(&comparison.together, "names", Change::New);
    assert_eq!(new, [("printer.local".to_owned(), 60, 90)]);
}

#[test]
fn a_second_name_of_a_flow_is_there_without_its_octets() {
    let mut after = old();
    after.devices[0].destinations[0]
        .names
        .push("second.test".into());
    let comparison = all(&old(), &after);
    let new = values(&comparison.together, "names", Change::New);
    assert_eq!(new, [("second.test".to_owned(), 0, 0)]);
    let totals = comparison.together[0].totals();
    assert_eq!(totals[0], totals[1]);
}

#[test]
fn a_name_of_another_time_is_not_one_of_this() {
    let side = side("now");
    let claim = |name: &str, first: &str, last: &str| NameClaim {
        name: name.into(),
        first_told: first.parse().unwrap(),
        last_told: last.parse().unwrap(),
    };
    let check = |claims: &[NameClaim], expected: &[&str]| {
        let names = side.names_in_time(claims);
        assert!(
            names
                .iter()
                .map(|name| &**name)
                .eq(expected.iter().copied()),
            "{names:?}"
        );
    };
    let during = claim("new.test", "2026-01-02T03:30:00Z", "2026-01-02T03:30:00Z");
    let before = claim("old.test", "2026-01-01T00:00:00Z", "2026-01-02T02:59:59Z");
    let later = claim("later.test", "2026-01-02T04:00:01Z", "2026-01-03T00:00:00Z");
    let throughout = claim("both.test", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z");
    check(&[during.clone(), before.clone()], &["new.test"]);
    check(
        &[during.clone(), later, throughout],
        &["new.test", "both.test"],
    );
    // However old it is, it is what the flow goes under.
    check(std::slice::from_ref(&before), &["old.test"]);
    check(&[before.clone(), before, during], &["old.test", "new.test"]);
    check(&[], &[]);
}

/// Names of devices on both sides, and which pairs they make.
fn check_pairs(before: &[(&str, &str)], after: &[(&str, &str)], expected: &[(&str, [bool; 2])]) {
    let [before, after] = [before, after].map(|devices| {
        let mut side = side("side");
        for (name, mac) in devices {
            side.device(name, mac.parse().ok());
        }
        side
    });
    let comparison = all(&before, &after);
    let pairs = comparison.devices.iter();
    let pairs: Vec<_> = pairs.map(|device| (&*device.name, device.is_on)).collect();
    assert_eq!(pairs, expected);
}

#[test]
fn a_device_is_the_same_by_its_address_and_else_by_its_name() {
    const FIRST: &str = "2c:aa:8e:00:00:01";
    const SECOND: &str = "2c:aa:8e:00:00:02";
    let both = [true, true];
    check_pairs(&[("camera", FIRST)], &[("cam", FIRST)], &[("cam", both)]);
    check_pairs(
        &[("camera", FIRST)],
        &[("camera", SECOND)],
        &[("camera", both)],
    );
    check_pairs(&[("camera", "")], &[("camera", FIRST)], &[("camera", both)]);
    // Names that were swapped do not swap the devices.
    check_pairs(
        &[("a", FIRST), ("b", SECOND)],
        &[("a", SECOND), ("b", FIRST)],
        &[("b", both), ("a", both)],
    );
    check_pairs(
        &[("a", FIRST), ("b", "")],
        &[("b", FIRST), ("c", SECOND)],
        &[("b", both), ("b", [true, false]), ("c", [false, true])],
    );
    check_pairs(&[], &[("a", FIRST)], &[("a", [false, true])]);
}

#[test]
fn what_moves_from_one_device_to_another_differs_for_both() {
    let mut before = old();
    before.device("plug", "50:c7:bf:00:00:02".parse().ok());
    let mut after = before.clone();
    let moved = std::mem::take(&mut after.devices[0].destinations);
    after.devices[1].destinations = moved;
    let comparison = all(&before, &after);
    assert!(!comparison.together.iter().any(Difference::is_any));
    assert!(comparison.devices.iter().all(DeviceComparison::differs));
    assert_eq!(comparison.differing().len(), KINDS.len());
}

#[test]
fn sums_at_the_end_of_the_numbers_do_not_wrap() {
    let mut before = old();
    for destination in &mut before.devices[0].destinations {
        destination.octets = Octets {
            up: u64::MAX,
            down: u64::MAX,
        };
    }
    let comparison = all(&before, &before);
    assert_eq!(comparison.before.octets.sum(), u64::MAX);
    assert!(
        comparison
            .together
            .iter()
            .all(|it| it.totals()[0].up == u64::MAX)
    );
}
