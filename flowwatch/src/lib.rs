//! flowwatch's library: from the kernel's counters to a named, placed, exact table.
//!
//! Modules in groups, in the order in which data passes through them: the user's wish, what the
//! kernel saw, what is known of it, the two together, and how it is shown.

pub mod cli;
pub mod config;
pub mod plan;
pub mod when;

pub mod capture;
pub mod kernel;
pub mod observation;
pub mod streams;

pub mod census;
#[cfg(any(feature = "builtin-geo", feature = "builtin-oui"))]
mod compressed;
pub mod geo;
pub mod names;
pub mod oui;

pub mod diagnosis;
pub mod diff;
pub mod grouping;
pub mod history;
pub mod join;
pub mod live;
pub mod model;
pub mod store;

pub mod console;
pub mod export;
pub mod format;
pub mod output;
pub mod report;
pub mod text;
pub mod top;

pub mod detach;
pub mod devices;
pub mod doctor;
pub mod exit;
pub mod instance;
pub mod privileges;
pub mod recall;
pub mod replay;
pub mod retirement;
pub mod run;
pub mod sides;
mod stop;
pub mod supervisor;
pub mod watching;
