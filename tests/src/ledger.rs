//! The ledger: what specimens add up to, flow by flow and reason by reason. flowwatch's document is
//! held against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use anyhow::{Result, ensure};

use crate::flowwatch::{Direction, Document, FlowKey, UnaccountedKey};
use crate::specimen::{Fate, Specimen, Way};
use crate::witness::{Traffic, UpDown};

/// Differences that a failure lists at most.
const SHOWN: usize = 12;

/// Frames and their layer-2 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Frames.
    pub frames: u64,
    /// Their octets from the Ethernet header on.
    pub octets: u64,
}

/// What is to be counted of one device in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// All frames.
    pub seen: Frames,
    /// Of these, frames in flows.
    pub in_flows: u64,
    /// What is in flows.
    pub traffic: Traffic,
}

/// What is to be counted, of all devices.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    flows: BTreeMap<FlowKey, UpDown>,
    unaccounted: BTreeMap<UnaccountedKey, Frames>,
    sums: BTreeMap<(String, Way), Sum>,
}

impl Ledger {
    /// Enters that a specimen passed `times` times.
    pub fn enter(&mut self, device: &str, way: Way, specimen: &Specimen, times: u64) {
        if times == 0 {
            return;
        }
        let octets = times * specimen.frame.len() as u64;
        let sum = self.sums.entry((device.to_owned(), way)).or_default();
        sum.seen.add(times, octets);
        match specimen.fate {
            Fate::Flow {
                remote,
                protocol,
                port,
                octets,
            } => {
                let traffic = Traffic {
                    packets: times,
                    octets: times * octets,
                };
                sum.in_flows += times;
                sum.traffic += traffic;
                let key = FlowKey {
                    device: device.to_owned(),
                    remote,
                    protocol: protocol.to_owned(),
                    port,
                };
                *self.flows.entry(key).or_default().way(way) += traffic;
            }
            Fate::Unaccounted(reason) => {
                let key = UnaccountedKey {
                    device: device.to_owned(),
                    direction: way.name().to_owned(),
                    reason: reason.to_owned(),
                };
                self.unaccounted.entry(key).or_default().add(times, octets);
            }
        }
    }

    /// What is to be counted of one device in one direction.
    #[must_use]
    pub fn sum(&self, device: &str, way: Way) -> Sum {
        let key = (device.to_owned(), way);
        self.sums.get(&key).copied().unwrap_or_default()
    }

    /// What is to be counted in each flow.
    #[must_use]
    pub fn flows(&self) -> &BTreeMap<FlowKey, UpDown> {
        &self.flows
    }

    /// Fails unless the document says exactly what the ledger says, and nothing was turned away.
    pub fn check(&self, document: &Document) -> Result<()> {
        document.ensure_whole()?;
        ensure_equal("flows", &self.flows, &document.traffic())?;
        let unaccounted: BTreeMap<_, _> = document
            .unaccounted
            .iter()
            .map(|(key, row)| {
                let (frames, octets) = (row.frames, row.l2_octets);
                (key.clone(), Frames { frames, octets })
            })
            .collect();
        ensure_equal("unaccounted frames", &self.unaccounted, &unaccounted)?;
        let mut sums = BTreeMap::new();
        for (name, device) in &document.devices {
            sums.insert((name.clone(), Way::Up), Sum::of(&device.up));
            sums.insert((name.clone(), Way::Down), Sum::of(&device.down));
        }
        // A device that sent or received nothing has a line nevertheless.
        sums.retain(|_, sum| *sum != Sum::default());
        ensure_equal("devices' sums", &self.sums, &sums)
    }
}

impl Frames {
    fn add(&mut self, frames: u64, octets: u64) {
        self.frames += frames;
        self.octets += octets;
    }
}

impl Sum {
    fn of(direction: &Direction) -> Self {
        Self {
            seen: Frames {
                frames: direction.frames_seen,
                octets: direction.l2_octets_seen,
            },
            in_flows: direction.frames_in_flows,
            traffic: direction.traffic(),
        }
    }
}

/// Fails with the first differences between what was to be counted and what was.
fn ensure_equal<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    own: &BTreeMap<K, V>,
    counted: &BTreeMap<K, V>,
) -> Result<()> {
    let keys: BTreeSet<&K> = own.keys().chain(counted.keys()).collect();
    let differing: Vec<&K> = keys
        .into_iter()
        .filter(|key| own.get(key) != counted.get(key))
        .collect();
    let line = |key: &&K| {
        let (own, counted) = (own.get(key), counted.get(key));
        format!("\n{key:?}: sent {own:?}, counted {counted:?}")
    };
    ensure!(
        differing.is_empty(),
        "{} {what} differ:{}",
        differing.len(),
        differing.iter().take(SHOWN).map(line).collect::<String>()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_too_much_or_different_is_named() {
        let own = BTreeMap::from([("same", 1), ("less", 2), ("missing", 3)]);
        let counted = BTreeMap::from([("same", 1), ("less", 1), ("foreign", 4)]);
        let error = ensure_equal("flows", &own, &counted)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("3 flows differ:"), "{error}");
        assert!(
            error.contains("\"less\": sent Some(2), counted Some(1)"),
            "{error}"
        );
        assert!(ensure_equal("flows", &own, &own).is_ok());
    }
}
