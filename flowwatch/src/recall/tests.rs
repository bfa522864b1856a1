//! Histories that a recorder made, and what a report gets of them.

use std::time::Duration;

use super::*;
use crate::{
    geo::Databases,
    history::{Epoch, GenerationId, Known, Recorder, RecorderOptions, Retention},
    model::Device,
    names::NameTable,
    observation::{DeviceTotals, EpochFlow, Traffic},
    plan::{ReportWish, Settings},
    store::Losses,
};

const NOW: &str = "2026-03-03T12:00:00Z";

fn devices() -> Vec<Device> {
    ["camera=2c:aa:8e:00:00:01", "plug=50:c7:bf:00:00:02"]
        .map(|text| text.parse().unwrap())
        .into()
}

fn flow(device: u16, octets: u64) -> EpochFlow {
    EpochFlow {
        device,
        remote: "192.0.2.1".parse().unwrap(),
        protocol: 6,
        remote_port: 443,
        up: Traffic { packets: 1, octets },
        down: Traffic::default(),
        first_seen: "2026-03-03T10:00:00Z".parse().unwrap(),
        last_seen: "2026-03-03T10:00:05Z".parse().unwrap(),
    }
}

/// Records 100 octets of the camera's and 7 of the plug's at ten o'clock.
fn record(folder: &Path) -> PathBuf {
    let path = folder.join("history.db");
    let options = RecorderOptions {
        history: path.clone(),
        journal: folder.join("journal"),
        interval: Duration::ZERO,
        retention: Retention::default(),
    };
    let devices = devices();
    let total = |octets| {
        let mut totals = DeviceTotals::default();
        totals.up.flow_traffic = Traffic { packets: 1, octets };
        totals
    };
    let mut recorder = Recorder::open(&options).unwrap();
    let totals = devices.iter().cloned().zip([100, 7]).enumerate();
    let epoch = Epoch {
        generation: GenerationId(1),
        serial: 1,
        ended_at: "2026-03-03T10:00:10Z".parse().unwrap(),
        is_last: false,
        totals: totals
            .map(|(number, (device, octets))| (number as u16, device, total(octets)))
            .collect(),
        flows: vec![flow(0, 100), flow(1, 7)],
    };
    recorder.take(&epoch).unwrap();
    let known = Known {
        devices: &devices,
        names: &NameTable::default(),
        databases: &Databases::open(&[], false).unwrap(),
        interfaces: &[],
        losses: Losses::default(),
    };
    recorder.finish(&known).unwrap();
    path
}

fn recalled(history: &Path, since: &str, devices: &[&str]) -> Result<Recalled, anyhow::Error> {
    let wish = ReportWish {
        history: Some(history.to_owned()),
        since: Some(since.to_owned()),
        devices: devices.iter().map(|text| text.parse().unwrap()).collect(),
        ..ReportWish::default()
    };
    let plan = ReportPlan::new(wish, Settings::default(), NOW.parse().unwrap()).unwrap();
    recall(&plan, |_| Some(Step::Minute)).map(|(recalled, _)| recalled)
}

fn check_refusal(error: &anyhow::Error, status: ExitStatus, told: &str) {
    let text = crate::exit::sentence_of(error);
    assert!(text.contains(told), "`{text}` lacks `{told}`");
    assert_eq!(crate::exit::status_of(error), status, "{text}");
}

#[test]
fn what_was_recorded_is_recalled_with_its_course() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(folder.path());
    let all = recalled(&path, "1d", &[]).unwrap();
    let octets: Vec<_> = all.snapshot.flows.iter().map(|it| it.up.octets).collect();
    assert_eq!(octets, [100, 7]);
    let course: Vec<_> = all
        .series
        .iter()
        .map(|it| (&*it.device, it.up.octets))
        .collect();
    assert_eq!(course, [("camera", 100), ("plug", 7)]);
}

#[test]
fn a_device_is_told_of_alone_by_name_or_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(folder.path());
    for name in ["plug", "50:c7:bf:00:00:02"] {
        let plug = recalled(&path, "1d", &[name]).unwrap();
        assert_eq!(plug.snapshot.flows.len(), 1, "{name}");
        assert_eq!(plug.snapshot.flows[0].up.octets, 7, "{name}");
        assert_eq!(plug.snapshot.devices.len(), 1, "{name}");
        assert_eq!(plug.series.len(), 1, "{name}");
    }
    let error = recalled(&path, "1d", &["tv"]).unwrap_err();
    let told = "report on `tv`: there is no such device in that time; there are camera, plug";
    check_refusal(&error, ExitStatus::Usage, told);
}

#[test]
fn nothing_to_tell_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.db");
    let error = recalled(&missing, "1d", &[]).unwrap_err();
    check_refusal(&error, ExitStatus::Usage, "there is no such file");

    let path = record(folder.path());
    let error = recalled(&path, "1h", &[]).unwrap_err();
    let told = "from 2026-03-03T11:00:00Z to 2026-03-03T12:00:00Z: nothing is recorded of that time; \
                it has what was counted from 2026-03-03T10:00:00Z to 2026-03-03T10:01:00Z";
    check_refusal(&error, ExitStatus::Failed, told);

    let empty = folder.path().join("empty.db");
    let options = RecorderOptions {
        history: empty.clone(),
        journal: folder.path().join("other"),
        interval: Duration::ZERO,
        retention: Retention::default(),
    };
    drop(Recorder::open(&options).unwrap());
    let error = recalled(&empty, "1d", &[]).unwrap_err();
    check_refusal(&error, ExitStatus::Failed, "nothing is recorded in it yet");
}
