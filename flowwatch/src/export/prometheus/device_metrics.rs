//! Metrics of devices and of where they send their data.

use super::destinations::Destination;
use super::metric::Kind::{Counter, Gauge, Info};
use super::metric::Metric;
use super::page::Samples;
use super::scrape::Scrape;
use crate::observation::Traffic;
use crate::store::{BothWays, DeviceSummary, DirectionSummary};

/// The metrics.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "flowwatch_device_bytes",
        kind: Counter,
        unit: "bytes",
        help: "IP octets (header and payload) of a device, as on the wire.",
        labels: &["device", "direction"],
        samples: |scrape, samples| totals(scrape, samples, |traffic| traffic.octets),
    },
    Metric {
        name: "flowwatch_device_packets",
        kind: Counter,
        unit: "",
        help: "IP packets of a device, as on the wire.",
        labels: &["device", "direction"],
        samples: |scrape, samples| totals(scrape, samples, |traffic| traffic.packets),
    },
    Metric {
        name: "flowwatch_destination_bytes",
        kind: Counter,
        unit: "bytes",
        help: "IP octets between a device and a destination; those without series of their own are \
               `other`.",
        labels: &["device", "direction", "name", "country", "organization"],
        samples: destinations,
    },
    Metric {
        name: "flowwatch_destination_expired_bytes",
        kind: Counter,
        unit: "bytes",
        help: "IP octets that were in destinations' series which have ended.",
        labels: &["device", "direction"],
        samples: |scrape, samples| {
            for (name, account) in &scrape.devices {
                if let Some(sums) = scrape.destinations.of(account.device.mac) {
                    both(samples, name, sums.expired, |traffic| traffic.octets);
                }
            }
        },
    },
    Metric {
        name: "flowwatch_device_destinations",
        kind: Gauge,
        unit: "",
        help: "Destinations of a device that have series of their own.",
        labels: &["device"],
        samples: |scrape, samples| {
            for (name, account) in &scrape.devices {
                if let Some(sums) = scrape.destinations.of(account.device.mac) {
                    samples.add(&[name], sums.len());
                }
            }
        },
    },
    Metric {
        name: "flowwatch_device_overflow_bytes",
        kind: Counter,
        unit: "bytes",
        help: "IP octets of a device in no flow, for want of room in the tables.",
        labels: &["device", "direction"],
        samples: |scrape, samples| {
            directions(scrape, samples, |direction| direction.overflow_octets);
        },
    },
    Metric {
        name: "flowwatch_device_frames",
        kind: Counter,
        unit: "",
        help: "Frames of a device that the programs saw.",
        labels: &["device", "direction"],
        samples: |scrape, samples| directions(scrape, samples, |direction| direction.frames_seen),
    },
    Metric {
        name: "flowwatch_device_frames_in_flows",
        kind: Counter,
        unit: "",
        help: "Frames of a device that were counted into flows.",
        labels: &["device", "direction"],
        samples: |scrape, samples| {
            directions(scrape, samples, |direction| direction.frames_in_flows);
        },
    },
    Metric {
        name: "flowwatch_device_unaccounted_frames",
        kind: Counter,
        unit: "",
        help: "Frames of a device in no flow, each under one reason.",
        labels: &["device", "direction", "reason"],
        samples: unaccounted,
    },
    Metric {
        name: "flowwatch_device_conserved",
        kind: Gauge,
        unit: "",
        help: "Whether every frame of a device is in a flow or under a reason, and every octet drained: 1 \
               or 0.",
        labels: &["device"],
        samples: |scrape, samples| {
            for (name, summary) in summaries(scrape) {
                samples.add(&[name], u8::from(summary.conserved));
            }
        },
    },
    Metric {
        name: "flowwatch_device_flows",
        kind: Gauge,
        unit: "",
        help: "Flows of a device in the window.",
        labels: &["device"],
        samples: |scrape, samples| {
            for (name, summary) in summaries(scrape) {
                samples.add(&[name], summary.flows);
            }
        },
    },
    Metric {
        name: "flowwatch_device",
        kind: Info,
        unit: "",
        help: "A device and its MAC address.",
        labels: &["device", "device_mac"],
        samples: |scrape, samples| {
            for (name, account) in &scrape.devices {
                let mac = account.device.mac.map(|mac| mac.to_string());
                samples.add(&[name, &mac.unwrap_or_default()], 1);
            }
        },
    },
];

/// Adds a device's samples of both directions.
fn both(samples: &mut Samples<'_>, device: &str, traffic: BothWays, of: fn(Traffic) -> u64) {
    samples.add(&[device, "up"], of(traffic.up));
    samples.add(&[device, "down"], of(traffic.down));
}

fn totals(scrape: &Scrape<'_>, samples: &mut Samples<'_>, of: fn(Traffic) -> u64) {
    for (name, account) in &scrape.devices {
        let sums = scrape.destinations.of(account.device.mac);
        let total = sums.map(|sums| sums.total).unwrap_or_default();
        both(samples, name, total, of);
    }
}

fn destinations(scrape: &Scrape<'_>, samples: &mut Samples<'_>) {
    for (device, account) in &scrape.devices {
        let Some(sums) = scrape.destinations.of(account.device.mac) else {
            continue;
        };
        let mut add = |destination: &Destination, traffic: BothWays| {
            let Destination {
                name,
                country,
                organization,
            } = destination;
            for (direction, traffic) in [("up", traffic.up), ("down", traffic.down)] {
                let labels = [device, direction, name, country, organization];
                samples.add(&labels, traffic.octets);
            }
        };
        for (destination, traffic) in sums.destinations() {
            add(destination, traffic);
        }
        add(&Destination::other(), sums.other);
    }
}

/// Returns each device's name here, and its summary.
fn summaries<'a>(scrape: &'a Scrape<'_>) -> impl Iterator<Item = (&'a str, &'a DeviceSummary)> {
    let latest = scrape.latest.into_iter();
    let summaries = latest.flat_map(|latest| &latest.devices);
    summaries.filter_map(|summary| Some((scrape.name_of(summary.device_mac)?, summary)))
}

fn directions(scrape: &Scrape<'_>, samples: &mut Samples<'_>, of: fn(&DirectionSummary) -> u64) {
    for (name, summary) in summaries(scrape) {
        samples.add(&[name, "up"], of(&summary.up));
        samples.add(&[name, "down"], of(&summary.down));
    }
}

fn unaccounted(scrape: &Scrape<'_>, samples: &mut Samples<'_>) {
    for row in scrape.latest.iter().flat_map(|latest| &latest.unaccounted) {
        if let Some(name) = scrape.name_of(row.device_mac) {
            samples.add(&[name, row.direction, row.reason], row.frames);
        }
    }
}
