//! The frames that the programs are measured on, by the lab's packet builder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flowwatch_tests::link::Mac;
use flowwatch_tests::packet::Packet;

/// The tagged device.
pub(crate) const DEVICE: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
/// A device that isn't tagged.
const STRANGER: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 2]);
const GATEWAY: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// Which way a frame goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the device.
    Up,
    /// To it.
    Down,
}

/// A kind of frame.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// IPv4 and UDP, 64 octets of payload.
    Ipv4Udp,
    /// IPv6 and TCP.
    Ipv6Tcp,
    /// As `Ipv4Udp`, behind a VLAN tag.
    VlanIpv4Udp,
    /// As `Ipv4Udp`, of nobody's device.
    Untagged,
}

impl Kind {
    /// Every kind, with its name in the table.
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::Ipv4Udp, "IPv4/UDP"),
        (Self::Ipv6Tcp, "IPv6/TCP"),
        (Self::VlanIpv4Udp, "VLAN, IPv4/UDP"),
        (Self::Untagged, "untagged device"),
    ];

    /// Returns a frame's octets.
    pub(crate) fn frame(self, way: Way) -> Vec<u8> {
        let device = match self {
            Self::Untagged => STRANGER,
            _ => DEVICE,
        };
        let packet = match way {
            Way::Up => Packet::ethernet(device, GATEWAY),
            Way::Down => Packet::ethernet(GATEWAY, device),
        };
        let (near, far): (IpAddr, IpAddr) = match self {
            Self::Ipv6Tcp => (
                Ipv6Addr::new(0xfd00, 8, 0, 0, 0, 0, 0, 0xd6).into(),
                Ipv6Addr::new(0x2600, 0x1f14, 0, 0, 0, 0, 0, 0x34).into(),
            ),
            _ => (
                Ipv4Addr::new(192, 168, 8, 214).into(),
                Ipv4Addr::new(52, 79, 197, 188).into(),
            ),
        };
        let (near, far) = match way {
            Way::Up => ((near, 49_152), (far, 10_240)),
            Way::Down => ((far, 10_240), (near, 49_152)),
        };
        let packet = match self {
            Self::VlanIpv4Udp => packet.vlan(5),
            _ => packet,
        };
        let packet = packet.ip(near.0, far.0);
        let packet = match self {
            Self::Ipv6Tcp => packet.tcp(near.1, far.1),
            _ => packet.udp(near.1, far.1),
        };
        packet.payload(64).build()
    }
}

/// Returns a frame from the device to the remote of this number, IPv4 and UDP.
pub(crate) fn to_remote(number: u32) -> Vec<u8> {
    let remote = Ipv4Addr::from(0x0b00_0000 + number);
    Packet::ethernet(DEVICE, GATEWAY)
        .ipv4(Ipv4Addr::new(192, 168, 8, 214), remote)
        .udp(49_152, 10_240)
        .payload(18)
        .build()
}
