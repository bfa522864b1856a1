//! Histories of times that are known, made by the recorder that `run --history` has.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use flowwatch::geo::Databases;
use flowwatch::history::{Epoch, GenerationId, Known, Recorder, RecorderOptions, Retention};
use flowwatch::model::Device;
use flowwatch::names::NameTable;
use flowwatch::observation::{DeviceTotals, EpochFlow, PayloadSample, Traffic};
use flowwatch::store::Losses;
use flowwatch_common::abi::Direction;
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use tempfile::TempDir;

const UDP: u8 = 17;

/// One packet each way between the device and a remote, counted in the second before this.
pub(crate) struct Counted {
    /// When: RFC 3339.
    pub(crate) at: &'static str,
    /// The remote.
    pub(crate) remote: IpAddr,
    /// The first label of its name, if the device asked for one; the second is `test`.
    pub(crate) label: Option<&'static [u8]>,
    /// Octets up and down.
    pub(crate) octets: (u64, u64),
}

/// A history in a folder of its own.
pub(crate) struct Recorded {
    folder: TempDir,
}

impl Recorded {
    /// Records what was counted of one device.
    pub(crate) fn of(device: &str, counted: &[Counted]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let device: Device = device.parse()?;
        let ever = Duration::from_hours(24 * 365 * 100);
        let mut recorder = Recorder::open(&RecorderOptions {
            history: folder.path().join("history.db"),
            journal: folder.path().join("journal"),
            interval: Duration::ZERO,
            retention: Retention {
                minutes: ever,
                hours: ever,
                days: ever,
            },
        })?;
        let mut names = NameTable::default();
        let mut totals = DeviceTotals::default();
        for (serial, it) in (1..).zip(counted) {
            let flow = flow(it)?;
            if let Some(label) = it.label {
                names.observe(&answered(label, &flow));
            }
            for (totals, traffic) in [(&mut totals.up, flow.up), (&mut totals.down, flow.down)] {
                totals.flow_traffic += traffic;
                totals.seen.frames += traffic.packets;
                totals.in_flows.frames += traffic.packets;
            }
            recorder.take(&Epoch {
                generation: GenerationId(1),
                serial,
                ended_at: it.at.parse()?,
                is_last: false,
                flows: vec![flow],
                totals: vec![(0, device.clone(), totals)],
            })?;
        }
        recorder.finish(&Known {
            devices: &[device],
            names: &names,
            databases: &Databases::open(&[], false)?,
            interfaces: &[],
            losses: Losses::default(),
        })?;
        Ok(Self { folder })
    }

    /// Returns the history's file.
    pub(crate) fn path(&self) -> String {
        self.folder.path().join("history.db").display().to_string()
    }

    /// Returns its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn flow(counted: &Counted) -> Result<EpochFlow> {
    let traffic = |octets| Traffic { packets: 1, octets };
    let at = counted.at.parse().context("read a time")?;
    Ok(EpochFlow {
        device: 0,
        remote: counted.remote,
        protocol: UDP,
        remote_port: 10_240,
        up: traffic(counted.octets.0),
        down: traffic(counted.octets.1),
        first_seen: at,
        last_seen: at,
    })
}

/// The answer by which the device learnt the remote's address.
fn answered(label: &[u8], flow: &EpochFlow) -> PayloadSample {
    let question = answer::question(&answer::name(&[label, b"test"]));
    let address = answer::address(&QUESTION_NAME, flow.remote);
    let payload = answer::response(&question, &[address]);
    PayloadSample {
        device: flow.device,
        direction: Direction::Down,
        remote: Ipv4Addr::new(192, 168, 8, 1).into(),
        protocol: UDP,
        remote_port: 53,
        local_port: 40_000,
        at: flow.first_seen,
        segment: None,
        wire_length: payload.len() as u32,
        payload: Bytes::from(payload),
    }
}
