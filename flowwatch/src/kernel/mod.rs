//! The kernel side as the rest sees it: load, attach, drain, samples.
//!
//! Counters come out as `observation` values; nothing above this module knows of BPF.

pub mod attach;
pub mod batch;
pub mod census;
pub mod clock;
pub mod device_table;
pub mod drain;
pub mod flowtables;
pub mod found;
pub mod hook_choice;
pub mod interface;
pub mod link_details;
pub mod link_events;
pub mod load;
pub mod log;
pub mod neighbours;
mod netlink;
pub mod offloads;
pub mod places;
pub mod probe;
mod replace;
pub mod samples;
pub mod self_test;
pub mod support;
pub mod totals;
pub mod xdp_modes;
