//! Tags that the kernel took off: it does so before tc ingress, and a bridge forwards them beside
//! the frame, not in it, to the other port's egress.

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::lab::Lab;
use flowwatch_tests::packet::{Packet, TPID_SERVICE};
use flowwatch_tests::specimen::{Ends, LOCAL_PORT, Specimen, Way};
use flowwatch_tests::volley::{self, Stream};

use crate::{HOOKS, lab_of, run, turn};

const PACKETS: u64 = 40_000;
const PORT: u16 = 10_240;
const TAGS: [fn(Packet) -> Packet; 3] = [
    |link| link,
    |link| link.vlan(5),
    |link| link.tag(TPID_SERVICE, 7).vlan(0xe005),
];

/// The same frames twice: as the sender's, and as the receiver's.
fn specimens(ends: &Ends) -> [Vec<Specimen>; 2] {
    let packet =
        |tag: &fn(Packet) -> Packet| ends.udp(ends.ip(tag(ends.link())), PORT).payload(333);
    let packets: Vec<Packet> = TAGS.iter().map(packet).collect();
    let beyond = ends.ip(ends.link().vlan(1).vlan(2).vlan(3));
    let beyond = Specimen::unaccounted(&ends.udp(beyond, PORT), "too_many_tags");
    [(ends.remote, PORT), (ends.device, LOCAL_PORT)].map(|(remote, port)| {
        let of = |packet| Specimen::in_flow(packet, remote, "udp", port);
        let mut specimens: Vec<_> = packets.iter().map(of).collect();
        specimens.push(beyond.clone());
        specimens
    })
}

fn check(attach: Attach) -> Result<()> {
    // Nothing is addressed to the gateway, which forwards all of it and so must not drop it.
    let lab = lab_of(Lab::builder().bridge(), &["sender", "receiver"])?;
    let [sender, receiver] = &lab.devices[..] else {
        unreachable!("two devices were asked for")
    };
    let ends = Ends {
        macs: (sender.mac, receiver.mac),
        ..Ends::of(sender, receiver.ipv4.into(), Way::Up)
    };
    let [outgoing, forwarded] = specimens(&ends);
    let flowwatch = run(&lab, attach)?
        .options(&["--format", "json"])
        .start(&lab.gateway)?;
    let stream = Stream {
        device: sender,
        way: Way::Up,
        specimens: outgoing,
        packets: PACKETS,
    };
    let mut fired = volley::fire(&lab, &[stream])?;
    let document = flowwatch.document()?;
    for (specimen, times) in forwarded.iter().zip(&fired.sent[0].per_frame) {
        fired
            .ledger
            .enter(&receiver.name, Way::Down, specimen, *times);
    }
    ensure!(fired.sent[0].total() == PACKETS);
    fired.check(&lab, &document)
}

#[test]
fn a_tag_beside_the_frame_counts_as_one_in_it() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    HOOKS.into_iter().try_for_each(check)
}
