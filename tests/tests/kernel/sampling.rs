//! What of a connection is sampled: the same natively, in XDP and in tc, and what is written here.
//!
//! Each scenario is a device's packets in order, each with the samples that it must give.

use std::num::NonZeroUsize;

use anyhow::Result;
use flowwatch::observation::{PayloadSample, Segment};
use flowwatch::streams::StreamTable;
use flowwatch_common::abi::{Direction, SampleCounters};
use flowwatch_common::parse::parse_packet;
use flowwatch_common::sampling;
use flowwatch_common::wire::ethernet;
use flowwatch_tests::headers::{Ipv4, Tcp};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::{CAMERA_V4, CAMERA_V6, Extra, GATEWAY, REMOTE_V4, REMOTE_V6};
use crate::hook::{HOOKS, Hook, frame_info};
use crate::programs::{Choice, Programs, device_mac};

/// Devices: one for each scenario at each hook.
const DEVICES: u16 = 256;
/// Initial sequence numbers of the connections here: near the end of the numbers.
const ISN: u32 = 0xffff_ff00;
/// TCP's control bits.
const SYN: u8 = 2;
const ACK: u8 = 16;

/// A sample as it must arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    segment: Option<Segment>,
    wire_length: u32,
    payload: Vec<u8>,
}

/// A packet and what must be sampled of it.
struct Step {
    packet: Packet,
    extra: Extra,
    samples: Vec<Taken>,
}

/// A device's packets.
struct Scenario {
    name: &'static str,
    direction: Direction,
    steps: Vec<Step>,
}

impl Scenario {
    fn up(name: &'static str, steps: Vec<Step>) -> Self {
        Self {
            name,
            direction: Direction::Up,
            steps,
        }
    }

    fn down(name: &'static str, steps: Vec<Step>) -> Self {
        Self {
            direction: Direction::Down,
            ..Self::up(name, steps)
        }
    }

    /// The frames, from or to the device of this address.
    fn frames(&self, mac: [u8; 6]) -> Vec<Vec<u8>> {
        let built = self.steps.iter().map(|step| step.packet.build());
        let addressed = built.map(|mut frame| {
            let (destination, source) = match self.direction {
                Direction::Up => (GATEWAY.0, mac),
                Direction::Down => (mac, GATEWAY.0),
            };
            frame[..6].copy_from_slice(&destination);
            frame[6..12].copy_from_slice(&source);
            frame
        });
        addressed.collect()
    }
}

/// Runs each scenario natively and at each hook that takes its frames, and holds every sample
/// against what must come.
fn check(scenarios: &[Scenario]) -> Result<()> {
    for scenario in scenarios {
        natively(scenario);
    }
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let is_needed = |hook: &Hook| scenarios.iter().any(|scenario| takes(hook, scenario));
    let hooks: Vec<&'static Hook> = HOOKS.into_iter().filter(|hook| is_needed(hook)).collect();
    let mut programs = Programs::load(Choice {
        hooks: &hooks,
        ..Choice::of_devices(DEVICES)
    });
    let mut device = 0;
    for scenario in scenarios {
        let mut runs = 0;
        for hook in hooks.iter().filter(|hook| takes(hook, scenario)) {
            in_kernel(&mut programs, hook, scenario, device);
            device += 1;
            runs += 1;
        }
        assert_ne!(runs, 0, "{}: no hook takes its frames", scenario.name);
    }
    let counters = programs.sample_counters();
    let lost = (
        counters.no_room,
        counters.unreadable,
        counters.streams_refused,
    );
    assert_eq!(lost, (0, 0, 0));
    Ok(())
}

fn takes(hook: &Hook, scenario: &Scenario) -> bool {
    let frames = scenario.frames(device_mac(0));
    let mut each = frames.iter().zip(&scenario.steps);
    hook.direction == scenario.direction && each.all(|(frame, step)| hook.takes(frame, step.extra))
}

