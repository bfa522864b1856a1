//! A flow table for a tenth of the flows: no octet is missing, and what found no room is named.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch, UnaccountedKey};
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::ledger::{Frames, Ledger};
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::volley::{self, Fired};
use flowwatch_tests::witness::Traffic;

use crate::{HOOKS, Maker, run, silent_lab, streams, turn};

const TABLE_SIZE: usize = 1000;
const REMOTES: u32 = 10_000;
/// Packets of each flow in each direction.
const ROUNDS: u64 = 5;
const DEVICE: &str = "scanner";
const PORT: u16 = 4053;
const REASON: &str = "flow_table_full";

/// One packet for each of ten times more remotes than the table holds.
fn scan(device: &Device, way: Way) -> Vec<Specimen> {
    let specimen = |number: u32| {
        let remote = Ipv4Addr::from_bits(0x2d00_0000 + number).into();
        let ends = Ends::of(device, remote, way);
        let packet = ends.udp(ends.ip(ends.link()), PORT);
        let packet = packet.payload(40 + number as usize % 900);
        Specimen::in_flow(&packet, remote, "udp", PORT)
    };
    (0..REMOTES).map(specimen).collect()
}

/// Starts with one epoch that lasts as long as the test.
fn start(lab: &Lab, attach: Attach, format: &str) -> Result<Flowwatch> {
    let size = TABLE_SIZE.to_string();
    run(lab, attach)?
        .options(&["--interval", "1h", "--flow-table-size", &size])
        .options(&["--format", format])
        .start(&lab.gateway)
}

fn fill(lab: &Lab) -> Result<Fired> {
    let makers: [Maker; 1] = [scan];
    volley::fire(lab, &streams(lab, &makers, ROUNDS * u64::from(REMOTES)))
}

fn check_document(attach: Attach) -> Result<()> {
    let lab = silent_lab(&[DEVICE])?;
    let flowwatch = start(&lab, attach, "json")?;
    let fired = fill(&lab)?;
    let document = flowwatch.document()?;
    document.ensure_conserved()?;
    // A per-CPU hash table of the kernel's takes as many entries as it was made for, and no more.
    ensure!(document.flows.len() == TABLE_SIZE);
    let in_flows = check_flows(&fired.ledger, &document)?;
    let mut lost = 0;
    for way in Way::BOTH {
        let flows = in_flows[way as usize];
        lost += check_overflow(&fired.ledger, &document, way, flows)?;
    }
    let losses = document.meta.losses;
    ensure!(losses.flow_table_packets == lost, "{losses:?} for {lost}");
    ensure!(losses.window_packets == 0, "{losses:?}");
    eprintln!(
        "{attach}: {REMOTES} remotes in a table of {TABLE_SIZE}: {} of {} packets in no flow",
        lost, fired.frames
    );
    Ok(())
}

/// Checks that each flow of the table has all of its packets and octets; returns their sum, up and
/// down.
fn check_flows(ledger: &Ledger, document: &Document) -> Result<[Traffic; 2]> {
    let mut sums = [Traffic::default(); 2];
    for (key, counted) in document.traffic() {
        let sent = ledger.flows().get(&key).copied().unwrap_or_default();
        // A flow whose entry was made has room for both directions from then on.
        ensure!(counted.up.packets <= sent.up.packets, "{key:?}");
        ensure!(counted.down.packets <= sent.down.packets, "{key:?}");
        sums[Way::Up as usize] += counted.up;
        sums[Way::Down as usize] += counted.down;
    }
    Ok(sums)
}

/// Checks that flows and overflow are together what was sent one way; returns the packets of the
/// overflow.
fn check_overflow(
    ledger: &Ledger,
    document: &Document,
    way: Way,
    in_flows: Traffic,
) -> Result<u64> {
    let sent = ledger.sum(DEVICE, way);
    let device = document.device(DEVICE)?;
    let direction = match way {
        Way::Up => &device.up,
        Way::Down => &device.down,
    };
    ensure!(direction.traffic() == sent.traffic, "{direction:?}");
    ensure!(direction.frames_seen == sent.seen.frames, "{direction:?}");
    let overflow = Traffic {
        packets: sent.traffic.packets - in_flows.packets,
        octets: sent.traffic.octets - in_flows.octets,
    };
    let told = Traffic {
        packets: direction.overflow_packets,
        octets: direction.overflow_octets,
    };
    ensure!(told == overflow, "{told:?} overflowed, not {overflow:?}");
    let key = UnaccountedKey {
        device: DEVICE.to_owned(),
        direction: way.name().to_owned(),
        reason: REASON.to_owned(),
    };
    let row = document.unaccounted.get(&key).copied().unwrap_or_default();
    ensure!(row.packets == Some(overflow.packets), "{row:?}");
    ensure!(row.octets == Some(overflow.octets), "{row:?}");
    // Each frame is a packet here, behind an Ethernet header and above the least size.
    let frames = Frames {
        frames: overflow.packets,
        octets: overflow.octets + 14 * overflow.packets,
    };
    let told = Frames {
        frames: row.frames,
        octets: row.l2_octets,
    };
    ensure!(told == frames, "{told:?} without room, not {frames:?}");
    Ok(overflow.packets)
}

fn check_table(attach: Attach) -> Result<()> {
    let lab = silent_lab(&[DEVICE])?;
    let flowwatch = start(&lab, attach, "table")?;
    fill(&lab)?;
    let table = flowwatch.stop()?;
    for part in [
        "in no flow, as a table of flows was full",
        REASON,
        "--flow-table-size",
    ] {
        // The terminal's width decides where lines end.
        let text = table.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(text.contains(part), "`{part}` is missing:\n{table}");
    }
    Ok(())
}

#[test]
fn a_full_table_loses_no_octet() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    HOOKS.into_iter().try_for_each(check_document)
}

#[test]
fn a_full_table_is_named_in_the_table() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    HOOKS.into_iter().try_for_each(check_table)
}
