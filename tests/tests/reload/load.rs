//! Reloads under load: the generators' count, the document's and the history's are one.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, anyhow, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch};
use flowwatch_tests::generator::{Generator, Sent};
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::link::{self, Mac};
use flowwatch_tests::plain::{OCTETS, ensure_counted, frame, lab};
use flowwatch_tests::specimen::Way;
use rusqlite::{Connection, OpenFlags};

use super::{BOTH, Bench, PACKETS, is_possible, reload, send};

/// Times that the configuration changes to and fro.
const ROUNDS: usize = 6;
/// Octets of a frame's Ethernet header.
const ETHERNET: u64 = 14;

/// What passed the hooks of one device's port: packets from it, and to it.
struct Passed {
    up: u64,
    down: u64,
}

/// Has frames pass from the device and to it, as fast as it goes, while something else happens.
fn under_load(
    lab: &Lab,
    device: &Device,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Passed> {
    let before = link::statistics(&lab.gateway, &device.port)?.rx_packets;
    let from = Generator::new(&device.namespace, "eth0")?;
    let to = Generator::new(&lab.gateway, &device.port)?;
    let stop = AtomicBool::new(false);
    let [upward, downward] = Way::BOTH.map(|way| [frame(device, way)]);
    let (up, down) = thread::scope(|scope| -> Result<(Sent, Sent)> {
        let up = scope.spawn(|| from.send_until(&upward, &stop));
        let down = scope.spawn(|| to.send_until(&downward, &stop));
        let outcome = meanwhile();
        stop.store(true, Ordering::Relaxed);
        let died = |_| anyhow!("a generator died");
        let sent = (up.join().map_err(died)?, down.join().map_err(died)?);
        outcome?;
        Ok((sent.0?, sent.1?))
    })?;
    link::await_received(&lab.gateway, &device.port, before + up.total())?;
    Ok(Passed {
        up: up.total(),
        // What the port refused has passed the egress hook.
        down: down.total() + down.refused.iter().sum::<u64>(),
    })
}

/// Starts a flowwatch that records, too.
fn start(bench: &Bench<'_>, attach: Attach) -> Result<Flowwatch> {
    let path = |name: &str| bench.folder().join(name).display().to_string();
    let (history, journal) = (path("history.db"), path("journal"));
    let options = ["--history", &history, "--journal", &journal];
    let run = bench.run(attach)?.options(&options);
    let run = run.options(&["--record-interval", "100ms", "--no-builtin-geo"]);
    run.start(&bench.lab.gateway)
}

/// Returns what a query about one address answers in two numbers.
fn asked(history: &Path, mac: Mac, query: &str) -> Result<(u64, u64)> {
    let connection = Connection::open_with_flags(history, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let number = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column);
    let numbers = connection.query_row(query, [mac.to_string()], |row| {
        Ok((number(row, 0)?, number(row, 1)?))
    })?;
    Ok((u64::try_from(numbers.0)?, u64::try_from(numbers.1)?))
}

/// Fails unless the history holds exactly this of one address, under whichever names.
fn ensure_recorded(bench: &Bench<'_>, mac: Mac, passed: &Passed) -> Result<()> {
    let history = bench.folder().join("history.db");
    for (way, packets) in [(Way::Up, passed.up), (Way::Down, passed.down)] {
        let way = way.name();
        let flows = format!(
            "SELECT sum({way}_packets), sum({way}_octets) FROM minute
             JOIN destination ON destination.id = minute.destination
             JOIN device ON device.id = device WHERE mac = ?"
        );
        let sums = |packets: &str, octets: &str| {
            format!(
                "SELECT coalesce(sum({packets}), 0), coalesce(sum({octets}), 0)
                 FROM device_minute JOIN device ON device.id = device
                 WHERE direction = '{way}' AND mac = ?"
            )
        };
        let expected = (packets, packets * OCTETS);
        let seen = (packets, packets * (OCTETS + ETHERNET));
        for (query, expected) in [
            (flows, expected),
            (sums("packets", "octets"), expected),
            (sums("frames_seen", "l2_octets_seen"), seen),
        ] {
            let recorded = asked(&history, mac, &query)?;
            ensure!(
                recorded == expected,
                "{mac} {way}: {recorded:?}, not {expected:?}: {query}"
            );
        }
    }
    Ok(())
}

fn ensure_both_ways(document: &Document, device: &str, passed: &Passed) -> Result<()> {
    ensure_counted(document, device, passed.up)?;
    let down = &document.device(device)?.down;
    ensure!(
        (down.packets, down.octets) == (passed.down, passed.down * OCTETS),
        "{device}: {} packets down, {} octets; {} passed",
        down.packets,
        down.octets,
        passed.down
    );
    Ok(())
}

/// One device stays, and gets another name each time; another comes and goes: first in the list, so
/// that the kernel's number of the one that stays changes each time.
fn check_devices(attach: Attach) -> Result<()> {
    let lab = lab(2)?;
    let [staying, coming] = &lab.devices[..] else {
        anyhow::bail!("two devices were asked for")
    };
    let (one, other) = (staying.mac.to_string(), coming.mac.to_string());
    let bench = Bench::new(&lab)?;
    let alone = [("staying", one.as_str())];
    let both = [("coming", other.as_str()), ("stayed", one.as_str())];
    bench.write(&["lan0", "lan1"], &alone)?;
    let flowwatch = start(&bench, attach)?;
    let passed = under_load(&lab, staying, || {
        for round in 1..=ROUNDS {
            bench.write(&["lan0", "lan1"], &both)?;
            reload(&flowwatch, "configuration: counts `coming`", round)?;
            send(&lab, coming)?;
            bench.write(&["lan0", "lan1"], &alone)?;
            reload(&flowwatch, "no longer counts `coming`", round)?;
            // Nobody's any more.
            send(&lab, coming)?;
        }
        Ok(())
    })?;
    let document = flowwatch.document()?;
    ensure!(document.devices.len() == 2, "{:?}", document.devices);
    ensure_both_ways(&document, "staying", &passed)?;
    ensure_recorded(&bench, staying.mac, &passed)?;
    let up = PACKETS * ROUNDS as u64;
    ensure_counted(&document, "coming", up)?;
    ensure_recorded(&bench, coming.mac, &Passed { up, down: 0 })?;
    eprintln!(
        "{attach}: {} packets up and {} down over {} reloads",
        passed.up,
        passed.down,
        2 * ROUNDS
    );
    Ok(())
}

#[test]
fn devices_come_go_and_change_names_under_full_load_without_a_lost_or_a_double_octet() -> Result<()>
{
    if !is_possible()? {
        return Ok(());
    }
    BOTH.into_iter().try_for_each(check_devices)
}

/// Interfaces come and go beside the one that is under load, and so do programs, as a device does.
fn check_interfaces(attach: Attach) -> Result<()> {
    let lab = lab(2)?;
    let [staying, coming] = &lab.devices[..] else {
        anyhow::bail!("two devices were asked for")
    };
    let (one, other) = (staying.mac.to_string(), coming.mac.to_string());
    let bench = Bench::new(&lab)?;
    let alone = [("staying", one.as_str())];
    let both = [("staying", one.as_str()), ("coming", other.as_str())];
    bench.write(&["lan0"], &both)?;
    let flowwatch = start(&bench, attach)?;
    let passed = under_load(&lab, staying, || {
        for round in 1..=ROUNDS {
            // Where nobody counts.
            send(&lab, coming)?;
            bench.write(&["lan0", "lan1"], &both)?;
            reload(&flowwatch, "counts on `lan1`", round)?;
            send(&lab, coming)?;
            bench.write(&["lan0"], &alone)?;
            reload(&flowwatch, "no longer on `lan1`", round)?;
            send(&lab, coming)?;
            bench.write(&["lan0"], &both)?;
            reload(&flowwatch, "configuration: counts `coming`", round)?;
        }
        Ok(())
    })?;
    let document = flowwatch.document()?;
    ensure_both_ways(&document, "staying", &passed)?;
    ensure_recorded(&bench, staying.mac, &passed)?;
    let up = PACKETS * ROUNDS as u64;
    ensure_counted(&document, "coming", up)?;
    ensure_recorded(&bench, coming.mac, &Passed { up, down: 0 })
}

#[test]
fn interfaces_come_and_go_beside_one_under_full_load() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    BOTH.into_iter().try_for_each(check_interfaces)
}
