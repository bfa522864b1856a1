//! One load's programs in the places of another's while frames pass: each frame is counted once, by
//! the one or by the other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, anyhow};
use flowwatch::kernel::attach::{AttachMode, Attached, TcHook};
use flowwatch::observation::Traffic;
use flowwatch_tests::generator::{Generator, Sent};
use flowwatch_tests::link::{self, End, Mac};
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};

use crate::golden::{CAMERA_V4, GATEWAY};
use crate::hook::{EGRESS, INGRESS, XDP_FRAGMENTS};
use crate::programs::{Choice, Programs, device_mac};
use crate::traffic::{OCTETS, remote};

/// How often the programs change places.
const CHANGES: usize = 40;
/// Remotes that are sent to.
const REMOTES: u32 = 16;
/// The interface's name at both ends.
const INTERFACE: &str = "lan0";

/// Stops the senders when it goes, so that a test that fails ends.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The gateway and the camera, joined by a link.
fn join() -> Result<(Namespace, Namespace)> {
    let gateway = Namespace::new("gateway")?;
    let camera = Namespace::new("camera")?;
    let end = |namespace, mac| End {
        namespace,
        name: INTERFACE,
        mac,
    };
    let near = end(&gateway, GATEWAY);
    link::veth(&near, &end(&camera, Mac(device_mac(0))), 1500)?;
    gateway.silence()?;
    camera.silence()?;
    Ok((gateway, camera))
}

/// Frames to and from every remote.
fn frames(is_up: bool) -> Vec<Vec<u8>> {
    let camera = Mac(device_mac(0));
    let frame = |number| {
        let far = remote(number);
        let packet = if is_up {
            Packet::ethernet(camera, GATEWAY).ipv4(CAMERA_V4, far)
        } else {
            Packet::ethernet(GATEWAY, camera).ipv4(far, CAMERA_V4)
        };
        packet.udp(10240, 10240).payload(100).build()
    };
    (0..REMOTES).map(frame).collect()
}

/// What a remote's flows came to, up and down.
type Sums = BTreeMap<IpAddr, (Traffic, Traffic)>;

fn add(sums: &mut Sums, programs: &mut Programs) {
    for flow in programs.drain() {
        let (up, down) = sums.entry(flow.remote).or_default();
        *up += flow.up;
        *down += flow.down;
    }
}

/// What passed the hooks: what a port refuses has passed the egress one.
fn expected(up: &Sent, down: &Sent) -> Sums {
    let traffic = |packets| Traffic {
        packets,
        octets: packets * OCTETS,
    };
    let of = |number: u32| {
        let index = number as usize;
        let down = down.per_frame[index] + down.refused[index];
        let both = (traffic(up.per_frame[index]), traffic(down));
        (IpAddr::from(remote(number)), both)
    };
    (0..REMOTES).map(of).collect()
}

fn check(mode: AttachMode, tc_hook: TcHook) -> Result<()> {
    let (gateway, camera) = join()?;
    let choice = Choice {
        hooks: &[&XDP_FRAGMENTS, &INGRESS, &EGRESS],
        ..Choice::of_devices(1)
    };
    let mut loads = [Programs::load(choice), Programs::load(choice)];
    let mut attached = gateway.enter(|| loads[0].attach(INTERFACE, mode, tc_hook))?;
    let before = link::statistics(&gateway, INTERFACE)?.rx_packets;
    let must_stop = AtomicBool::new(false);
    let up = Generator::new(&camera, INTERFACE)?;
    let down = Generator::new(&gateway, INTERFACE)?;
    let sent = thread::scope(|scope| {
        let up = scope.spawn(|| up.send_until(&frames(true), &must_stop));
        let down = scope.spawn(|| down.send_until(&frames(false), &must_stop));
        let stopper = Stopper(&must_stop);
        let outcome = gateway.enter(|| change_places(&mut loads, &mut attached));
        drop(stopper);
        let ended = |_| anyhow!("a sender died");
        outcome?;
        Ok::<_, anyhow::Error>((up.join().map_err(ended)??, down.join().map_err(ended)??))
    })?;
    let (up, down) = sent;
    link::await_received(&gateway, INTERFACE, before + up.total())?;
    link::await_backlog()?;
    gateway.enter(|| drop(attached))?;
    let mut sums = Sums::new();
    for load in &mut loads {
        add(&mut sums, load);
        add(&mut sums, load);
    }
    assert_eq!(sums, expected(&up, &down), "{mode:?} {tc_hook:?}");
    println!(
        "{mode:?} {tc_hook:?}: {} packets up and {} down, in {CHANGES} changes",
        up.total(),
        down.total()
    );
    Ok(())
}

/// Puts each load's programs in the other's places in turn; what was replaced counts no more.
fn change_places(loads: &mut [Programs; 2], attached: &mut Attached) {
    let mut settled = None;
    for change in 0..CHANGES {
        let [first, second] = &mut *loads;
        let (old, new) = if change % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let before = new.totals(0);
        let settled_before = settled.unwrap_or(before);
        assert_eq!(before, settled_before, "what was replaced still counts");
        new.take_over(attached, old);
        settled = Some(old.totals(0));
        // Frames of both directions pass before the next change.
        let counts = || {
            let now = new.totals(0);
            now.up.seen != before.up.seen && now.down.seen != before.down.seen
        };
        while !counts() {
            thread::yield_now();
        }
    }
}

#[test]
fn programs_that_change_places_while_frames_pass_count_each_once() -> Result<()> {
    if !granted(&[Need::Root])? {
        return Ok(());
    }
    check(AttachMode::Xdp, TcHook::Tcx)?;
    check(AttachMode::Tc, TcHook::Tcx)?;
    check(AttachMode::Tc, TcHook::Clsact)
}
