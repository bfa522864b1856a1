//! Frames whose octets are at hand wherever they lie, for what is rare: headers beyond a socket
//! buffer's linear part, and payloads. Octets are copied out.
#![expect(
    unsafe_code,
    reason = "helpers copy to an address; each copy is bounded by its caller"
)]

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_xdp_load_bytes};
use flowwatch_common::abi::{Direction, Reason};
use flowwatch_common::bytes::PacketBytes;
use flowwatch_common::parse::{FrameInfo, Packet};

use crate::account::packet_of;
use crate::frame::{Frame, SkbAddress, SkbFrame, XdpAddress, XdpFrame, opaque, skb_info};

/// A frame whose octets can be copied wherever they lie.
pub(crate) trait WholeFrame: Frame {
    /// Copies `length` octets from `offset` on, at least 1 and at most `ROOM`; returns whether there
    /// are so many, and copied.
    ///
    /// # Safety
    /// There is room for `ROOM` octets at `to`. Where no helper copies, `to` is aligned to 4 octets,
    /// and the 16 before it may change.
    #[inline(always)]
    unsafe fn copy<const ROOM: usize>(&self, offset: u32, length: u32, to: *mut u8) -> bool {
        match bounded(length, ROOM) {
            // SAFETY: the caller vouches for the room.
            Some(length) => unsafe { self.load::<ROOM>(offset, length, to) },
            None => false,
        }
    }

    /// Likewise, of a length that the verifier knows to be in these bounds.
    ///
    /// # Safety
    /// Likewise.
    unsafe fn load<const ROOM: usize>(&self, offset: u32, length: u32, to: *mut u8) -> bool;
}

/// Where frames of a program come from: a context's address.
pub(crate) trait Source: Copy {
    /// Which way they go.
    const DIRECTION: Direction;

    /// Parses the frame, whose headers are in its first part.
    ///
    /// # Errors
    /// The reason why it is in no flow.
    fn packet(self) -> Result<Packet, Reason>;

    /// Returns the frame.
    fn frame(self) -> impl WholeFrame;
}

/// XDP. `FRAGMENTS`: a frame may span several buffers.
#[derive(Clone, Copy)]
pub(crate) struct Xdp<const FRAGMENTS: bool>(pub(crate) XdpAddress);

/// tc.
#[derive(Clone, Copy)]
pub(crate) struct Tc<const DOWN: bool>(pub(crate) SkbAddress);

impl Source for Xdp<true> {
    const DIRECTION: Direction = Direction::Up;

    #[inline(always)]
    fn packet(self) -> Result<Packet, Reason> {
        packet_of(&XdpFrame::new::<true>(&self.0.context()), Self::DIRECTION)
    }

    #[inline(always)]
    fn frame(self) -> impl WholeFrame {
        ScatteredXdpFrame(self.0)
    }
}

impl Source for Xdp<false> {
    const DIRECTION: Direction = Direction::Up;

    #[inline(always)]
    fn packet(self) -> Result<Packet, Reason> {
        packet_of(&XdpFrame::new::<false>(&self.0.context()), Self::DIRECTION)
    }

    #[inline(always)]
    fn frame(self) -> impl WholeFrame {
        LinearXdpFrame(XdpFrame::new::<false>(&self.0.context()))
    }
}

impl<const DOWN: bool> Source for Tc<DOWN> {
    const DIRECTION: Direction = if DOWN { Direction::Down } else { Direction::Up };

    #[inline(always)]
    fn packet(self) -> Result<Packet, Reason> {
        packet_of(&SkbFrame::new(&self.0.context()), Self::DIRECTION)
    }

    #[inline(always)]
    fn frame(self) -> impl WholeFrame {
        ScatteredSkbFrame(self.0)
    }
}

/// Has `copy` write `N` octets.
#[inline(always)]
fn fetch<const N: usize>(copy: impl FnOnce(*mut u8) -> bool) -> Option<[u8; N]> {
    let mut octets = MaybeUninit::<[u8; N]>::uninit();
    if copy(octets.as_mut_ptr().cast()) {
        // SAFETY: all N octets were written.
        Some(unsafe { octets.assume_init() })
    } else {
        None
    }
}

