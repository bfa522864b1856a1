//! What an operator may want to see as it happens; the loader sets the level.
//!
//! Off, which is usual, the level is a constant that the verifier knows, and it removes all of this.
//! On, only what is rare is said, out of the way of most frames.

use aya_ebpf::EbpfContext;
use aya_log_ebpf::debug;
use flowwatch_common::abi::{Direction, Reason};

/// Says that a frame is in no flow, and why.
#[inline(always)]
pub(crate) fn unaccounted<C: EbpfContext>(
    ctx: &C,
    device: u32,
    direction: Direction,
    reason: Reason,
) {
    let way = match direction {
        Direction::Up => "from",
        Direction::Down => "to",
    };
    debug!(
        ctx,
        "a frame {} device {} is in no flow: {}",
        way,
        device,
        reason.name()
    );
}
