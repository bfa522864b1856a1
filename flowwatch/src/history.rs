//! The memory: what was counted, by device, destination and time, in one SQLite file.
//!
//! Written by the recorder while `run` counts; read by `report` and `diff`.

mod span;

pub use span::{Bucket, Span, Step};
