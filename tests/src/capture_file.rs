//! Capture files, written by hand: pcap and pcapng in either byte order (draft-ietf-opsawg-pcap,
//! draft-ietf-opsawg-pcapng), of frames whose times and lengths the test says.

/// The link type of Ethernet.
pub const ETHERNET: u32 = 1;
/// The link type of Linux' cooked sockets.
pub const LINUX_SLL: u32 = 113;
/// The link type of packets that begin with an IP header.
pub const RAW: u32 = 101;

/// A frame as a capture holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Microseconds since 1970.
    pub at: u64,
    /// The octets that were captured.
    pub octets: Vec<u8>,
    /// The octets on the wire.
    pub length: u32,
}

impl Recorded {
    /// A frame that was captured whole.
    #[must_use]
    pub fn whole(at: u64, octets: Vec<u8>) -> Self {
        let length = octets.len() as u32;
        Self { at, octets, length }
    }

    /// What a snap length leaves of it.
    #[must_use]
    pub fn cut(mut self, snap_length: usize) -> Self {
        self.octets.truncate(snap_length);
        self
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// pcap with microseconds, least significant octet first.
    Pcap,
    /// pcap with nanoseconds, most significant octet first.
    PcapBigNano,
    /// pcapng with microseconds, least significant octet first.
    Pcapng,
    /// pcapng with nanoseconds, most significant octet first.
    PcapngBigNano,
}

impl FileFormat {
    /// Every way.
    pub const ALL: [Self; 4] = [
        Self::Pcap,
        Self::PcapBigNano,
        Self::Pcapng,
        Self::PcapngBigNano,
    ];

    /// Writes a capture.
    #[must_use]
    pub fn write(self, link_type: u32, frames: &[Recorded]) -> Vec<u8> {
        match self {
            Self::Pcap => pcap(Little, 1, link_type, frames),
            Self::PcapBigNano => pcap(Big, 1_000, link_type, frames),
            Self::Pcapng => pcapng(Little, 6, link_type, frames),
            Self::PcapngBigNano => pcapng(Big, 9, link_type, frames),
        }
    }
}

use Order::{Big, Little};

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn word(self, word: u32) -> [u8; 4] {
        match self {
            Little => word.to_le_bytes(),
            Big => word.to_be_bytes(),
        }
    }

    fn half(self, half: u16) -> [u8; 2] {
        match self {
            Little => half.to_le_bytes(),
            Big => half.to_be_bytes(),
        }
    }
}

fn pcap(order: Order, per_microsecond: u64, link_type: u32, frames: &[Recorded]) -> Vec<u8> {
    let magic = if per_microsecond == 1 {
        0xa1b2_c3d4
    } else {
        0xa1b2_3c4d
    };
    let mut octets = order.word(magic).to_vec();
    octets.extend(order.half(2));
    octets.extend(order.half(4));
    for word in [0, 0, 262_144, link_type] {
        octets.extend(order.word(word));
    }
    for frame in frames {
        let part = frame.at % 1_000_000 * per_microsecond;
        let words = [
            (frame.at / 1_000_000) as u32,
            part as u32,
            frame.octets.len() as u32,
            frame.length,
        ];
        octets.extend(words.map(|word| order.word(word)).concat());
        octets.extend(&frame.octets);
    }
    octets
}

fn pcapng(order: Order, decimals: u8, link_type: u32, frames: &[Recorded]) -> Vec<u8> {
    let mut section = order.word(0x1a2b_3c4d).to_vec();
    section.extend(order.half(1));
    section.extend(order.half(0));
    section.extend([0xff; 8]);
    let mut octets = block(order, 0x0a0d_0d0a, &section);
    let mut interface = order.half(link_type as u16).to_vec();
    interface.extend(order.half(0));
    interface.extend(order.word(262_144));
    // if_tsresol, and the end of the options.
    interface.extend([order.half(9), order.half(1)].concat());
    interface.extend([decimals, 0, 0, 0, 0, 0, 0, 0]);
    octets.extend(block(order, 1, &interface));
    for frame in frames {
        let time = frame.at * 10_u64.pow(u32::from(decimals) - 6);
        let words = [
            0,
            (time >> 32) as u32,
            time as u32,
            frame.octets.len() as u32,
            frame.length,
        ];
        let mut packet = words.map(|word| order.word(word)).concat();
        packet.extend(&frame.octets);
        packet.resize(packet.len().next_multiple_of(4), 0);
        octets.extend(block(order, 6, &packet));
    }
    octets
}

fn block(order: Order, kind: u32, content: &[u8]) -> Vec<u8> {
    let length = order.word(12 + content.len() as u32);
    [&order.word(kind), &length, content, &length].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_as_the_formats_have_them() {
        let frames = [Recorded::whole(1_500_000, b"ab".to_vec()).cut(1)];
        let pcap = FileFormat::Pcap.write(ETHERNET, &frames);
        assert_eq!(pcap[..8], [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(pcap[24..32], [1, 0, 0, 0, 0x20, 0xa1, 7, 0]);
        assert_eq!(pcap[32..], [1, 0, 0, 0, 2, 0, 0, 0, b'a']);
        let pcapng = FileFormat::PcapngBigNano.write(ETHERNET, &frames);
        assert_eq!(pcapng[..8], [0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28]);
        let packet = &pcapng[28 + 32..];
        assert_eq!(packet[..12], [0, 0, 0, 6, 0, 0, 0, 36, 0, 0, 0, 0]);
        assert_eq!(packet[12..20], 1_500_000_000_u64.to_be_bytes());
        assert_eq!(packet[28..], [b'a', 0, 0, 0, 0, 0, 0, 36]);
    }
}
