//! flowwatch's BPF programs, run frame by frame through BPF_PROG_TEST_RUN.
#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]

mod programs;

#[test]
fn the_programs_load() {
    programs::Programs::load(&[[0x2c, 0xaa, 0x8e, 0, 0, 1]]);
}
