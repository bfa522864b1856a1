//! Metrics of flowwatch's own state: how it counts, what was lost, what the sinks did.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::metric::Kind::{Counter, Gauge, Info};
use super::metric::Metric;
use super::page::Samples;
use super::scrape::Scrape;
use crate::export::Figures;
use crate::store::{Losses, Meta, WINDOW_FLOWS, Warning};

/// The metrics.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "flowwatch_build",
        kind: Info,
        unit: "",
        help: "flowwatch's version.",
        labels: &["version"],
        samples: |_, samples| samples.add(&[env!("CARGO_PKG_VERSION")], 1),
    },
    Metric {
        name: "flowwatch_interface_attached",
        kind: Gauge,
        unit: "",
        help: "Whether flowwatch counts on an interface, and what sees what devices send and receive: 1, \
               or 0 since it went.",
        labels: &["interface", "ingress", "egress"],
        samples: interfaces,
    },
    Metric {
        name: "flowwatch_warning",
        kind: Gauge,
        unit: "",
        help: "What may keep traffic from being seen, as a check of doctor's found it when counting began: \
               1.",
        labels: &["check", "subject"],
        samples: warnings,
    },
    Metric {
        name: "flowwatch_counting_start_time_seconds",
        kind: Gauge,
        unit: "seconds",
        help: "When counting began, since the Unix epoch.",
        labels: &[],
        samples: |scrape, samples| of_meta(scrape, samples, |meta| seconds(meta.started_at)),
    },
    Metric {
        name: "flowwatch_last_drain_time_seconds",
        kind: Gauge,
        unit: "seconds",
        help: "When the kernel's counters were last drained, since the Unix epoch.",
        labels: &[],
        samples: |scrape, samples| of_meta(scrape, samples, |meta| seconds(meta.ended_at)),
    },
    Metric {
        name: "flowwatch_clock_step_seconds",
        kind: Gauge,
        unit: "seconds",
        help: "By how much the clock was set while flowwatch counted, all in all.",
        labels: &[],
        samples: |scrape, samples| {
            of_meta(scrape, samples, |meta| {
                meta.clock_step_seconds.unwrap_or(0).to_string()
            });
        },
    },
    Metric {
        name: "flowwatch_epochs",
        kind: Counter,
        unit: "",
        help: "Drains of the kernel's counters.",
        labels: &[],
        samples: |scrape, samples| of_meta(scrape, samples, |meta| meta.epochs.to_string()),
    },
    Metric {
        name: "flowwatch_window_flows",
        kind: Gauge,
        unit: "",
        help: "Flows in the window.",
        labels: &[],
        samples: |scrape, samples| {
            let devices = scrape.latest.iter().flat_map(|latest| &latest.devices);
            samples.add(&[], devices.map(|device| device.flows).sum::<u64>());
        },
    },
    Metric {
        name: "flowwatch_window_flows_limit",
        kind: Gauge,
        unit: "",
        help: "Flows that the window holds at most.",
        labels: &[],
        samples: |_, samples| samples.add(&[], WINDOW_FLOWS),
    },
    Metric {
        name: "flowwatch_flow_table_full_packets",
        kind: Counter,
        unit: "",
        help: "Packets counted in no flow, as the kernel's flow table was full or busy.",
        labels: &[],
        samples: |scrape, samples| lost(scrape, samples, |losses| losses.flow_table_packets),
    },
    Metric {
        name: "flowwatch_window_full_packets",
        kind: Counter,
        unit: "",
        help: "Packets counted in no flow of the window, which was full.",
        labels: &[],
        samples: |scrape, samples| lost(scrape, samples, |losses| losses.window_packets),
    },
    Metric {
        name: "flowwatch_prefix_frames_lost",
        kind: Counter,
        unit: "",
        help: "Frames that were not counted, of devices that a prefix tags, for want of a number.",
        labels: &[],
        samples: |scrape, samples| lost(scrape, samples, |losses| losses.prefix_frames),
    },
    Metric {
        name: "flowwatch_samples_dropped",
        kind: Counter,
        unit: "",
        help: "Payload samples that did not arrive, whose names may be missing.",
        labels: &[],
        samples: |scrape, samples| lost(scrape, samples, |losses| losses.samples_dropped),
    },
    Metric {
        name: "flowwatch_names_turned_away",
        kind: Counter,
        unit: "",
        help: "Names that gave way to newer ones, for want of room.",
        labels: &[],
        samples: |scrape, samples| lost(scrape, samples, |losses| losses.names_turned_away),
    },
    Metric {
        name: "flowwatch_places_unreadable",
        kind: Counter,
        unit: "",
        help: "Look-ups of a place that met a record which can't be read.",
        labels: &[],
        samples: |scrape, samples| lost(scrape, samples, |losses| losses.places_unreadable),
    },
    Metric {
        name: "flowwatch_name_samples",
        kind: Counter,
        unit: "",
        help: "Payload samples that a reader of names took as its own, by what became of them.",
        labels: &["outcome"],
        samples: name_samples,
    },
    Metric {
        name: "flowwatch_names",
        kind: Gauge,
        unit: "",
        help: "Bindings of names to addresses that are held.",
        labels: &[],
        samples: |scrape, samples| of_meta(scrape, samples, |meta| meta.names.bindings.to_string()),
    },
    Metric {
        name: "flowwatch_database_build_time_seconds",
        kind: Gauge,
        unit: "seconds",
        help: "When a database of places was built, since the Unix epoch.",
        labels: &["database", "type"],
        samples: databases,
    },
    Metric {
        name: "flowwatch_export_records",
        kind: Counter,
        unit: "",
        help: "Records, or scrapes, that a sink delivered.",
        labels: SINK,
        samples: |scrape, samples| sinks(scrape, samples, Figures::records),
    },
    Metric {
        name: "flowwatch_export_bytes",
        kind: Counter,
        unit: "bytes",
        help: "Octets that a sink delivered.",
        labels: SINK,
        samples: |scrape, samples| sinks(scrape, samples, Figures::octets),
    },
    Metric {
        name: "flowwatch_export_deliveries",
        kind: Counter,
        unit: "",
        help: "Deliveries of a sink that succeeded.",
        labels: SINK,
        samples: |scrape, samples| sinks(scrape, samples, Figures::deliveries),
    },
    Metric {
        name: "flowwatch_export_failures",
        kind: Counter,
        unit: "",
        help: "Deliveries of a sink that failed; what was in them is in later ones.",
        labels: SINK,
        samples: |scrape, samples| sinks(scrape, samples, Figures::failures),
    },
    Metric {
        name: "flowwatch_export_discarded_records",
        kind: Counter,
        unit: "",
        help: "Records, or scrapes, that a sink will never deliver.",
        labels: SINK,
        samples: |scrape, samples| sinks(scrape, samples, Figures::discarded),
    },
    Metric {
        name: "flowwatch_export_waiting_records",
        kind: Gauge,
        unit: "",
        help: "Records that wait to be delivered by a sink.",
        labels: SINK,
        samples: |scrape, samples| sinks(scrape, samples, Figures::waiting),
    },
    Metric {
        name: "flowwatch_export_waiting_records_max",
        kind: Gauge,
        unit: "",
        help: "The most records that ever waited to be delivered by a sink.",
        labels: SINK,
        samples: |scrape, samples| sinks(scrape, samples, Figures::most_waiting),
    },
];