fn natively(scenario: &Scenario) {
    let mut streams = StreamTable::new(NonZeroUsize::new(100).unwrap());
    let frames = scenario.frames(device_mac(0));
    for (number, (frame, step)) in frames.iter().zip(&scenario.steps).enumerate() {
        let taken = plan(frame, step.extra, scenario.direction, &mut streams);
        assert_eq!(taken, step.samples, "{}, {number}, native", scenario.name);
    }
}

/// What `flowwatch replay` takes.
fn plan(frame: &[u8], extra: Extra, direction: Direction, streams: &mut StreamTable) -> Vec<Taken> {
    let info = frame_info(frame, extra);
    let header = ethernet::parse(frame).unwrap();
    let packet = parse_packet(frame, &header, &info, direction).unwrap();
    let key = packet.key(0);
    let plan = sampling::plan(frame, &packet, &info, &key, direction, streams);
    let Some(plan) = plan else {
        return Vec::new();
    };
    let is_tcp = packet.protocol == 6;
    let pieces = plan.pieces().map(|piece| Taken {
        segment: is_tcp.then_some(Segment {
            stream_start: plan.stream_start,
            sequence: piece.sequence,
        }),
        wire_length: piece.wire_length,
        payload: frame[piece.offset as usize..][..piece.length as usize].to_vec(),
    });
    pieces.collect()
}

fn in_kernel(programs: &mut Programs, hook: &Hook, scenario: &Scenario, device: u16) {
    let frames = scenario.frames(device_mac(device));
    for (number, (frame, step)) in frames.iter().zip(&scenario.steps).enumerate() {
        programs.run(hook, frame, step.extra);
        let samples = programs.samples();
        let what = format!("{}, {number}, {}", scenario.name, hook.program);
        for sample in &samples {
            let whose = (sample.device, sample.direction);
            assert_eq!(whose, (device, scenario.direction), "{what}");
        }
        let taken: Vec<Taken> = samples.iter().map(taken).collect();
        assert_eq!(taken, step.samples, "{what}");
    }
}

fn taken(sample: &PayloadSample) -> Taken {
    Taken {
        segment: sample.segment,
        wire_length: sample.wire_length,
        payload: sample.payload.to_vec(),
    }
}

/// A packet that gives no sample.
fn silent(packet: Packet) -> Step {
    Step {
        packet,
        extra: Extra::default(),
        samples: Vec::new(),
    }
}

/// A connection of which segments are sampled.
#[derive(Clone, Copy)]
struct Connection {
    isn: u32,
    local_port: u16,
    remote_port: u16,
    over_v6: bool,
    direction: Direction,
}

/// To port 443, over IPv4.
const TLS: Connection = Connection {
    isn: ISN,
    local_port: 40000,
    remote_port: 443,
    over_v6: false,
    direction: Direction::Up,
};

impl Connection {
    fn packet(self, flags: u8, offset: u32, payload: &[u8]) -> Packet {
        let (device, remote) = (self.local_port, self.remote_port);
        let packet = Packet::ethernet(Mac(device_mac(0)), GATEWAY);
        let packet = match (self.direction, self.over_v6) {
            (Direction::Up, false) => packet.ipv4(CAMERA_V4, REMOTE_V4).tcp(device, remote),
            (Direction::Down, false) => packet.ipv4(REMOTE_V4, CAMERA_V4).tcp(remote, device),
            (Direction::Up, true) => packet.ipv6(CAMERA_V6, REMOTE_V6).tcp(device, remote),
            (Direction::Down, true) => packet.ipv6(REMOTE_V6, CAMERA_V6).tcp(remote, device),
        };
        let sequence = self.isn.wrapping_add(offset);
        packet
            .with(|tcp: &mut Tcp| (tcp.sequence, tcp.flags) = (sequence, flags))
            .payload_octets(payload.to_vec())
    }

