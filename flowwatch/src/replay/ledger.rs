//! The accounting of a capture, as the BPF programs have theirs: every frame of a device ends in its
//! flow, or under exactly one reason.

use flowwatch_common::abi::{Direction, FlowKey, Reason};
use flowwatch_common::parse::WireTraffic;
use jiff::Timestamp;

use crate::observation::{DeviceId, DeviceTotals, DirectionTotals, EpochFlow, Frames, Traffic};
use crate::store::{FlowTable, WINDOW_FLOWS};

/// Packets that are folded into the window together: the processor fetches the entry of one while it
/// waits for that of another.
const BATCH: usize = 256;

/// The devices' totals, and the window of flows.
#[derive(Debug)]
pub(super) struct Ledger {
    totals: Vec<DeviceTotals>,
    flows: FlowTable,
    waiting: Vec<EpochFlow>,
}

/// A frame of a device's, as far as it is accounted for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Whose it is.
    pub(super) device: DeviceId,
    /// Whether it sent or received it.
    pub(super) direction: Direction,
    /// The frame's octets on the wire.
    pub(super) l2_octets: u32,
    /// Its time.
    pub(super) at: Timestamp,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            totals: Vec::new(),
            flows: FlowTable::new(0, WINDOW_FLOWS),
            waiting: Vec::with_capacity(BATCH),
        }
    }

    /// Counts a frame into its flow, or under the reason why it is in none.
    #[inline]
    pub(super) fn enter(
        &mut self,
        entry: &Entry,
        outcome: Result<(&FlowKey, WireTraffic), Reason>,
    ) {
        let totals = self.totals_of(entry.device, entry.direction);
        add(&mut totals.seen, entry.l2_octets);
        match outcome {
            Ok((key, traffic)) => {
                let traffic = Traffic {
                    packets: traffic.packets.into(),
                    octets: traffic.octets,
                };
                add(&mut totals.in_flows, entry.l2_octets);
                totals.flow_traffic += traffic;
                self.waiting.push(flow(entry, key, traffic));
                if self.waiting.len() == BATCH {
                    self.fold_waiting();
                }
            }
            Err(reason) => {
                if let Some(frames) = totals.unaccounted.get_mut(reason as usize) {
                    add(frames, entry.l2_octets);
                }
            }
        }
    }

    #[inline(never)]
    fn fold_waiting(&mut self) {
        for flow in self.waiting.drain(..) {
            self.flows.fold(&flow);
        }
    }

    #[inline]
    fn totals_of(&mut self, device: DeviceId, direction: Direction) -> &mut DirectionTotals {
        let index = usize::from(device);
        if index >= self.totals.len() {
            self.totals.resize(index + 1, DeviceTotals::default());
        }
        let totals = &mut self.totals[index];
        match direction {
            Direction::Up => &mut totals.up,
            Direction::Down => &mut totals.down,
        }
    }

    /// Returns the window, with the devices' totals in it.
    pub(super) fn into_flows(mut self) -> FlowTable {
        self.settle();
        self.flows
    }

    /// Returns the window as of now, likewise.
    pub(super) fn settle(&mut self) -> &mut FlowTable {
        self.fold_waiting();
        for (device, totals) in (0..).zip(&self.totals) {
            self.flows.set_device_totals(device, *totals);
        }
        &mut self.flows
    }
}

fn add(frames: &mut Frames, l2_octets: u32) {
    frames.frames += 1;
    frames.l2_octets += u64::from(l2_octets);
}

fn flow(entry: &Entry, key: &FlowKey, traffic: Traffic) -> EpochFlow {
    let (up, down) = match entry.direction {
        Direction::Up => (traffic, Traffic::default()),
        Direction::Down => (Traffic::default(), traffic),
    };
    EpochFlow {
        device: entry.device,
        remote: key.remote_address(),
        protocol: key.protocol(),
        remote_port: key.remote_port(),
        up,
        down,
        first_seen: entry.at,
        last_seen: entry.at,
    }
}
