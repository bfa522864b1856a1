//! The tc programs' common body.

use aya_ebpf::programs::TcContext;
use flowwatch_common::abi::{Direction, FlowKey, Reason};
use flowwatch_common::parse::Packet;
use flowwatch_common::sample_rules::is_sampled;

use crate::account::{self, Look, Parsed};
use crate::frame::{self, ScatteredSkbFrame, SkbAddress, SkbFrame};
use crate::{log, sample, self_test};

/// Counts a frame if it is a device's, and samples its payload if a rule asks for it.
#[inline(always)]
pub(crate) fn count<const DOWN: bool>(ctx: &TcContext) {
    let direction = direction::<DOWN>();
    self_test::note(|| frame::ifindex(ctx), direction);
    match account::first_look(&SkbFrame::new(ctx), direction) {
        Look::Foreign => {}
        Look::Counted(key, packet) => sample_if_asked::<DOWN>(ctx, &key, &packet),
        Look::Unclear(device) => look_again::<DOWN>(SkbAddress::of(ctx), device),
    }
}

/// Counts a frame under the reason why it is in no flow; or into its flow, when its headers go on
/// beyond its linear part.
#[inline(never)]
fn look_again<const DOWN: bool>(skb: SkbAddress, device: u32) {
    let has_more = SkbFrame::new(&skb.context()).has_more();
    match reason_of::<DOWN>(skb) {
        Some(reason) if reason != Reason::Truncated || !has_more => {
            settle::<DOWN>(skb, device, &Err(reason));
        }
        // Also without a reason: a frame that was seen must end somewhere, and a sender that lends
        // the kernel its memory can change octets between two looks.
        _ => settle::<DOWN>(skb, device, &look_everywhere::<DOWN>(skb)),
    }
}

/// Counts a frame by what the second look came to, and samples its payload or says why there is
/// none.
#[inline(never)]
fn settle<const DOWN: bool>(skb: SkbAddress, device: u32, outcome: &Result<Parsed, Reason>) {
    let ctx = skb.context();
    account::settle(&SkbFrame::new(&ctx), device, direction::<DOWN>(), *outcome);
    match outcome {
        Ok((packet, _)) => sample_if_asked::<DOWN>(&ctx, &packet.key(device), packet),
        Err(reason) => log::unaccounted(&ctx, device, direction::<DOWN>(), *reason),
    }
}

/// Returns the reason why a frame is in no flow by what is in its linear part.
#[inline(never)]
fn reason_of<const DOWN: bool>(skb: SkbAddress) -> Option<Reason> {
    let ctx = skb.context();
    let frame = SkbFrame::new(&ctx);
    account::second_look(&frame, direction::<DOWN>()).err()
}

/// Parses a frame whose headers are not all in its linear part.
#[inline(never)]
fn look_everywhere<const DOWN: bool>(skb: SkbAddress) -> Result<Parsed, Reason> {
    let ctx = skb.context();
    account::second_look(&ScatteredSkbFrame(&ctx), direction::<DOWN>())
}

#[inline(always)]
fn sample_if_asked<const DOWN: bool>(ctx: &TcContext, key: &FlowKey, packet: &Packet) {
    let direction = direction::<DOWN>();
    if is_sampled(direction, packet.protocol, packet.remote_port) {
        sample::payload(ctx, key, packet, direction);
    }
}

/// A constant as far as each program is concerned.
#[inline(always)]
const fn direction<const DOWN: bool>() -> Direction {
    if DOWN { Direction::Down } else { Direction::Up }
}
