//! Devices of a span: their sums, what is in no flow, and whether it all adds up.

use std::collections::{BTreeMap, HashMap};

use flowwatch_common::abi::Reason;
use rusqlite::{Connection, params};

use super::{Span, cover::Piece, destinations};
use crate::{
    model::{Device, FlowRecord},
    observation::Traffic,
    store::{BothWays, DeviceSummary, DirectionSummary, Meta, Snapshot, UnaccountedRow},
};

/// One device and direction.
type Way = (i64, bool);

/// Frames and layer-2 octets by device, direction and reason.
type Unaccounted = BTreeMap<(i64, bool, usize), (u64, u64)>;

/// Completes the snapshot of a span with its devices.
pub(super) fn snapshot(
    connection: &Connection,
    pieces: &[Piece],
    (mut meta, flows, overflow): (Meta, Vec<FlowRecord>, HashMap<i64, BothWays>),
    span: Span,
) -> rusqlite::Result<Snapshot> {
    let mut ways = BTreeMap::new();
    let mut unaccounted = Unaccounted::new();
    for piece in pieces {
        add_sums(connection, piece, &mut ways)?;
        add_unaccounted(connection, piece, &mut unaccounted)?;
    }
    for (&(device, is_down, _), (frames, _)) in &unaccounted {
        ways.entry((device, is_down))
            .or_default()
            .frames_unaccounted += frames;
    }
    for summary in ways.values() {
        meta.losses.flow_table_packets += summary.overflow_packets;
    }
    for (device, BothWays { up, down }) in overflow {
        meta.losses.window_packets += up.packets + down.packets;
        for (is_down, traffic) in [(false, up), (true, down)] {
            let summary = ways.entry((device, is_down)).or_default();
            summary.overflow_packets += traffic.packets;
            summary.overflow_octets += traffic.octets;
        }
    }
    settle(connection, span, &mut ways)?;
    let mut devices: Vec<_> = destinations::devices(connection)?.into_iter().collect();
    devices.sort_by_key(|(id, (position, _))| (*position, *id));
    let counts = flow_counts(&flows);
    let summaries = devices.iter().filter_map(|(id, (_, device))| {
        let flows = counts.get(&(&*device.name, device.mac)).copied();
        summary(*id, device, flows.unwrap_or_default(), &ways)
    });
    Ok(Snapshot {
        devices: summaries.collect(),
        unaccounted: rows(&devices, &unaccounted, &ways),
        meta,
        flows,
        resolving: Vec::new(),
    })
}

fn flow_counts(flows: &[FlowRecord]) -> HashMap<(&str, Option<crate::model::MacAddress>), u64> {
    let mut counts = HashMap::new();
    for flow in flows {
        *counts
            .entry((&*flow.device.name, flow.device.mac))
            .or_default() += 1;
    }
    counts
}

fn add_sums(
    connection: &Connection,
    piece: &Piece,
    ways: &mut BTreeMap<Way, DirectionSummary>,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT device, direction = 'down', sum(packets), sum(octets), sum(overflow_packets),
             sum(overflow_octets), sum(frames_seen), sum(l2_octets_seen), sum(frames_in_flows)
         FROM device_{} WHERE bucket >= ? AND bucket < ? GROUP BY device, direction",
        piece.step.name()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![piece.buckets.start, piece.buckets.end])?;
    while let Some(row) = rows.next()? {
        let count = |column| super::count(row, column);
        let summary = ways.entry((row.get(0)?, row.get(1)?)).or_default();
        summary.packets += count(2)? + count(4)?;
        summary.octets += count(3)? + count(5)?;
        summary.overflow_packets += count(4)?;
        summary.overflow_octets += count(5)?;
        summary.frames_seen += count(6)?;
        summary.l2_octets_seen += count(7)?;
        summary.frames_in_flows += count(8)?;
    }
    Ok(())
}

