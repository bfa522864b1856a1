//! What the target of the live protocol takes of flowwatch's module `live`: updates, and the way they go
//! as octets. The rest of it needs a kernel, sockets and time.

#[path = "../flowwatch/src/live/update.rs"]
mod update;
#[path = "../flowwatch/src/live/wire/mod.rs"]
pub mod wire;

pub use update::{Changed, FlowNumber, MOST_CHANGED, MOST_TOLD, Update};
