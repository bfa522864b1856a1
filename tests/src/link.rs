//! Links between and inside namespaces: veth pairs, bridges, VLAN devices, their addresses,
//! neighbours, offloads and counters.
//!
//! Everything goes through `ip` and `ethtool`, so that a lab reads like what one would type.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::namespace::Namespace;

/// How long a link may take to become able to send, or to take in what was sent.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address of every station.
    pub const BROADCAST: Self = Self([0xff; 6]);
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map(|octet| format!("{octet:02x}")).join(":"))
    }
}

impl FromStr for Mac {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let octets: Vec<u8> = text
            .split(':')
            .map(|octet| u8::from_str_radix(octet, 16))
            .collect::<Result<_, _>>()
            .with_context(|| format!("`{text}` is no MAC address"))?;
        let octets = <[u8; 6]>::try_from(octets).ok();
        Ok(Self(
            octets.with_context(|| format!("`{text}` is no MAC address"))?,
        ))
    }
}

/// One end of a veth pair.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// Its name there.
    pub name: &'a str,
    /// Its MAC address.
    pub mac: Mac,
}

/// Makes a veth pair and waits until both ends can send.
pub fn veth(left: &End<'_>, right: &End<'_>, mtu: u16) -> Result<()> {
    left.namespace.ip(&format!(
        "link add {} mtu {mtu} address {} type veth peer name {} mtu {mtu} address {} netns {}",
        left.name,
        left.mac,
        right.name,
        right.mac,
        right.namespace.path(),
    ))?;
    left.namespace.ip(&format!("link set {} up", left.name))?;
    right.namespace.ip(&format!("link set {} up", right.name))?;
    await_up(left.namespace, left.name)?;
    await_up(right.namespace, right.name)
}

/// Makes a bridge of `ports` without any traffic of its own (no spanning tree, no snooping).
pub fn bridge(namespace: &Namespace, name: &str, mac: Mac, ports: &[&str]) -> Result<()> {
    let mut batch = format!(
        "link add {name} address {mac} type bridge stp_state 0 mcast_snooping 0 forward_delay 0\n"
    );
    for port in ports {
        batch.push_str(&["link set ", port, " master ", name, "\n"].concat());
    }
    namespace.ip(&format!("{batch}link set {name} up"))?;
    await_up(namespace, name)
}

/// Makes the VLAN device `PARENT.IDENTIFIER`; returns its name. Not every kernel has them:
/// `Need::LinkType("vlan")`.
pub fn vlan(namespace: &Namespace, parent: &str, identifier: u16) -> Result<String> {
    let name = format!("{parent}.{identifier}");
    namespace.ip(&format!(
        "link add link {parent} name {name} type vlan id {identifier}\nlink set {name} up"
    ))?;
    await_up(namespace, &name)?;
    Ok(name)
}

/// Whether this kernel can make links of a type, tried in a namespace made for that.
#[must_use]
pub fn can_make(kind: &str) -> bool {
    let Ok(scratch) = Namespace::new("scratch") else {
        return false;
    };
    let probe = match kind {
        "vlan" => "link parent0 name probe0 type vlan id 1".to_owned(),
        "macvlan" => "link parent0 name probe0 type macvlan".to_owned(),
        kind => format!("name probe0 type {kind}"),
    };
    scratch
        .ip(&format!(
            "link add parent0 type veth peer name parent1\nlink add {probe}"
        ))
        .is_ok()
}

/// Whether this kernel can make nftables' flowtables, tried in a namespace made for that.
#[must_use]
pub fn can_make_flowtables() -> bool {
    let rules =
        "add table inet probe { flowtable probe { hook ingress priority 0; devices = { lo }; } }";
    Namespace::new("scratch").is_ok_and(|scratch| scratch.run("nft", &[rules]).is_ok())
}

/// Gives an interface an address; an IPv6 address switches IPv6 on there. `prefix`: its length.
pub fn add_address(
    namespace: &Namespace,
    interface: &str,
    address: IpAddr,
    prefix: u8,
) -> Result<()> {
    if address.is_ipv6() {
        namespace.set(&format!("ipv6/conf/{interface}/disable_ipv6"), "0")?;
        return namespace.ip(&format!(
            "addr add {address}/{prefix} dev {interface} nodad"
        ));
    }
    // No broadcast address: an address equal to it would stop being an ordinary remote.
    namespace.ip(&format!("addr add {address}/{prefix} dev {interface}"))
}

/// Has the namespace take every address of `prefix` for its own, so that servers bound to the
/// unspecified address answer for all of them.
pub fn own_prefix(namespace: &Namespace, prefix: &str) -> Result<()> {
    if prefix.contains(':') {
        namespace.set("ipv6/conf/lo/disable_ipv6", "0")?;
    }
    namespace.ip(&format!("route add local {prefix} dev lo"))
}

/// Adds a route through a neighbour. `prefix` may be `default`.
pub fn route(namespace: &Namespace, prefix: &str, via: IpAddr) -> Result<()> {
    namespace.ip(&format!("route add {prefix} via {via}"))
}

/// Makes a neighbour permanent, so that nobody asks for it by ARP or neighbour discovery.
pub fn neighbour(namespace: &Namespace, interface: &str, address: IpAddr, mac: Mac) -> Result<()> {
    namespace.ip(&format!(
        "neigh replace {address} lladdr {mac} dev {interface} nud permanent"
    ))
}

