//! One update: what is new, what changed and what is gone.

use jiff::Timestamp;

use crate::{
    model::FlowRecord,
    observation::Traffic,
    store::{DeviceResolving, DeviceSummary, Meta, UnaccountedRow},
};

/// Flows that one update tells as a whole, at most: some milliseconds' work, and some megabytes.
pub const MOST_TOLD: usize = 1 << 14;
/// Flows of which one update tells the counts, at most.
pub const MOST_CHANGED: usize = 1 << 18;

/// A flow's number: given when the flow is first told, and not given again to another.
pub type FlowNumber = u32;

/// What a flow's counts have become since the last update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The flow; it was told before.
    pub flow: FlowNumber,
    /// From device to remote, since counting began.
    pub up: Traffic,
    /// From remote to device, likewise.
    pub down: Traffic,
    /// The flow's last packet.
    pub last_seen: Timestamp,
}

/// What happened since the update before; the first one tells everything.
#[derive(Clone, Debug)]
pub struct Update {
    /// When the counts were drained: the end of the time that the changes fall into.
    pub at: Timestamp,
    /// The circumstances as of now; `ended_at` is `at`.
    pub meta: Meta,
    /// One summary a device, in the user's order: all of them, since counting began.
    pub devices: Vec<DeviceSummary>,
    /// The flows that are new, and those whose names or place changed: each with its counts.
    pub told: Vec<(FlowNumber, FlowRecord)>,
    /// The flows of which nothing but the counts changed.
    pub changed: Vec<Changed>,
    /// The flows that were forgotten for want of room.
    pub forgotten: Vec<FlowNumber>,
    /// Frames in no flow: all rows.
    pub unaccounted: Vec<UnaccountedRow>,
    /// How the devices resolve names: all of them.
    pub resolving: Vec<DeviceResolving>,
}
