//! Fuzz target of the live protocol: what a view makes of octets that claim to be a daemon's.
//!
//! The reader is compiled in from its files, with what updates are made of; flowwatch's other
//! dependencies would take minutes to build with a fuzzer's flags.
#![no_main]

#[allow(
    dead_code,
    unused_imports,
    reason = "the target reads a part of what the module offers"
)]
#[path = "../../flowwatch/src/geo/mod.rs"]
mod geo;
#[allow(
    dead_code,
    unused_imports,
    reason = "the target reads a part of what the module offers"
)]
#[path = "../live.rs"]
mod live;
#[allow(
    dead_code,
    unused_imports,
    reason = "the target reads a part of what the module offers"
)]
#[path = "../../flowwatch/src/model/mod.rs"]
mod model;
#[allow(
    dead_code,
    unused_imports,
    reason = "the target reads a part of what the module offers"
)]
#[path = "../../flowwatch/src/names/mod.rs"]
mod names;
#[allow(dead_code, reason = "the target makes nothing of it")]
#[path = "../../flowwatch/src/observation.rs"]
mod observation;
#[allow(
    dead_code,
    unused_imports,
    reason = "the target reads a part of what the module offers"
)]
#[path = "../../flowwatch/src/store/mod.rs"]
mod store;

use libfuzzer_sys::fuzz_target;

use live::wire::{Assembly, frame_length, frames_of};
use live::{MOST_CHANGED, MOST_TOLD, Update};

fuzz_target!(|octets: &[u8]| {
    for update in updates_of(octets) {
        assert!(update.told.len() <= MOST_TOLD && update.changed.len() <= MOST_CHANGED);
        // What was understood is said in the same way from then on.
        let frames = frames_of(&update).expect("an update that came in frames goes in frames");
        let again = updates_of(&frames);
        assert_eq!(again.len(), 1);
        assert_eq!(frames_of(&again[0]), Ok(frames));
    }
});

/// Reads frames as they come through a socket, to the first that is none.
fn updates_of(mut octets: &[u8]) -> Vec<Update> {
    let mut assembly = Assembly::default();
    let mut updates = Vec::new();
    while let Some((length, rest)) = octets.split_first_chunk() {
        let frame = frame_length(*length).ok();
        let Some((frame, rest)) = frame.and_then(|length| rest.split_at_checked(length)) else {
            break;
        };
        octets = rest;
        match assembly.take_in(frame) {
            Ok(update) => updates.extend(update),
            Err(_) => break,
        }
    }
    updates
}
