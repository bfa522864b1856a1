//! flowwatch's BPF programs: entries only.
//!
//! Each entry wraps its context as packet octets, has `flowwatch_common` parse them, and hands the
//! outcome to `account` and `sample`. A monitor never changes a verdict: XDP programs pass, tc
//! programs leave the decision to the next.
#![no_std]
#![no_main]
// Loads of packet words; see `frame`.
#![feature(asm_experimental_arch)]
#![expect(unsafe_code, reason = "the loader finds the licence by its section")]
#![expect(
    missing_docs,
    unreachable_pub,
    reason = "aya's macros wrap the entries in items of their own"
)]

mod account;
mod census;
mod clock;
mod device;
mod found;
mod frame;
mod log;
mod maps;
mod sample;
mod self_test;
mod tc;
mod whole_frame;
mod xdp;

use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

/// Counts what devices send, on kernels whose XDP frames may span several buffers (5.18 and newer).
#[xdp(frags)]
pub fn flowwatch_xdp_frags(ctx: XdpContext) -> u32 {
    xdp::count::<true>(&ctx);
    XDP_PASS
}

/// Counts what devices send, on older kernels.
#[xdp]
pub fn flowwatch_xdp(ctx: XdpContext) -> u32 {
    xdp::count::<false>(&ctx);
    XDP_PASS
}

/// Counts what devices send, where XDP can't or shouldn't go.
#[classifier]
pub fn flowwatch_ingress(ctx: TcContext) -> i32 {
    tc::count::<false>(&ctx);
    TC_ACT_UNSPEC
}

/// Counts what devices receive.
#[classifier]
pub fn flowwatch_egress(ctx: TcContext) -> i32 {
    tc::count::<true>(&ctx);
    TC_ACT_UNSPEC
}

/// Takes a census of the senders; attached by `flowwatch devices` alone.
#[classifier]
pub fn flowwatch_census(ctx: TcContext) -> i32 {
    census::take(&ctx);
    TC_ACT_UNSPEC
}

/// Reads the kernel's tick counter; run by the loader, attached to nothing.
#[classifier]
pub fn flowwatch_clock(_: TcContext) -> i32 {
    clock::read();
    TC_ACT_UNSPEC
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The kernel lets only GPL-compatible programs call some helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
