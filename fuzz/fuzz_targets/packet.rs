//! Fuzz target of the packet parser: whatever the octets are, what it says of them is possible, and
//! no shorter piece of them says anything else.
#![no_main]

use flowwatch_common::abi::{Direction, Reason, SAMPLE_PAYLOAD_MAX};
use flowwatch_common::parse::{FrameInfo, Packet, parse_packet, wire_traffic};
use flowwatch_common::sampling::stream::{
    DECIDED_SAMPLES, StreamKey, StreamState, Streams, UNDECIDED_SAMPLES,
};
use flowwatch_common::sampling::{self, SAMPLES_A_PACKET};
use flowwatch_common::wire::{ethernet, ipv4, ipv6, pppoe, vlan};
use libfuzzer_sys::fuzz_target;

/// What hooks may know of a frame besides: nothing, a tag that was taken off, an aggregate.
const EXTRAS: [(u8, u32); 7] = [
    (0, 0),
    (1, 0),
    (0, 1),
    (0, 100),
    (0, 1448),
    (1, 1448),
    (0, 65535),
];

/// Octets of the frame that are not at hand: none, and what may lie in further buffers.
const ELSEWHERE: [u32; 3] = [0, 1, 5000];

/// The furthest that a transport header can be: two tags, PPPoE and the longest chain of extension
/// headers, 8 octets times 256 each.
const MAX_TRANSPORT_OFFSET: usize = ethernet::HEADER_LENGTH
    + vlan::MAX_VLAN_TAGS as usize * vlan::TAG_LENGTH
    + pppoe::HEADER_LENGTH
    + ipv6::HEADER_LENGTH
    + ipv6::MAX_EXTENSION_HEADERS * 2048;

fuzz_target!(|octets: &[u8]| {
    for (tags_taken, segment_size) in EXTRAS {
        for elsewhere in ELSEWHERE {
            let frame = FrameInfo {
                length: octets.len() as u32 + elsewhere,
                tags_taken,
                segment_size,
            };
            check_frame(octets, &frame);
        }
    }
    for segment_size in [0, 1448] {
        let frame = FrameInfo {
            length: octets.len() as u32,
            tags_taken: 0,
            segment_size,
        };
        check_prefixes(octets, &frame);
    }
});

fn parse(octets: &[u8], frame: &FrameInfo, direction: Direction) -> Result<Packet, Reason> {
    let header = ethernet::parse(octets)?;
    parse_packet(octets, &header, frame, direction)
}

fn check_frame(octets: &[u8], frame: &FrameInfo) {
    let up = parse(octets, frame, Direction::Up);
    let down = parse(octets, frame, Direction::Down);
    check_directions(up, down);
    if let Ok(packet) = down {
        check_samples(octets, &packet, frame, Direction::Down);
    }
    match up {
        Ok(packet) => {
            check_packet(octets, &packet, frame);
            check_traffic(octets, &packet, frame);
            check_samples(octets, &packet, frame, Direction::Up);
        }
        Err(reason) => assert!(
            !matches!(reason, Reason::FlowTableFull | Reason::FlowTableBusy),
            "{reason:?} is a table's reason, not a frame's"
        ),
    }
}

/// Both directions see the same packet, from its other end.
fn check_directions(up: Result<Packet, Reason>, down: Result<Packet, Reason>) {
    let (Ok(up), Ok(down)) = (up, down) else {
        assert_eq!(up, down);
        return;
    };
    let turned = Packet {
        remote: down.remote,
        remote_port: up.local_port,
        local_port: up.remote_port,
        opening: 0,
        ..up
    };
    assert_eq!(turned, down);
    let key = up.key(7);
    assert_eq!((key.device, key.remote), (7, up.remote));
    assert_eq!(key.remote_port(), up.remote_port);
    assert_eq!(key.protocol(), up.protocol);
    assert_eq!(key.ip_version(), up.ip_version);
    assert_eq!(up.ip_version == 4, key.remote_address().is_ipv4());
}

/// Headers lie behind one another, and all within the frame.
fn check_packet(octets: &[u8], packet: &Packet, frame: &FrameInfo) {
    let ip_header = match packet.ip_version {
        4 => ipv4::HEADER_LENGTH,
        6 => ipv6::HEADER_LENGTH,
        version => panic!("IP version {version}"),
    } as u32;
    let headers = packet.transport_offset - packet.ip_offset;
    assert!(packet.ip_offset >= ethernet::HEADER_LENGTH as u32);
    assert!(packet.octets <= frame.length - packet.ip_offset);
    assert!((ip_header..=packet.octets).contains(&headers));
    assert!(packet.transport_offset as usize <= MAX_TRANSPORT_OFFSET);
    assert_eq!(packet.aggregate_only, jumbo_option(octets, packet));
    // Ports are where the header says, or nowhere.
    if (packet.remote_port, packet.local_port) != (0, 0) {
        assert!(packet.octets - headers >= 4);
        let at = packet.transport_offset as usize;
        let (source, destination) = (packet.local_port, packet.remote_port);
        let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        assert_eq!(octets.get(at..at + 4), Some(&ports[..]));
    }
}

