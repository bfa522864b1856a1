//! What was counted, in a form in which the written, the native and the kernel's outcome are
//! compared: flows and totals.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flowwatch::observation::{DeviceTotals, DirectionTotals, EpochFlow, Frames, Traffic};
use flowwatch_common::abi::{Direction, Reason};

use crate::programs::Programs;

/// Remote address, protocol and port.
pub(crate) type FlowName = (IpAddr, u8, u16);

/// What a frame adds to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The flow.
    pub(crate) flow: FlowName,
    /// What it adds.
    pub(crate) traffic: Traffic,
}

/// One device's flows, up and down, and its totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The flows.
    pub(crate) flows: BTreeMap<FlowName, (Traffic, Traffic)>,
    /// The totals.
    pub(crate) totals: DeviceTotals,
}

impl Tally {
    /// Adds a frame of the device. It is in a flow or under one reason: that it can't be elsewhere
    /// is what conservation means.
    pub(crate) fn add(
        &mut self,
        direction: Direction,
        l2_octets: u64,
        outcome: Result<Counted, Reason>,
    ) {
        let totals = side(&mut self.totals, direction);
        add_frame(&mut totals.seen, l2_octets);
        match outcome {
            Ok(counted) => {
                add_frame(&mut totals.in_flows, l2_octets);
                totals.flow_traffic += counted.traffic;
                let (up, down) = self.flows.entry(counted.flow).or_default();
                *match direction {
                    Direction::Up => up,
                    Direction::Down => down,
                } += counted.traffic;
            }
            Err(reason) => add_frame(&mut totals.unaccounted[reason as usize], l2_octets),
        }
    }

    /// Returns what the kernel counted of one device, given an epoch's flows of all.
    pub(crate) fn of_kernel(programs: &Programs, flows: &[EpochFlow], device: u16) -> Self {
        let mut tally = Self {
            totals: programs.totals(device),
            ..Self::default()
        };
        for flow in flows.iter().filter(|flow| flow.device == device) {
            let name = (flow.remote, flow.protocol, flow.remote_port);
            // An IPv4-mapped address over IPv6 is another `IpAddr`, so no two flows share a name.
            let before = tally.flows.insert(name, (flow.up, flow.down));
            assert_eq!(before, None, "{name:?} was drained twice");
        }
        tally
    }
}

fn side(totals: &mut DeviceTotals, direction: Direction) -> &mut DirectionTotals {
    match direction {
        Direction::Up => &mut totals.up,
        Direction::Down => &mut totals.down,
    }
}

fn add_frame(frames: &mut Frames, l2_octets: u64) {
    frames.frames += 1;
    frames.l2_octets += l2_octets;
}
