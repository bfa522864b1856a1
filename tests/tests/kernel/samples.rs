//! The payload samples: a DNS answer's octets arrive in user space as they were, and what finds no
//! room is counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use anyhow::Result;
use flowwatch::kernel::batch::Access;
use flowwatch::observation::PayloadSample;
use flowwatch_common::abi::{Direction, SAMPLE_PAYLOAD_MAX, SampleCounters};
use flowwatch_tests::headers::Ipv4;
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::{CAMERA_V4, CAMERA_V6, Extra, GATEWAY};
use crate::hook::{EGRESS, HOOKS};
use crate::programs::{Choice, Programs, device_mac};

const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 1);
/// The device that asks: not the first, so that its number shows.
const DEVICE: u16 = 3;

/// The program that samples, with devices enough.
fn programs() -> Programs {
    Programs::load(Choice {
        hooks: &[&EGRESS],
        ..Choice::of_devices(DEVICE + 1)
    })
}

fn link() -> Packet {
    Packet::ethernet(GATEWAY, Mac(device_mac(DEVICE)))
}

fn answer() -> Packet {
    link().ipv4(RESOLVER, CAMERA_V4).udp(53, 40000)
}

fn deliver(programs: &Programs, packet: &Packet) {
    programs.run(&EGRESS, &packet.build(), Extra::default());
}

/// Octets of no pattern that a parser or a copy could make by itself.
fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256) as u8).collect()
}

/// What becomes of a frame's payload.
#[derive(Clone, Copy)]
enum Fate<'a> {
    /// It arrives from this remote: these octets, of so many on the wire.
    Sampled(IpAddr, &'a [u8], u32),
    /// No rule asks for it, or there is none.
    NotAsked,
}

/// Delivers each packet, takes what is sampled, and holds it against its fate.
fn check<'a>(packets: impl IntoIterator<Item = (&'a str, Packet, Fate<'a>)>) {
    let mut programs = programs();
    let mut counters = SampleCounters::default();
    for (name, packet, fate) in packets {
        deliver(&programs, &packet);
        let samples = programs.samples();
        match fate {
            Fate::Sampled(remote, octets, wire_length) => {
                counters.sampled += 1;
                let expected = sample(remote, octets, wire_length);
                let at = samples.first().map_or(expected.at, |sample| sample.at);
                assert_eq!(samples, [PayloadSample { at, ..expected }], "{name}");
            }
            Fate::NotAsked => assert_eq!(samples, [], "{name}"),
        }
        assert_eq!(programs.sample_counters(), counters, "{name}");
    }
}

fn sample(remote: IpAddr, octets: &[u8], wire_length: u32) -> PayloadSample {
    PayloadSample {
        device: DEVICE,
        direction: Direction::Down,
        remote,
        protocol: 17,
        remote_port: 53,
        local_port: 40000,
        at: SystemTime::now().try_into().unwrap(),
        segment: None,
        payload: octets.to_vec().into(),
        wire_length,
    }
}

#[test]
fn an_answers_payload_arrives_as_it_was() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let octets = payload(80);
    let with = |packet: Packet| packet.payload_octets(octets.clone());
    let v6 = |network: Packet| with(network.udp(53, 40000));
    let gateway_v6 = Ipv6Addr::new(0xfd00, 8, 0, 0, 0, 0, 0, 1);
    let tagged = || link().tag(0x88a8, 1).vlan(2);
    let tagged_v6 = || tagged().ipv6(gateway_v6, CAMERA_V6);
    let options = |ip: &mut Ipv4| ip.options = vec![1; 40];
    let first = |ip: &mut Ipv4| ip.more_fragments = true;
    let from_v4 = Fate::Sampled(RESOLVER.into(), &octets, 80);
    let from_v6 = Fate::Sampled(gateway_v6.into(), &octets, 80);
    let one_octet = answer().payload_octets(vec![9]).pad_to(60);
    check([
        ("over IPv4", with(answer()), from_v4),
        ("behind IPv4 options", with(answer().with(options)), from_v4),
        ("padded", with(answer()).pad_to(200), from_v4),
        ("a first fragment", with(answer().with(first)), from_v4),
        ("over IPv6, tagged twice", v6(tagged_v6()), from_v6),
        ("behind extensions", v6(tagged_v6().hop_by_hop(3)), from_v6),
        (
            "one octet",
            one_octet,
            Fate::Sampled(RESOLVER.into(), &[9], 1),
        ),
    ]);
    Ok(())
}

