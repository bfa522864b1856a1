//! flowwatch's BPF programs, run frame by frame through `BPF_PROG_TEST_RUN`.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "an integration test is a test module: what fails here fails the test"
)]

mod census;
mod crowded;
mod devices;
mod drain;
mod drain_under_load;
mod golden;
mod golden_frames;
mod hook;
mod layouts;
mod mutation;
mod mutations;
mod native;
mod prefixes;
mod programs;
mod replace;
mod restart;
mod samples;
mod sampling;
mod scattered;
mod seeds;
mod tally;
mod times;
mod traffic;
