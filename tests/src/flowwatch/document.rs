//! flowwatch's JSON document as typed values.

mod naming;

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

pub use self::naming::{NameDetail, Names, ResolverSeen, Resolving};
use crate::witness::{Traffic, UpDown};

/// A document; what a test doesn't read is left out.
#[derive(Clone, Debug)]
pub struct Document {
    /// The circumstances.
    pub meta: Meta,
    /// The devices' sums, by name.
    pub devices: BTreeMap<String, Device>,
    /// The rows.
    pub flows: BTreeMap<FlowKey, Flow>,
    /// Frames in no flow.
    pub unaccounted: BTreeMap<UnaccountedKey, Unaccounted>,
    /// The devices' ways of resolving names, by the device's name.
    pub resolving: BTreeMap<String, Resolving>,
}

/// What tells flows apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowKey {
    /// The device's name.
    pub device: String,
    /// The address at the other end.
    pub remote: IpAddr,
    /// The IANA keyword in lower case, or the number.
    pub protocol: String,
    /// The remote's port; 0 where there is none.
    pub port: u16,
}

/// What tells frames in no flow apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnaccountedKey {
    /// The device's name.
    pub device: String,
    /// `up` or `down`.
    pub direction: String,
    /// The reason's name.
    pub reason: String,
}

/// The circumstances.
#[derive(Clone, Debug, Deserialize)]
pub struct Meta {
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub ended_at: String,
    /// By how many seconds the clock was set meanwhile, where it was.
    pub clock_step_seconds: Option<i64>,
    /// Drains.
    pub epochs: u64,
    /// How the programs were attached.
    pub interfaces: Vec<Attached>,
    /// The capture, where it was one.
    pub capture: Option<Capture>,
    /// What found no room.
    pub losses: Losses,
    /// What became of the payload samples.
    pub names: Names,
}

/// What was read of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Capture {
    /// The file.
    pub file: String,
    /// `pcap` or `pcapng`.
    pub format: String,
    /// The link types' names.
    pub link_types: Vec<String>,
    /// Packets.
    pub packets: u64,
    /// RFC 3339.
    pub first_packet: Option<String>,
    /// RFC 3339.
    pub last_packet: Option<String>,
    /// Packets that a snap length cut.
    pub packets_cut: u64,
    /// Packets of no device.
    pub packets_of_no_device: u64,
    /// Why reading ended early.
    pub ended_early: Option<String>,
}

/// How the programs were attached to an interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attached {
    /// The interface.
    pub interface: String,
    /// `xdp` or `tc`.
    pub ingress: String,
    /// `tc`.
    pub egress: String,
    /// Why.
    pub reason: String,
    /// RFC 3339; until when, where it was before the end.
    pub gone_at: Option<String>,
}

/// What found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Losses {
    /// Payload samples.
    pub samples_dropped: u64,
    /// Packets that the kernel's flow table had no room for.
    pub flow_table_packets: u64,
    /// Packets that the window had no room for.
    pub window_packets: u64,
    /// Frames of devices that a prefix tags and that found no room.
    pub prefix_frames: u64,
    /// Names.
    pub names_turned_away: u64,
    /// Places.
    pub places_unreadable: u64,
}

/// A device's sums.
#[derive(Clone, Debug, Deserialize)]
pub struct Device {
    /// Its MAC address, where it has one.
    pub device_mac: Option<String>,
    /// Its flows.
    pub flows: u64,
    /// Whether everything seen is accounted for.
    pub conserved: bool,
    /// From the device.
    pub up: Direction,
    /// To the device.
    pub down: Direction,
}

/// One direction's sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Direction {
    /// IP packets.
    pub packets: u64,
    /// IP octets.
    pub octets: u64,
    /// Of these, packets in no flow.
    pub overflow_packets: u64,
    /// Octets, likewise.
    pub overflow_octets: u64,
    /// Frames seen.
    pub frames_seen: u64,
    /// Their layer-2 octets.
    pub l2_octets_seen: u64,
    /// Frames counted into flows.
    pub frames_in_flows: u64,
    /// Frames in no flow.
    pub frames_unaccounted: u64,
    /// What does not add up.
    pub difference: Difference,
}

/// What does not add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Difference {
    /// Frames.
    pub frames: i64,
    /// Packets.
    pub packets: i64,
    /// Octets.
    pub octets: i64,
}

/// A row.
#[derive(Clone, Debug, Deserialize)]
pub struct Flow {
    /// The device's name.
    pub device: String,
    /// Its MAC address, where it has one.
    pub device_mac: Option<String>,
    /// The names, if there are any.
    pub name: Option<String>,
    /// Where they are from.
    pub name_source: Option<String>,
    /// The address at the other end.
    pub remote_address: IpAddr,
    /// What kind of address that is.
    pub scope: String,
    /// The IANA keyword in lower case, or the number.
    pub protocol: String,
    /// The remote's port.
    pub remote_port: u16,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// In English.
    pub country_name: Option<String>,
    /// In English.
    pub city: Option<String>,
    /// The autonomous system's number.
    pub asn: Option<u32>,
    /// Its organisation.
    pub organization: Option<String>,
    /// Packets from the device.
    pub up_packets: u64,
    /// Octets from the device.
    pub up_octets: u64,
    /// Packets to the device.
    pub down_packets: u64,
    /// Octets to the device.
    pub down_octets: u64,
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339.
    pub last_seen: String,
    /// The names with what is known of them.
    #[serde(default)]
    pub names: Vec<NameDetail>,
}

