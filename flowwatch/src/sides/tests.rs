//! Sides of every kind, from files as users have them.

use std::{fs, path::PathBuf, time::Duration};

use super::*;
use crate::{
    diff::{Change, Octets},
    exit::status_of,
    format::{format_of, sample},
    geo::Databases,
    history::{Epoch, GenerationId, Known, Recorder, RecorderOptions, Retention},
    model::Device,
    names::NameTable,
    observation::{DeviceTotals, EpochFlow, Traffic},
    plan::Settings,
    store::{Losses, Snapshot},
};

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and returns its name.
    fn file(&self, name: &str, octets: &[u8]) -> String {
        fs::write(self.path(name), octets).unwrap();
        self.path(name).display().to_string()
    }

    fn document(&self, name: &str, snapshot: &Snapshot) -> String {
        let mut out = Vec::new();
        let format = (format_of("json").unwrap().open)(crate::format::Surface::PLAIN);
        format.write(snapshot, &mut out).unwrap();
        self.file(name, &out)
    }

    /// Records flows of the camera's, each with its minute and its octets up, and returns the file.
    fn history(&self, name: &str, flows: &[(&str, &str, u64)]) -> String {
        let camera: Device = "camera=2c:aa:8e:00:00:01".parse().unwrap();
        let ever = Duration::from_hours(24 * 365 * 100);
        let options = RecorderOptions {
            history: self.path(name),
            journal: self.path("journal"),
            interval: Duration::ZERO,
            retention: Retention {
                minutes: ever,
                hours: ever,
                days: ever,
            },
        };
        let mut recorder = Recorder::open(&options).unwrap();
        for (serial, (at, remote, octets)) in (1..).zip(flows) {
            let at: Timestamp = at.parse().unwrap();
            let epoch = Epoch {
                generation: GenerationId(7),
                serial,
                ended_at: at,
                is_last: false,
                flows: vec![EpochFlow {
                    device: 0,
                    remote: remote.parse().unwrap(),
                    protocol: 6,
                    remote_port: 443,
                    up: Traffic {
                        packets: 1,
                        octets: *octets,
                    },
                    down: Traffic::default(),
                    first_seen: at,
                    last_seen: at,
                }],
                totals: vec![(0, camera.clone(), DeviceTotals::default())],
            };
            recorder.take(&epoch).unwrap();
        }
        let known = Known {
            devices: &[camera],
            names: &NameTable::default(),
            databases: &Databases::open(&[], false).unwrap(),
            interfaces: &[],
            losses: Losses::default(),
        };
        recorder.finish(&known).unwrap();
        self.path(name).display().to_string()
    }
}

fn plan(before: &str, after: &str, devices: &[&str]) -> DiffPlan {
    let devices = devices.iter().map(|text| text.parse().unwrap()).collect();
    let settings = Settings {
        builtin_geo: Some(false),
        ..Settings::default()
    };
    DiffPlan {
        tells_by_status: true,
        ..DiffPlan::new([before.to_owned(), after.to_owned()], devices, settings)
    }
}

fn compared(plan: &DiffPlan) -> anyhow::Result<Comparison> {
    let now = "2026-03-04T00:00:00Z".parse().unwrap();
    compare_sides(plan, now).map(|(comparison, outcome)| {
        outcome.unwrap();
        comparison
    })
}

/// Returns the addresses of which this became, with octets up.
fn addresses(comparison: &Comparison, change: Change) -> Vec<(String, u64)> {
    let entries = comparison.together[1].with(change);
    let entries = entries.map(|entry| (entry.value.to_string(), entry.octets().up));
    entries.collect()
}

fn refusal(plan: &DiffPlan) -> (ExitStatus, String) {
    let error = compared(plan).unwrap_err();
    (status_of(&error), crate::exit::sentence_of(&error))
}

const RECORDED: &[(&str, &str, u64)] = &[
    ("2026-03-02T12:00:30Z", "52.79.197.188", 700),
    ("2026-03-02T12:00:40Z", "50.7.98.242", 500),
    ("2026-03-03T12:00:30Z", "50.7.98.242", 400),
    ("2026-03-03T12:00:40Z", "34.208.107.136", 1_800),
];

