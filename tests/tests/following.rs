//! Interfaces that go, come back, change their bridge or their name while flowwatch counts, live:
//! what is sent once flowwatch has said that it counts there is counted, to the packet.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use flowwatch_tests::flowwatch::{Attach, Flowwatch, Run};
use flowwatch_tests::generator::{Generator, Sent};
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::link::{self, End};
use flowwatch_tests::plain;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use flowwatch_tests::specimen::Way;
use nix::sys::signal::Signal;

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
const PATIENCE: Duration = Duration::from_secs(30);
const PACKETS: u64 = 3_000;
/// Times that an interface goes and comes back.
const ROUNDS: usize = 5;

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch])
}

fn start(lab: &Lab, attach: Attach, interfaces: &[&str]) -> Result<Flowwatch> {
    let options = ["--format", "json", "--no-builtin-geo", "--interval", "20ms"];
    let run = Run::new()?.attach(attach).options(&options);
    let run = interfaces
        .iter()
        .fold(run, |run, interface| run.interface(interface));
    let run = lab
        .devices
        .iter()
        .fold(run, |run, device| run.device(&device.name, device.mac));
    run.start(&lab.gateway)
}

/// Has something happen while a device sends; returns what it sent.
fn while_sending(
    lab: &Lab,
    device: &Device,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<u64> {
    let generator = Generator::new(&device.namespace, "eth0")?.rate(50_000);
    let stop = AtomicBool::new(false);
    let sent = thread::scope(|scope| -> Result<Sent> {
        let stream = scope.spawn(|| generator.send_until(&[plain::frame(device, Way::Up)], &stop));
        let outcome = meanwhile();
        stop.store(true, Ordering::Relaxed);
        let sent = stream.join().map_err(|_| anyhow!("the generator died"))?;
        outcome.and(sent)
    })?;
    link::await_received(&lab.gateway, &device.port, sent.total())?;
    Ok(sent.total())
}

/// Waits until flowwatch has said this so many times.
fn await_told(flowwatch: &Flowwatch, what: &str, times: usize) -> Result<()> {
    let process = flowwatch.process();
    let is_it = |line: &str| line.contains(what);
    process
        .wait_for_nth_line(Stream::Stderr, PATIENCE, times, is_it)
        .map(drop)
}

/// Makes the device's link once more, whose end at the gateway gets this name.
fn make_anew(lab: &Lab, device: &Device, port: &str) -> Result<()> {
    let port = End {
        namespace: &lab.gateway,
        name: port,
        mac: device.gateway_mac,
    };
    let own = End {
        namespace: &device.namespace,
        name: "eth0",
        mac: device.mac,
    };
    link::veth(&port, &own, 1500)
}

/// The BPF links that the process holds.
fn links_held(flowwatch: &Flowwatch) -> Result<usize> {
    let folder = format!("/proc/{}/fd", flowwatch.process().pid());
    let descriptors = fs::read_dir(folder).context("list the descriptors")?;
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Ok(targets
        .filter(|target| target.to_string_lossy().contains("bpf_link"))
        .count())
}

fn check_return(attach: Attach) -> Result<()> {
    let lab = plain::lab(2)?;
    let [coming, staying] = &lab.devices[..] else {
        anyhow::bail!("two devices were asked for")
    };
    let flowwatch = start(&lab, attach, &["lan0", "lan1"])?;
    let held = links_held(&flowwatch)?;
    ensure!(held == 4, "two hooks at two interfaces, and {held} links");
    let sent = while_sending(&lab, staying, || {
        plain::deliver(&lab, coming, "lan0", PACKETS)?;
        for round in 1..=ROUNDS {
            lab.gateway.ip("link del lan0")?;
            await_told(&flowwatch, "the interface `lan0` is gone", round)?;
            make_anew(&lab, coming, "lan0")?;
            await_told(&flowwatch, "counting again on `lan0`", round)?;
            plain::deliver(&lab, coming, "lan0", PACKETS)?;
        }
        Ok(())
    })?;
    ensure!(links_held(&flowwatch)? == held, "links are left over");
    let document = flowwatch.document()?;
    plain::ensure_counted(&document, "d0", PACKETS * (ROUNDS as u64 + 1))?;
    plain::ensure_counted(&document, "d1", sent)?;
    let names = document.meta.interfaces.iter().map(|it| &it.interface);
    let names: Vec<_> = names.collect();
    ensure!(names == ["lan0", "lan1"], "{names:?}");
    ensure!(
        document
            .meta
            .interfaces
            .iter()
            .all(|it| it.gone_at.is_none())
    );
    Ok(())
}

#[test]
fn an_interface_that_vanishes_and_comes_back_is_counted_on_again() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    BOTH.into_iter().try_for_each(check_return)
}