fn add_unaccounted(
    connection: &Connection,
    piece: &Piece,
    unaccounted: &mut Unaccounted,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT device, direction = 'down', reason, sum(frames), sum(l2_octets)
         FROM unaccounted_{} WHERE bucket >= ? AND bucket < ? GROUP BY device, direction, reason",
        piece.step.name()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![piece.buckets.start, piece.buckets.end])?;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(2)?.as_str()?;
        let Some(reason) = Reason::ALL.iter().position(|reason| reason.name() == name) else {
            continue;
        };
        let key = (row.get(0)?, row.get(1)?, reason);
        let (frames, l2_octets) = unaccounted.entry(key).or_default();
        *frames += super::count(row, 3)?;
        *l2_octets += super::count(row, 4)?;
    }
    Ok(())
}

/// Fills in what does not add up: of frames, in the span; of packets and octets, in the generations
/// that it touches, as only a generation's last drain leaves nothing under way.
fn settle(
    connection: &Connection,
    span: Span,
    ways: &mut BTreeMap<Way, DirectionSummary>,
) -> rusqlite::Result<()> {
    for summary in ways.values_mut() {
        let accounted = summary.frames_accounted();
        summary.difference.frames = summary.frames_seen.wrapping_sub(accounted).cast_signed();
    }
    let mut statement = connection.prepare(
        "SELECT device, is_over, up_packets_missing, up_octets_missing, down_packets_missing,
             down_octets_missing
         FROM generation JOIN generation_device ON generation.id = generation
         WHERE since < ? AND until >= ?",
    )?;
    let since = span.since.as_microsecond();
    let mut rows = statement.query(params![span.until.as_microsecond(), since])?;
    while let Some(row) = rows.next()? {
        let (device, is_over): (i64, bool) = (row.get(0)?, row.get(1)?);
        let missing = |column| -> rusqlite::Result<i64> {
            let missing: i64 = row.get(column)?;
            Ok(if is_over { missing } else { missing.min(0) })
        };
        for (is_down, column) in [(false, 2), (true, 4)] {
            let (packets, octets) = (missing(column)?, missing(column + 1)?);
            if let Some(summary) = ways.get_mut(&(device, is_down)) {
                summary.difference.packets += packets;
                summary.difference.octets += octets;
            }
        }
    }
    Ok(())
}

fn summary(
    id: i64,
    device: &Device,
    flows: u64,
    ways: &BTreeMap<Way, DirectionSummary>,
) -> Option<DeviceSummary> {
    let (up, down) = (ways.get(&(id, false)), ways.get(&(id, true)));
    if up.is_none() && down.is_none() {
        return None;
    }
    let way = |way: Option<&DirectionSummary>| way.copied().unwrap_or_default();
    let (up, down) = (way(up), way(down));
    let none = crate::store::Difference::default();
    Some(DeviceSummary {
        device: device.name.to_string(),
        device_mac: device.mac,
        flows,
        conserved: up.difference == none && down.difference == none,
        up,
        down,
    })
}

fn rows(
    devices: &[(i64, (i64, Device))],
    unaccounted: &Unaccounted,
    ways: &BTreeMap<Way, DirectionSummary>,
) -> Vec<UnaccountedRow> {
    let mut rows = Vec::new();
    for (id, (_, device)) in devices {
        for is_down in [false, true] {
            let range = (*id, is_down, 0)..(*id, is_down, usize::MAX);
            let mut overflow = ways.get(&(*id, is_down)).map(|summary| Traffic {
                packets: summary.overflow_packets,
                octets: summary.overflow_octets,
            });
            for (&(.., reason), &(frames, l2_octets)) in unaccounted.range(range) {
                let reason = Reason::ALL[reason];
                let is_overflow = matches!(reason, Reason::FlowTableFull | Reason::FlowTableBusy);
                // One overflow is kept for both reasons; it stands beside the first.
                let overflow = if is_overflow { overflow.take() } else { None };
                rows.push(UnaccountedRow {
                    device: device.name.to_string(),
                    device_mac: device.mac,
                    direction: if is_down { "down" } else { "up" },
                    reason: reason.name(),
                    frames,
                    l2_octets,
                    packets: overflow.map(|traffic| traffic.packets),
                    octets: overflow.map(|traffic| traffic.octets),
                });
            }
        }
    }
    rows
}
