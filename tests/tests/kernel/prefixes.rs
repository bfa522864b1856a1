//! Devices that are tagged by how their addresses begin: found by their first frame, and counted from
//! it on.

use std::collections::BTreeMap;
use std::hint;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;
use flowwatch_common::prefix::{MAX_FOUND_DEVICES, PrefixRule, prefix_rule};
use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::{CAMERA_V4, Extra, GATEWAY};
use crate::hook::{EGRESS, HOOKS, Hook, INGRESS, XDP};
use crate::programs::{Choice, Programs};
use crate::traffic::remote;

/// A camera vendor's, as its devices have it.
const VENDOR: [u8; 6] = [0x2c, 0xaa, 0x8e, 0, 0, 0];

fn camera(number: u16) -> Mac {
    let [a, b, c, ..] = VENDOR;
    let [high, low] = number.to_be_bytes();
    Mac([a, b, c, 1, high, low])
}

/// A frame of 28 octets of IP from a device.
fn from(mac: Mac) -> Vec<u8> {
    let packet = Packet::ethernet(mac, GATEWAY);
    packet.ipv4(CAMERA_V4, remote(0)).udp(4000, 5000).build()
}

/// The same to a device.
fn to(mac: Mac) -> Vec<u8> {
    let packet = Packet::ethernet(GATEWAY, mac);
    packet.ipv4(remote(0), CAMERA_V4).udp(5000, 4000).build()
}

/// Three devices with tagged addresses, and these rules.
fn programs(prefixes: &[PrefixRule], hooks: &[&'static Hook]) -> Programs {
    Programs::load(Choice {
        prefixes,
        hooks,
        ..Choice::of_devices(3)
    })
}

#[test]
fn a_device_that_a_prefix_tags_is_counted_from_its_first_frame_on() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let rules = [prefix_rule(VENDOR, 24)];
    let mut programs = programs(&rules, &HOOKS);
    let run = |hook, frame: Vec<u8>| programs.run(hook, &frame, Extra::default());
    run(&XDP, from(camera(7)));
    run(&INGRESS, from(camera(9)));
    run(&XDP, from(camera(7)));
    run(&EGRESS, to(camera(7)));
    // Also one that is spoken to before it speaks.
    run(&EGRESS, to(camera(8)));
    let expected = [(3, camera(7)), (4, camera(9)), (5, camera(8))];
    let expected: BTreeMap<_, _> = expected.map(|(number, mac)| (number, mac.0)).into();
    assert_eq!(programs.found(), (expected, 0));
    let mut flows = programs.drain();
    flows.sort_by_key(|flow| flow.device);
    let counted: Vec<_> = flows
        .iter()
        .map(|flow| {
            (
                flow.device,
                flow.up.packets,
                flow.up.octets,
                flow.down.octets,
            )
        })
        .collect();
    assert_eq!(counted, [(3, 2, 56, 28), (4, 1, 28, 0), (5, 0, 0, 28)]);
    assert!(
        flows
            .iter()
            .all(|flow| flow.remote == IpAddr::V4(remote(0)))
    );
    let totals = programs.totals(3);
    assert_eq!(totals.up.seen.frames, 2);
    assert_eq!(
        (totals.up.in_flows, totals.down.in_flows),
        (totals.up.seen, totals.down.seen)
    );
    Ok(())
}

#[test]
fn strangers_and_group_addresses_match_no_prefix() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let rules = [
        prefix_rule(VENDOR, 24),
        prefix_rule([0x74, 0x1a, 0xe0, 0x90, 0, 0], 28),
    ];
    let mut programs = programs(&rules, &HOOKS);
    let near_misses = [
        [0x2c, 0xaa, 0x8f, 0, 0, 1],
        [0x2d, 0xaa, 0x8e, 0, 0, 1],
        [0x74, 0x1a, 0xe0, 0x80, 0, 1],
        [0x74, 0x1a, 0xe0, 0xa0, 0, 1],
        [0xff; 6],
        [0x33, 0x33, 0, 0, 0, 1],
        [0; 6],
    ];
    for octets in near_misses {
        for hook in HOOKS {
            programs.run(hook, &from(Mac(octets)), Extra::default());
            programs.run(hook, &to(Mac(octets)), Extra::default());
        }
    }
    assert_eq!(programs.drain(), []);
    assert_eq!(programs.found(), (BTreeMap::new(), 0));
    programs.run(
        &XDP,
        &from(Mac([0x74, 0x1a, 0xe0, 0x9f, 0xff, 1])),
        Extra::default(),
    );
    assert_eq!(programs.drain().len(), 1);
    Ok(())
}

#[test]
fn without_rules_nobody_is_found() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = programs(&[], &HOOKS);
    for hook in HOOKS {
        programs.run(hook, &from(camera(1)), Extra::default());
        programs.run(hook, &to(camera(1)), Extra::default());
    }
    assert_eq!(programs.drain(), []);
    assert_eq!(programs.found(), (BTreeMap::new(), 0));
    Ok(())
}

#[test]
fn devices_beyond_the_room_are_not_counted_and_their_frames_are_told() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let rules = [prefix_rule(VENDOR, 24)];
    let mut programs = programs(&rules, &[&XDP]);
    let most = MAX_FOUND_DEVICES as u16;
    for number in 0..most + 5 {
        programs.run(&XDP, &from(camera(number)), Extra::default());
    }
    // Who has a place keeps it.
    programs.run(&XDP, &from(camera(0)), Extra::default());
    programs.run(&XDP, &from(camera(most)), Extra::default());
    let (found, without_room) = programs.found();
    assert_eq!(found.len(), usize::from(most));
    assert_eq!(
        found.keys().copied().collect::<Vec<_>>(),
        (3..most + 3).collect::<Vec<_>>()
    );
    assert_eq!(without_room, 6);
    let packets: u64 = programs.drain().iter().map(|flow| flow.up.packets).sum();
    assert_eq!(packets, u64::from(most) + 1);
    Ok(())
}

#[test]
fn processors_that_find_the_same_devices_at_once_agree_on_their_numbers() -> Result<()> {
    const DEVICES: u16 = 500;
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let rules = [prefix_rule(VENDOR, 24)];
    let mut programs = programs(&rules, &[&INGRESS]);
    let threads = thread::available_parallelism()?.get().max(2);
    // Spinning: who is woken comes some microseconds late, and meets nobody.
    let ready = AtomicUsize::new(0);
    let (runner, _) = programs.split();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for number in 0..DEVICES {
                    let frame = from(camera(number));
                    ready.fetch_add(1, Ordering::SeqCst);
                    while ready.load(Ordering::SeqCst) < threads * (usize::from(number) + 1) {
                        hint::spin_loop();
                    }
                    runner.run(&INGRESS, &frame, Extra::default(), 1);
                }
            });
        }
    });
    let (found, without_room) = programs.found();
    let macs: Vec<_> = found.values().copied().collect();
    assert_eq!((found.len(), without_room), (usize::from(DEVICES), 0));
    assert_eq!(
        found
            .values()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        macs.len()
    );
    let flows = programs.drain();
    assert_eq!(flows.len(), usize::from(DEVICES));
    for flow in flows {
        assert_eq!(flow.up.packets, threads as u64, "of device {}", flow.device);
        assert!(found.contains_key(&flow.device));
    }
    Ok(())
}
