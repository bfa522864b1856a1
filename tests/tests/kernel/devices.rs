//! The device table in the kernel: as many devices as allowed, each found, none taken for another.

use anyhow::Result;
use flowwatch::observation::DeviceTotals;
use flowwatch_common::abi::MAX_DEVICES;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::Extra;
use crate::hook::{HOOKS, XDP};
use crate::programs::{Choice, Programs};
use crate::traffic::{Frame, OCTETS, remote};

#[test]
fn each_of_the_most_devices_is_found_and_none_is_taken_for_another() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let devices = MAX_DEVICES as u16;
    let mut programs = Programs::load(Choice {
        hooks: &[&XDP],
        ..Choice::of_devices(devices)
    });
    // Each device has a remote of its own, and sends one packet more than the one before, modulo 3.
    for device in 0..devices {
        let mut frame = Frame::up(device);
        let octets = frame.to(remote(device.into()));
        for _ in 0..=device % 3 {
            programs.run(&XDP, octets, Extra::default());
        }
    }
    let mut flows = programs.drain();
    flows.sort_by_key(|flow| flow.device);
    assert_eq!(flows.len(), MAX_DEVICES);
    for (device, flow) in (0..devices).zip(&flows) {
        let packets = u64::from(device % 3 + 1);
        assert_eq!(
            (flow.device, flow.remote),
            (device, remote(device.into()).into())
        );
        assert_eq!(
            (flow.up.packets, flow.up.octets),
            (packets, packets * OCTETS)
        );
        let totals = programs.totals(device);
        assert_eq!(totals.up.seen.frames, packets);
        assert_eq!(totals.down.seen.frames, 0);
    }
    Ok(())
}

#[test]
fn an_address_that_differs_from_a_devices_in_one_bit_is_a_strangers() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = Programs::load(Choice::of_devices(1));
    for bit in 0..48 {
        let mut frame = Frame::up(0).to(remote(bit)).to_vec();
        frame[6 + bit as usize / 8] ^= 1 << (bit % 8);
        // Source and destination, so that both directions may take it for the device's.
        frame.copy_within(6..12, 0);
        for hook in HOOKS {
            programs.run(hook, &frame, Extra::default());
        }
    }
    assert_eq!(programs.drain(), []);
    assert_eq!(programs.totals(0), DeviceTotals::default());
    Ok(())
}
