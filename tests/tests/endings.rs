//! Endings, live: whatever ends flowwatch, what was sent before is counted, and nothing of it stays
//! attached.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use flowwatch_tests::dns::PORT;
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::flowwatch::{Attach, Document, Ended, Flowwatch, Run};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{Lab, OUTSIDE_NAME_SERVER};
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::packet::Packet;
use flowwatch_tests::plain;
use flowwatch_tests::privilege::{Need, granted};
use nix::sys::signal::Signal;

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
const PACKETS: u64 = 5_000;

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch])
}

/// Watches every device, and drains at the end only.
fn run(lab: &Lab, attach: Attach) -> Result<Run> {
    run_every("1h", lab, attach)
}

/// Watches every device.
fn run_every(interval: &str, lab: &Lab, attach: Attach) -> Result<Run> {
    let options = [
        "--format",
        "json",
        "--no-builtin-geo",
        "--interval",
        interval,
    ];
    let run = Run::new()?.attach(attach).options(&options);
    Ok(lab.devices.iter().fold(run, |run, device| {
        run.interface(&device.port).device(&device.name, device.mac)
    }))
}

/// The programs attached to an interface, as the kernel tells: XDP and tcx by number, clsact by the
/// filters.
fn programs_at(namespace: &Namespace, interface: &str) -> Result<Vec<String>> {
    let link = namespace.run("ip", &["-details", "link", "show", "dev", interface])?;
    let xdp = link.lines().filter(|line| line.contains("prog/xdp"));
    let mut found: Vec<String> = xdp.map(str::to_owned).collect();
    for (side, name) in [
        (TcAttachType::Ingress, "ingress"),
        (TcAttachType::Egress, "egress"),
    ] {
        let programs = namespace.enter(|| SchedClassifier::query_tcx(interface, side))?;
        let (_, programs) = programs.with_context(|| format!("query tcx {name}"))?;
        found.extend(
            programs
                .iter()
                .map(|program| format!("tcx {name} {}", program.id())),
        );
        let filters = namespace.run("tc", &["filter", "show", "dev", interface, name])?;
        found.extend(filters.lines().map(str::to_owned));
    }
    Ok(found)
}

/// Fails unless flowwatch's programs are, or are not, at every device's port.
fn ensure_attached(lab: &Lab, is_attached: bool) -> Result<()> {
    for device in &lab.devices {
        let found = programs_at(&lab.gateway, &device.port)?;
        let expected = if is_attached { 2 } else { 0 };
        ensure!(found.len() == expected, "{}: {found:?}", device.port);
    }
    Ok(())
}

fn ensure_counted(ended: &Ended, packets: u64) -> Result<()> {
    ensure!(
        ended.status == Some(0),
        "{:?}: {}",
        ended.status,
        ended.errors
    );
    let document = Document::parse(&ended.output)?;
    plain::ensure_counted(&document, "d0", packets)
}

fn end(flowwatch: &Flowwatch, signals: &[Signal]) -> Result<Ended> {
    for signal in signals {
        flowwatch.process().signal(*signal)?;
    }
    flowwatch.wait()
}

#[test]
fn what_was_sent_right_before_a_signal_is_counted() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    for attach in BOTH {
        for signals in [
            &[Signal::SIGINT][..],
            &[Signal::SIGTERM],
            &[Signal::SIGHUP],
            // One that is in a hurry.
            &[Signal::SIGINT, Signal::SIGINT, Signal::SIGTERM],
        ] {
            let flowwatch = run(&lab, attach)?.start(&lab.gateway)?;
            ensure_attached(&lab, true)?;
            plain::send(lab.camera(), PACKETS)?;
            let ended = end(&flowwatch, signals)?;
            ensure_counted(&ended, PACKETS).with_context(|| format!("{attach} {signals:?}"))?;
            ensure_attached(&lab, false)?;
        }
    }
    Ok(())
}

#[test]
fn a_duration_ends_it_likewise() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    let run = run(&lab, Attach::Xdp)?.options(&["--duration", "1s"]);
    let flowwatch = run.start(&lab.gateway)?;
    plain::send(lab.camera(), PACKETS)?;
    ensure_counted(&flowwatch.wait()?, PACKETS)?;
    ensure_attached(&lab, false)
}