/// Lets the namespace forward IPv4 and IPv6.
pub fn forward(namespace: &Namespace) -> Result<()> {
    namespace.set("ipv4/ip_forward", "1")?;
    namespace.set("ipv6/conf/all/forwarding", "1")
}

/// Whether a link's segmentation, aggregation and checksum offloads are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offloads {
    /// As the kernel sets a fresh veth up: packets travel in aggregates.
    #[default]
    On,
    /// Every packet travels alone and whole, as on a wire.
    Off,
    /// As `On`, with generic receive offload too, as a physical card has it.
    OnWithGro,
}

/// Sets an interface's offloads.
pub fn set_offloads(namespace: &Namespace, interface: &str, offloads: Offloads) -> Result<()> {
    let switches: &[&str] = match offloads {
        Offloads::On => &[
            "tx", "on", "sg", "on", "tso", "on", "gso", "on", "gro", "off",
        ],
        Offloads::OnWithGro => &[
            "tx", "on", "sg", "on", "tso", "on", "gso", "on", "gro", "on",
        ],
        Offloads::Off => &[
            "tso", "off", "gso", "off", "gro", "off", "sg", "off", "tx", "off",
        ],
    };
    let arguments: Vec<&str> = ["-K", interface]
        .into_iter()
        .chain(switches.iter().copied())
        .collect();
    namespace.run("ethtool", &arguments).map(drop)
}

/// An interface's counters, in its own frames and layer-2 octets. An aggregate is one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames received.
    pub rx_packets: u64,
    /// Layer-2 octets received.
    pub rx_octets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Layer-2 octets sent.
    pub tx_octets: u64,
    /// Frames that arrived and were dropped.
    pub rx_dropped: u64,
    /// Frames that were to be sent and were dropped.
    pub tx_dropped: u64,
}

impl Statistics {
    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            rx_packets: self.rx_packets - earlier.rx_packets,
            rx_octets: self.rx_octets - earlier.rx_octets,
            tx_packets: self.tx_packets - earlier.tx_packets,
            tx_octets: self.tx_octets - earlier.tx_octets,
            rx_dropped: self.rx_dropped - earlier.rx_dropped,
            tx_dropped: self.tx_dropped - earlier.tx_dropped,
        }
    }
}

/// Reads an interface's counters.
pub fn statistics(namespace: &Namespace, interface: &str) -> Result<Statistics> {
    let link = show(namespace, interface)?;
    let number = |direction: &str, name: &str| {
        let value = link["stats64"][direction][name].as_u64();
        value.with_context(|| format!("no {direction} {name} for `{interface}`"))
    };
    Ok(Statistics {
        rx_packets: number("rx", "packets")?,
        rx_octets: number("rx", "bytes")?,
        tx_packets: number("tx", "packets")?,
        tx_octets: number("tx", "bytes")?,
        rx_dropped: number("rx", "dropped")?,
        tx_dropped: number("tx", "dropped")?,
    })
}

/// Waits until an interface has received `packets` in all.
pub fn await_received(namespace: &Namespace, interface: &str, packets: u64) -> Result<()> {
    await_condition(
        || Ok(statistics(namespace, interface)?.rx_packets >= packets),
        || format!("`{interface}` does not receive {packets} packets"),
    )
}

/// Waits until an interface has dropped something that it was to send.
pub fn await_dropped(namespace: &Namespace, interface: &str) -> Result<()> {
    await_condition(
        || Ok(statistics(namespace, interface)?.tx_dropped > 0),
        || format!("`{interface}` drops nothing"),
    )
}

/// Waits until every CPU has emptied its queue of received frames, in which a veth without NAPI
/// leaves them after having counted them.
pub fn await_backlog() -> Result<()> {
    /// The column of `/proc/net/softnet_stat` (net/core/net-procfs.c, since Linux 5.10).
    const LENGTH: usize = 11;
    let is_empty = || {
        let text = std::fs::read_to_string("/proc/net/softnet_stat")?;
        let lengths = text
            .lines()
            .filter_map(|line| line.split_whitespace().nth(LENGTH));
        Ok(lengths.into_iter().all(|length| length == "00000000"))
    };
    await_condition(is_empty, || "the CPUs' queues stay full".to_owned())
}

/// Asks until the answer is yes: the kernel tells of none of these events.
fn await_condition(holds: impl Fn() -> Result<bool>, complaint: impl Fn() -> String) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !holds()? {
        ensure!(Instant::now() < deadline, "{}", complaint());
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn show(namespace: &Namespace, interface: &str) -> Result<serde_json::Value> {
    let text = namespace.run("ip", &["-json", "-stats", "link", "show", "dev", interface])?;
    let mut links: serde_json::Value = serde_json::from_str(&text).context("read `ip -json`")?;
    Ok(links[0].take())
}

/// A link whose peer has just come up drops what is sent until the kernel's link watch, a work
/// queue, has given it a queue. Asking for the link makes newer kernels run that work at once; on
/// older ones the question is repeated.
fn await_up(namespace: &Namespace, interface: &str) -> Result<()> {
    await_condition(
        || Ok(show(namespace, interface)?["operstate"] == "UP"),
        || format!("`{interface}` in `{}` stays down", namespace.name()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_reads_what_it_prints() {
        let mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 1]);
        assert_eq!(mac.to_string(), "2c:aa:8e:00:00:01");
        assert_eq!(mac.to_string().parse::<Mac>().unwrap(), mac);
        assert!("2c:aa:8e:00:00".parse::<Mac>().is_err());
    }
}
