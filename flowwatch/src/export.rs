//! Exports: what is counted goes on to files, metrics, collectors and warehouses.
//!
//! `run` tells one view of everything ([`crate::live`]); its [`Ledger`] is what all sinks read, each at
//! its own pace and on a thread of its own, so that none holds up the counting or another. What a sink
//! has delivered it notes in [`Bookmarks`]: while its peer is away nothing queues up, and the next
//! delivery has the sums. A new sink is one file and one line of [`SINKS`].

mod account;
mod bookmarks;
mod complaint;
mod csv;
mod deliver;
mod figures;
mod hub;
mod ipfix;
mod jsonl;
mod ledger;
mod lines;
mod mqtt;
mod place;
mod prometheus;
mod reader;
mod row;
mod settings;
mod sinks;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub use account::Account;
pub use bookmarks::{Batch, Bookmarks, Cycle};
pub use complaint::Complaint;
pub use deliver::{Deliver, DeliveryError, deliver_deltas};
pub use figures::Figures;
pub use hub::{ExportError, Exports, Wiring};
pub use ledger::{KnownFlow, Latest, Ledger};
pub use lines::{LINE_FIELDS, LineField};
pub use row::Row;
pub use settings::{DEFAULT_EXPORT_INTERVAL, ExportOptions, ExportSettings, Wish};
pub use sinks::{Given, SINKS, SettingEntry, Sink, SinkEntry, Target, TargetError, Work};