/// A socket buffer's octets: some drivers leave no more than the Ethernet header in the linear part.
struct ScatteredSkbFrame(SkbAddress);

impl PacketBytes for ScatteredSkbFrame {
    #[inline(always)]
    fn octets<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        // SAFETY: there is room for N octets.
        fetch(|to| unsafe { self.load::<N>(offset as u32, N as u32, to) })
    }
}

impl Frame for ScatteredSkbFrame {
    #[inline(always)]
    fn info(&self) -> FrameInfo {
        skb_info(&self.0.context())
    }
}

impl WholeFrame for ScatteredSkbFrame {
    #[inline(always)]
    unsafe fn load<const ROOM: usize>(&self, offset: u32, length: u32, to: *mut u8) -> bool {
        let ctx = self.0.context();
        // SAFETY: the caller vouches for the room.
        unsafe { bpf_skb_load_bytes(ctx.as_ptr(), offset, to.cast(), length) == 0 }
    }
}

/// A frame of several buffers at XDP (Linux 5.18).
struct ScatteredXdpFrame(XdpAddress);

impl PacketBytes for ScatteredXdpFrame {
    #[inline(always)]
    fn octets<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        // SAFETY: there is room for N octets.
        fetch(|to| unsafe { self.load::<N>(offset as u32, N as u32, to) })
    }
}

impl Frame for ScatteredXdpFrame {
    #[inline(always)]
    fn info(&self) -> FrameInfo {
        XdpFrame::new::<true>(&self.0.context()).info()
    }
}

impl WholeFrame for ScatteredXdpFrame {
    #[inline(always)]
    unsafe fn load<const ROOM: usize>(&self, offset: u32, length: u32, to: *mut u8) -> bool {
        let ctx = self.0.context();
        // SAFETY: the caller vouches for the room.
        unsafe { bpf_xdp_load_bytes(ctx.ctx, offset, to.cast(), length) == 0 }
    }
}

/// Octets that are copied at a time where no helper does it.
const UNIT: usize = 16;

/// A frame of one buffer at XDP: kernels before 5.18 have no helper for copying.
struct LinearXdpFrame(XdpFrame);

impl PacketBytes for LinearXdpFrame {
    #[inline(always)]
    fn octets<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.octets(offset)
    }
}

impl Frame for LinearXdpFrame {
    #[inline(always)]
    fn info(&self) -> FrameInfo {
        self.0.info()
    }
}

impl WholeFrame for LinearXdpFrame {
    /// The last unit comes first, with headers before it where the octets are fewer, and whole
    /// ones over it, so that none are left over.
    #[inline(always)]
    unsafe fn load<const ROOM: usize>(&self, offset: u32, length: u32, to: *mut u8) -> bool {
        let (offset, length) = (offset as usize, length as usize);
        let last = (offset + length).wrapping_sub(UNIT);
        let Some(unit) = self.octets::<UNIT>(last) else {
            return false;
        };
        // SAFETY: the caller vouches for the room, also for a unit that ends with the octets.
        unsafe { to.add(length).sub(UNIT).cast::<[u8; UNIT]>().write(unit) };
        // As many as there is room for: verifiers before Linux 6.4 forget in loops what they knew of
        // `length`.
        for number in 0..ROOM / UNIT {
            let at = number * UNIT;
            if at + UNIT > length {
                break;
            }
            let Some(unit) = self.octets::<UNIT>(offset + at) else {
                return false;
            };
            let words = to.wrapping_add(at).cast::<[u32; UNIT / 4]>();
            // SAFETY: as above; units begin at multiples of 16 from there, and any octets are words.
            unsafe { words.write(core::mem::transmute::<[u8; UNIT], [u32; UNIT / 4]>(unit)) };
        }
        true
    }
}

/// Returns the length, if it is at least 1 and at most `most`, so that every verifier sees that: before
/// Linux 6.4, one does not conclude from "not 0" that a number is at least 1. It is to follow what is
/// done to the very number that is used, which the compiler must not know to be another one's like.
#[inline(always)]
fn bounded(length: u32, most: usize) -> Option<u32> {
    let beyond_one = opaque((length as usize).wrapping_sub(1));
    (beyond_one < most).then(|| beyond_one as u32 + 1)
}
