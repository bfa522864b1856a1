//! Snapshots for the tests of formats: an ordinary one and one full of malice.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::{
    geo::{Place, Scope},
    model::{Device, FlowRecord},
    names::{NameSource, Naming},
    observation::Traffic,
    store::{
        AttachedInterface, DatabaseMeta, DeviceSummary, DirectionSummary, Meta, Snapshot,
        UnaccountedRow,
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

pub(crate) fn record() -> FlowRecord {
    FlowRecord {
        device: devices().remove(0),
        naming: Naming {
            names: vec!["us-master.iotcplatform.com".into()],
            source: Some(NameSource::Dns),
        },
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
    }
}

fn meta() -> Meta {
    let interface = AttachedInterface {
        interface: "br-lan".to_owned(),
        ingress: "xdp",
        egress: "tc",
        reason: String::new(),
    };
    let span = (time("2026-01-02T03:04:05Z"), time("2026-01-02T03:09:05Z"));
    Meta {
        version: "0.1.0".to_owned(),
        databases: vec![DatabaseMeta {
            name: "built-in".to_owned(),
            database_type: "flowwatch-country-asn".to_owned(),
            built: Some(time("2025-12-01T00:00:00Z")),
            attribution: Some("IP Geolocation by DB-IP (https://db-ip.com)"),
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
    record.naming.names = vec![EVIL_NAME.into()];
    record.place.city = Some("@SUM(A1)\t".into());
    record.place.organization = Some(EVIL_ORGANIZATION.into());
    let mut snapshot = snapshot();
    snapshot.meta.interfaces[0].reason = "\u{1b}[31m`x`".to_owned();
    snapshot.meta.databases[0].database_type = "\u{1b}[31m<b>".to_owned();
    snapshot.devices[0].device = record.device.name.to_string();
    snapshot.flows = vec![record];
    snapshot
}
