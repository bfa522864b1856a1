//! Frames that a port refuses have passed its egress hook: flowwatch sees them, and sees them again
//! when they are sent again. The generator's own account of them is what makes counts equal where a
//! queue is short.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;

use anyhow::{Result, anyhow, ensure};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::generator::Generator;
use flowwatch_tests::ledger::Ledger;
use flowwatch_tests::link;
use flowwatch_tests::specimen::{Ends, Specimen, Way};

use crate::{run, silent_lab, turn};

const PACKETS: u64 = 100;
const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(45, 9, 0, 1));

#[test]
fn a_refused_frame_is_counted_as_often_as_it_was_sent() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let lab = silent_lab(&["plug"])?;
    let device = lab.camera();
    let flowwatch = run(&lab, Attach::Tc)?
        .options(&["--format", "json"])
        .start(&lab.gateway)?;
    let ends = Ends::of(device, REMOTE, Way::Down);
    let packet = ends.udp(ends.ip(ends.link()), 443).payload(1000);
    let specimen = Specimen::in_flow(&packet, REMOTE, "udp", 443);
    let generator = Generator::new(&lab.gateway, &device.port)?;
    // A veth refuses what its peer's MTU does not allow.
    device.namespace.ip("link set eth0 mtu 600")?;
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| generator.send(std::slice::from_ref(&specimen.frame), PACKETS));
        link::await_dropped(&lab.gateway, &device.port)?;
        device.namespace.ip("link set eth0 mtu 1500")?;
        sender.join().map_err(|_| anyhow!("the sender died"))?
    })?;
    let document = flowwatch.document()?;
    let refused = sent.refused[0];
    eprintln!("{PACKETS} frames sent, {refused} times refused");
    ensure!(refused > 0, "nothing was refused");
    let mut ledger = Ledger::default();
    ledger.enter(&device.name, Way::Down, &specimen, PACKETS + refused);
    ledger.check(&document)
}
