//! The picture of everything counted so far, named and placed.
//!
//! Made by `join`; all that a view or an export gets. Its serialised form is the `json` format's,
//! except for flows, which are written through `FIELDS`.

use std::borrow::Cow;

use foldhash::HashMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{CaptureMeta, Difference};
use crate::{
    model::{FlowRecord, MacAddress, TIME_DECIMALS},
    names::{NameCounters, Resolving},
};

/// What was counted, of which devices, by what means, and what is missing.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The circumstances.
    pub meta: Meta,
    /// One summary a device, in the user's order.
    pub devices: Vec<DeviceSummary>,
    /// The flows, the one with the most octets first.
    pub flows: Vec<FlowRecord>,
    /// Frames in no flow, where there are any: by device, direction and reason.
    pub unaccounted: Vec<UnaccountedRow>,
    /// How the devices resolve names, in the user's order; those of which nothing was seen are left
    /// out.
    pub resolving: Vec<DeviceResolving>,
}

impl Snapshot {
    /// Returns each device's flows, by its name, in their order here.
    #[must_use]
    pub fn flows_by_device(&self) -> HashMap<&str, Vec<&FlowRecord>> {
        let mut flows: HashMap<&str, Vec<&FlowRecord>> = HashMap::default();
        for record in &self.flows {
            flows.entry(&record.device.name).or_default().push(record);
        }
        flows
    }
}

/// The circumstances of the counting.
#[derive(Clone, Debug, Serialize)]
pub struct Meta {
    /// flowwatch's version.
    pub version: String,
    /// When counting began.
    #[serde(serialize_with = "time")]
    pub started_at: Timestamp,
    /// When the counts were last drained.
    #[serde(serialize_with = "time")]
    pub ended_at: Timestamp,
    /// Epochs drained.
    pub epochs: u64,
    /// The interfaces, and how the programs were attached to them.
    pub interfaces: Vec<AttachedInterface>,
    /// By how many seconds the clock was set while flowwatch counted, all in all; all times are by
    /// the clock as it was at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_step_seconds: Option<i64>,
    /// The capture, where it was not the kernel that counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureMeta>,
    /// The databases that places are from; `join` fills it.
    pub databases: Vec<DatabaseMeta>,
    /// What was turned away, and counted; `join` fills all but `samples_dropped`.
    pub losses: Losses,
    /// What may keep traffic from being seen, as found when counting began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// What became of the payload samples; `join` fills it.
    pub names: NameCounters,
}

/// What may keep traffic from being seen, or makes places old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The name of the check that found it, as `doctor` has it.
    pub check: String,
    /// Which interface, flowtable or file; none of the host.
    pub subject: Option<String>,
    /// What is so, and what to do about it: a sentence without a full stop.
    pub text: String,
}

/// How the programs were attached to an interface.
#[derive(Clone, Debug, Serialize)]
pub struct AttachedInterface {
    /// The interface.
    pub interface: String,
    /// What sees the frames that devices send: `xdp` or `tc`.
    pub ingress: &'static str,
    /// What sees the frames that devices receive: `tc`.
    pub egress: &'static str,
    /// Why this one, in a few words; empty where there was nothing to choose.
    pub reason: String,
    /// Since when, where it is known: an interface can come while flowwatch counts.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_time"
    )]
    pub attached_at: Option<Timestamp>,
    /// Until when, where it went, or was none of those to count on any more, before the end.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_time"
    )]
    pub gone_at: Option<Timestamp>,
}

/// A database that places are from.
#[derive(Clone, Debug, Serialize)]
pub struct DatabaseMeta {
    /// The file, or the built-in database's name.
    pub name: String,
    /// The type that the database gives itself.
    #[serde(rename = "type")]
    pub database_type: String,
    /// When it was built; none when it says a time that can't be.
    #[serde(serialize_with = "optional_time")]
    pub built: Option<Timestamp>,
    /// What its licence wants to be shown.
    pub attribution: Option<Cow<'static, str>>,
}

