//! The tc programs' common body.

use aya_ebpf::programs::TcContext;
use flowwatch_common::abi::Reason;
use flowwatch_common::parse::WireTraffic;

use crate::account::{self, Look};
use crate::frame::{self, SkbAddress, SkbFrame};
use crate::whole_frame::{Source, Tc};
use crate::{log, sample, self_test};

/// Counts a frame if it is a device's, and samples its payload if a rule asks for it.
#[inline(always)]
pub(crate) fn count<const DOWN: bool>(ctx: &TcContext) {
    let direction = Tc::<DOWN>::DIRECTION;
    self_test::note(|| frame::ifindex(ctx), direction);
    match account::first_look(&SkbFrame::new(ctx), direction) {
        Look::Done => {}
        Look::Attentive(device) => sample::take(Tc::<DOWN>(SkbAddress::of(ctx)), device),
        Look::Unclear(device) => look_again::<DOWN>(SkbAddress::of(ctx), device),
    }
}

/// Counts a frame under the reason why it is in no flow; or into its flow, when its headers go on
/// beyond its linear part.
#[inline(never)]
fn look_again<const DOWN: bool>(skb: SkbAddress, device: u32) {
    let has_more = SkbFrame::new(&skb.context()).has_more();
    let outcome = match reason_of::<DOWN>(skb) {
        Some(reason) if reason != Reason::Truncated || !has_more => Err(reason),
        // Also without a reason: a frame that was seen must end somewhere, and a sender that lends
        // the kernel its memory can change octets between two looks.
        _ => look_everywhere::<DOWN>(skb),
    };
    if settle::<DOWN>(skb, device, outcome) {
        sample::take_found(Tc::<DOWN>(skb), device);
    }
}

/// Counts a frame by what the second look came to, or says why it is in no flow. Returns whether its
/// flow has attention.
#[inline(never)]
fn settle<const DOWN: bool>(
    skb: SkbAddress,
    device: u32,
    outcome: Result<WireTraffic, Reason>,
) -> bool {
    let ctx = skb.context();
    let direction = Tc::<DOWN>::DIRECTION;
    if let Err(reason) = outcome {
        log::unaccounted(&ctx, device, direction, reason);
    }
    account::settle(&SkbFrame::new(&ctx), device, direction, outcome)
}

/// Returns the reason why a frame is in no flow by what is in its linear part.
#[inline(never)]
fn reason_of<const DOWN: bool>(skb: SkbAddress) -> Option<Reason> {
    let ctx = skb.context();
    let frame = SkbFrame::new(&ctx);
    account::second_look(&frame, Tc::<DOWN>::DIRECTION).err()
}

/// Parses a frame whose headers are not all in its linear part: what is found is kept.
#[inline(never)]
fn look_everywhere<const DOWN: bool>(skb: SkbAddress) -> Result<WireTraffic, Reason> {
    account::second_look(&Tc::<DOWN>(skb).frame(), Tc::<DOWN>::DIRECTION)
}
