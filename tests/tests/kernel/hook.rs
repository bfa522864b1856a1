//! The hooks under test, as data: which program, which direction, and what a test run of it takes.

use flowwatch::kernel::load::program;
use flowwatch_common::abi::Direction;
use flowwatch_common::parse::FrameInfo;

use crate::golden::Extra;

/// A program that counts, and where it stands.
#[derive(Debug)]
pub(crate) struct Hook {
    /// The program's name in the object.
    pub(crate) program: &'static str,
    /// Whose address it looks at.
    pub(crate) direction: Direction,
    /// What it must return, whatever it saw.
    pub(crate) verdict: i32,
    /// The longest frame that the kernel makes for a test run of it: a page less head and tail
    /// room, but for XDP programs that take several buffers.
    pub(crate) longest: usize,
    /// Whether it sees socket buffers, and so aggregates, rather than what the driver received.
    pub(crate) is_tc: bool,
}

/// `XDP_PASS`.
const PASS: i32 = 2;
/// `TC_ACT_UNSPEC`.
const UNSPECIFIED: i32 = -1;
/// Octets that every kind of test run has room for in one page of 4 KiB.
pub(crate) const ONE_BUFFER: usize = 3500;
/// The shortest frame that the kernel makes: an Ethernet header.
pub(crate) const SHORTEST: usize = 14;

/// XDP on ingress, as older kernels have it.
pub(crate) static XDP: Hook = Hook {
    program: program::XDP,
    direction: Direction::Up,
    verdict: PASS,
    longest: ONE_BUFFER,
    is_tc: false,
};

/// XDP on ingress whose frames may span several buffers.
pub(crate) static XDP_FRAGMENTS: Hook = Hook {
    program: program::XDP_FRAGMENTS,
    longest: 60_000,
    ..XDP
};

/// tc on ingress.
pub(crate) static INGRESS: Hook = Hook {
    program: program::INGRESS,
    direction: Direction::Up,
    verdict: UNSPECIFIED,
    longest: ONE_BUFFER,
    is_tc: true,
};

/// tc on egress.
pub(crate) static EGRESS: Hook = Hook {
    program: program::EGRESS,
    direction: Direction::Down,
    ..INGRESS
};

/// All of them.
pub(crate) static HOOKS: [&Hook; 4] = [&XDP, &XDP_FRAGMENTS, &INGRESS, &EGRESS];

impl Hook {
    /// Whether the kernel can run the program on such a frame with what the hook knows of it.
    pub(crate) fn takes(&self, frame: &[u8], extra: Extra) -> bool {
        (self.shortest(frame)..=self.longest).contains(&frame.len())
            && (self.is_tc || extra.segment_size == 0)
            // A test run can't have a tag taken off: the kernel wants that field to be zero.
            && extra.tags_taken == 0
    }

    /// Since Linux 6.18, a socket buffer that is announced as IP has a whole IP header.
    fn shortest(&self, frame: &[u8]) -> usize {
        let header = match frame.get(12..SHORTEST) {
            Some([0x08, 0x00]) => 20,
            Some([0x86, 0xdd]) => 40,
            _ => 0,
        };
        SHORTEST + if self.is_tc { header } else { 0 }
    }
}

/// What the parser is told of a frame at a hook that knows `extra`.
pub(crate) fn frame_info(frame: &[u8], extra: Extra) -> FrameInfo {
    FrameInfo {
        length: frame.len() as u32,
        tags_taken: extra.tags_taken,
        segment_size: extra.segment_size,
    }
}
