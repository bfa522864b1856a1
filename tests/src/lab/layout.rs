//! The laying out of a lab: namespaces first, then links, addresses, name servers and servers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

use super::{
    Addressing, Device, DeviceSpec, INTERNET_IPV6, Lab, LabBuilder, Neighbours,
    OUTSIDE_NAME_SERVER, Resolver,
};
use crate::camera::{self, Camera};
use crate::dns::{Leases, NameServer};
use crate::link::{self, End, Mac};
use crate::namespace::Namespace;

/// The gateway's and the internet's addresses between them.
const WAN: [(Ipv4Addr, Ipv6Addr, Mac); 2] = [wan(1), wan(2)];
const BRIDGE_MAC: Mac = Mac([2, 0, 0, 0, 2, 0]);

const fn wan(host: u8) -> (Ipv4Addr, Ipv6Addr, Mac) {
    let v6 = Ipv6Addr::new(0xfc00, 1, 0, 0, 0, 0, 0, host as u16);
    (
        Ipv4Addr::new(198, 51, 100, host),
        v6,
        Mac([2, 0, 0, 0, 3, host]),
    )
}

impl LabBuilder {
    /// Makes the lab; everything in it can send at once.
    pub fn build(mut self) -> Result<Lab> {
        if self.devices.is_empty() {
            self.devices
                .push(DeviceSpec::new("camera", Addressing::Ipv4));
        }
        let gateway = Namespace::new("gateway")?;
        let internet = Namespace::new("internet")?;
        self.make_quiet(&gateway)?;
        self.make_quiet(&internet)?;
        link::forward(&gateway)?;
        self.join_wan(&gateway, &internet)
            .context("join gateway and internet")?;
        let mut devices = Vec::new();
        for (index, device) in self.devices.iter().enumerate() {
            devices.push(self.attach(&gateway, device, index as u8)?);
        }
        if self.is_bridged {
            self.join_bridge(&gateway, &devices)
                .context("make the bridge")?;
        }
        for device in &devices {
            self.address(&gateway, device)
                .with_context(|| format!("address {}", device.name))?;
        }
        let folder = tempfile::tempdir().context("make a folder for the leases")?;
        let own: BTreeSet<IpAddr> = devices.iter().map(|d| d.gateway_ipv4.into()).collect();
        let own: Vec<IpAddr> = own.into_iter().collect();
        let leases = Leases {
            file: folder.path().join("dnsmasq.leases"),
            reserved: devices.iter().map(|d| (d.mac, d.ipv4)).collect(),
        };
        let name_servers = self.start_name_servers(&gateway, &internet, &own, &leases)?;
        let servers = camera::serve(&internet)?;
        Ok(Lab {
            gateway,
            internet,
            devices,
            lease_file: leases.file,
            resolver: self.resolver,
            name_servers,
            _folder: folder,
            _servers: servers,
        })
    }

    fn make_quiet(&self, namespace: &Namespace) -> Result<()> {
        if self.has_ipv6() {
            namespace.quiet_ipv6()
        } else {
            Ok(())
        }
    }

    fn has_ipv6(&self) -> bool {
        self.devices
            .iter()
            .any(|device| device.addressing == Addressing::Dual)
    }

    fn join_wan(&self, gateway: &Namespace, internet: &Namespace) -> Result<()> {
        let [near, far] = WAN;
        let end = |namespace, mac| End {
            namespace,
            name: "wan0",
            mac,
        };
        link::veth(&end(gateway, near.2), &end(internet, far.2), self.mtu)?;
        let mut remotes: Vec<IpAddr> = camera::addresses().into_iter().map(IpAddr::V4).collect();
        remotes.push(OUTSIDE_NAME_SERVER.into());
        remotes.extend(&self.addresses);
        for (namespace, own, peer) in [(gateway, near, far), (internet, far, near)] {
            link::set_offloads(namespace, "wan0", self.offloads)?;
            link::add_address(namespace, "wan0", own.0.into(), 30)?;
            link::neighbour(namespace, "wan0", peer.0.into(), peer.2)?;
            if self.has_ipv6() {
                link::add_address(namespace, "wan0", own.1.into(), 64)?;
                link::neighbour(namespace, "wan0", peer.1.into(), peer.2)?;
            }
        }
        link::route(gateway, "default", far.0.into())?;
        link::route(internet, "192.168.0.0/16", near.0.into())?;
        if self.has_ipv6() {
            link::route(gateway, "default", far.1.into())?;
            link::route(internet, "fd00::/16", near.1.into())?;
            remotes.push(INTERNET_IPV6.into());
        }
        for address in remotes {
            let prefix = if address.is_ipv4() { 32 } else { 128 };
            link::add_address(internet, "lo", address, prefix)?;
        }
        Ok(())
    }

