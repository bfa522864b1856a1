//! flowwatch's BPF programs, run frame by frame through `BPF_PROG_TEST_RUN`.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module"
)]

mod golden;
mod golden_frames;
mod hook;
mod mutation;
mod mutations;
mod native;
mod programs;
mod tally;
