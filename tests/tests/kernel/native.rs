//! The parser run natively, as a hook in the kernel runs it.

use flowwatch::observation::Traffic;
use flowwatch_common::abi::{Direction, Reason, mac_word};
use flowwatch_common::parse::{parse_packet, wire_traffic};
use flowwatch_common::wire::ethernet;

use crate::golden::Extra;
use crate::hook::frame_info;
use crate::tally::Counted;

/// Counts a frame natively; nothing when it isn't the device's.
pub(crate) fn count(
    frame: &[u8],
    extra: Extra,
    direction: Direction,
    mac: [u8; 6],
) -> Option<Result<Counted, Reason>> {
    let header = ethernet::parse(frame).ok()?;
    let address = match direction {
        Direction::Up => header.source,
        Direction::Down => header.destination,
    };
    (address == mac_word(mac)).then(|| {
        let info = frame_info(frame, extra);
        let packet = parse_packet(frame, &header, &info, direction)?;
        let traffic = wire_traffic(frame, &packet, &info);
        let key = packet.key(0);
        Ok(Counted {
            flow: (key.remote_address(), key.protocol(), key.remote_port()),
            traffic: Traffic {
                packets: traffic.packets.into(),
                octets: traffic.octets,
            },
        })
    })
}