#[test]
fn a_hangup_ends_nothing_that_was_told_to_outlive_its_terminal() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    let run = run(&lab, Attach::Tc)?.through(&["nohup"]);
    let flowwatch = run.start(&lab.gateway)?;
    flowwatch.process().signal(Signal::SIGHUP)?;
    plain::send(lab.camera(), PACKETS)?;
    ensure_counted(&flowwatch.interrupt()?, PACKETS)
}

#[test]
fn killed_it_leaves_nothing_attached() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    for attach in BOTH {
        let flowwatch = run(&lab, attach)?.start(&lab.gateway)?;
        ensure_attached(&lab, true)?;
        let ended = end(&flowwatch, &[Signal::SIGKILL])?;
        ensure!(ended.status.is_none(), "{ended:?}");
        ensure_attached(&lab, false)?;
    }
    Ok(())
}

#[test]
fn a_taken_slot_is_named_and_what_was_attached_before_it_is_detached() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(2)?;
    let second = &lab.devices[1];
    let holder = Run::new()?
        .attach(Attach::Xdp)
        .interface(&second.port)
        .device(&second.name, second.mac);
    let holder = holder.start(&lab.gateway)?;
    let held = programs_at(&lab.gateway, &second.port)?;
    let ended = run(&lab, Attach::Xdp)?.to_end(&lab.gateway)?;
    ensure!(
        ended.status == Some(1) && ended.output.is_empty(),
        "{ended:?}"
    );
    let expected = "flowwatch: attach XDP to `lan1`: another program has the slot";
    ensure!(ended.errors.starts_with(expected), "{}", ended.errors);
    ensure!(ended.errors.lines().count() == 1, "{}", ended.errors);
    ensure!(programs_at(&lab.gateway, "lan0")?.is_empty());
    ensure!(programs_at(&lab.gateway, "lan1")? == held);
    // tc has room for more than one.
    let beside = run(&lab, Attach::Tc)?.start(&lab.gateway)?;
    plain::send(lab.camera(), PACKETS)?;
    ensure_counted(&beside.interrupt()?, PACKETS)?;
    holder.stop().map(drop)
}

#[test]
fn two_at_once_on_one_interface_count_the_same() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    let first = run(&lab, Attach::Xdp)?.start(&lab.gateway)?;
    let second = run(&lab, Attach::Tc)?.start(&lab.gateway)?;
    plain::send(lab.camera(), PACKETS)?;
    ensure_counted(&first.interrupt()?, PACKETS)?;
    plain::send(lab.camera(), PACKETS)?;
    ensure_counted(&second.interrupt()?, 2 * PACKETS)?;
    ensure_attached(&lab, false)
}

#[test]
fn a_flood_of_answers_delays_neither_drains_nor_the_end() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = plain::lab(1)?;
    let device = lab.camera();
    device.namespace.silence()?;
    let question = answer::question(&answer::name(&[b"flood", b"example"]));
    let records: Vec<_> = (0..60)
        .map(|last| answer::address(&QUESTION_NAME, [192, 0, 2, last].into()))
        .collect();
    let answer = answer::response(&question, &records);
    let frame = Packet::ethernet(device.gateway_mac, device.mac)
        .ipv4(OUTSIDE_NAME_SERVER, device.ipv4)
        .udp(PORT, 40_000)
        .payload_octets(answer)
        .build();
    let generator = Generator::new(&lab.gateway, &device.port)?;
    let flowwatch = run_every("50ms", &lab, Attach::Tc)?.start(&lab.gateway)?;
    let stop = AtomicBool::new(false);
    let ended = thread::scope(|scope| -> Result<(Ended, Duration)> {
        let flood = scope.spawn(|| generator.send_until(&[frame], &stop));
        thread::sleep(Duration::from_secs(2));
        let signalled = Instant::now();
        let ended = end(&flowwatch, &[Signal::SIGTERM]);
        stop.store(true, Ordering::Relaxed);
        flood.join().map_err(|_| anyhow!("the generator died"))??;
        Ok((ended?, signalled.elapsed()))
    });
    let (ended, took) = ended?;
    ensure!(ended.status == Some(0), "{}", ended.errors);
    ensure!(took < Duration::from_secs(10), "it took {took:?} to end");
    let document = Document::parse(&ended.output)?;
    document.ensure_conserved()?;
    ensure!(
        document.meta.epochs > 8,
        "{} drains in 2 s",
        document.meta.epochs
    );
    let names = document.meta.names;
    ensure!(
        names.samples > 0 && names.samples == names.understood,
        "{names:?}"
    );
    Ok(())
}
