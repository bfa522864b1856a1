//! The packet octets of XDP and tc contexts: the only place that touches packet memory.
#![expect(
    unsafe_code,
    reason = "packet memory is reached by address; each read is bounded here"
)]

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use aya_ebpf::programs::{TcContext, XdpContext};
use core::arch::asm;
use flowwatch_common::bytes::PacketBytes;
use flowwatch_common::parse::FrameInfo;

/// The furthest that headers reach: two tags, PPPoE, IPv6 and eight extension headers of 2,048
/// octets. The verifier wants any bound below 64 KiB before it adds an offset to a packet pointer.
const MAX_OFFSET: usize = 0x7fff;
/// Octets of an Ethernet header.
const ETHERNET: usize = 14;

/// A context's address, as functions that are not inlined pass it on.
///
/// A number: for a pointer, the compiler passes what the function reads through it instead, which
/// are the packet's addresses, in halves that the verifier refuses to put together.
#[derive(Clone, Copy)]
pub(crate) struct XdpAddress(usize);

impl XdpAddress {
    #[inline(always)]
    pub(crate) fn of(ctx: &XdpContext) -> Self {
        Self(ctx.ctx as usize)
    }

    #[inline(always)]
    pub(crate) fn context(self) -> XdpContext {
        XdpContext::new(self.0 as *mut xdp_md)
    }
}

/// The same at tc.
#[derive(Clone, Copy)]
pub(crate) struct SkbAddress(usize);

impl SkbAddress {
    #[inline(always)]
    pub(crate) fn of(ctx: &TcContext) -> Self {
        Self(ctx.skb.skb as usize)
    }

    #[inline(always)]
    pub(crate) fn context(self) -> TcContext {
        TcContext::new(self.0 as *mut __sk_buff)
    }
}

/// A frame that knows what its hook knows of it.
pub(crate) trait Frame: PacketBytes {
    /// Returns the length and what the card or the kernel did to the frame.
    fn info(&self) -> FrameInfo;
}

/// The octets between two addresses of packet memory.
pub(crate) struct Linear {
    data: usize,
    data_end: usize,
}

impl Linear {
    /// Returns how many octets there are.
    #[inline(always)]
    pub(crate) fn length(&self) -> u32 {
        (self.data_end - self.data) as u32
    }
}

impl PacketBytes for Linear {
    #[inline(always)]
    fn octets<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset > MAX_OFFSET {
            return None;
        }
        // An Ethernet header's offset is known.
        let start = if N == ETHERNET {
            self.data + offset
        } else {
            beyond(self.data, offset)
        };
        // Of one octet, the compiler would test that the start is below the end, which tells the
        // verifier nothing.
        let end = if N == 1 { opaque(start + N) } else { start + N };
        if end > self.data_end {
            return None;
        }
        // SAFETY: `start..start + N` lies between data and data_end.
        Some(unsafe { load(start) })
    }
}

