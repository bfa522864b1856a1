//! Devices that are tagged by how their addresses begin: counted from their first frame on, as if
//! their addresses had been known.

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Run};
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::volley::{self, Stream};

use crate::{HOOKS, silent_lab, turn};

const PACKETS: u64 = 40_000;
const PORT: u16 = 10_240;
/// What flowwatch is to call the lab's devices: the ledger goes by these names.
const NAMES: [&str; 2] = ["cam-00:00:01", "cam-00:00:02"];

/// Some flows, and a frame that is in none.
fn stream<'a>(lab: &'a Lab, device: &'a Device, way: Way) -> Stream<'a> {
    let remotes = (1..=9).map(|host| std::net::Ipv4Addr::new(50, 7, 98, host));
    let mut specimens: Vec<_> = remotes
        .map(|remote| {
            let ends = Ends::of(device, remote.into(), way);
            let packet = ends.udp(ends.ip(ends.link()), PORT).payload(99);
            Specimen::in_flow(&packet, remote.into(), "udp", PORT)
        })
        .collect();
    let ends = Ends::of(device, lab.devices[0].ipv4.into(), way);
    let beyond = ends.ip(ends.link().vlan(1).vlan(2).vlan(3));
    let beyond = ends.udp(beyond, PORT);
    specimens.push(Specimen::unaccounted(&beyond, "too_many_tags"));
    Stream {
        device,
        way,
        specimens,
        packets: PACKETS,
    }
}

fn check(attach: Attach) -> Result<()> {
    let lab = silent_lab(&NAMES)?;
    let [first, second] = &lab.devices[..] else {
        unreachable!("two devices were asked for")
    };
    let flowwatch = Run::new()?
        .attach(attach)
        .interface(&first.port)
        .interface(&second.port)
        .options(&["--device", "cam=2c:aa:8e:*", "--format", "json"])
        .start(&lab.gateway)?;
    // Both directions of one device begin at once, on two CPUs where there are two.
    let streams = [
        stream(&lab, first, Way::Up),
        stream(&lab, first, Way::Down),
        stream(&lab, second, Way::Up),
    ];
    let fired = volley::fire(&lab, &streams)?;
    let document = flowwatch.document()?;
    ensure!(document.devices.len() == 2, "{:?}", document.devices.keys());
    fired.check(&lab, &document)
}

#[test]
fn a_device_that_a_prefix_tags_is_counted_from_its_first_frame_on() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    HOOKS.into_iter().try_for_each(check)
}