#[test]
fn a_payload_is_sampled_up_to_its_limit() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let most = SAMPLE_PAYLOAD_MAX;
    let octets = payload(3000);
    check([1, most - 1, most, most + 1, 3000].map(|length| {
        let packet = answer().payload_octets(octets[..length].to_vec());
        let sampled = &octets[..length.min(most)];
        let fate = Fate::Sampled(RESOLVER.into(), sampled, length as u32);
        ("an answer", packet, fate)
    }));
    Ok(())
}

#[test]
fn what_is_no_answer_is_not_sampled() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let network = || link().ipv4(RESOLVER, CAMERA_V4);
    let stranger = Packet::ethernet(GATEWAY, Mac(device_mac(DEVICE + 1)));
    let stranger = stranger.ipv4(RESOLVER, CAMERA_V4).udp(53, 40000);
    let later = |ip: &mut Ipv4| ip.offset = 1480;
    let cut = answer().payload(80).truncate(100);
    check([
        (
            "port 54",
            network().udp(54, 40000).payload(80),
            Fate::NotAsked,
        ),
        (
            "the device's port 53",
            network().udp(40000, 53).payload(80),
            Fate::NotAsked,
        ),
        (
            "SCTP",
            network().sctp(53, 40000).payload(80),
            Fate::NotAsked,
        ),
        (
            "a later fragment",
            answer().payload(80).with(later),
            Fate::NotAsked,
        ),
        ("a stranger's", stranger.payload(80), Fate::NotAsked),
        ("cut short", cut, Fate::NotAsked),
        ("empty", answer(), Fate::NotAsked),
        ("empty, padded", answer().pad_to(60), Fate::NotAsked),
    ]);
    Ok(())
}

#[test]
fn a_question_is_not_sampled_at_any_hook() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = Programs::load(Choice::of_devices(DEVICE + 1));
    let question = Packet::ethernet(Mac(device_mac(DEVICE)), GATEWAY);
    let question = question
        .ipv4(CAMERA_V4, RESOLVER)
        .udp(40000, 53)
        .payload(40);
    for hook in HOOKS {
        programs.run(hook, &question.build(), Extra::default());
    }
    assert_eq!(programs.samples(), []);
    assert_eq!(programs.sample_counters(), SampleCounters::default());
    assert_eq!(
        programs.totals(DEVICE).up.in_flows.frames,
        3,
        "but it is counted"
    );
    Ok(())
}

#[test]
fn what_the_ring_has_no_room_for_is_counted() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = programs();
    // More than a ring of 1 MiB has room for, in records of 2,056 octets and 8 of the kernel's.
    let sent = 700;
    let packet = answer().payload(80).build();
    for _ in 0..sent {
        programs.run(&EGRESS, &packet, Extra::default());
    }
    let SampleCounters {
        sampled,
        no_room,
        unreadable,
        turned_away,
        streams_refused,
    } = programs.sample_counters();
    assert_eq!((sampled + no_room, unreadable), (sent, 0));
    assert_eq!((turned_away, streams_refused), (0, 0));
    assert_eq!(sampled, (1 << 20) / (2056 + 8));
    assert_eq!(programs.samples().len() as u64, sampled);
    // What came out has made room.
    deliver(&programs, &answer().payload_octets(payload(90)));
    let samples = programs.samples();
    assert!(matches!(samples.as_slice(), [sample] if *sample.payload == payload(90)));
    assert_eq!(programs.sample_counters().no_room, no_room);
    assert_eq!(
        programs.totals(DEVICE).down.in_flows.frames,
        sent + 1,
        "all are counted"
    );
    Ok(())
}

#[test]
fn a_full_flow_table_does_not_stop_the_samples() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = Programs::load(Choice {
        devices: DEVICE + 1,
        prefixes: &[],
        flow_table_size: 1,
        access: Access::Batch,
        hooks: &[&EGRESS],
    });
    let octets = payload(80);
    let other = link()
        .ipv4(Ipv4Addr::new(192, 168, 8, 2), CAMERA_V4)
        .udp(53, 40000)
        .payload(8);
    deliver(&programs, &other);
    deliver(&programs, &answer().payload_octets(octets.clone()));
    assert_eq!(programs.totals(DEVICE).down.overflow.packets, 1);
    let samples = programs.samples();
    assert!(matches!(samples.as_slice(), [_, sample] if *sample.payload == *octets));
    Ok(())
}
