//! What was counted, and the picture of it that every view gets.
//!
//! The kernel's drains are folded into a [`FlowTable`]; `join` turns it into a [`Snapshot`]. Both
//! are in memory; the table has a hard bound, and what it turns away is counted.

mod capture;
mod conservation;
mod marks;
mod snapshot;
mod table;

pub use capture::{CaptureMeta, Unsupported};
pub use conservation::{Conservation, Difference};
pub use marks::Marks;
pub use snapshot::{
    AttachedInterface, DatabaseMeta, DeviceResolving, DeviceSummary, DirectionSummary, Losses,
    Meta, Snapshot, UnaccountedRow, Warning,
};
pub use table::{BothWays, Counts, DeviceWindow, FlowChanges, FlowEntry, FlowTable, WINDOW_FLOWS};
