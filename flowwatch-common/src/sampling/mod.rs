//! Sampling: which octets of a packet's payload go to user space.
//!
//! The same code decides in the BPF programs and in `flowwatch replay`. A packet is first parsed as
//! for counting; [`plan`] then says what of its payload a rule asks for, if anything, and
//! [`Plan::piece`] how that is cut into samples.
//!
//! - [`content`]: what a stream's first octets decide;
//! - [`stream`]: what a TCP stream has shown so far;
//! - [`attention`]: whether the kernel looks at all.

pub mod attention;
pub mod content;
pub mod stream;

use self::stream::{Header, StreamKey, Streams};
use crate::abi::{Direction, FlowKey, SAMPLE_PAYLOAD_MAX};
use crate::bytes::PacketBytes;
use crate::parse::{FrameInfo, Packet};
use crate::sample_rules::{Content, Contents, contents_asked};
use crate::wire::beginning::Beginning;
use crate::wire::ip_protocol::{TCP, UDP};
use crate::wire::transport::{self, UDP_HEADER_LENGTH};

/// Samples that one packet gives at most: an aggregate may hold a whole `ClientHello` of 16 KiB.
pub const SAMPLES_A_PACKET: u32 = content::HELLO_MAX.div_ceil(SAMPLE_PAYLOAD_MAX as u32);

/// A packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// From the Ethernet header on.
    pub(crate) offset: u32,
    /// Octets on the wire.
    pub(crate) length: u32,
}

/// What of a packet's payload is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Where it begins, from the Ethernet header on.
    offset: u32,
    /// Octets of all pieces; 0 when all was turned away.
    length: u32,
    /// Octets of each piece on the wire, but the last.
    piece: u32,
    /// Octets that a datagram says it has: more than there are in its first fragment.
    claimed: u32,
    /// The sequence number of the stream's first octet (`observation::Segment`); of TCP alone.
    pub stream_start: u32,
    /// The sequence number of the first sampled octet; of TCP alone.
    sequence: u32,
    /// Whether octets that a rule asks for were left out, for a limit's sake.
    pub turned_away: bool,
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins, from the Ethernet header on.
    pub offset: u32,
    /// Octets of it, at most `SAMPLE_PAYLOAD_MAX`. A capture may have fewer of them at hand.
    pub length: u32,
    /// Octets of the datagram that it is of, or of itself where it is of a stream.
    pub wire_length: u32,
    /// The sequence number of its first octet; of TCP alone.
    pub sequence: u32,
}

impl Plan {
    /// Returns the sample of this number, from 0 on; nothing behind the last.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the verifier wants to see the bounds")]
    #[must_use]
    pub const fn piece(&self, number: u32) -> Option<Piece> {
        let before = number.wrapping_mul(self.piece);
        if number >= SAMPLES_A_PACKET || before >= self.length {
            return None;
        }
        let rest = self.length - before;
        let wire_length = if rest < self.piece { rest } else { self.piece };
        let most = SAMPLE_PAYLOAD_MAX as u32;
        Some(Piece {
            offset: self.offset.wrapping_add(before),
            length: if wire_length < most {
                wire_length
            } else {
                most
            },
            wire_length: if wire_length < self.claimed {
                self.claimed
            } else {
                wire_length
            },
            sequence: self.sequence.wrapping_add(before),
        })
    }

    /// Returns the samples in order.
    pub fn pieces(self) -> impl Iterator<Item = Piece> {
        (0..SAMPLES_A_PACKET).map_while(move |number| self.piece(number))
    }
}

/// Returns what of a packet's payload is sampled, if anything, and has `streams` follow its stream.
///
/// `key` is the packet's, with the device; `packet` what `parse_packet` gave for these `bytes`,
/// `frame` and `direction`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
pub fn plan<B: PacketBytes + ?Sized, S: Streams>(
    bytes: &B,
    packet: &Packet,
    frame: &FrameInfo,
    key: &FlowKey,
    direction: Direction,
    streams: &mut S,
) -> Option<Plan> {
    let asked = contents_asked(direction, packet.protocol, packet.remote_port);
    if asked.is_empty() {
        return None;
    }
    match packet.protocol {
        TCP => {
            let key = StreamKey::new(*key, packet.local_port, direction);
            plan_segment(bytes, packet, asked, &key, streams)
        }
        UDP => plan_datagram(bytes, packet, frame, asked),
        _ => None,
    }
}

/// A segment's or an aggregate's part in its stream.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn plan_segment<B: PacketBytes + ?Sized, S: Streams>(
    bytes: &B,
    packet: &Packet,
    asked: Contents,
    key: &StreamKey,
    streams: &mut S,
) -> Option<Plan> {
    let tcp = transport::parse_tcp(bytes, packet.transport_offset as usize)?;
    let payload = payload(packet, tcp.header_length)?;
    let header = Header {
        // SYN takes the number before the first octet's (RFC 9293 §3.4).
        sequence: tcp.sequence.wrapping_add(u32::from(tcp.is_syn)),
        opens: tcp.is_syn,
    };
    let stretch = stream::follow(bytes, payload, header, asked, key, streams);
    if stretch.length == 0 && !stretch.turned_away {
        return None;
    }
    Some(Plan {
        offset: payload.offset,
        length: stretch.length,
        piece: SAMPLE_PAYLOAD_MAX as u32,
        claimed: 0,
        stream_start: stretch.stream_start,
        sequence: header.sequence,
        turned_away: stretch.turned_away,
    })
}

/// A datagram, or each one of an aggregate.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the verifier follows offsets within one function only"
)]
fn plan_datagram<B: PacketBytes + ?Sized>(
    bytes: &B,
    packet: &Packet,
    frame: &FrameInfo,
    asked: Contents,
) -> Option<Plan> {
    let Payload { offset, length } = payload(packet, UDP_HEADER_LENGTH)?;
    if length == 0 {
        return None;
    }
    if !asked.has(Content::Any)
        && !Beginning::read(bytes, offset as usize, length).is_quic_initial()
    {
        return None;
    }
    let (piece, claimed) = match frame.segment_size {
        0 => (
            length,
            transport::udp_payload_length(bytes, packet.transport_offset as usize),
        ),
        size => (size, 0),
    };
    Some(Plan {
        offset,
        length,
        piece,
        claimed,
        turned_away: length.div_ceil(piece) > SAMPLES_A_PACKET,
        ..Plan::default()
    })
}

/// Returns where the payload is behind a transport header of so many octets; nothing when the packet
/// has no room for that.
fn payload(packet: &Packet, header_length: u32) -> Option<Payload> {
    let headers = packet.transport_offset - packet.ip_offset + header_length;
    Some(Payload {
        offset: packet.transport_offset + header_length,
        length: packet.octets.checked_sub(headers)?,
    })
}