#[test]
fn two_spans_of_one_history_are_compared() {
    let bench = Bench::new();
    let history = bench.history("h.sqlite", RECORDED);
    let check = |before: &str, after: &str| {
        let mut plan = plan(before, after, &[]);
        plan.history = bench.path("h.sqlite");
        let comparison = compared(&plan).unwrap();
        assert_eq!(comparison.before.source, "history");
        let of = |change| addresses(&comparison, change);
        assert_eq!(of(Change::Gone), [("52.79.197.188".to_owned(), 700)]);
        assert_eq!(of(Change::Kept), [("50.7.98.242".to_owned(), 400)]);
        assert_eq!(of(Change::New), [("34.208.107.136".to_owned(), 1_800)]);
    };
    check("2026-03-02..2026-03-03", "2026-03-03..2026-03-04");
    check("..2026-03-03", "2026-03-03..");
    check("2d..yesterday", "yesterday..today");
    check(
        &format!("{history}@..yesterday"),
        &format!("{history}@2026-03-03T00:00:00Z..now"),
    );
}

#[test]
fn a_history_is_all_that_it_holds() {
    let bench = Bench::new();
    let history = bench.history("h.sqlite", RECORDED);
    let part = format!("{history}@2026-03-03..");
    let comparison = compared(&plan(&history, &part, &[])).unwrap();
    assert_eq!(comparison.before.octets, Octets { up: 3_400, down: 0 });
    assert_eq!(comparison.after.octets, Octets { up: 2_200, down: 0 });
    let mut kept = comparison.together[1].with(Change::Kept);
    let kept = kept.find(|entry| &*entry.value == "50.7.98.242").unwrap();
    assert_eq!(kept.before, Some(Octets { up: 900, down: 0 }));
    assert_eq!(kept.after, Some(Octets { up: 400, down: 0 }));
}

#[test]
fn a_document_is_the_snapshot_that_it_was_written_from() {
    let bench = Bench::new();
    for snapshot in [sample::snapshot(), sample::adversarial()] {
        let path = bench.document("run.json", &snapshot);
        let read = document::read("run.json", std::path::Path::new(&path)).unwrap();
        let made = Side::of("run.json", "document", &snapshot);
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
        assert!(!made.devices[0].destinations.is_empty());
    }
}

#[test]
fn a_difference_decides_the_status_where_that_is_asked_for() {
    let bench = Bench::new();
    let mut snapshot = sample::snapshot();
    let before = bench.document("before.json", &snapshot);
    snapshot.flows[0].naming = sample::naming(&["new.test"]);
    let after = bench.document("after.json", &snapshot);
    let check = |plan: &DiffPlan, expected: Option<&str>| {
        let verdict = verdict(plan, &compared(plan).unwrap());
        let told = verdict.map_err(|error| (status_of(&error), error.to_string()));
        match expected {
            None => assert_eq!(told, Ok(())),
            Some(kinds) => {
                let text = format!("`{before}` and `{after}` differ in {kinds}");
                assert_eq!(told, Err((ExitStatus::Differs, text)));
            }
        }
    };
    check(&plan(&before, &after, &[]), Some("names"));
    check(&plan(&before, &before, &[]), None);
    let mut silent = plan(&before, &after, &[]);
    silent.tells_by_status = false;
    check(&silent, None);
    let mut of_countries = plan(&before, &after, &[]);
    of_countries.kinds.retain(|kind| kind.name == "countries");
    check(&of_countries, None);
}

