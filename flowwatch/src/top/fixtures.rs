//! Updates for the tests of the screen: the camera of DESIGN.md and others, by hand.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::flow::Flow;
use super::world::World;
use crate::format::sample;
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

/// A home with three devices, second by second.
pub(super) struct Home {
    flows: Vec<(FlowNumber, FlowRecord)>,
    /// Octets a second of each flow, up and down.
    rates: Vec<(u64, u64)>,
    devices: Vec<Device>,
    second: i64,
}

/// When the home's last destination is first seen.
const LATE: i64 = 59;

impl Home {
    /// Octets that all devices send in a second, once all destinations are there.
    pub(super) const RATE_UP: u64 = 12_000 + 300 + 48 + 60 + 900 + 2_000 + 25 + 400;

    pub(super) fn new() -> Self {
        let plug = device("plug=50:c7:bf:00:00:02");
        let phone = device("Großmutters Telefon=2a:00:00:00:00:03");
        let mut flows = camera_flows();
        flows[1].naming.candidates[0] = chained("us-master.iotcplatform.com");
        let mut moved = flows[1].clone();
        moved.remote_address = "198.16.70.58".parse().unwrap();
        moved.place = place("BA", "Bosnia & Herzegovina", 30_058, "FDCservers.net");
        flows.push(moved);
        let mut cloud = record(
            Some(("devs.tplinkcloud.com", NameSource::Sni)),
            "2a05:d018:1234:5678:9abc:def0:1234:5678",
            place("IE", "Ireland", 16_509, "Amazon.com, Inc."),
            (6, 443),
        );
        cloud.naming.candidates[0].asked = Some(false);
        cloud.device = plug;
        flows.push(cloud);
        let mut wide = record(
            Some(("影像.杭州.example", NameSource::Quic)),
            "47.96.0.1",
            place("CN", "China", 37_963, "杭州阿里巴巴广告有限公司"),
            (17, 443),
        );
        wide.device = phone;
        flows.push(wide);
        let devices = [0, 5, 6].map(|at: usize| flows[at].device.clone()).to_vec();
        let rates = [12_000, 300, 48, 60, 900, 2_000, 25];
        Self {
            flows: (0..).zip(flows).collect(),
            rates: rates.iter().map(|up| (*up, up / 4)).collect(),
            devices,
            second: 0,
        }
    }

    /// Returns the next updates, a second each; the first of all tells everything.
    pub(super) fn updates(&mut self, count: usize) -> impl Iterator<Item = Update> + '_ {
        (0..count).map(|_| self.next())
    }

    fn next(&mut self) -> Update {
        let second = self.second;
        self.second += 1;
        let mut told = if second == 0 {
            self.flows.clone()
        } else {
            self.pass(second)
        };
        if second == LATE {
            told.push(self.arrive());
        }
        let flows: Vec<_> = self.flows.iter().map(|(_, flow)| flow.clone()).collect();
        Update {
            devices: self.devices.iter().map(|it| summary(it, &flows)).collect(),
            changed: if second == 0 {
                Vec::new()
            } else {
                let changed = self.flows.iter().map(changed_of);
                changed.collect()
            },
            ..update(second, told)
        }
    }

    /// Lets a second pass; no flow is told anew.
    fn pass(&mut self, second: i64) -> Vec<(FlowNumber, FlowRecord)> {
        for ((_, flow), (up, down)) in self.flows.iter_mut().zip(&self.rates) {
            flow.up += octets(*up);
            flow.down += octets(*down);
            flow.last_seen = after(second);
        }
        Vec::new()
    }

    fn arrive(&mut self) -> (FlowNumber, FlowRecord) {
        let mut late = record(
            Some(("late.example", NameSource::Dns)),
            "203.0.114.9",
            place("DE", "Germany", 3_320, "Deutsche Telekom AG"),
            (6, 8_883),
        );
        late.first_seen = after(LATE);
        late.last_seen = late.first_seen;
        let told = (self.flows.len() as FlowNumber, late);
        self.flows.push(told.clone());
        self.rates.push((400, 100));
        told
    }
}

fn changed_of((number, flow): &(FlowNumber, FlowRecord)) -> Changed {
    Changed {
        flow: *number,
        up: flow.up,
        down: flow.down,
        last_seen: flow.last_seen,
    }
}

/// A name that is an alias.
fn chained(name: &str) -> Candidate {
    let mut candidate = candidate(name, NameSource::Dns, Some(true));
    let binding = Arc::make_mut(&mut candidate.binding);
    binding.chain = ["lb.iotcplatform.example".into(), "node-7.example".into()].into();
    candidate
}

/// Two flows in whose texts strangers try to be something else.
pub(super) fn adversarial() -> Update {
    let malice = sample::adversarial();
    let mut long = camera_flows().remove(0);
    let name = format!("{}.example", "e\u{301}".repeat(200));
    long.naming.candidates[0] = candidate(&name, NameSource::Http, Some(false));
    long.place.organization = Some(sample::EVIL_ORGANIZATION.into());
    long.place.country = Some("\u{202e}X".into());
    let mut update = update(0, vec![(0, malice.flows[0].clone()), (1, long)]);
    update.meta.interfaces[0].interface = "br\u{1b}[2J".to_owned();
    update
}
