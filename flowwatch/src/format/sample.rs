//! Snapshots for the tests of formats: an ordinary one and one full of malice.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;

use crate::{
    geo::{Place, Scope},
    model::{Device, FlowRecord},
    names::{Answers, Binding, Candidate, NameSource, Naming, Resolver, Resolving, Transport},
    observation::Traffic,
    store::{
        AttachedInterface, DatabaseMeta, DeviceResolving, DeviceSummary, DirectionSummary, Meta,
        Snapshot, UnaccountedRow,
    },
};

pub(crate) const EVIL_NAME: &str = "a\u{1b}[2J\r\nb|c\u{202e}\u{200b}\u{9b}\u{7f},\"d\"<x>";
pub(crate) const EVIL_ORGANIZATION: &str = "-2+3|\u{1b}]0;x\u{7}\u{2028}\u{e0041}[l](https://evil)";

pub(crate) fn devices() -> Vec<Device> {
    ["camera=2c:aa:8e:00:00:01", "plug=50:c7:bf:00:00:02"]
        .map(|text| text.parse().unwrap())
        .into()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Names that the device asked for.
pub(crate) fn naming(names: &[&str]) -> Naming {
    let candidate = |name: &&str| Candidate {
        binding: Arc::new(Binding {
            name: (*name).into(),
            chain: ["cdn.example".into()].into(),
            source: NameSource::Dns,
            service: None,
            first_told: time("2026-01-02T03:04:05.5Z"),
            last_told: time("2026-01-02T03:06:00Z"),
            ttl: 300,
        }),
        asked: Some(true),
        offer: None,
    };
    Naming {
        candidates: names.iter().map(candidate).collect(),
    }
}

pub(crate) fn record() -> FlowRecord {
    FlowRecord {
        device: devices().remove(0),
        naming: naming(&["us-master.iotcplatform.com"]),
        remote_address: "50.7.98.242".parse().unwrap(),
        scope: Scope::Internet,
        protocol: 17,
        remote_port: 10_001,
        place: Place {
            country: Some("US".into()),
            country_name: Some("United States".into()),
            city: Some("Los Angeles".into()),
            asn: Some(30_058),
            organization: Some("FDCservers.net".into()),
        },
        up: Traffic {
            packets: 1_200,
            octets: 1_234_567,
        },
        down: Traffic {
            packets: 900,
            octets: 45_600,
        },
        first_seen: time("2026-01-02T03:04:05.678Z"),
        last_seen: time("2026-01-02T03:09:00.001Z"),
    }
}

fn nameless(address: &str, scope: Scope, place: Place) -> FlowRecord {
    FlowRecord {
        naming: Naming::default(),
        remote_address: address.parse::<IpAddr>().unwrap(),
        scope,
        place,
        ..record()
    }
}

/// A named flow, one without name, and one to the local network.
pub(crate) fn snapshot() -> Snapshot {
    let mut chinese = nameless(
        "2408:4000:0:1234:5678:9abc:def0:5962",
        Scope::Internet,
        Place {
            country: Some("CN".into()),
            country_name: Some("China".into()),
            city: None,
            asn: Some(37_963),
            organization: Some("Hangzhou Alibaba Advertising Co.,Ltd.".into()),
        },
    );
    chinese.protocol = 6;
    chinese.remote_port = 443;
    chinese.up = Traffic {
        packets: 30,
        octets: 4_000,
    };
    chinese.down = Traffic {
        packets: 11,
        octets: 512,
    };
    let mut local = nameless("192.168.1.1", Scope::Private, Place::default());
    local.protocol = 1;
    local.remote_port = 0;
    local.up = Traffic {
        packets: 10,
        octets: 840,
    };
    local.down = Traffic {
        packets: 1,
        octets: 84,
    };

    Snapshot {
        meta: meta(),
        devices: vec![summary()],
        flows: vec![record(), chinese, local],
        unaccounted: vec![
            unaccounted("not_ip", 3, 126),
            unaccounted("truncated", 1, 20),
        ],
        resolving: vec![resolving()],
    }
}

/// A device that asks whom the network gave it, and another one besides.
fn resolving() -> DeviceResolving {
    let answers = Answers {
        answered: 4,
        negative: 2,
        ..Answers::default()
    };
    let device = devices().remove(0);
    DeviceResolving {
        device: device.name.to_string(),
        device_mac: device.mac,
        resolving: Resolving {
            offered: vec![[192, 168, 1, 1].into()],
            resolvers: vec![
                resolver(([192, 168, 1, 1], None), Transport::Udp, Some(true)),
                Resolver {
                    answers: None,
                    ..resolver(
                        ([8, 8, 8, 8], Some("dns.google")),
                        Transport::Doh,
                        Some(false),
                    )
                },
            ],
            answers,
            unresolved: vec!["gone.example".to_owned()],
            ..Resolving::default()
        },
    }
}

pub(crate) fn resolver(
    (address, name): ([u8; 4], Option<&str>),
    transport: Transport,
    given: Option<bool>,
) -> Resolver {
    Resolver {
        address: address.into(),
        name: name.map(str::to_owned),
        transport,
        given,
        up: Traffic {
            packets: 4,
            octets: 300,
        },
        down: Traffic {
            packets: 4,
            octets: 700,
        },
        answers: Some(Answers {
            answered: 4,
            negative: 2,
            ..Answers::default()
        }),
    }
}

fn meta() -> Meta {
    let interface = AttachedInterface {
        interface: "br-lan".to_owned(),
        ingress: "xdp",
        egress: "tc",
        reason: String::new(),
        attached_at: None,
        gone_at: None,
    };
    let span = (time("2026-01-02T03:04:05Z"), time("2026-01-02T03:09:05Z"));
    Meta {
        version: "0.1.0".to_owned(),
        databases: vec![DatabaseMeta {
            name: "built-in".to_owned(),
            database_type: "flowwatch-country-asn".to_owned(),
            built: Some(time("2025-12-01T00:00:00Z")),
            attribution: Some("IP Geolocation by DB-IP (https://db-ip.com)".into()),
        }],
        ..Meta::new(span, 300, vec![interface], 0)
    }
}

fn summary() -> DeviceSummary {
    let up = DirectionSummary {
        packets: 1_240,
        octets: 1_239_407,
        frames_seen: 1_244,
        l2_octets_seen: 1_256_913,
        frames_in_flows: 1_240,
        frames_unaccounted: 4,
        ..DirectionSummary::default()
    };
    let down = DirectionSummary {
        packets: 912,
        octets: 46_196,
        frames_seen: 912,
        l2_octets_seen: 58_964,
        frames_in_flows: 912,
        ..DirectionSummary::default()
    };
    let device = devices().remove(0);
    DeviceSummary {
        device: device.name.to_string(),
        device_mac: device.mac,
        flows: 3,
        conserved: true,
        up,
        down,
    }
}

fn unaccounted(reason: &'static str, frames: u64, l2_octets: u64) -> UnaccountedRow {
    let device = devices().remove(0);
    UnaccountedRow {
        device: device.name.to_string(),
        device_mac: device.mac,
        direction: "up",
        reason,
        frames,
        l2_octets,
        packets: None,
        octets: None,
    }
}

/// One flow in which every text tries to be something else.
pub(crate) fn adversarial() -> Snapshot {
    let mut record = record();
    record.device.name = "=cmd|'/C calc'!A0".into();
    record.naming = naming(&[EVIL_NAME, &".".repeat(255)]);
    let binding = Arc::make_mut(&mut record.naming.candidates[0].binding);
    binding.chain = [EVIL_NAME.into()].into();
    record.place.city = Some("@SUM(A1)\t".into());
    record.place.organization = Some(EVIL_ORGANIZATION.into());
    let mut snapshot = snapshot();
    snapshot.meta.interfaces[0].reason = "\u{1b}[31m`x`".to_owned();
    snapshot.meta.databases[0].database_type = "\u{1b}[31m<b>".to_owned();
    snapshot.devices[0].device = record.device.name.to_string();
    snapshot.resolving[0].device = record.device.name.to_string();
    snapshot.resolving[0].resolving.resolvers[1].name = Some(EVIL_NAME.to_owned());
    snapshot.resolving[0].resolving.unresolved = vec![EVIL_NAME.to_owned(), "=1+1".to_owned()];
    snapshot.flows = vec![record];
    snapshot
}