    /// Makes a device and its link; it has no addresses yet.
    fn attach(&self, gateway: &Namespace, spec: &DeviceSpec, index: u8) -> Result<Device> {
        let namespace = Namespace::new(&spec.name)?;
        self.make_quiet(&namespace)?;
        let port = format!("lan{index}");
        let mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, index + 1]);
        let port_mac = Mac([2, 0, 0, 0, 1, index]);
        let near = End {
            namespace: &namespace,
            name: "eth0",
            mac,
        };
        let far = End {
            namespace: gateway,
            name: &port,
            mac: port_mac,
        };
        link::veth(&near, &far, self.mtu).with_context(|| format!("attach {}", spec.name))?;
        link::set_offloads(&namespace, "eth0", self.offloads)?;
        link::set_offloads(gateway, &port, self.offloads)?;
        let (mut interface, mut gateway_interface) = ("eth0".to_owned(), port.clone());
        if let Some(identifier) = spec.vlan {
            interface = link::vlan(&namespace, "eth0", identifier)?;
            gateway_interface = link::vlan(gateway, &port, identifier)?;
        }
        let is_bridged = self.is_bridged && spec.vlan.is_none();
        let (subnet, host) = if is_bridged {
            (8, 214 + index)
        } else {
            (8 + index, 214)
        };
        Ok(Device {
            name: spec.name.clone(),
            namespace,
            addressing: spec.addressing,
            mac,
            interface,
            port,
            gateway_interface: if is_bridged {
                "br0".to_owned()
            } else {
                gateway_interface
            },
            gateway_mac: if is_bridged { BRIDGE_MAC } else { port_mac },
            ipv4: Ipv4Addr::new(192, 168, subnet, host),
            ipv6: Ipv6Addr::new(0xfd00, subnet.into(), 0, 0, 0, 0, 0, host.into()),
            gateway_ipv4: Ipv4Addr::new(192, 168, subnet, 1),
            gateway_ipv6: Ipv6Addr::new(0xfd00, subnet.into(), 0, 0, 0, 0, 0, 1),
        })
    }

    fn join_bridge(&self, gateway: &Namespace, devices: &[Device]) -> Result<()> {
        let members = || {
            devices
                .iter()
                .filter(|device| device.gateway_interface == "br0")
        };
        let ports: Vec<&str> = members().map(|device| device.port.as_str()).collect();
        link::bridge(gateway, "br0", BRIDGE_MAC, &ports)?;
        if self.neighbours == Neighbours::Permanent {
            for device in members() {
                // Known stations: otherwise the first frame to each is flooded to every port.
                let mac = device.mac.to_string();
                gateway.run(
                    "bridge",
                    &["fdb", "add", &mac, "dev", &device.port, "master", "static"],
                )?;
            }
        }
        Ok(())
    }

    fn address(&self, gateway: &Namespace, device: &Device) -> Result<()> {
        let families: &[(IpAddr, IpAddr, u8)] = &[
            (device.ipv4.into(), device.gateway_ipv4.into(), 24),
            (device.ipv6.into(), device.gateway_ipv6.into(), 64),
        ];
        let count = if device.addressing == Addressing::Dual {
            2
        } else {
            1
        };
        for (own, router, prefix) in families.iter().copied().take(count) {
            // The bridge gets its address with its first device.
            let addresses = gateway.run("ip", &["-oneline", "address", "show"])?;
            if !addresses.contains(&format!(" {router}/")) {
                link::add_address(gateway, &device.gateway_interface, router, prefix)?;
            }
            if self.neighbours == Neighbours::Permanent {
                link::neighbour(gateway, &device.gateway_interface, own, device.mac)?;
            }
            if device.addressing == Addressing::Bare {
                continue;
            }
            link::add_address(&device.namespace, &device.interface, own, prefix)?;
            link::route(&device.namespace, "default", router)?;
            if self.neighbours == Neighbours::Permanent {
                let (interface, mac) = (&device.interface, device.gateway_mac);
                link::neighbour(&device.namespace, interface, router, mac)?;
            }
        }
        Ok(())
    }

    fn start_name_servers(
        &self,
        gateway: &Namespace,
        internet: &Namespace,
        own: &[IpAddr],
        leases: &Leases,
    ) -> Result<Vec<NameServer>> {
        if self.resolver == Resolver::Nobody {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        for record in [Camera::old_firmware(), Camera::fixed_firmware()]
            .iter()
            .flat_map(Camera::records)
            .chain(self.records.iter().cloned())
        {
            if !records.contains(&record) {
                records.push(record);
            }
        }
        let outside = IpAddr::V4(OUTSIDE_NAME_SERVER);
        let mut servers = vec![NameServer::dnsmasq(
            internet,
            &[outside],
            &records,
            None,
            None,
        )?];
        if self.resolver == Resolver::Gateway {
            let (upstream, leases) = (Some(outside), Some(leases));
            servers.push(NameServer::dnsmasq(gateway, own, &[], upstream, leases)?);
        }
        Ok(servers)
    }
}
