//! flowwatch as a service: its package, its unit, its life under a service manager, and what it may do
//! while it counts.

mod life;
mod package;
mod privileges;
mod unit;

use anyhow::Result;
use flowwatch_tests::flowwatch::Document;
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::link;
use flowwatch_tests::plain;

/// Packets of one sending.
const PACKETS: u64 = 2_000;
/// What counting needs, as `/proc/PID/status` shows it: `CAP_NET_ADMIN` (12), `CAP_PERFMON` (38) and
/// `CAP_BPF` (39).
const THREE: &str = "000000c000001000";

/// Has a device send, to its port.
fn send(lab: &Lab, device: &Device) -> Result<()> {
    plain::deliver(lab, device, &device.port, PACKETS)
}

/// Makes a device's link once more.
fn make_anew(lab: &Lab, device: &Device) -> Result<()> {
    let port = link::End {
        namespace: &lab.gateway,
        name: &device.port,
        mac: device.gateway_mac,
    };
    let own = link::End {
        namespace: &device.namespace,
        name: "eth0",
        mac: device.mac,
    };
    link::veth(&port, &own, 1500)
}

/// Fails unless so many sendings of a device were counted, to the octet.
fn ensure_counted(document: &Document, device: &str, sendings: u64) -> Result<()> {
    plain::ensure_counted(document, device, sendings * PACKETS)
}
