//! Frames of several pages: on links with a large MTU, XDP gets a frame as a row of buffers, of
//! which its program sees the first alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::packet::Packet;
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::volley;

use crate::{HOOKS, lab_of, run, streams, turn};

/// What cards call jumbo frames.
const MTU: u16 = 9000;
const PACKETS: u64 = 20_000;
/// Around one page, two, and the largest that the MTU lets through below IPv6 and TCP.
const PAYLOADS: [usize; 7] = [100, 3_500, 4_096, 5_000, 8_000, 8_192, 8_940];
const REMOTES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(45, 7, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2600, 0x1f14, 0, 0, 0, 0, 7, 1)),
];

fn specimens(device: &Device, way: Way) -> Vec<Specimen> {
    let tags: [fn(Packet) -> Packet; 2] = [|link| link, |link| link.vlan(5)];
    let mut specimens = Vec::new();
    for (remote, tag) in REMOTES.into_iter().zip(tags) {
        let ends = Ends::of(device, remote, way);
        let ip = || ends.ip(tag(ends.link()));
        for payload in PAYLOADS {
            let udp = ends.udp(ip(), 4_000).payload(payload);
            let tcp = ends.tcp(ip(), 443).payload(payload);
            specimens.push(Specimen::in_flow(&udp, remote, "udp", 4_000));
            specimens.push(Specimen::in_flow(&tcp, remote, "tcp", 443));
        }
    }
    specimens
}

fn check(attach: Attach) -> Result<()> {
    let lab = lab_of(Lab::builder().mtu(MTU), &["recorder"])?;
    lab.gateway.silence()?;
    let flowwatch = run(&lab, attach)?
        .options(&["--format", "json", "--interval", "10ms"])
        .start(&lab.gateway)?;
    let fired = volley::fire(&lab, &streams(&lab, &[specimens], PACKETS))?;
    let document = flowwatch.document()?;
    ensure!(fired.frames >= 2 * PACKETS, "only {} frames", fired.frames);
    fired.check(&lab, &document)?;
    fired.check_octets(&lab, &document)
}

#[test]
fn a_frame_of_several_buffers_is_counted_whole() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    HOOKS.into_iter().try_for_each(check)
}
