//! Specimens: frames of a device's, each with what is to become of it, stated beside the frame and
//! not read out of it.

use std::net::IpAddr;

use crate::lab::Device;
use crate::link::Mac;
use crate::packet::Packet;

/// The device's own port in every specimen.
pub const LOCAL_PORT: u16 = 40_000;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the device.
    Up,
    /// To the device.
    Down,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];

    /// The word that flowwatch's document has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Where a frame is to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In the flow with this remote.
    Flow {
        /// The address at the other end.
        remote: IpAddr,
        /// The protocol as flowwatch writes it.
        protocol: &'static str,
        /// The remote's port; 0 where there is none.
        port: u16,
        /// Octets of the IP packet.
        octets: u64,
    },
    /// In no flow, for this reason.
    Unaccounted(&'static str),
}

/// A frame and its fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Specimen {
    /// The frame's octets.
    pub frame: Vec<u8>,
    /// Where it is to be counted.
    pub fate: Fate,
}

impl Specimen {
    /// A packet that is to be counted in a flow, with all its octets from the IP header on but for
    /// the padding behind it.
    #[must_use]
    pub fn in_flow(packet: &Packet, remote: IpAddr, protocol: &'static str, port: u16) -> Self {
        let octets = packet.ip_octets();
        let fate = Fate::Flow {
            remote,
            protocol,
            port,
            octets,
        };
        let frame = packet.build();
        Self { frame, fate }
    }

    /// A frame that is to be in no flow.
    #[must_use]
    pub fn unaccounted(packet: &Packet, reason: &'static str) -> Self {
        Self {
            frame: packet.build(),
            fate: Fate::Unaccounted(reason),
        }
    }
}

/// The two ends of a specimen: a device behind its gateway, and a remote.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Which way the packet goes.
    pub way: Way,
    /// The device's address and the gateway's.
    pub macs: (Mac, Mac),
    /// The device's IP address.
    pub device: IpAddr,
    /// The remote's.
    pub remote: IpAddr,
}

impl Ends {
    /// The ends of what `device` and `remote` send each other, in the remote's family.
    #[must_use]
    pub fn of(device: &Device, remote: IpAddr, way: Way) -> Self {
        let own = if remote.is_ipv4() {
            device.ipv4.into()
        } else {
            device.ipv6.into()
        };
        Self {
            way,
            macs: (device.mac, device.gateway_mac),
            device: own,
            remote,
        }
    }

    /// Begins a frame.
    #[must_use]
    pub fn link(&self) -> Packet {
        let (device, gateway) = self.macs;
        match self.way {
            Way::Up => Packet::ethernet(device, gateway),
            Way::Down => Packet::ethernet(gateway, device),
        }
    }

    /// Adds the IP header.
    #[must_use]
    pub fn ip(&self, link: Packet) -> Packet {
        match self.way {
            Way::Up => link.ip(self.device, self.remote),
            Way::Down => link.ip(self.remote, self.device),
        }
    }

    /// Adds a UDP header; `port` is the remote's.
    #[must_use]
    pub fn udp(&self, ip: Packet, port: u16) -> Packet {
        let (source, destination) = self.ports(port);
        ip.udp(source, destination)
    }

    /// Adds a TCP header; `port` is the remote's.
    #[must_use]
    pub fn tcp(&self, ip: Packet, port: u16) -> Packet {
        let (source, destination) = self.ports(port);
        ip.tcp(source, destination)
    }

    /// Adds an SCTP header; `port` is the remote's.
    #[must_use]
    pub fn sctp(&self, ip: Packet, port: u16) -> Packet {
        let (source, destination) = self.ports(port);
        ip.sctp(source, destination)
    }

    fn ports(&self, remote: u16) -> (u16, u16) {
        match self.way {
            Way::Up => (LOCAL_PORT, remote),
            Way::Down => (remote, LOCAL_PORT),
        }
    }
}
