//! What the history says, read with SQLite alone, held against what was sent.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::FlowKey;
use flowwatch_tests::specimen::Way;
use flowwatch_tests::volley::Fired;
use flowwatch_tests::witness::{Traffic, UpDown};
use rusqlite::{Connection, OpenFlags, Row};

/// Differences that a failure lists at most.
const SHOWN: usize = 5;

/// Flows, and the frames seen of each device and direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) flows: BTreeMap<FlowKey, UpDown>,
    frames: BTreeMap<(String, String), u64>,
}

impl Record {
    /// What volleys must have left.
    pub(crate) fn of_sent(fired: &[Fired]) -> Self {
        let mut record = Self::default();
        for fired in fired {
            for (key, traffic) in fired.ledger.flows() {
                let sum = record.flows.entry(key.clone()).or_default();
                *sum += *traffic;
                for way in Way::BOTH {
                    // Each packet is a frame: none is in no flow, and none is an aggregate.
                    let mut traffic = *traffic;
                    let frames = traffic.way(way).packets;
                    let key = (key.device.clone(), way.name().to_owned());
                    *record.frames.entry(key).or_default() += frames;
                }
            }
        }
        record
    }

    /// The same of devices that are called otherwise.
    pub(crate) fn called(self, name_of: impl Fn(&str) -> String) -> Self {
        let flows = self.flows.into_iter().map(|(key, traffic)| {
            let device = name_of(&key.device);
            (FlowKey { device, ..key }, traffic)
        });
        let frames = self.frames.into_iter();
        Self {
            flows: flows.collect(),
            frames: frames
                .map(|((device, way), frames)| ((name_of(&device), way), frames))
                .collect(),
        }
    }

    /// What the file says.
    pub(crate) fn read(history: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(history, flags)?;
        let mut record = Self::default();
        // UDP; whatever else a device sent is among its frames.
        let mut statement = connection.prepare(
            "SELECT device, remote_address, remote_port,
                 sum(up_packets), sum(up_octets), sum(down_packets), sum(down_octets)
             FROM minute JOIN destinations USING (destination) WHERE protocol = 17
             GROUP BY destination",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let address: String = row.get(1)?;
            let key = FlowKey {
                device: row.get(0)?,
                remote: address.parse().context(address)?,
                protocol: "udp".to_owned(),
                port: row.get(2)?,
            };
            let up = traffic(row, 3)?;
            let down = traffic(row, 5)?;
            record.flows.insert(key, UpDown { up, down });
        }
        let mut statement = connection.prepare(
            "SELECT device.name, direction, sum(frames_seen) FROM device_minute
             JOIN device ON device.id = device GROUP BY device.name, direction",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key = (row.get(0)?, row.get(1)?);
            record.frames.insert(key, count(row, 2)?);
        }
        Ok(record)
    }

    /// Packets and octets of all flows.
    pub(crate) fn total(&self) -> Traffic {
        let mut total = Traffic::default();
        for flow in self.flows.values() {
            total += flow.up;
            total += flow.down;
        }
        total
    }

    /// Fails unless two are equal; the first differences are told.
    pub(crate) fn ensure_equal(&self, sent: &Self) -> Result<()> {
        self.ensure_flows_equal(sent)?;
        ensure!(
            self.frames == sent.frames,
            "frames: {:?} recorded, {:?} sent",
            self.frames,
            sent.frames
        );
        Ok(())
    }

    /// Likewise, where the devices' own kernels may have said something, too.
    pub(crate) fn ensure_flows_equal(&self, sent: &Self) -> Result<()> {
        let keys = self.flows.keys().chain(sent.flows.keys());
        let mut differences: Vec<String> = keys
            .filter(|key| self.flows.get(key) != sent.flows.get(key))
            .map(|key| {
                let (recorded, sent) = (self.flows.get(key), sent.flows.get(key));
                format!("{key:?}: {recorded:?} recorded, {sent:?} sent")
            })
            .collect();
        differences.dedup();
        let number = differences.len();
        differences.truncate(SHOWN);
        ensure!(
            number == 0,
            "{number} flows differ; {:?} recorded, {:?} sent:\n{}",
            self.total(),
            sent.total(),
            differences.join("\n")
        );
        Ok(())
    }
}

fn traffic(row: &Row<'_>, column: usize) -> Result<Traffic> {
    Ok(Traffic {
        packets: count(row, column)?,
        octets: count(row, column + 1)?,
    })
}

fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?)?)
}
