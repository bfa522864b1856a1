//! The memory: what was counted, by device, destination and time, in one SQLite file.
//!
//! Written by the recorder while `run` counts; read by `report` and `diff`.

mod epoch;
mod error;
mod recorder;
mod span;

pub use epoch::{Epoch, GenerationId};
pub use error::HistoryError;
pub use recorder::Recorder;
pub use span::{Bucket, Span, Step};