fn check_ports(attach: Attach) -> Result<()> {
    let lab = plain::bridged_lab(3)?;
    let [first, renamed, late] = &lab.devices[..] else {
        anyhow::bail!("three devices were asked for")
    };
    lab.gateway.ip("link set lan2 nomaster")?;
    let flowwatch = start(&lab, attach, &["br0"])?;
    // Not a port: nobody's matter.
    plain::deliver(&lab, late, "lan2", PACKETS)?;
    lab.gateway.ip("link set lan2 master br0")?;
    await_told(&flowwatch, "counting on `lan2`", 1)?;
    plain::deliver(&lab, late, "lan2", PACKETS)?;
    lab.gateway.ip("link set lan2 nomaster")?;
    await_told(&flowwatch, "no longer counting on `lan2`", 1)?;
    plain::deliver(&lab, late, "lan2", PACKETS)?;
    plain::deliver(&lab, renamed, "lan1", PACKETS)?;
    lab.gateway
        .ip("link set lan1 down\nlink set lan1 name kitchen\nlink set kitchen up")?;
    await_told(&flowwatch, "the interface `lan1` is now `kitchen`", 1)?;
    plain::deliver(&lab, renamed, "kitchen", PACKETS)?;
    plain::deliver(&lab, first, "lan0", PACKETS)?;
    let document = flowwatch.document()?;
    plain::ensure_counted(&document, "d0", PACKETS)?;
    plain::ensure_counted(&document, "d1", 2 * PACKETS)?;
    plain::ensure_counted(&document, "d2", PACKETS)?;
    let interfaces = document.meta.interfaces.iter();
    let interfaces: Vec<_> = interfaces
        .map(|it| (it.interface.as_str(), it.gone_at.is_some()))
        .collect();
    let expected = [("lan0", false), ("kitchen", false), ("lan2", true)];
    ensure!(interfaces == expected, "{interfaces:?}");
    Ok(())
}

#[test]
fn ports_that_join_leave_and_change_their_names_are_followed() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    BOTH.into_iter().try_for_each(check_ports)
}

#[test]
fn with_no_interface_left_flowwatch_waits_and_keeps_what_it_counted() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    let device = lab.camera();
    let flowwatch = start(&lab, Attach::Tc, &["lan0"])?;
    plain::deliver(&lab, device, "lan0", PACKETS)?;
    lab.gateway.ip("link del lan0")?;
    await_told(&flowwatch, "no interface is left to count on", 1)?;
    ensure!(links_held(&flowwatch)? == 0, "links are left over");
    make_anew(&lab, device, "lan0")?;
    await_told(&flowwatch, "counting again on `lan0`", 1)?;
    plain::deliver(&lab, device, "lan0", PACKETS)?;
    lab.gateway.ip("link del lan0")?;
    await_told(&flowwatch, "no interface is left to count on", 2)?;
    let document = flowwatch.document()?;
    plain::ensure_counted(&document, "d0", 2 * PACKETS)?;
    ensure!(document.meta.interfaces[0].gone_at.is_some());
    Ok(())
}

/// Somebody else's program in the XDP slot keeps flowwatch out, as long as it is there.
#[test]
fn an_interface_that_refuses_the_programs_is_tried_again() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(2)?;
    let device = lab.camera();
    let flowwatch = start(&lab, Attach::Xdp, &["lan0", "lan1"])?;
    lab.gateway.ip("link del lan0")?;
    await_told(&flowwatch, "the interface `lan0` is gone", 1)?;
    make_anew(&lab, device, "other0")?;
    let holder = start(&lab, Attach::Xdp, &["other0"])?;
    // Stopped, it does not let go of an interface that is no longer called as it was told.
    holder.process().signal(Signal::SIGSTOP)?;
    let rename = "link set other0 down\nlink set other0 name lan0\nlink set lan0 up";
    lab.gateway.ip(rename)?;
    await_told(
        &flowwatch,
        "attach XDP to `lan0`: another program has the slot",
        1,
    )?;
    holder.process().signal(Signal::SIGKILL)?;
    await_told(&flowwatch, "counting again on `lan0`", 1)?;
    plain::deliver(&lab, device, "lan0", PACKETS)?;
    let refusals = flowwatch.process().output(Stream::Stderr);
    let refusals = refusals.matches("has the slot").count();
    ensure!(refusals == 1, "told {refusals} times");
    plain::ensure_counted(&flowwatch.document()?, "d0", PACKETS)
}

/// A PPPoE line's interface goes and comes back with each dial, and its packets carry no MAC
/// addresses: here a tun, which every kernel has, plays it. It is nobody's matter beside the LAN's;
/// where it takes the name of one, it is not counted on.
#[test]
fn a_line_that_redials_takes_no_count_from_the_lan() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::File("/dev/net/tun")])? {
        return Ok(());
    }
    let lab = plain::lab(2)?;
    let [coming, staying] = &lab.devices[..] else {
        anyhow::bail!("two devices were asked for")
    };
    let flowwatch = start(&lab, Attach::Xdp, &["lan0", "lan1"])?;
    let sent = while_sending(&lab, staying, || {
        for _ in 0..ROUNDS {
            let dial = "tuntap add dev ppp0 mode tun\nlink set ppp0 up\nlink del ppp0";
            lab.gateway.ip(dial)?;
        }
        lab.gateway.ip("link set lan0 down\nlink set lan0 up")?;
        plain::deliver(&lab, coming, "lan0", PACKETS)?;
        lab.gateway.ip("link del lan0")?;
        await_told(&flowwatch, "the interface `lan0` is gone", 1)?;
        lab.gateway.ip("tuntap add dev lan0 mode tun")?;
        await_told(&flowwatch, "`lan0`: its packets carry no MAC addresses", 1)?;
        lab.gateway.ip("link del lan0")?;
        make_anew(&lab, coming, "lan0")?;
        await_told(&flowwatch, "counting again on `lan0`", 1)?;
        plain::deliver(&lab, coming, "lan0", PACKETS)
    })?;
    let document = flowwatch.document()?;
    plain::ensure_counted(&document, "d0", 2 * PACKETS)?;
    plain::ensure_counted(&document, "d1", sent)
}
