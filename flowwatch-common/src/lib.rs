//! flowwatch's common ground: one packet parser, the wire formats below it, and the types of the
//! maps that the BPF programs write and the loader reads.
//!
//! Allocates nothing, does no I/O, panics on no input. Runs in XDP, in tc and natively.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod abi;
pub mod bytes;
pub mod census;
pub mod parse;
pub mod prefix;
pub mod sample_rules;
pub mod sampling;
pub mod wire;