    fn syn(self) -> Step {
        let mut step = silent(self.packet(SYN, 0, &[]));
        let maximum = vec![2, 4, 5, 0xb4];
        step.packet = step.packet.with(|tcp: &mut Tcp| tcp.options = maximum);
        step
    }

    fn ack(self) -> Step {
        silent(self.packet(ACK, 1, &[]))
    }

    /// A segment at this offset of the stream, of which so many octets are sampled.
    fn data(self, offset: u32, payload: &[u8], wanted: usize) -> Step {
        let start = self.isn.wrapping_add(1);
        let pieces = payload[..wanted].chunks(2000).enumerate();
        let each = pieces.map(|(number, piece)| Taken {
            segment: Some(Segment {
                stream_start: start,
                sequence: start.wrapping_add(offset + 2000 * number as u32),
            }),
            wire_length: piece.len() as u32,
            payload: piece.to_vec(),
        });
        Step {
            samples: each.collect(),
            ..silent(self.packet(ACK | 8, 1 + offset, payload))
        }
    }

    /// The same of an aggregate of segments of 1,448 octets.
    fn aggregate(self, offset: u32, payload: &[u8], sampled: usize) -> Step {
        Step {
            extra: Extra {
                segment_size: 1448,
                segments: payload.len().div_ceil(1448) as u32,
                ..Extra::default()
            },
            ..self.data(offset, payload, sampled)
        }
    }
}

/// Octets of no pattern that a copy could make by itself.
fn filler(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256) as u8).collect()
}

/// A `ClientHello` of `length` octets with the record's header (RFC 8446 §5.1, §4); what it says is
/// of no matter here.
fn hello(length: usize) -> Vec<u8> {
    let [_, _, record @ ..] = (length as u32 - 5).to_be_bytes();
    let [_, message @ ..] = (length as u32 - 9).to_be_bytes();
    [
        &[0x16, 3, 1][..],
        &record,
        &[1],
        &message,
        &filler(length - 9),
    ]
    .concat()
}

/// A record of application data.
fn data() -> Vec<u8> {
    [&[0x17, 3, 3, 0, 200][..], &filler(200)].concat()
}

#[test]
fn a_hello_is_sampled_in_one_segment_or_several_in_any_order() -> Result<()> {
    let v6 = Connection {
        over_v6: true,
        ..TLS
    };
    let mqtt = Connection {
        remote_port: 8883,
        ..TLS
    };
    let whole = hello(517);
    let long = hello(1830);
    let (first, second) = long.split_at(1400);
    let both = [whole.clone(), data()].concat();
    let late = hello(3600);
    check(&[
        Scenario::up(
            "in one",
            vec![
                TLS.syn(),
                TLS.ack(),
                TLS.data(0, &whole, 517),
                TLS.ack(),
                TLS.data(517, &data(), 0),
            ],
        ),
        Scenario::up(
            "over IPv6",
            vec![v6.syn(), v6.data(0, &whole, 517), v6.data(517, &data(), 0)],
        ),
        Scenario::up(
            "on another port",
            vec![mqtt.syn(), mqtt.data(0, &whole, 517)],
        ),
        Scenario::up(
            "with more behind it",
            vec![TLS.syn(), TLS.data(0, &both, 517)],
        ),
        Scenario::up(
            "in two",
            vec![
                TLS.syn(),
                TLS.data(0, first, 1400),
                TLS.data(1400, second, 430),
                TLS.data(1830, &data(), 0),
            ],
        ),
        Scenario::up(
            "in two, turned round",
            vec![
                TLS.syn(),
                TLS.data(1400, second, 430),
                TLS.data(0, first, 1400),
                TLS.data(1830, &data(), 0),
            ],
        ),
        Scenario::up(
            "in three, the last first",
            vec![
                TLS.syn(),
                TLS.data(2800, &late[2800..], 800),
                TLS.data(1400, &late[1400..2800], 1400),
                TLS.data(0, &late[..1400], 1400),
                TLS.data(3600, &data(), 0),
            ],
        ),
        Scenario::up(
            "twice",
            vec![
                TLS.syn(),
                TLS.syn(),
                TLS.data(0, first, 1400),
                TLS.data(0, first, 1400),
                TLS.data(1400, second, 430),
                TLS.data(1400, second, 430),
                TLS.data(1830, &data(), 0),
            ],
        ),
        Scenario::up(
            "octet by octet at first",
            vec![
                TLS.syn(),
                TLS.data(0, &whole[..1], 1),
                TLS.data(1, &whole[1..], 516),
            ],
        ),
        Scenario::up(
            "with the SYN",
            vec![
                Step {
                    packet: TLS.packet(SYN, 0, &whole),
                    ..TLS.data(0, &whole, 517)
                },
                TLS.data(517, &data(), 0),
            ],
        ),
    ])
}

