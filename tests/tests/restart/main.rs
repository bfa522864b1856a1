//! Restarts, live: what generators sent while flowwatch was killed and started again is what the
//! history says, to the octet.
#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]

mod changes;
mod kills;
mod manners;
mod names;
mod record;
mod scene;
