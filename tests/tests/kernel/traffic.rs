//! Frames of many flows for one device: what the tests of tables and totals send.

use std::net::Ipv4Addr;

use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;

use crate::golden::{CAMERA_V4, Extra, GATEWAY};
use crate::hook::XDP;
use crate::programs::{Programs, device_mac};

/// IP octets of each frame: 20 of IPv4, 8 of UDP and the payload.
pub(crate) const OCTETS: u64 = 128;

/// A frame whose remote is changed in place: building one costs more than counting it.
pub(crate) struct Frame {
    octets: Vec<u8>,
}

impl Frame {
    /// UDP from a device to a remote that is yet to be set.
    pub(crate) fn up(device: u16) -> Self {
        let packet = Packet::ethernet(Mac(device_mac(device)), GATEWAY);
        let packet = packet.ipv4(CAMERA_V4, Ipv4Addr::UNSPECIFIED);
        Self {
            octets: packet.udp(40000, 10240).payload(100).build(),
        }
    }

    /// Sets the destination; the checksums, which nobody looks at, stay as they are.
    pub(crate) fn to(&mut self, remote: Ipv4Addr) -> &[u8] {
        self.octets[30..34].copy_from_slice(&remote.octets());
        &self.octets
    }
}

/// Returns the `number`th remote.
pub(crate) fn remote(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + number)
}

/// Sends a frame from device 0 to each of the remotes through an XDP program.
pub(crate) fn send(programs: &Programs, remotes: std::ops::Range<u32>) {
    let mut frame = Frame::up(0);
    for number in remotes {
        programs.run(&XDP, frame.to(remote(number)), Extra::default());
    }
}
