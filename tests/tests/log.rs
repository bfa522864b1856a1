//! What the programs in the kernel say when they are asked to: which frame is in no flow, and why.

use std::time::Duration;

use anyhow::Result;
use flowwatch_tests::flowwatch::{Attach, Run};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::headers::Ipv4;
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;

const PATIENCE: Duration = Duration::from_secs(20);
const ARP: u16 = 0x0806;

#[test]
fn a_frame_in_no_flow_is_told_as_it_happens() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch])? {
        return Ok(());
    }
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let device = lab.camera();
    let (camera, gateway) = (device.mac, device.gateway_mac);
    let short_header = Packet::ethernet(camera, gateway)
        .ipv4(device.ipv4, device.gateway_ipv4)
        .udp(1, 2)
        .with(|ip: &mut Ipv4| ip.header_words = Some(4));
    let question = Packet::ethernet(gateway, camera).number(ARP).payload(28);
    for attach in [Attach::Xdp, Attach::Tc] {
        let run = Run::new()?.attach(attach).interface(&device.port);
        let run = run.device("camera", camera).options(&["-vv"]);
        let flowwatch = run.start(&lab.gateway)?;
        let said = |line: &'static str| {
            let is_said = move |told: &str| told.ends_with(line);
            let process = flowwatch.process();
            process.wait_for_line(Stream::Stderr, PATIENCE, is_said)
        };
        Generator::new(&device.namespace, &device.interface)?.send(&[short_header.build()], 1)?;
        said("a frame from device 0 is in no flow: malformed")?;
        Generator::new(&lab.gateway, &device.port)?.send(&[question.build()], 1)?;
        said("a frame to device 0 is in no flow: not_ip")?;
        flowwatch.stop()?;
    }
    Ok(())
}
