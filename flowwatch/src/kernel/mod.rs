//! The kernel side as the rest sees it: load, attach, drain, samples.
//!
//! Counters come out as `observation` values; nothing above this module knows of BPF.

pub mod attach;
pub mod batch;
pub mod census;
pub mod clock;
pub mod device_table;
pub mod drain;
pub mod found;
mod hook_choice;
pub mod interface;
pub mod link_events;
pub mod load;
pub mod log;
pub mod neighbours;
mod replace;
pub mod samples;
pub mod self_test;
pub mod support;
pub mod totals;
