//! The drain against the programs in the kernel: every count comes out once, in its epoch, whatever
//! the table's state and however it is read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;

use anyhow::Result;
use flowwatch::kernel::batch::Access;
use flowwatch::observation::{DirectionTotals, EpochFlow, Traffic};
use flowwatch_common::abi::Reason;
use flowwatch_tests::privilege::{Need, granted};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::golden::Extra;
use crate::hook::{EGRESS, XDP};
use crate::programs::{Choice, Programs};
use crate::traffic::{Frame, OCTETS, remote, send};

/// Flows that the small tables hold: no power of two, and more than one batch of none.
const CAPACITY: u32 = 1000;

fn small_table(access: Access) -> Programs {
    Programs::load(Choice {
        flow_table_size: CAPACITY,
        access,
        hooks: &[&XDP],
        ..Choice::of_devices(1)
    })
}

/// Each remote's packets and octets up.
fn by_remote(flows: &[EpochFlow]) -> BTreeMap<IpAddr, Traffic> {
    let up: BTreeMap<_, _> = flows.iter().map(|flow| (flow.remote, flow.up)).collect();
    assert_eq!(up.len(), flows.len(), "a flow was drained twice");
    up
}

/// `packets` packets to each of the remotes.
fn expected(remotes: std::ops::Range<u32>, packets: u64) -> BTreeMap<IpAddr, Traffic> {
    remotes
        .map(|number| (remote(number).into(), traffic(packets)))
        .collect()
}

fn traffic(packets: u64) -> Traffic {
    Traffic {
        packets,
        octets: packets * OCTETS,
    }
}

fn full(totals: &DirectionTotals) -> u64 {
    totals.unaccounted[Reason::FlowTableFull as usize].frames
}

#[test]
fn batches_and_single_keys_give_the_same() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    // More flows than a batch has room for.
    let remotes = 0..10_000;
    for access in [Access::Batch, Access::KeyByKey] {
        let mut programs = Programs::load(Choice {
            access,
            hooks: &[&XDP],
            ..Choice::of_devices(1)
        });
        send(&programs, remotes.clone());
        send(&programs, 0..5);
        let mut sent = expected(remotes.clone(), 1);
        sent.extend(expected(0..5, 2));
        assert_eq!(by_remote(&programs.drain()), sent, "{access:?}");
        assert_eq!(programs.drain(), [], "{access:?}");
        assert_eq!(programs.access(), access, "the kernel has batches");
    }
    Ok(())
}

#[test]
fn a_table_filled_to_its_last_entry_is_drained_whole() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    for access in [Access::Batch, Access::KeyByKey] {
        let mut programs = small_table(access);
        send(&programs, 0..CAPACITY);
        let totals = programs.totals(0).up;
        assert_eq!(full(&totals), 0, "{access:?}");
        assert_eq!(totals.in_flows.frames, u64::from(CAPACITY));
        assert_eq!(by_remote(&programs.drain()), expected(0..CAPACITY, 1));
    }
    Ok(())
}

#[test]
fn a_full_table_loses_no_octet() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = small_table(Access::Batch);
    let sent = CAPACITY * 10;
    send(&programs, 0..sent);
    // A flow that is in the table counts on.
    send(&programs, 0..1);
    let totals = programs.totals(0).up;
    let (inside, outside) = (u64::from(CAPACITY) + 1, u64::from(sent - CAPACITY));
    assert_eq!(totals.in_flows.frames, inside);
    assert_eq!(totals.flow_traffic, traffic(inside));
    assert_eq!(totals.overflow, traffic(outside));
    assert_eq!(full(&totals), outside);
    assert!(totals.is_conserved());
    let mut first_come = expected(0..CAPACITY, 1);
    first_come.extend(expected(0..1, 2));
    assert_eq!(by_remote(&programs.drain()), first_come);
    Ok(())
}

#[test]
fn an_epoch_after_a_full_one_has_room_again() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = small_table(Access::Batch);
    // Both tables, each twice.
    for epoch in 1..=4 {
        send(&programs, 0..CAPACITY + 10);
        assert_eq!(by_remote(&programs.drain()), expected(0..CAPACITY, 1));
        assert_eq!(full(&programs.totals(0).up), 10 * epoch);
    }
    Ok(())
}

#[test]
fn an_epochs_counts_are_in_no_other_epoch() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = small_table(Access::Batch);
    send(&programs, 0..20);
    assert_eq!(by_remote(&programs.drain()), expected(0..20, 1));
    send(&programs, 10..30);
    send(&programs, 10..30);
    assert_eq!(by_remote(&programs.drain()), expected(10..30, 2));
    assert_eq!(programs.drain(), [], "nothing was sent");
    assert_eq!(programs.drain(), [], "nor now");
    send(&programs, 0..1);
    assert_eq!(by_remote(&programs.drain()), expected(0..1, 1));
    assert_eq!(programs.totals(0).up.flow_traffic, traffic(20 + 40 + 1));
    Ok(())
}

/// Sends to a hundred remotes from one CPU, `turns` times.
fn send_on(cpu: usize, programs: &Programs, turns: u64) -> Result<()> {
    // A thread of its own, whose binding ends with it.
    let send = || -> Result<()> {
        let mut one = CpuSet::new();
        one.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &one)?;
        (0..turns).for_each(|_| send(programs, 0..100));
        Ok(())
    };
    let outcome = thread::scope(|scope| scope.spawn(send).join());
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[test]
fn what_each_cpu_counted_is_summed() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let cpus: Vec<usize> = (0..CpuSet::count())
        .filter(|cpu| allowed.is_set(*cpu).unwrap_or(false))
        .collect();
    for access in [Access::Batch, Access::KeyByKey] {
        let mut programs = small_table(access);
        let mut packets = 0;
        for (turn, cpu) in (1_u64..).zip(&cpus) {
            // Another number on each, so that no mixture of the CPUs' values gives the sum.
            send_on(*cpu, &programs, turn)?;
            packets += turn;
        }
        assert_eq!(by_remote(&programs.drain()), expected(0..100, packets));
        assert_eq!(programs.totals(0).up.flow_traffic, traffic(100 * packets));
    }
    Ok(())
}

#[test]
fn up_and_down_are_one_flow() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    let mut programs = Programs::load(Choice {
        hooks: &[&XDP, &EGRESS],
        ..Choice::of_devices(1)
    });
    let mut frame = Frame::up(0);
    let up = frame.to(remote(7)).to_vec();
    programs.run(&XDP, &up, Extra::default());
    let down = reversed(&up);
    programs.run(&EGRESS, &down, Extra::default());
    programs.run(&EGRESS, &down, Extra::default());
    let flows = programs.drain();
    let [flow] = flows.as_slice() else {
        panic!("{flows:?}");
    };
    assert_eq!((flow.remote, flow.protocol), (remote(7).into(), 17));
    assert_eq!(flow.remote_port, 10240);
    assert_eq!((flow.up, flow.down), (traffic(1), traffic(2)));
    Ok(())
}

/// The answer to a frame of UDP over IPv4: addresses and ports the other way round.
fn reversed(up: &[u8]) -> Vec<u8> {
    let mut down = up.to_vec();
    for (here, there, length) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
        down[here..here + length].copy_from_slice(&up[there..there + length]);
        down[there..there + length].copy_from_slice(&up[here..here + length]);
    }
    down
}