/// Returns the address at an offset that is at most [`MAX_OFFSET`]. Verifiers before Linux 6.8 don't see
/// that where the compiler tested one copy of the offset and adds another from the stack; the mask shows
/// them.
#[inline(always)]
fn beyond(data: usize, offset: usize) -> usize {
    let mut address = offset;
    // SAFETY: the instructions calculate with numbers.
    unsafe {
        asm!(
            "{address} &= {most}",
            "{address} += {data}",
            address = inout(reg) address,
            data = in(reg) data,
            most = const MAX_OFFSET,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    address
}

/// Returns the number, of which the compiler then knows nothing.
#[inline(always)]
pub(crate) fn opaque(number: usize) -> usize {
    let hidden;
    // SAFETY: the instruction moves a number.
    unsafe {
        asm!(
            "{to} = {from}",
            to = lateout(reg) hidden,
            from = in(reg) number,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    hidden
}

/// Defines a load of packet memory by one instruction.
///
/// Rust's own reads of octets are one instruction an octet, and those of words promise an alignment
/// that packets don't have. The kernel asks for none where the CPU doesn't; elsewhere it asks for
/// the one that words have when IP headers begin at multiples of 4 (`NET_IP_ALIGN`;
/// kernel/bpf/verifier.c, `check_pkt_ptr_alignment`), which [`load`] keeps.
macro_rules! define_load {
    ($name:ident, $unit:ty, $octets:literal, $instruction:literal) => {
        #[inline(always)]
        unsafe fn $name<const AT: usize>(start: usize) -> [u8; $octets] {
            let value: u64;
            // SAFETY: the caller vouches for the octets, which the instruction only reads.
            unsafe {
                asm!(
                    $instruction,
                    value = out(reg) value,
                    start = in(reg) start,
                    at = const AT,
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            // SAFETY: the instruction fills the rest of the register with zeros.
            unsafe { core::hint::assert_unchecked(value <= <$unit>::MAX as u64) };
            (value as $unit).to_ne_bytes()
        }
    };
}

define_load!(byte, u8, 1, "{value} = *(u8 *)({start} + {at})");
define_load!(half, u16, 2, "{value} = *(u16 *)({start} + {at})");
define_load!(word, u32, 4, "{value} = *(u32 *)({start} + {at})");

/// Loads `N` octets in the largest units that the headers of this length allow: 14 octets are
/// Ethernet's, other headers begin at multiples of 4. Units that nobody uses are left out.
///
/// # Safety
/// The octets lie in the packet.
#[inline(always)]
unsafe fn load<const N: usize>(start: usize) -> [u8; N] {
    let mut octets = [0; N];
    macro_rules! gather {
        ($($unit:ident at $at:literal),+) => {{
            // SAFETY: none of these reaches beyond `N` octets.
            $(put(&mut octets, $at, unsafe { $unit::<$at>(start) });)+
        }};
    }
    match N {
        1 => gather!(byte at 0),
        4 => gather!(word at 0),
        8 => gather!(word at 0, word at 4),
        14 => gather!(half at 0, word at 2, word at 6, half at 10, half at 12),
        16 => gather!(word at 0, word at 4, word at 8, word at 12),
        20 => gather!(word at 0, word at 4, word at 8, word at 12, word at 16),
        // SAFETY: the caller vouches for the octets, which need no alignment.
        _ => octets = unsafe { core::ptr::read(start as *const [u8; N]) },
    }
    octets
}

/// Puts a unit's octets in their place, as far as there is one: every arm of `load` is compiled for
/// every `N`.
#[inline(always)]
fn put<const N: usize, const M: usize>(octets: &mut [u8; N], at: usize, unit: [u8; M]) {
    let mut index = 0;
    while index < M && at + index < N {
        octets[at + index] = unit[index];
        index += 1;
    }
}

/// A frame at XDP.
pub(crate) struct XdpFrame {
    first: Linear,
    length: u32,
}

impl XdpFrame {
    /// Returns a frame whose headers are in its first buffer. `FRAGMENTS`: there may be others.
    #[inline(always)]
    pub(crate) fn new<const FRAGMENTS: bool>(ctx: &XdpContext) -> Self {
        let first = Linear {
            data: ctx.data(),
            data_end: ctx.data_end(),
        };
        let length = if FRAGMENTS {
            // SAFETY: the context is the one that the kernel passed.
            unsafe { bpf_xdp_get_buff_len(ctx.ctx) as u32 }
        } else {
            first.length()
        };
        Self { first, length }
    }
}

impl PacketBytes for XdpFrame {
    #[inline(always)]
    fn octets<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.first.octets(offset)
    }
}

impl Frame for XdpFrame {
    #[inline(always)]
    fn info(&self) -> FrameInfo {
        FrameInfo {
            length: self.length,
            tags_taken: 0,
            segment_size: 0,
        }
    }
}

/// A socket buffer's octets that lie in its linear part.
pub(crate) struct SkbFrame<'a> {
    linear: Linear,
    ctx: &'a TcContext,
}

impl<'a> SkbFrame<'a> {
    /// Returns the buffer's linear part as a frame.
    #[inline(always)]
    pub(crate) fn new(ctx: &'a TcContext) -> Self {
        Self {
            linear: Linear {
                data: ctx.data(),
                data_end: ctx.data_end(),
            },
            ctx,
        }
    }

    /// Returns whether the buffer has octets beyond its linear part.
    #[inline(always)]
    pub(crate) fn has_more(&self) -> bool {
        self.ctx.len() > self.linear.length()
    }
}

impl PacketBytes for SkbFrame<'_> {
    #[inline(always)]
    fn octets<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.linear.octets(offset)
    }
}

impl Frame for SkbFrame<'_> {
    #[inline(always)]
    fn info(&self) -> FrameInfo {
        skb_info(self.ctx)
    }
}

/// Returns what the socket buffer says of its frame.
#[inline(always)]
pub(crate) fn skb_info(ctx: &TcContext) -> FrameInfo {
    // SAFETY: the context is the one that the kernel passed; these fields are readable in tc.
    let (tags_taken, segment_size) =
        unsafe { ((*ctx.skb.skb).vlan_present, (*ctx.skb.skb).gso_size) };
    FrameInfo {
        length: ctx.len(),
        tags_taken: (tags_taken != 0) as u8,
        segment_size,
    }
}

/// Returns the interface that the socket buffer is at.
#[inline(always)]
pub(crate) fn ifindex(ctx: &TcContext) -> u32 {
    // SAFETY: the context is the one that the kernel passed.
    unsafe { (*ctx.skb.skb).ifindex }
}