/// Frames in no flow for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Unaccounted {
    /// Frames.
    pub frames: u64,
    /// Their layer-2 octets.
    pub l2_octets: u64,
    /// IP packets counted for the device nevertheless.
    pub packets: Option<u64>,
    /// IP octets, likewise.
    pub octets: Option<u64>,
}

#[derive(Deserialize)]
struct Lists {
    meta: Meta,
    devices: Vec<Named<Device>>,
    flows: Vec<Flow>,
    unaccounted: Vec<UnaccountedRow>,
    #[serde(default)]
    resolving: Vec<Named<Resolving>>,
}

#[derive(Deserialize)]
struct Named<T> {
    device: String,
    #[serde(flatten)]
    rest: T,
}

#[derive(Deserialize)]
struct UnaccountedRow {
    device: String,
    direction: String,
    reason: String,
    #[serde(flatten)]
    frames: Unaccounted,
}

impl Document {
    /// Reads a document. What should be there once and is there twice is an error.
    pub fn parse(text: &str) -> Result<Self> {
        let lists: Lists = serde_json::from_str(text).context("read flowwatch's JSON")?;
        let devices = lists.devices.into_iter().map(|row| (row.device, row.rest));
        let flows = lists.flows.into_iter().map(|flow| (flow.key(), flow));
        let unaccounted = lists.unaccounted.into_iter().map(UnaccountedRow::keyed);
        let resolving = lists
            .resolving
            .into_iter()
            .map(|row| (row.device, row.rest));
        Ok(Self {
            meta: lists.meta,
            devices: unique(devices, "device")?,
            flows: unique(flows, "flow")?,
            unaccounted: unique(unaccounted, "reason")?,
            resolving: unique(resolving, "device's resolvers")?,
        })
    }

    /// One device's sums.
    pub fn device(&self, name: &str) -> Result<&Device> {
        self.devices
            .get(name)
            .with_context(|| format!("find the device `{name}` in flowwatch's document"))
    }

    /// The traffic of every flow.
    #[must_use]
    pub fn traffic(&self) -> BTreeMap<FlowKey, UpDown> {
        self.flows
            .iter()
            .map(|(key, flow)| (key.clone(), flow.traffic()))
            .collect()
    }

    /// Fails unless every device's counts add up, and nothing was turned away.
    pub fn ensure_whole(&self) -> Result<()> {
        self.ensure_conserved()?;
        ensure!(
            self.meta.losses == Losses::default(),
            "flowwatch lost {:?}",
            self.meta.losses
        );
        Ok(())
    }

    /// Fails unless every device's counts add up.
    pub fn ensure_conserved(&self) -> Result<()> {
        let none = Difference::default();
        for (name, device) in &self.devices {
            let adds_up = device.up.difference == none && device.down.difference == none;
            ensure!(
                device.conserved && adds_up,
                "{name} does not add up: {device:?}"
            );
        }
        Ok(())
    }
}

impl Flow {
    /// What tells it apart.
    #[must_use]
    pub fn key(&self) -> FlowKey {
        FlowKey {
            device: self.device.clone(),
            remote: self.remote_address,
            protocol: self.protocol.clone(),
            port: self.remote_port,
        }
    }

    /// Its packets and octets.
    #[must_use]
    pub fn traffic(&self) -> UpDown {
        UpDown {
            up: Traffic {
                packets: self.up_packets,
                octets: self.up_octets,
            },
            down: Traffic {
                packets: self.down_packets,
                octets: self.down_octets,
            },
        }
    }
}

impl Direction {
    /// IP packets and octets.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            packets: self.packets,
            octets: self.octets,
        }
    }
}

impl UnaccountedRow {
    fn keyed(self) -> (UnaccountedKey, Unaccounted) {
        let key = UnaccountedKey {
            device: self.device,
            direction: self.direction,
            reason: self.reason,
        };
        (key, self.frames)
    }
}

fn unique<K: Ord + std::fmt::Debug, V>(
    rows: impl Iterator<Item = (K, V)>,
    what: &str,
) -> Result<BTreeMap<K, V>> {
    let mut map = BTreeMap::new();
    for (key, value) in rows {
        let shown = format!("{key:?}");
        let former = map.insert(key, value);
        ensure!(former.is_none(), "the {what} {shown} is there twice");
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_twice_is_an_error() {
        let check = |reasons: [&str; 2]| {
            let row = |reason: &str| {
                format!(
                    r#"{{"device": "camera", "direction": "up", "reason": "{reason}", "frames": 1,
                    "l2_octets": 60, "packets": null, "octets": null}}"#
                )
            };
            let text = format!(
                r#"{{"meta": {{"started_at": "", "ended_at": "", "epochs": 1, "interfaces": [],
                "losses": {{"samples_dropped": 0, "flow_table_packets": 0, "window_packets": 0,
                "prefix_frames": 0,
                "names_turned_away": 0, "places_unreadable": 0}},
                "names": {{"samples": 0, "understood": 0, "pending": 0, "cut": 0, "malformed": 0,
                "nameless": 0, "blocked": 0, "turned_away": 0, "bindings": 0}}}},
                "devices": [], "flows": [], "unaccounted": [{}, {}]}}"#,
                row(reasons[0]),
                row(reasons[1])
            );
            Document::parse(&text).map(|document| document.unaccounted.len())
        };
        assert_eq!(check(["not_ip", "truncated"]).unwrap(), 2);
        let error = check(["not_ip", "not_ip"]).unwrap_err().to_string();
        assert!(error.contains("is there twice"), "{error}");
    }
}
