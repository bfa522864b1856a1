//! Reads lines as a user's own program would, and sums them up.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::FlowKey;
use flowwatch_tests::witness::{Traffic, UpDown};
use serde_json::Value;

/// What lines come to.
#[derive(Debug, Default)]
pub(crate) struct Summed {
    pub(crate) flows: BTreeMap<FlowKey, UpDown>,
    /// Rows of no flow, by device.
    pub(crate) rests: BTreeMap<String, UpDown>,
    pub(crate) lines: usize,
    /// The interval of the last line.
    last: (String, String),
}

impl Summed {
    /// Takes up lines of JSON; no interval reaches into another.
    pub(crate) fn json(text: &str) -> Result<Self> {
        let mut summed = Self::default();
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            summed.add(&|name| match &value[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })?;
        }
        Ok(summed)
    }

    /// Takes up CSV without quotes, which numbers and addresses don't need.
    pub(crate) fn csv(text: &str) -> Result<Self> {
        let mut lines = text.split_terminator("\r\n");
        let head: Vec<_> = lines.next().context("find the head")?.split(',').collect();
        let mut summed = Self::default();
        for line in lines {
            let cells: Vec<_> = line.split(',').collect();
            ensure!(cells.len() == head.len(), "{line}");
            let cells: BTreeMap<_, _> = head.iter().copied().zip(cells).collect();
            summed.add(&|name| cells.get(name).copied().unwrap_or_default().to_owned())?;
        }
        Ok(summed)
    }

    fn add(&mut self, cell: &dyn Fn(&str) -> String) -> Result<()> {
        let number = |name: &str| -> Result<u64> {
            cell(name).parse().with_context(|| format!("read {name}"))
        };
        let direction = |name: &str| -> Result<Traffic> {
            Ok(Traffic {
                packets: number(&format!("{name}_packets"))?,
                octets: number(&format!("{name}_octets"))?,
            })
        };
        let new = UpDown {
            up: direction("up")?,
            down: direction("down")?,
        };
        ensure!(new != UpDown::default(), "a line without counts");
        let device = cell("device");
        let sum = match &*cell("row") {
            "rest" => self.rests.entry(device).or_default(),
            "flow" => {
                let key = FlowKey {
                    device,
                    remote: cell("remote_address").parse().context("read the remote")?,
                    protocol: cell("protocol"),
                    port: number("remote_port")?.try_into()?,
                };
                self.flows.entry(key).or_default()
            }
            other => anyhow::bail!("a row of kind {other}"),
        };
        *sum += new;
        self.lines += 1;
        let interval = (cell("interval_start"), cell("interval_end"));
        ensure!(interval.0 < interval.1, "{interval:?}");
        // One in which nothing was counted has no line.
        if self.last.1 != interval.1 {
            ensure!(
                self.last.1 <= interval.0,
                "{:?} then {interval:?}",
                self.last
            );
        }
        self.last = interval;
        Ok(())
    }

    /// The sum of a device's rows.
    pub(crate) fn device(&self, name: &str) -> UpDown {
        let flows = self.flows.iter().filter(|(key, _)| key.device == name);
        let mut sum = self.rests.get(name).copied().unwrap_or_default();
        for (_, traffic) in flows {
            sum += *traffic;
        }
        sum
    }
}
