//! Captures: from the octets of a pcap or pcapng file to frames, one at a time.
//!
//! The source is anything that can be read; `replay` takes the frames. Memory is bounded by the
//! largest packet that a capture may hold, whatever the file's size and whatever it claims.
//!
//! Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, the tcpdump group's list of link
//! types. No crate is used for the two formats: of those on crates.io, `pcap-parser` 0.17 reads no
//! obsolete packet blocks, takes time resolutions of powers of two for invalid ones and time
//! offsets for little-endian, and `pcap-file` 2.0 takes every time for nanoseconds.

mod error;
mod foreign;
mod link_type;
mod pcap;
mod pcapng;
mod time;
mod window;

#[cfg(test)]
mod fixtures;

use std::io::Read;

use jiff::Timestamp;

pub use self::error::{OpenError, ReadError};
pub use self::link_type::LinkType;
use self::{pcap::Pcap, pcapng::Pcapng, window::Window};

/// The most octets of a packet that a capture may hold. Programs that capture take 262,144 at most
/// by default; what claims more than this is damage.
pub const MAX_PACKET: u32 = 16 << 20;

/// A packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its octets from the link layer's header on, as many as were captured, without frame check
    /// sequence.
    pub octets: &'a [u8],
    /// Its octets on the wire, likewise; at least as many.
    pub length: u32,
    /// What its octets begin with.
    pub link_type: LinkType,
    /// When it was captured; nothing where the capture doesn't say (simple packet blocks).
    pub at: Option<Timestamp>,
}

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<R> {
    window: Window<R>,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl<R: Read> Capture<R> {
    /// Begins to read a capture: takes its header, which tells the format.
    ///
    /// # Errors
    /// `OpenError`, where it is not a capture that can be read.
    pub fn open(source: R) -> Result<Self, OpenError> {
        let mut window = Window::new(source);
        window.fill(pcap::HEADER_LENGTH).map_err(OpenError::Read)?;
        let start = window.at_hand();
        if start.is_empty() {
            return Err(OpenError::Empty);
        }
        let format = if pcapng::is_start(start) {
            Format::Pcapng(Pcapng::default())
        } else if let Some(header) = pcap::header_of(start) {
            let pcap = header?;
            window.take(pcap::HEADER_LENGTH);
            Format::Pcap(pcap)
        } else {
            return Err(foreign::refusal(start));
        };
        Ok(Self { window, format })
    }

    /// Returns the next packet, or nothing at the capture's end.
    ///
    /// # Errors
    /// Where the capture ends too early or is damaged: there is nothing behind it that can be read.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next_frame(&mut self.window),
            Format::Pcapng(pcapng) => pcapng.next_frame(&mut self.window),
        }
    }

    /// Returns the format's name.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match self.format {
            Format::Pcap(_) => "pcap",
            Format::Pcapng(_) => "pcapng",
        }
    }

    /// Returns the one link type of all packets, where the format has it so.
    #[must_use]
    pub fn only_link_type(&self) -> Option<LinkType> {
        match &self.format {
            Format::Pcap(pcap) => Some(pcap.link_type()),
            Format::Pcapng(_) => None,
        }
    }

    /// Returns the octets of the capture that were read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.window.position()
    }
}

/// The byte order in which a capture was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// Least significant octet first.
    #[default]
    Little,
    /// Most significant octet first.
    Big,
}

impl Order {
    fn u16(self, octets: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(octets),
            Self::Big => u16::from_be_bytes(octets),
        }
    }

    fn u32(self, octets: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(octets),
            Self::Big => u32::from_be_bytes(octets),
        }
    }

    fn i64(self, octets: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(octets),
            Self::Big => i64::from_be_bytes(octets),
        }
    }

    /// Returns the words of a header.
    fn words<const N: usize>(self, octets: &[u8]) -> Option<[u32; N]> {
        let (fours, _) = octets.as_chunks::<4>();
        let fours = fours.first_chunk::<N>()?;
        Some(fours.map(|four| self.u32(four)))
    }
}

/// The octets that a frame has without its check sequence.
struct Stripped<'a> {
    octets: &'a [u8],
    length: u32,
}

impl<'a> Stripped<'a> {
    /// Takes the frame check sequence off what was captured of a packet, whose length on the wire
    /// is, with it, `length`.
    fn new(captured: &'a [u8], length: u32, check_sequence: u32) -> Self {
        // Some programs write a length of 0, or one that is less than what they captured.
        let length = length.max(captured.len() as u32);
        let length = length.saturating_sub(check_sequence);
        let octets = captured.get(..length as usize).unwrap_or(captured);
        Self { octets, length }
    }
}