#[test]
fn a_stream_whose_syn_was_not_seen_begins_with_what_looks_like_its_start() -> Result<()> {
    let long = hello(1830);
    check(&[
        Scenario::up(
            "a hello",
            vec![
                TLS.ack(),
                TLS.data(0, &long[..1400], 1400),
                TLS.data(1400, &long[1400..], 430),
                TLS.data(1830, &data(), 0),
            ],
        ),
        Scenario::up(
            "the middle",
            vec![
                TLS.data(0, &data(), 0),
                TLS.data(205, &long[1400..], 0),
                TLS.data(635, &[0x16], 0),
            ],
        ),
    ])
}

#[test]
fn the_ports_next_connection_has_a_hello_of_its_own() -> Result<()> {
    let next = Connection { isn: 77_000, ..TLS };
    let sibling = Connection {
        local_port: 40001,
        isn: 9,
        ..TLS
    };
    check(&[
        Scenario::up(
            "the same ports",
            vec![
                TLS.syn(),
                TLS.data(0, &hello(517), 517),
                TLS.data(517, &data(), 0),
                next.syn(),
                TLS.data(722, &hello(300), 0),
                next.data(0, &hello(600), 600),
                next.data(600, &data(), 0),
            ],
        ),
        Scenario::up(
            "two at a time",
            vec![
                TLS.syn(),
                sibling.syn(),
                sibling.data(0, &hello(400), 400),
                TLS.data(0, &hello(517), 517),
                sibling.data(400, &data(), 0),
                TLS.data(517, &data(), 0),
            ],
        ),
    ])
}

#[test]
fn a_request_is_sampled_and_other_streams_are_not() -> Result<()> {
    let http = Connection {
        remote_port: 8080,
        ..TLS
    };
    let request = b"GET /firmware HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let post = [&b"POST / HTTP/1.1\r\n"[..], &filler(1400)].concat();
    let other = [&[0x16, 3, 3, 0, 122, 2, 0, 0, 118][..], &filler(118)].concat();
    let banner = b"SSH-2.0-OpenSSH_9.2p1\r\n";
    let bare = hello(517)[..5].to_vec();
    check(&[
        Scenario::up(
            "a request",
            vec![http.syn(), http.ack(), http.data(0, request, 45)],
        ),
        Scenario::up(
            "a long one",
            vec![
                http.syn(),
                http.data(0, &post, 1417),
                http.data(1417, &post, 1417),
                http.data(2834, &post, 1262),
                http.data(4251, request, 0),
            ],
        ),
        Scenario::up("no request", vec![http.syn(), http.data(0, b"GETS me", 0)]),
        Scenario::up(
            "TLS but no hello",
            vec![
                TLS.syn(),
                TLS.data(0, &other, 0),
                TLS.data(127, &hello(300), 0),
            ],
        ),
        Scenario::up(
            "a banner",
            vec![
                TLS.syn(),
                TLS.data(0, banner, 0),
                TLS.data(23, &hello(300), 0),
            ],
        ),
        Scenario::up(
            "a record's header alone",
            vec![TLS.syn(), TLS.data(0, &bare, 5)],
        ),
        Scenario::up(
            "padding is no payload",
            vec![
                http.syn(),
                silent(http.packet(ACK, 1, &[]).pad_to(60).patch(54, b"GET / ")),
            ],
        ),
    ])
}