#[test]
fn a_chosen_device_is_found_on_the_other_side_by_its_address() {
    let bench = Bench::new();
    let mut snapshot = sample::snapshot();
    let before = bench.document("before.json", &snapshot);
    let other: Device = "cam=2c:aa:8e:00:00:01".parse().unwrap();
    for flow in &mut snapshot.flows {
        flow.device = other.clone();
    }
    snapshot.devices[0].device = "cam".to_owned();
    let plug: Device = "plug=50:c7:bf:00:00:02".parse().unwrap();
    snapshot.flows[0].device = plug;
    let after = bench.document("after.json", &snapshot);
    let devices = |choice: &str| -> Vec<(String, [bool; 2])> {
        let comparison = compared(&plan(&before, &after, &[choice])).unwrap();
        let devices = comparison.devices.into_iter();
        devices.map(|device| (device.name, device.is_on)).collect()
    };
    assert_eq!(devices("camera"), [("cam".to_owned(), [true, true])]);
    assert_eq!(devices("plug"), [("plug".to_owned(), [false, true])]);
    let (status, told) = refusal(&plan(&before, &after, &["lamp"]));
    assert_eq!(status, ExitStatus::Usage);
    assert_eq!(
        told,
        "compare the device `lamp`: neither side has it; they have cam, camera, plug"
    );
}

#[test]
fn what_is_no_side_is_refused_in_one_sentence() {
    let bench = Bench::new();
    let good = bench.document("good.json", &sample::snapshot());
    let check = |before: &str, part: &str| {
        let (status, told) = refusal(&plan(before, &good, &[]));
        assert_eq!(status, ExitStatus::Usage, "{told}");
        assert!(told.contains(part), "{told}");
    };
    check(
        "nowhere.pcap",
        "`nowhere.pcap`: there is no such file; name a capture",
    );
    check("../nowhere.pcap", "there is no such file");
    check("today..yesterday", "ends before it begins");
    check("7x..", "compare the span `7x..`: `7x` is not a moment");
    check("nowhere.sqlite@7d..", "open the history `nowhere.sqlite`");

    check(&bench.file("empty", b""), "empty");
    check(&bench.file("text", b"hello, world, and all"), "text");
    check(
        &bench.file("x.json", b" {\"meta\":{}}"),
        "missing field `started_at`",
    );
    check(
        &bench.file("y.json", b"{\"meta\":{\"started_at\":\"x\"}}"),
        "it is not one that `flowwatch run --format json` writes",
    );
    check(
        &bench.file("z.sqlite", b"SQLite format 3\0and no more"),
        "z.sqlite",
    );
    check(&bench.folder.path().display().to_string(), "it is a folder");
    check("", "there is no such file");
    let (status, told) = refusal(&plan("-", "-", &[]));
    assert_eq!(status, ExitStatus::Usage);
    assert!(told.contains("one side alone"), "{told}");
}

#[test]
fn a_history_without_anything_and_two_empty_sides_are_no_comparison() {
    let bench = Bench::new();
    let history = bench.history("empty.sqlite", &[]);
    let (status, told) = refusal(&plan(&history, &history, &[]));
    assert_eq!(status, ExitStatus::Usage);
    assert!(told.contains("nothing is recorded in it yet"), "{told}");
    let mut snapshot = sample::snapshot();
    snapshot.flows.clear();
    let document = bench.document("empty.json", &snapshot);
    let (status, told) = refusal(&plan(&document, &document, &[]));
    assert_eq!(status, ExitStatus::Failed);
    assert!(
        told.contains("nothing was counted on either side"),
        "{told}"
    );
}

#[test]
fn one_side_without_anything_is_told() {
    let bench = Bench::new();
    let mut snapshot = sample::snapshot();
    let whole = bench.document("whole.json", &snapshot);
    snapshot.flows.clear();
    let empty = bench.document("empty.json", &snapshot);
    let check = |before: &str, after: &str, expected: &[String]| {
        let comparison = compared(&plan(before, after, &[])).unwrap();
        assert_eq!(findings(&comparison), expected);
    };
    let told = [format!("nothing was counted in `{empty}`")];
    check(&whole, &empty, &told);
    check(&empty, &whole, &told);
    check(&whole, &whole, &[]);
}

#[test]
fn a_file_with_a_spans_name_is_the_file() {
    let bench = Bench::new();
    let file = bench.document("h@7d..1d", &sample::snapshot());
    assert!(compared(&plan(&file, &file, &[])).is_ok());
}
