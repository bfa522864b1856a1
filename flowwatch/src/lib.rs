//! flowwatch's library: from the kernel's counters to a named, placed, exact table.
//!
//! Modules in the order in which data passes through them.

pub mod cli;
pub mod config;
pub mod console;
pub mod exit;
pub mod format;
pub mod geo;
pub mod join;
pub mod kernel;
pub mod model;
pub mod names;
pub mod observation;
pub mod output;
pub mod plan;
pub mod run;
pub mod store;
pub mod text;
