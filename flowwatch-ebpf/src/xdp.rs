//! The XDP programs' common body.

use aya_ebpf::programs::XdpContext;
use flowwatch_common::abi::Direction;

use crate::account::{self, Look};
use crate::frame::{XdpAddress, XdpFrame};
use crate::{log, self_test};

/// Counts a frame if it is a device's. `FRAGMENTS`: it may span several buffers.
#[inline(always)]
pub(crate) fn count<const FRAGMENTS: bool>(ctx: &XdpContext) {
    self_test::note(|| ctx.ingress_ifindex() as u32, Direction::Up);
    let frame = XdpFrame::new::<FRAGMENTS>(ctx);
    if let Look::Unclear(device) = account::first_look(&frame, Direction::Up) {
        explain::<FRAGMENTS>(XdpAddress::of(ctx), device);
    }
}

/// Counts a frame under the reason why it is in no flow.
#[inline(never)]
fn explain<const FRAGMENTS: bool>(address: XdpAddress, device: u32) {
    let ctx = address.context();
    let frame = XdpFrame::new::<FRAGMENTS>(&ctx);
    // The octets are the same as at the first look, so there is a reason.
    if let Err(reason) = account::second_look(&frame, Direction::Up) {
        log::unaccounted(&ctx, device, Direction::Up, reason);
        account::settle(&frame, device, Direction::Up, Err(reason));
    }
}