/// What tells a sink from the others.
const SINK: &[&str] = &["sink", "target"];

fn of_meta(scrape: &Scrape<'_>, samples: &mut Samples<'_>, of: fn(&Meta) -> String) {
    if let Some(latest) = scrape.latest {
        samples.add(&[], of(&latest.meta));
    }
}

fn lost(scrape: &Scrape<'_>, samples: &mut Samples<'_>, of: fn(&Losses) -> u64) {
    if let Some(latest) = scrape.latest {
        samples.add(&[], of(&latest.meta.losses));
    }
}

/// Returns a moment as Prometheus has it.
fn seconds(at: Timestamp) -> String {
    let milliseconds = at.as_millisecond();
    format!(
        "{}.{:03}",
        milliseconds / 1000,
        milliseconds.rem_euclid(1000)
    )
}

/// One that two databases of one name share is there once.
fn warnings(scrape: &Scrape<'_>, samples: &mut Samples<'_>) {
    let warnings = scrape.latest.iter().flat_map(|it| &it.meta.warnings);
    let subject = |it: &Warning| it.subject.clone().unwrap_or_default();
    let each: BTreeSet<_> = warnings.map(|it| (it.check.clone(), subject(it))).collect();
    for (check, subject) in &each {
        samples.add(&[check, subject], 1);
    }
}

/// An interface that went and came back is there once, as it is now.
fn interfaces(scrape: &Scrape<'_>, samples: &mut Samples<'_>) {
    let Some(latest) = scrape.latest else {
        return;
    };
    let interfaces = &latest.meta.interfaces;
    for (at, interface) in interfaces.iter().enumerate() {
        let labels = [&*interface.interface, interface.ingress, interface.egress];
        let of = |other: usize| {
            let other = &interfaces[other];
            [&*other.interface, other.ingress, other.egress]
        };
        if (at + 1..interfaces.len()).any(|later| of(later) == labels) {
            continue;
        }
        samples.add(&labels, u8::from(interface.gone_at.is_none()));
    }
}

fn name_samples(scrape: &Scrape<'_>, samples: &mut Samples<'_>) {
    let Some(latest) = scrape.latest else {
        return;
    };
    let names = &latest.meta.names;
    let outcomes = [
        ("understood", names.understood),
        ("pending", names.pending),
        ("cut", names.cut),
        ("malformed", names.malformed),
        ("nameless", names.nameless),
    ];
    for (outcome, count) in outcomes {
        samples.add(&[outcome], count);
    }
}

fn databases(scrape: &Scrape<'_>, samples: &mut Samples<'_>) {
    let databases = scrape.latest.iter().flat_map(|it| &it.meta.databases);
    let mut told = Vec::new();
    for database in databases {
        let labels = [&*database.name, &*database.database_type];
        if let (Some(built), false) = (database.built, told.contains(&labels)) {
            samples.add(&labels, seconds(built));
            told.push(labels);
        }
    }
}

fn sinks(scrape: &Scrape<'_>, samples: &mut Samples<'_>, of: fn(&Figures) -> u64) {
    let mut told = Vec::new();
    for figures in scrape.sinks {
        let labels = [figures.sink, &*figures.target];
        if !told.contains(&labels) {
            samples.add(&labels, of(figures));
            told.push(labels);
        }
    }
}
