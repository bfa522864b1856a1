//! What keeps flowwatch from counting rightly on a host, judged from facts.
//!
//! `doctor` gathers the facts; [`examine`] puts each to the checks of [`CHECKS`]; findings go to
//! `format` and, as warnings, to `run`. Pure: facts in, findings out.

mod checks;
mod devices;
mod facts;
mod files;
mod finding;
#[cfg(test)]
pub(crate) mod fixtures;
mod host;
mod interfaces;
mod offloads;
mod places;

pub use checks::{CHECKS, Check, examine};
pub use facts::{
    BridgePort, DatabaseFacts, DeviceFacts, Facts, Heard, HeardDevice, HistoryFacts, HistoryState,
    HostFacts, InterfaceFacts, KernelRelease, MemoryLock, Unknown,
};
pub use finding::{Diagnosis, FINDING_FIELDS, Finding, FindingField, SEVERITIES, Scope, Severity};