/// Octets of the jumbo payload option's header, where the payload length is silent for its sake.
fn jumbo_option(octets: &[u8], packet: &Packet) -> u32 {
    let at = packet.ip_offset as usize + 4;
    match octets.get(at..at + 3) {
        Some([0, 0, 0]) if packet.ip_version == 6 => 8,
        _ => 0,
    }
}

/// An aggregate's packets have its payload between them, as few as can hold it, and every one the
/// headers.
fn check_traffic(octets: &[u8], packet: &Packet, frame: &FrameInfo) {
    let wire = wire_traffic(octets, packet, frame);
    let network = packet.transport_offset - packet.ip_offset;
    let headers = network + transport_header(octets, packet);
    if frame.segment_size == 0 || packet.octets < headers {
        let itself = (1, u64::from(packet.octets));
        assert_eq!((wire.packets, wire.octets), itself);
        return;
    }
    let payload = packet.octets - headers;
    let fewest = payload.div_ceil(frame.segment_size);
    assert_eq!(wire.packets, if payload == 0 { 1 } else { fewest });
    let on_the_wire = u64::from(headers - packet.aggregate_only);
    let without_payload = wire.octets - u64::from(payload);
    assert_eq!(without_payload, u64::from(wire.packets) * on_the_wire);
}

/// The streams of one packet: one.
#[derive(Default)]
struct OneStream(Option<(StreamKey, StreamState)>);

impl Streams for OneStream {
    fn get(&mut self, key: &StreamKey) -> Option<StreamState> {
        self.0.map(|(known, state)| {
            assert_eq!(known, *key);
            state
        })
    }

    fn insert(&mut self, key: &StreamKey, state: &StreamState) {
        self.0 = Some((*key, *state));
    }
}

/// Samples are pieces of the payload, behind one another, and no more than their limits however
/// often the packet comes.
fn check_samples(octets: &[u8], packet: &Packet, frame: &FrameInfo, direction: Direction) {
    let mut streams = OneStream::default();
    let mut samples = 0;
    for _ in 0..100 {
        let key = packet.key(7);
        let Some(plan) = sampling::plan(octets, packet, frame, &key, direction, &mut streams)
        else {
            break;
        };
        let pieces: Vec<_> = plan.pieces().collect();
        let mut next = packet.transport_offset + 8;
        for piece in &pieces {
            assert!(piece.offset >= next && piece.length > 0);
            assert!(piece.length <= piece.wire_length);
            assert!(piece.length as usize <= SAMPLE_PAYLOAD_MAX);
            // On the wire it may be longer: a first fragment says the whole datagram's length.
            next = piece.offset + piece.length;
            assert!(next <= packet.ip_offset + packet.octets);
        }
        assert!(pieces.len() <= SAMPLES_A_PACKET as usize);
        assert!(!pieces.is_empty() || plan.turned_away);
        samples += pieces.len() as u32;
    }
    if packet.protocol == 6 && direction == Direction::Up {
        assert!(samples <= UNDECIDED_SAMPLES + DECIDED_SAMPLES);
    }
}

/// What TCP says, or UDP has.
fn transport_header(octets: &[u8], packet: &Packet) -> u32 {
    let data_offset = octets.get(packet.transport_offset as usize + 12);
    match packet.protocol {
        6 => data_offset.map_or(0, |octet| u32::from(octet >> 4) * 4),
        17 => 8,
        _ => 0,
    }
}

/// What ends earlier is the same packet, or cut short; never another packet.
fn check_prefixes(octets: &[u8], frame: &FrameInfo) {
    let whole = parse(octets, frame, Direction::Up);
    // Longer prefixes differ by payload alone, but for chains that no packet needs.
    for length in 0..octets.len().min(128) {
        let prefix = &octets[..length];
        // The rest lies elsewhere: the parser knows of it.
        match parse(prefix, frame, Direction::Up) {
            Err(Reason::Truncated) => {}
            // What doesn't show whether it opens a connection may do so.
            Ok(packet) => {
                let opening = whole.map_or(0, |whole| whole.opening);
                let packet = Packet { opening, ..packet };
                assert_eq!(Ok(packet), whole, "{length} octets at hand");
            }
            failed => assert_eq!(failed, whole, "{length} octets at hand"),
        }
        // There is no rest.
        let shorter = FrameInfo {
            length: length as u32,
            ..*frame
        };
        match (parse(prefix, &shorter, Direction::Up), whole) {
            (Err(Reason::Truncated), _) => {}
            // An aggregate whose length is the frame's may be too short for its own header.
            (Err(Reason::Malformed), _) if frame.segment_size != 0 => {}
            (Ok(cut), Ok(whole)) if frame.segment_size != 0 => {
                assert_eq!(cut.key(0), whole.key(0));
                assert!(cut.octets <= whole.octets);
            }
            (Ok(cut), Ok(whole)) => {
                let opening = whole.opening;
                assert_eq!(Packet { opening, ..cut }, whole, "{length} octets in all");
            }
            (cut, whole) => assert_eq!(cut, whole, "{length} octets in all"),
        }
    }
}
