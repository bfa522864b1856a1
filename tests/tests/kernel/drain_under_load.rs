//! The drain while frames pass: the reason for two tables that take turns.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;
use flowwatch::observation::Traffic;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::Extra;
use crate::hook::INGRESS;
use crate::programs::{Choice, Programs, Runner};
use crate::traffic::{Frame, OCTETS, remote};

/// Epochs that end while frames pass.
const EPOCHS: usize = 50;
/// Remotes, few enough that each is counted at any moment.
const REMOTES: u32 = 16;
/// Frames to one remote, one right after the other in the kernel.
const SERIES: u32 = 500;

/// What went to each remote.
type Sums = BTreeMap<IpAddr, Traffic>;

/// Sends to every remote in turn until told to stop; returns what was sent to each.
fn send_until(must_stop: &AtomicBool, runner: Runner<'_>) -> Sums {
    let mut sent = Sums::new();
    let mut frame = Frame::up(0);
    while !must_stop.load(Ordering::Relaxed) {
        for number in 0..REMOTES {
            let octets = frame.to(remote(number));
            runner.run(&INGRESS, octets, Extra::default(), SERIES);
            *sent.entry(remote(number).into()).or_default() += Traffic {
                packets: SERIES.into(),
                octets: u64::from(SERIES) * OCTETS,
            };
        }
    }
    sent
}

/// Stops the sender when it goes, so that a test that fails ends.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn drains_while_frames_pass_lose_nothing_and_count_nothing_twice() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = Programs::load(Choice {
        hooks: &[&INGRESS],
        ..Choice::of_devices(1)
    });
    let (runner, mut drainer) = programs.split();
    let must_stop = AtomicBool::new(false);
    let mut sums = Sums::new();
    let mut end_epoch = || {
        for flow in drainer.drain() {
            *sums.entry(flow.remote).or_default() += flow.up;
        }
    };
    // One sender: the other CPU is the drain's.
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| send_until(&must_stop, runner));
        let stopper = Stopper(&must_stop);
        for _ in 0..EPOCHS {
            end_epoch();
        }
        drop(stopper);
        sender.join()
    });
    end_epoch();
    assert_eq!(sums, sent.unwrap());
    let mut total = Traffic::default();
    for traffic in sums.values() {
        total += *traffic;
    }
    assert_eq!(programs.totals(0).up.flow_traffic, total);
    println!("{} packets in {EPOCHS} epochs", total.packets);
    Ok(())
}
