//! The kernel side as the rest sees it: load, attach, drain, samples.
//!
//! Counters come out as `observation` values; nothing above this module knows of BPF.

pub mod attach;
pub mod batch;
mod bpffs;
pub mod census;
pub mod clock;
pub mod descriptor;
pub mod device_table;
pub mod drain;
pub mod flowtables;
pub mod found;
pub mod hook_choice;
mod hooks;
pub mod interface;
pub mod layout;
pub mod link_details;
pub mod link_events;
pub mod link_pins;
pub mod load;
pub mod log;
pub mod neighbours;
mod netlink;
pub mod noted;
pub mod offloads;
pub mod pins;
pub mod places;
pub mod probe;
mod raw_map;
mod replace;
pub mod retired;
pub mod samples;
pub mod self_test;
pub mod support;
pub mod totals;
pub mod xdp_modes;
