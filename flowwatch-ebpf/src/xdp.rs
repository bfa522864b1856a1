//! The XDP programs' common body.

use aya_ebpf::programs::XdpContext;
use flowwatch_common::abi::Direction;

use crate::account::{self, Look};
use crate::frame::{XdpAddress, XdpFrame};
use crate::whole_frame::{Source, Xdp};
use crate::{log, sample, self_test};

/// Counts a frame if it is a device's, and samples its payload if a rule asks for it. `FRAGMENTS`: it
/// may span several buffers.
#[inline(always)]
pub(crate) fn count<const FRAGMENTS: bool>(ctx: &XdpContext)
where
    Xdp<FRAGMENTS>: Source,
{
    self_test::note(|| ctx.ingress_ifindex() as u32, Direction::Up);
    let frame = XdpFrame::new::<FRAGMENTS>(ctx);
    let address = XdpAddress::of(ctx);
    match account::first_look(&frame, Direction::Up) {
        Look::Done => {}
        Look::Attentive(device) => sample::take(Xdp::<FRAGMENTS>(address), device),
        Look::Unclear(device) => explain::<FRAGMENTS>(address, device),
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