#[test]
fn nothing_of_a_hello_that_comes_down_is_sampled() -> Result<()> {
    let down = Connection {
        direction: Direction::Down,
        ..TLS
    };
    check(&[Scenario::down(
        "down",
        vec![down.syn(), down.data(0, &hello(517), 0)],
    )])
}

/// A datagram to or from a port.
fn datagram(remote_port: u16, direction: Direction, payload: &[u8]) -> Packet {
    let packet = Packet::ethernet(Mac(device_mac(0)), GATEWAY);
    let packet = match direction {
        Direction::Up => packet.ipv4(CAMERA_V4, REMOTE_V4).udp(40000, remote_port),
        Direction::Down => packet.ipv4(REMOTE_V4, CAMERA_V4).udp(remote_port, 40000),
    };
    packet.payload_octets(payload.to_vec())
}

/// A datagram that is sampled.
fn sampled(remote_port: u16, direction: Direction, payload: &[u8]) -> Step {
    let taken = Taken {
        segment: None,
        wire_length: payload.len() as u32,
        payload: payload[..payload.len().min(2000)].to_vec(),
    };
    Step {
        samples: vec![taken],
        ..silent(datagram(remote_port, direction, payload))
    }
}

/// A QUIC packet of 1,200 octets with a long header.
fn quic(first: u8, version: u32) -> Vec<u8> {
    let mut octets = [&[first][..], &version.to_be_bytes(), &[8]].concat();
    octets.extend(filler(1194));
    octets
}

const QUIC_1: u32 = 1;
const QUIC_2: u32 = 0x6b33_43cf;

#[test]
fn every_initial_packet_of_quic_is_sampled_on_any_port_at_any_time() -> Result<()> {
    use Direction::Up;
    let v1 = |first| quic(first, QUIC_1);
    let v2 = |first| quic(first, QUIC_2);
    let quiet = |port, payload: &[u8]| silent(datagram(port, Up, payload));
    let short = [&[0x40, 0, 0, 0, 1][..], &filler(1195)].concat();
    // Long after the flow's first packets, whatever attention those had.
    let mut late: Vec<Step> = (0..100).map(|_| quiet(4433, &short)).collect();
    late.push(sampled(4433, Up, &v1(0xc3)));
    check(&[
        Scenario::up(
            "version 1",
            vec![
                sampled(443, Up, &v1(0xc0)),
                sampled(443, Up, &v1(0xcf)),
                quiet(443, &short),
                quiet(443, &v1(0xd0)),
                quiet(443, &v1(0xe3)),
                quiet(443, &v1(0xf0)),
                sampled(443, Up, &v1(0xc1)),
            ],
        ),
        Scenario::up(
            "version 2",
            vec![
                sampled(443, Up, &v2(0xd0)),
                sampled(8443, Up, &v2(0xdf)),
                quiet(443, &v2(0xc0)),
                quiet(443, &v2(0xe0)),
                quiet(443, &v2(0xf3)),
            ],
        ),
        Scenario::up(
            "other versions",
            vec![
                quiet(443, &quic(0xc0, 0)),
                quiet(443, &quic(0xc0, 0xff00_001d)),
                quiet(443, &quic(0x80, QUIC_1)),
            ],
        ),
        Scenario::up("late", late),
        Scenario::up("tiny", vec![quiet(443, &[0xc0, 0, 0]), quiet(443, &[])]),
        Scenario::down(
            "down",
            vec![silent(datagram(443, Direction::Down, &v1(0xc0)))],
        ),
    ])
}