/// What found no room. But for `prefix_frames`, nothing of it is an octet lost: only its
/// destination or its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Payload samples that did not arrive, mostly as the ring had no room: names may be missing.
    pub samples_dropped: u64,
    /// Packets counted for their device but in no flow, as the kernel's flow table was full or
    /// busy.
    pub flow_table_packets: u64,
    /// Packets counted for their device but in no flow, as the window was full.
    pub window_packets: u64,
    /// Frames that were not counted, of devices that a prefix tags but for which no number was left.
    pub prefix_frames: u64,
    /// Names that gave way to newer ones for want of room.
    pub names_turned_away: u64,
    /// Look-ups of a place that met a record which can't be read.
    pub places_unreadable: u64,
}

/// One device's sums.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceSummary {
    /// The device's name.
    pub device: String,
    /// Its MAC address, where it has one.
    pub device_mac: Option<MacAddress>,
    /// Its flows in the window.
    pub flows: u64,
    /// Whether everything that was seen is accounted for, in both directions.
    pub conserved: bool,
    /// From the device.
    pub up: DirectionSummary,
    /// To the device.
    pub down: DirectionSummary,
}

/// One direction's sums.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct DirectionSummary {
    /// IP packets: of flows and of overflows.
    pub packets: u64,
    /// IP octets, likewise.
    pub octets: u64,
    /// Of these, packets in no flow of the window for want of room.
    pub overflow_packets: u64,
    /// Octets, likewise.
    pub overflow_octets: u64,
    /// Frames seen.
    pub frames_seen: u64,
    /// Layer-2 octets of those frames.
    pub l2_octets_seen: u64,
    /// Frames that were counted into flows.
    pub frames_in_flows: u64,
    /// Frames in no flow.
    pub frames_unaccounted: u64,
    /// What does not add up: all zero when conserved.
    pub difference: Difference,
}

/// Frames of one device and direction that are in no flow for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnaccountedRow {
    /// The device's name.
    pub device: String,
    /// Its MAC address, where it has one.
    pub device_mac: Option<MacAddress>,
    /// `up` or `down`.
    pub direction: &'static str,
    /// The reason's name, of `flowwatch_common::abi::Reason`.
    pub reason: &'static str,
    /// Frames.
    pub frames: u64,
    /// Their layer-2 octets.
    pub l2_octets: u64,
    /// IP packets that were counted for the device nevertheless; only for want of room.
    pub packets: Option<u64>,
    /// IP octets, likewise.
    pub octets: Option<u64>,
}

/// How one device resolves names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceResolving {
    /// The device's name.
    pub device: String,
    /// Its MAC address.
    pub device_mac: Option<MacAddress>,
    /// Whom it asks, how, and what it was answered.
    #[serde(flatten)]
    pub resolving: Resolving,
}

impl Meta {
    /// Returns the circumstances that the one who counted knows; `join` adds the rest.
    #[must_use]
    pub fn new(
        (started_at, ended_at): (Timestamp, Timestamp),
        epochs: u64,
        interfaces: Vec<AttachedInterface>,
        samples_dropped: u64,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            ended_at,
            epochs,
            interfaces,
            clock_step_seconds: None,
            capture: None,
            databases: Vec::new(),
            losses: Losses {
                samples_dropped,
                ..Losses::default()
            },
            warnings: Vec::new(),
            names: NameCounters::default(),
        }
    }
}

impl Losses {
    /// Returns whether nothing was turned away.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl DirectionSummary {
    /// Returns the direction's frames that are in a flow or under a reason.
    #[must_use]
    pub const fn frames_accounted(&self) -> u64 {
        self.frames_in_flows.saturating_add(self.frames_unaccounted)
    }
}

pub(super) fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.TIME_DECIMALS$}"))
}

#[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
pub(super) fn optional_time<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}
