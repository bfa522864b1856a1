//! The census: who is noted, with which address and how often, and which frames are handed over.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::Result;
use aya::programs::{Program, TestRun as _, TestRunOptions};
use flowwatch::kernel::census::{self, LoadedCensus};
use flowwatch::kernel::load::{load_program, program};
use flowwatch_common::census::{CENSUS_FRAME_MAX, MAX_SIGHTINGS};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::{CAMERA, CAMERA_V4, CAMERA_V6, GATEWAY, REMOTE_V4, REMOTE_V6, STRANGER};

struct Census(LoadedCensus);

impl Census {
    fn load() -> Self {
        let mut loaded = census::load().unwrap();
        load_program(&mut loaded.programs.ebpf, program::CENSUS).unwrap();
        Self(loaded)
    }

    fn run(&self, frame: &[u8], times: u32) {
        let Some(Program::SchedClassifier(program)) = self.0.programs.ebpf.program(program::CENSUS)
        else {
            panic!("no such program")
        };
        let options = TestRunOptions {
            data_in: Some(frame),
            repeat: times,
            ..TestRunOptions::default()
        };
        let verdict = program.test_run(options).unwrap().return_value;
        assert_eq!(verdict.cast_signed(), -1, "left to the next program");
    }

    /// Frames by MAC address and the IP address's last four octets; a version of 0 has none.
    fn seen(&self) -> BTreeMap<([u8; 6], u8, u32), u64> {
        let seen = self.0.sightings.read().unwrap();
        let seen = seen.into_iter().map(|(key, counter)| {
            assert!(counter.first_tick > 0 && counter.first_tick <= counter.last_tick);
            let last = u32::from_be(key.address[3]);
            ((key.mac(), key.ip_version(), last), counter.frames)
        });
        seen.collect()
    }

    fn handed_over(&mut self) -> Vec<(Vec<u8>, u32)> {
        let mut frames = Vec::new();
        census::take(&mut self.0.frames, usize::MAX, &mut |octets, length| {
            frames.push((octets.to_vec(), length));
        });
        frames
    }
}

fn last_of(address: Ipv4Addr) -> u32 {
    address.to_bits()
}

#[test]
fn senders_are_noted_with_their_own_address_and_their_frames() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let census = Census::load();
    let v4 = |mac| {
        Packet::ethernet(mac, GATEWAY)
            .ipv4(CAMERA_V4, REMOTE_V4)
            .udp(4000, 53)
    };
    let v6 = Packet::ethernet(CAMERA, GATEWAY)
        .ipv6(CAMERA_V6, REMOTE_V6)
        .tcp(4000, 443);
    census.run(&v4(CAMERA).build(), 3);
    census.run(&v4(STRANGER).build(), 1);
    census.run(&v6.build(), 2);
    // Tagged twice, and with a header that contradicts itself.
    let tagged = Packet::ethernet(CAMERA, GATEWAY).tag(0x88a8, 7).vlan(5);
    census.run(&tagged.ipv4(CAMERA_V4, REMOTE_V4).udp(1, 2).build(), 1);
    census.run(&v4(CAMERA).patch(14, &[0x44]).build(), 1);
    census.run(&v4(Mac([0xff; 6])).build(), 1);
    census.run(&v4(Mac([0; 6])).build(), 1);
    let v6_last = CAMERA_V6.to_bits() as u32;
    let expected = BTreeMap::from([
        ((CAMERA.0, 4, last_of(CAMERA_V4)), 4),
        ((STRANGER.0, 4, last_of(CAMERA_V4)), 1),
        ((CAMERA.0, 6, v6_last), 2),
        ((CAMERA.0, 0, 0), 1),
    ]);
    assert_eq!(census.seen(), expected);
    Ok(())
}

#[test]
fn frames_that_carry_names_arrive_as_they_were_and_no_others() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut census = Census::load();
    let packet = |ports: (u16, u16), payload: usize| {
        let octets = (0..payload).map(|at| (at * 7 + at / 256) as u8).collect();
        let network = Packet::ethernet(CAMERA, GATEWAY).ipv4(CAMERA_V4, REMOTE_V4);
        network.udp(ports.0, ports.1).payload_octets(octets).build()
    };
    for ports in [(68, 67), (67, 68), (546, 547), (5353, 5353)] {
        let frame = packet(ports, 300);
        census.run(&frame, 1);
        let length = frame.len() as u32;
        assert_eq!(census.handed_over(), [(frame, length)], "{ports:?}");
    }
    let long = packet((68, 67), 3000);
    census.run(&long, 1);
    let cut = (long[..CENSUS_FRAME_MAX].to_vec(), long.len() as u32);
    assert_eq!(census.handed_over(), [cut]);
    for ports in [(4000, 53), (53, 4000), (67 << 8, 1)] {
        census.run(&packet(ports, 300), 1);
    }
    let tcp = Packet::ethernet(CAMERA, GATEWAY).ipv4(CAMERA_V4, REMOTE_V4);
    census.run(&tcp.tcp(68, 67).payload(300).build(), 1);
    assert!(census.handed_over().is_empty());
    assert_eq!(census.0.sightings.without_room().frames_without_room, 0);
    Ok(())
}

#[test]
fn what_finds_no_room_is_counted() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let census = Census::load();
    let frame = Packet::ethernet(CAMERA, GATEWAY).ipv4(CAMERA_V4, REMOTE_V4);
    let mut frame = frame.udp(68, 67).payload(1200).build();
    // Nobody empties the ring.
    census.run(&frame, 2000);
    let without_room = census.0.sightings.without_room();
    assert!(without_room.frames_without_room > 0);
    assert_eq!(without_room.sightings_without_room, 0);
    // A sender's address in its second half: as many senders as there is room for, and three.
    frame.truncate(40);
    for sender in 0..MAX_SIGHTINGS + 2 {
        frame[8..12].copy_from_slice(&sender.to_be_bytes());
        census.run(&frame, 1);
    }
    let seen = census.seen();
    assert_eq!(seen.len(), MAX_SIGHTINGS as usize);
    let without_room = census.0.sightings.without_room().sightings_without_room;
    assert_eq!(without_room, 3);
    Ok(())
}