#[test]
fn dhcp_and_mdns_are_sampled_for_their_ports() -> Result<()> {
    use Direction::{Down, Up};
    let message = filler(300);
    let other = |port, direction| silent(datagram(port, direction, &message));
    check(&[
        Scenario::up(
            "up",
            vec![
                sampled(67, Up, &message),
                sampled(5353, Up, &message),
                other(68, Up),
                other(53, Up),
            ],
        ),
        Scenario::down(
            "down",
            vec![
                sampled(67, Down, &message),
                sampled(5353, Down, &message),
                other(68, Down),
            ],
        ),
        Scenario::up(
            "always",
            (0..100).map(|_| sampled(5353, Up, &message)).collect(),
        ),
    ])
}

#[test]
fn a_first_fragment_is_sampled_with_the_whole_datagrams_length() -> Result<()> {
    let answer = filler(2952);
    let whole = datagram(53, Direction::Down, &answer);
    let [first, second] = &whole.fragments(1480, 7)[..] else {
        panic!("two fragments")
    };
    // Behind the UDP header, which is the first fragment's.
    let taken = Taken {
        segment: None,
        wire_length: 2952,
        payload: answer[..1472].to_vec(),
    };
    check(&[Scenario::down(
        "fragments",
        vec![
            Step {
                samples: vec![taken],
                ..silent(first.clone())
            },
            silent(second.clone()),
        ],
    )])
}

#[test]
fn answers_over_tcp_are_sampled_to_the_last_segment() -> Result<()> {
    let dns = Connection {
        remote_port: 53,
        direction: Direction::Down,
        ..TLS
    };
    let answers = filler(1400);
    let synack = silent(dns.packet(SYN | ACK, 0, &[]));
    let mut steps = vec![synack, dns.ack(), dns.data(0, &[5, 120], 2)];
    steps.extend((0..100).map(|number| dns.data(2 + 1400 * number, &answers, 1400)));
    check(&[
        Scenario::down("with SYN", steps),
        Scenario::down(
            "without",
            vec![
                dns.ack(),
                dns.data(0, &answers, 1400),
                dns.data(1400, &answers, 1400),
            ],
        ),
    ])
}

#[test]
fn an_aggregate_is_sampled_in_pieces_of_known_place() -> Result<()> {
    let long = hello(3200);
    let dns = Connection {
        remote_port: 53,
        direction: Direction::Down,
        ..TLS
    };
    let initials = [quic(0xc0, QUIC_1), quic(0xc3, QUIC_1)].concat();
    let pieces = initials.chunks(1200).map(|piece| Taken {
        segment: None,
        wire_length: 1200,
        payload: piece.to_vec(),
    });
    let datagrams = Step {
        samples: pieces.collect(),
        extra: Extra {
            segment_size: 1200,
            segments: 2,
            ..Extra::default()
        },
        ..silent(datagram(443, Direction::Up, &initials))
    };
    check(&[
        Scenario::up("a hello", vec![TLS.syn(), TLS.aggregate(0, &long, 3200)]),
        Scenario::up(
            "a hello and more",
            vec![
                TLS.syn(),
                TLS.aggregate(0, &[&long[..], &data()].concat(), 3200),
                TLS.aggregate(3405, &data(), 0),
            ],
        ),
        Scenario::up("two Initials", vec![datagrams]),
        Scenario::down("answers", vec![dns.aggregate(0, &filler(3300), 3300)]),
    ])
}

#[test]
fn a_frame_of_several_buffers_is_sampled_wherever_its_octets_lie() -> Result<()> {
    let jumbo = hello(8900);
    // As long as a packet can be: more than it may give samples for.
    let most = hello(16_384);
    let both = [&most[..], &filler(30_000)].concat();
    check(&[
        Scenario::up("a jumbo frame", vec![TLS.syn(), TLS.data(0, &jumbo, 8900)]),
        Scenario::up(
            "the longest hello",
            vec![TLS.syn(), TLS.data(0, &both, 16_384)],
        ),
        Scenario::up(
            "the middle of one",
            vec![
                TLS.syn(),
                TLS.data(0, &jumbo[..100], 100),
                TLS.data(100, &jumbo[100..], 8800),
            ],
        ),
    ])
}

