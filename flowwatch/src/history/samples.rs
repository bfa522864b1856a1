//! Epochs for the tests of this module.

use flowwatch_common::abi::Reason;
use jiff::Timestamp;

use super::{Epoch, GenerationId};
use crate::{
    model::Device,
    observation::{DeviceTotals, EpochFlow, Frames, Traffic},
};

/// The minute in which the sample epochs end.
pub(super) const NOON: &str = "2026-03-02T12:00:10Z";

pub(super) fn camera() -> Device {
    "camera=2c:aa:8e:00:00:01".parse().unwrap()
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// One flow of the camera's: so many octets up in one packet, ten times as many down in two.
pub(super) fn flow(remote: &str, octets: u64) -> EpochFlow {
    EpochFlow {
        device: 0,
        remote: remote.parse().unwrap(),
        protocol: 6,
        remote_port: 443,
        up: Traffic { packets: 1, octets },
        down: Traffic {
            packets: 2,
            octets: 10 * octets,
        },
        first_seen: at("2026-03-02T12:00:01.5Z"),
        last_seen: at("2026-03-02T12:00:09.25Z"),
    }
}

/// An epoch with two flows, whose totals are as if each epoch before it had been the same.
pub(super) fn epoch(generation: u64, serial: u64, octets: u64) -> Epoch {
    let flows = vec![flow("192.0.2.1", octets), flow("2001:db8::1", octets)];
    Epoch {
        generation: GenerationId(generation),
        serial,
        ended_at: at(NOON),
        is_last: false,
        totals: vec![(0, camera(), totals(serial, octets))],
        flows,
    }
}

/// The totals after so many epochs of [`epoch`], with one frame each in no flow.
pub(super) fn totals(epochs: u64, octets: u64) -> DeviceTotals {
    let mut totals = DeviceTotals::default();
    totals.up.seen = Frames {
        frames: 3 * epochs,
        l2_octets: 300 * epochs,
    };
    totals.up.in_flows = Frames {
        frames: 2 * epochs,
        l2_octets: 200 * epochs,
    };
    totals.up.unaccounted[Reason::NotIp as usize] = Frames {
        frames: epochs,
        l2_octets: 100 * epochs,
    };
    totals.up.flow_traffic = Traffic {
        packets: 2 * epochs,
        octets: 2 * octets * epochs,
    };
    totals.down.flow_traffic = Traffic {
        packets: 4 * epochs,
        octets: 20 * octets * epochs,
    };
    totals
}
