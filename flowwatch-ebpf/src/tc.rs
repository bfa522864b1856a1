//! The tc programs' common body: count the frame, sample its payload.

use aya_ebpf::programs::TcContext;
use flowwatch_common::abi::{Direction, Reason};
use flowwatch_common::parse::{parse_packet, wire_traffic};
use flowwatch_common::sample_rules::is_sampled;
use flowwatch_common::wire::ethernet;

use crate::account::{self, Counted};
use crate::frame::{Frame, ScatteredSkbFrame, SkbFrame};
use crate::{device, frame, sample, self_test};

/// Counts a frame if it is a device's, and samples its payload if a rule asks for it.
#[inline(always)]
pub(crate) fn count(ctx: &TcContext, direction: Direction) {
    self_test::note(frame::ifindex(ctx), direction);
    let Some(counted) = count_frame(ctx, direction) else {
        return;
    };
    if is_sampled(
        direction,
        counted.packet.protocol,
        counted.packet.remote_port,
    ) {
        sample::payload(ctx, &counted, direction);
    }
}

/// Counts a frame from its linear part, or, where the headers go on beyond it, from all its parts.
#[inline(always)]
fn count_frame(ctx: &TcContext, direction: Direction) -> Option<Counted> {
    let frame = SkbFrame::new(ctx);
    let header = ethernet::parse(&frame).ok()?;
    let device = device::number_of(account::address_of(&header, direction))?;
    let info = frame.info();
    let parsed = match parse_packet(&frame, &header, &info, direction) {
        Err(Reason::Truncated) if frame.has_more() => {
            let scattered = ScatteredSkbFrame(ctx);
            let parsed = parse_packet(&scattered, &header, &info, direction);
            parsed.map(|packet| (packet, wire_traffic(&scattered, &packet, &info)))
        }
        parsed => parsed.map(|packet| (packet, wire_traffic(&frame, &packet, &info))),
    };
    account::outcome(device, direction, &info, parsed)
}