#[test]
fn what_is_cut_off_or_lies_gives_no_sample() -> Result<()> {
    let later = |ip: &mut Ipv4| ip.offset = 1480;
    let short = |tcp: &mut Tcp| tcp.data_offset = Some(4);
    let beyond = |tcp: &mut Tcp| tcp.data_offset = Some(15);
    let packet = || TLS.packet(ACK, 1, &hello(30));
    check(&[Scenario::up(
        "lies",
        vec![
            TLS.syn(),
            silent(packet().with(later)),
            silent(packet().with(short)),
            silent(TLS.packet(ACK, 1, &[0x16; 10]).with(beyond)),
            TLS.data(0, &hello(517), 517),
        ],
    )])
}

/// Runs a hook on a stream of 1 MB, and returns what became of it.
fn sampled_of_a_long_stream(hook: &'static Hook, first: &[u8]) -> (usize, SampleCounters) {
    let mut programs = Programs::load(Choice {
        hooks: &[hook],
        ..Choice::of_devices(1)
    });
    let deliver = |programs: &Programs, packet: &Packet| {
        programs.run(hook, &packet.build(), Extra::default());
    };
    deliver(&programs, &TLS.packet(SYN, 0, &[]));
    deliver(&programs, &TLS.packet(ACK, 1, first));
    let before = programs.samples().len();
    for number in 0..720 {
        let offset = 1 + first.len() as u32 + 1400 * number;
        deliver(&programs, &TLS.packet(ACK, offset, &hello(1400)));
    }
    let after = programs.samples().len();
    assert_eq!(after, 0, "{}", hook.program);
    assert_eq!(programs.totals(0).up.in_flows.frames, 722);
    (before, programs.sample_counters())
}

#[test]
fn the_rest_of_a_stream_gives_no_sample() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    for hook in HOOKS
        .into_iter()
        .filter(|hook| hook.direction == Direction::Up)
    {
        let (samples, counters) = sampled_of_a_long_stream(hook, &hello(517));
        assert_eq!((samples, counters.sampled, counters.turned_away), (1, 1, 0));
        let (samples, counters) = sampled_of_a_long_stream(hook, b"SSH-2.0-x\r\n");
        assert_eq!((samples, counters.sampled, counters.turned_away), (0, 0, 0));
    }
    Ok(())
}

#[test]
fn a_hello_said_again_and_again_is_turned_away() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = Programs::load(Choice {
        hooks: &[HOOKS[0]],
        ..Choice::of_devices(1)
    });
    let mut deliver = |packet: Packet| {
        programs.run(HOOKS[0], &packet.build(), Extra::default());
        programs.samples().len()
    };
    let mut samples = 0;
    for _ in 0..100 {
        // Each SYN has the flow's attention anew; the stream is the same.
        samples += deliver(TLS.packet(SYN, 0, &[]));
        samples += deliver(TLS.packet(ACK, 1, &hello(517)));
    }
    assert_eq!(samples, 40);
    assert_eq!(programs.sample_counters().turned_away, 60);
    Ok(())
}

#[test]
fn a_connection_has_attention_whatever_went_before_on_its_flow() -> Result<()> {
    let bulk = Connection {
        local_port: 40001,
        isn: 7,
        ..TLS
    };
    let before = || (0..50).map(|number| bulk.data(205 * number, &data(), 0));
    let mut steps: Vec<Step> = before().collect();
    steps.push(TLS.syn());
    steps.extend(before().take(20));
    steps.push(TLS.data(0, &hello(517), 517));
    check(&[Scenario::up("bulk", steps)])
}
