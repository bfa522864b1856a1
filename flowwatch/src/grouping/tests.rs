//! Groups against sums made by hand.

use super::*;
use crate::{format::sample, observation::Traffic};

fn groups_by(name: &str, snapshot: &crate::store::Snapshot) -> Vec<Group> {
    Groups::of(snapshot, grouping_of(name).unwrap()).groups
}

/// Values, flows and octets up and down.
fn check(name: &str, expected: &[(&str, u64, u64, u64)]) {
    let snapshot = sample::snapshot();
    let groups = groups_by(name, &snapshot);
    let shown: Vec<_> = groups
        .iter()
        .map(|it| {
            let value = it.value.clone().into_text();
            (value, it.flows, it.up.octets, it.down.octets)
        })
        .collect();
    let shown: Vec<_> = shown
        .iter()
        .map(|(value, flows, up, down)| (&**value, *flows, *up, *down))
        .collect();
    assert_eq!(shown, expected, "{name}");
}

#[test]
fn flows_of_one_value_are_summed_and_the_largest_group_is_first() {
    check("device", &[("camera", 3, 1_239_407, 46_196)]);
    check(
        "name",
        &[
            ("us-master.iotcplatform.com", 1, 1_234_567, 45_600),
            ("", 2, 4_840, 596),
        ],
    );
    check(
        "country",
        &[
            ("US", 1, 1_234_567, 45_600),
            ("CN", 1, 4_000, 512),
            ("", 1, 840, 84),
        ],
    );
    check(
        "port",
        &[
            ("udp/10001", 1, 1_234_567, 45_600),
            ("tcp/443", 1, 4_000, 512),
            ("icmp", 1, 840, 84),
        ],
    );
}

#[test]
fn whatever_it_is_by_no_octet_is_lost_and_none_is_there_twice() {
    let mut snapshot = sample::snapshot();
    let mut second = sample::record();
    second.device = sample::devices().remove(1);
    second.naming = sample::naming(&["gm.iotcplatform.com", "us-master.iotcplatform.com"]);
    snapshot.flows.push(second);
    snapshot.devices[0].up.overflow_octets = 60;
    snapshot.devices[0].up.overflow_packets = 1;
    for grouping in GROUPINGS {
        let groups = groups_by(grouping.name, &snapshot);
        let sum = |octets: fn(&Group) -> u64| groups.iter().map(octets).sum::<u64>();
        assert_eq!(sum(|it| it.up.octets), 2 * 1_234_567 + 4_840 + 60);
        assert_eq!(sum(|it| it.down.octets), 2 * 45_600 + 596);
        assert_eq!(sum(|it| it.flows), 4, "{}", grouping.name);
        assert!(groups.iter().all(|it| it.whole == sum(Group::octets)));
        let in_no_flow = groups.iter().find(|it| it.flows == 0).unwrap();
        assert_eq!(
            in_no_flow.up,
            Traffic {
                packets: 1,
                octets: 60
            }
        );
    }
}

#[test]
fn a_group_tells_how_many_devices_names_and_addresses_it_has() {
    let mut snapshot = sample::snapshot();
    let mut second = sample::record();
    second.device = sample::devices().remove(1);
    second.remote_address = [50, 7, 98, 243].into();
    second.first_seen = "2026-01-02T03:00:00Z".parse().unwrap();
    snapshot.flows.push(second);
    let groups = groups_by("organization", &snapshot);
    let fdc = &groups[0];
    assert_eq!(fdc.value, Value::Text("FDCservers.net".into()));
    assert_eq!(
        (fdc.devices, fdc.names, fdc.addresses, fdc.flows),
        (2, 1, 2, 2)
    );
    let time = |at: Option<jiff::Timestamp>| at.unwrap().to_string();
    assert_eq!(time(fdc.first_seen), "2026-01-02T03:00:00Z");
    assert_eq!(time(fdc.last_seen), "2026-01-02T03:09:00.001Z");
}

#[test]
fn every_grouping_and_field_is_described_and_named_once() {
    let names: std::collections::HashSet<_> = GROUPINGS.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), GROUPINGS.len());
    assert!(GROUP_FIELDS.iter().all(|it| it.description.ends_with('.')));
}
