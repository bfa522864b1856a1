//! Updates for the tests of the screen: the camera of DESIGN.md and others, by hand.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::flow::Flow;
use super::world::World;
use crate::geo::{Place, Scope};
use crate::live::{Changed, FlowNumber, Update};
use crate::model::{Device, FlowRecord};
use crate::names::{Binding, Candidate, NameSource, Naming};
use crate::observation::Traffic;
use crate::store::{AttachedInterface, DeviceSummary, DirectionSummary, Meta, UnaccountedRow};

/// When counting begins.
pub(super) fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// So many seconds later.
pub(super) fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

pub(super) fn device(tag: &str) -> Device {
    tag.parse().unwrap()
}

pub(super) fn camera() -> Device {
    device("camera=2c:aa:8e:00:00:01")
}

pub(super) fn octets(octets: u64) -> Traffic {
    Traffic {
        packets: octets.div_ceil(1_400),
        octets,
    }
}

/// A name with its source, and whether it was asked for.
pub(super) fn candidate(name: &str, source: NameSource, asked: Option<bool>) -> Candidate {
    Candidate {
        binding: Arc::new(Binding {
            name: name.into(),
            chain: Arc::default(),
            source,
            service: None,
            first_told: start(),
            last_told: start(),
            ttl: 300,
        }),
        asked,
        offer: None,
    }
}

/// A flow of the camera's: name, address, country, organization, protocol and port.
pub(super) fn record(
    name: Option<(&str, NameSource)>,
    address: &str,
    place: Place,
    (protocol, remote_port): (u8, u16),
) -> FlowRecord {
    let remote_address = address.parse().unwrap();
    let candidates = name.map(|(name, source)| candidate(name, source, Some(true)));
    FlowRecord {
        device: camera(),
        naming: Naming {
            candidates: candidates.into_iter().collect(),
        },
        remote_address,
        scope: Scope::of(remote_address),
        protocol,
        remote_port,
        place,
        up: octets(12_000),
        down: octets(3_000),
        first_seen: start(),
        last_seen: after(1),
    }
}

pub(super) fn place(code: &str, name: &str, asn: u32, organization: &str) -> Place {
    Place {
        country: Some(code.into()),
        country_name: Some(name.into()),
        city: None,
        asn: Some(asn),
        organization: Some(organization.into()),
    }
}

/// A Chinese server, one of two countries' history, a server of time without a name, the gateway.
pub(super) fn camera_flows() -> Vec<FlowRecord> {
    let united_states = "United States";
    let alibaba = "Hangzhou Alibaba Advertising Co.,Ltd.";
    let standards = "National Institute of Standards and Technology";
    vec![
        record(
            Some(("cm.iotcplatform.com", NameSource::Sni)),
            "120.24.59.150",
            place("CN", "China", 37_963, alibaba),
            (6, 443),
        ),
        record(
            Some(("us-master.iotcplatform.com", NameSource::Dns)),
            "50.7.98.242",
            place("US", united_states, 30_058, "FDCservers.net"),
            (17, 10_001),
        ),
        record(
            None,
            "129.6.15.28",
            place("US", united_states, 49, standards),
            (17, 123),
        ),
        record(None, "192.168.8.1", Place::default(), (17, 53)),
    ]
}

/// A flow as the screen knows it that was told in the first update.
pub(super) fn flow_of(record: &FlowRecord) -> Flow {
    let mut world = World::default();
    world.take_in(update(0, vec![(7, record.clone())]));
    world.flows.swap_remove(&7).unwrap()
}

pub(super) fn summary(device: &Device, flows: &[FlowRecord]) -> DeviceSummary {
    let of = |traffic: fn(&FlowRecord) -> Traffic| {
        let own = flows.iter().filter(|flow| flow.device == *device);
        let mut sum = Traffic::default();
        own.for_each(|flow| sum += traffic(flow));
        DirectionSummary {
            packets: sum.packets,
            octets: sum.octets,
            frames_seen: sum.packets,
            frames_in_flows: sum.packets,
            ..DirectionSummary::default()
        }
    };
    DeviceSummary {
        device: device.name.to_string(),
        device_mac: device.mac,
        flows: flows.iter().filter(|flow| flow.device == *device).count() as u64,
        conserved: true,
        up: of(|flow| flow.up),
        down: of(|flow| flow.down),
    }
}

/// An update so many seconds after the start that tells flows; their devices' sums are theirs.
pub(super) fn update(seconds: i64, told: Vec<(FlowNumber, FlowRecord)>) -> Update {
    let flows: Vec<_> = told.iter().map(|(_, record)| record.clone()).collect();
    let mut devices: Vec<Device> = Vec::new();
    for flow in &flows {
        if !devices.contains(&flow.device) {
            devices.push(flow.device.clone());
        }
    }
    let interface = AttachedInterface {
        interface: "br-lan".to_owned(),
        ingress: "xdp",
        egress: "tc",
        reason: String::new(),
        attached_at: None,
        gone_at: None,
    };
    Update {
        at: after(seconds),
        meta: Meta::new((start(), after(seconds)), 1, vec![interface], 0),
        devices: devices.iter().map(|it| summary(it, &flows)).collect(),
        told,
        changed: Vec::new(),
        forgotten: Vec::new(),
        unaccounted: Vec::<UnaccountedRow>::new(),
        resolving: Vec::new(),
    }
}

/// An update of a world whose flows' counts are now these.
pub(super) fn changes(
    seconds: i64,
    flows: &mut [(FlowNumber, FlowRecord)],
    added: &[(u64, u64)],
) -> Update {
    let mut changed = Vec::new();
    for ((number, flow), (up, down)) in flows.iter_mut().zip(added) {
        flow.up += octets(*up);
        flow.down += octets(*down);
        flow.last_seen = after(seconds);
        changed.push(Changed {
            flow: *number,
            up: flow.up,
            down: flow.down,
            last_seen: flow.last_seen,
        });
    }
    let mut update = update(seconds, flows.to_vec());
    update.told.clear();
    update.changed = changed;
    update
}
