//! The standard lab: devices, a gateway and an "internet", each a namespace, joined by veth pairs.
//!
//! ```text
//! device eth0 ── lan0 gateway wan0 ── wan0 internet (all remote addresses, name server, servers)
//! ```
//!
//! Without a bridge each device has a subnet of its own (192.168.8.0/24, 192.168.9.0/24, …); with
//! one, all untagged devices share the first. There is no NAT, and no way out: the internet's
//! namespace has no default route, and none has a link to the machine.

mod layout;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::dns::{NameServer, Record};
use crate::link::{Mac, Offloads};
use crate::namespace::Namespace;
use crate::traffic::Server;

/// The name server on the internet.
pub const OUTSIDE_NAME_SERVER: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);
/// An address of the internet's that dual-stack devices can talk to.
pub const INTERNET_IPV6: Ipv6Addr = Ipv6Addr::new(0x2600, 0x1f14, 0, 0, 0, 0, 0, 0x34);
/// The MTU of every link, unless told otherwise: Ethernet's.
const MTU: u16 = 1500;

/// The IP families that a device has addresses of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// None: its kernel answers nothing, which is what a generator wants of it.
    Bare,
    /// IPv4.
    Ipv4,
    /// IPv4 and IPv6.
    Dual,
}

/// A device to be made.
#[derive(Clone, Debug)]
pub struct DeviceSpec {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addressing: Addressing,
    /// The VLAN that it sends into; needs `Need::LinkType("vlan")`.
    pub vlan: Option<u16>,
}

impl DeviceSpec {
    /// A device without a VLAN.
    #[must_use]
    pub fn new(name: &str, addressing: Addressing) -> Self {
        Self {
            name: name.to_owned(),
            addressing,
            vlan: None,
        }
    }

    /// Puts the device behind a VLAN tag.
    #[must_use]
    pub fn vlan(mut self, identifier: u16) -> Self {
        self.vlan = Some(identifier);
        self
    }
}

/// Who answers the devices' questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// dnsmasq on the gateway, which asks the name server on the internet; it also gives each device
    /// that asks (`dhcp`) its own address.
    Gateway,
    /// The name server on the internet itself.
    Remote,
    /// Nobody: there is no name server.
    Nobody,
}

/// Whether neighbours have to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbours {
    /// Every station knows the others' MAC addresses: no frame but those that a test sends.
    Permanent,
    /// ARP and neighbour discovery, as on a real LAN.
    Asked,
}

/// A lab to be made.
#[derive(Clone, Debug)]
pub struct LabBuilder {
    devices: Vec<DeviceSpec>,
    is_bridged: bool,
    offloads: Offloads,
    mtu: u16,
    resolver: Resolver,
    neighbours: Neighbours,
    records: Vec<Record>,
    addresses: Vec<IpAddr>,
}

impl LabBuilder {
    /// Adds a device; without any, the lab has one: `camera`, IPv4.
    #[must_use]
    pub fn device(mut self, device: DeviceSpec) -> Self {
        self.devices.push(device);
        self
    }

    /// Joins the untagged devices' ports `lan0`, `lan1`, … in `br0`.
    #[must_use]
    pub fn bridge(mut self) -> Self {
        self.is_bridged = true;
        self
    }

    /// Sets the offloads of every veth.
    #[must_use]
    pub fn offloads(mut self, offloads: Offloads) -> Self {
        self.offloads = offloads;
        self
    }

    /// Sets the MTU of every link; 1500 unless told.
    #[must_use]
    pub fn mtu(mut self, octets: u16) -> Self {
        self.mtu = octets;
        self
    }

    /// Sets who resolves names; the gateway unless told.
    #[must_use]
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets how neighbours are known; permanent unless told.
    #[must_use]
    pub fn neighbours(mut self, neighbours: Neighbours) -> Self {
        self.neighbours = neighbours;
        self
    }

    /// Adds to what the name server knows, which is the cameras' names.
    #[must_use]
    pub fn records(mut self, records: Vec<Record>) -> Self {
        self.records.extend(records);
        self
    }

    /// Adds to the internet's addresses, which are the cameras' remotes, the name server's and,
    /// when a device has IPv6, [`INTERNET_IPV6`].
    #[must_use]
    pub fn addresses(mut self, addresses: Vec<IpAddr>) -> Self {
        self.addresses.extend(addresses);
        self
    }
}

/// A device of the lab.
#[derive(Debug)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Namespace,
    /// What addresses it has; the ones below are reserved for it in any case.
    pub addressing: Addressing,
    /// Its MAC address: 2c:aa:8e:00:00:01 for the first, and so on.
    pub mac: Mac,
    /// Its interface with the addresses: `eth0`, or `eth0.5` behind a VLAN tag.
    pub interface: String,
    /// The gateway's end of its link: `lan0`, `lan1`, …
    pub port: String,
    /// The gateway's interface with the address: the port, its VLAN device, or `br0`.
    pub gateway_interface: String,
    /// The MAC address that the device sends to.
    pub gateway_mac: Mac,
    /// Its IPv4 address: 192.168.8.214 for the first.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address: `fd00:8::d6` for the first.
    pub ipv6: Ipv6Addr,
    /// The gateway's IPv4 address on its subnet: 192.168.8.1 for the first.
    pub gateway_ipv4: Ipv4Addr,
    /// The gateway's IPv6 address on its subnet.
    pub gateway_ipv6: Ipv6Addr,
}

/// A lab; it vanishes when dropped, and also when the process is killed.
#[derive(Debug)]
pub struct Lab {
    /// The gateway, where flowwatch runs.
    pub gateway: Namespace,
    /// The internet.
    pub internet: Namespace,
    /// The devices, in the order in which they were asked for.
    pub devices: Vec<Device>,
    /// Where dnsmasq keeps its leases, once it has given one; it does where it is the resolver.
    pub lease_file: PathBuf,
    resolver: Resolver,
    name_servers: Vec<NameServer>,
    /// Held, not used: the folder of the lease file.
    _folder: TempDir,
    /// Held, not used: the cameras' servers end with the lab.
    _servers: Vec<Server>,
}

impl Lab {
    /// Begins a lab with one camera, routed, resolved by the gateway, offloads on.
    #[must_use]
    pub fn builder() -> LabBuilder {
        LabBuilder {
            devices: Vec::new(),
            is_bridged: false,
            offloads: Offloads::On,
            mtu: MTU,
            resolver: Resolver::Gateway,
            neighbours: Neighbours::Permanent,
            records: Vec::new(),
            addresses: Vec::new(),
        }
    }

    /// The first device.
    #[must_use]
    pub fn camera(&self) -> &Device {
        &self.devices[0]
    }

    /// The address that a device sends its questions to.
    #[must_use]
    pub fn resolver_of(&self, device: &Device) -> IpAddr {
        match self.resolver {
            Resolver::Gateway => device.gateway_ipv4.into(),
            Resolver::Remote | Resolver::Nobody => OUTSIDE_NAME_SERVER.into(),
        }
    }

    /// What the name servers have said: the outside one, then the gateway's.
    #[must_use]
    pub fn name_server_logs(&self) -> Vec<String> {
        self.name_servers.iter().map(NameServer::log).collect()
    }
}
