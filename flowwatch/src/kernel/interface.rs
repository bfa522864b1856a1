//! The host's network interfaces, from rtnetlink: which ones exist, what they are, and at which of
//! them the devices' frames can be counted once.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{LinkAttribute, LinkInfo, LinkLayerType, LinkMessage};

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What made it (`veth`, `bridge`, `vlan`, `bond`, `tun`, …); empty for a card.
    pub kind: String,
    /// Whether its frames have Ethernet headers.
    pub is_ethernet: bool,
    /// The bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// The interface that it lies on (a VLAN's card). A veth's peer is no such thing.
    pub lower: Option<u32>,
    /// Packets that it received, by its own count.
    pub received_packets: u64,
    /// Packets that it sent, likewise.
    pub sent_packets: u64,
}

/// Interfaces can't be counted on as asked.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// rtnetlink failed.
    #[error("list the network interfaces")]
    List(#[source] rtnetlink::Error),
    /// rtnetlink could not be opened.
    #[error("open rtnetlink")]
    Open(#[source] std::io::Error),
    /// There is no such interface.
    #[error("count on `{name}`: there is no such interface; there are {existing}")]
    Unknown {
        /// The name given.
        name: String,
        /// The names that exist.
        existing: String,
    },
    /// A bridge without ports.
    #[error("count on the bridge `{0}`: it has no ports; add the LAN's ports to it first")]
    NoPorts(String),
    /// No Ethernet header, so no MAC address.
    #[error(
        "count on `{0}`: its packets carry no MAC addresses, so devices can't be told apart; \
         name the LAN's Ethernet interface"
    )]
    NotEthernet(String),
    /// One packet would be counted twice.
    #[error("count on both `{upper}` and `{lower}`: a packet would be counted twice; name one")]
    CountedTwice {
        /// The interface above.
        upper: String,
        /// The one that it lies on.
        lower: String,
    },
}

impl InterfaceError {
    /// Returns whether the host could not tell its interfaces, rather than the user naming wrong
    /// ones.
    #[must_use]
    pub const fn is_of_host(&self) -> bool {
        matches!(self, Self::List(_) | Self::Open(_))
    }
}

/// Lists the interfaces of this network namespace.
///
/// # Errors
/// [`InterfaceError`] when rtnetlink fails.
pub async fn list() -> Result<Vec<Interface>, InterfaceError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(InterfaceError::Open)?;
    let connection = tokio::spawn(connection);
    let links = handle
        .link()
        .get()
        .execute()
        .map_ok(|link| interface_of(&link));
    let interfaces = links.try_collect().await.map_err(InterfaceError::List);
    connection.abort();
    interfaces
}

fn interface_of(link: &LinkMessage) -> Interface {
    let mut interface = Interface {
        index: link.header.index,
        is_ethernet: link.header.link_layer_type == LinkLayerType::Ether,
        ..Interface::default()
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Controller(index) => interface.master = Some(*index),
            LinkAttribute::Link(index) => interface.lower = Some(*index),
            LinkAttribute::Stats64(statistics) => {
                interface.received_packets = statistics.rx_packets;
                interface.sent_packets = statistics.tx_packets;
            }
            LinkAttribute::LinkInfo(infos) => interface.kind = kind_of(infos),
            _ => {}
        }
    }
    if interface.kind == "veth" {
        interface.lower = None;
    }
    interface
}

fn kind_of(infos: &[LinkInfo]) -> String {
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    });
    kind.unwrap_or_default()
}

/// Returns the interfaces to attach to for the names given: a bridge stands for its ports, at
/// which the kernel's software offload can't bypass the hooks.
///
/// # Errors
/// [`InterfaceError`] for names that don't exist, carry no MAC addresses or overlap.
pub fn resolve(names: &[String], existing: &[Interface]) -> Result<Vec<Interface>, InterfaceError> {
    let mut chosen: Vec<Interface> = Vec::new();
    for name in names {
        for interface in expand(name, existing)? {
            if !interface.is_ethernet {
                return Err(InterfaceError::NotEthernet(interface.name));
            }
            if !chosen.contains(&interface) {
                chosen.push(interface);
            }
        }
    }
    check_overlaps(&chosen, existing)?;
    Ok(chosen)
}

/// Returns the interfaces to attach to for the names given, as [`resolve`] does, of what is there
/// now: a name that stands for nothing yet is left out. What can't be counted on is told, and the
/// rest is counted on all the same.
#[must_use]
pub fn resolve_present(
    names: &[String],
    existing: &[Interface],
) -> (Vec<Interface>, Vec<InterfaceError>) {
    let mut chosen: Vec<Interface> = Vec::new();
    let mut refused = Vec::new();
    for interface in names
        .iter()
        .flat_map(|name| expand(name, existing).unwrap_or_default())
    {
        if !interface.is_ethernet {
            refused.push(InterfaceError::NotEthernet(interface.name));
        } else if !chosen.contains(&interface) {
            chosen.push(interface);
            if let Err(error) = check_overlaps(&chosen, existing) {
                refused.push(error);
                chosen.pop();
            }
        }
    }
    (chosen, refused)
}

fn expand(name: &str, existing: &[Interface]) -> Result<Vec<Interface>, InterfaceError> {
    let Some(interface) = existing.iter().find(|interface| interface.name == name) else {
        let names: Vec<&str> = existing
            .iter()
            .map(|interface| interface.name.as_str())
            .collect();
        let (name, existing) = (name.to_owned(), names.join(", "));
        return Err(InterfaceError::Unknown { name, existing });
    };
    if interface.kind != "bridge" {
        return Ok(vec![interface.clone()]);
    }
    let is_port = |other: &&Interface| other.master == Some(interface.index);
    let ports: Vec<Interface> = existing.iter().filter(is_port).cloned().collect();
    if ports.is_empty() {
        return Err(InterfaceError::NoPorts(interface.name.clone()));
    }
    Ok(ports)
}

/// A frame of an interface also passes what lies below it: a VLAN's card, a bond's ports.
fn check_overlaps(chosen: &[Interface], existing: &[Interface]) -> Result<(), InterfaceError> {
    for interface in chosen {
        let below = below(interface, existing);
        if let Some(lower) = chosen.iter().find(|other| below.contains(&other.index)) {
            let (upper, lower) = (interface.name.clone(), lower.name.clone());
            return Err(InterfaceError::CountedTwice { upper, lower });
        }
    }
    Ok(())
}

fn below(interface: &Interface, existing: &[Interface]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut open = vec![interface.clone()];
    while let Some(current) = open.pop() {
        let is_below = |other: &&Interface| {
            current.lower == Some(other.index) || other.master == Some(current.index)
        };
        for lower in existing.iter().filter(is_below) {
            if found.insert(lower.index) {
                open.push(lower.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str, kind: &str) -> Interface {
        Interface {
            index,
            name: name.into(),
            kind: kind.into(),
            is_ethernet: true,
            ..Interface::default()
        }
    }

    /// A card, a VLAN on it, a bridge with two ports of which one is another VLAN of the card, a
    /// bridge without ports, and a tunnel.
    fn host() -> Vec<Interface> {
        vec![
            interface(2, "eth0", ""),
            Interface {
                lower: Some(2),
                ..interface(3, "eth0.5", "vlan")
            },
            interface(4, "br0", "bridge"),
            Interface {
                master: Some(4),
                ..interface(5, "lan1", "veth")
            },
            Interface {
                master: Some(4),
                lower: Some(2),
                ..interface(6, "eth0.7", "vlan")
            },
            interface(7, "br1", "bridge"),
            Interface {
                is_ethernet: false,
                ..interface(8, "wg0", "wireguard")
            },
        ]
    }

    fn names_of(names: &[&str]) -> Result<Vec<String>, String> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let resolved = resolve(&names, &host()).map_err(|error| error.to_string())?;
        Ok(resolved
            .into_iter()
            .map(|interface| interface.name)
            .collect())
    }

    #[test]
    fn a_bridge_stands_for_its_ports() {
        assert_eq!(names_of(&["br0"]).unwrap(), ["lan1", "eth0.7"]);
        assert_eq!(
            names_of(&["lan1", "br0"]).unwrap(),
            ["lan1", "eth0.7"],
            "each port once"
        );
    }

    #[test]
    fn of_what_is_there_now_what_can_be_counted_on_is() {
        let check = |names: &[&str], expected: &[&str], refused: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let (chosen, errors) = resolve_present(&names, &host());
            let chosen: Vec<_> = chosen.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(chosen, expected);
            assert_eq!(errors.len(), refused.len(), "{errors:?}");
            for (error, part) in errors.iter().zip(refused) {
                assert!(error.to_string().contains(part), "{error}");
            }
        };
        check(&["eth9", "br1", "br0"], &["lan1", "eth0.7"], &[]);
        check(&["lan1", "br0"], &["lan1", "eth0.7"], &[]);
        check(&["br0", "eth0"], &["lan1", "eth0.7"], &["counted twice"]);
        check(&["wg0", "lan1"], &["lan1"], &["no MAC addresses"]);
    }

    #[test]
    fn a_bridge_without_ports_is_refused() {
        assert!(names_of(&["br1"]).unwrap_err().contains("no ports"));
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_exist() {
        let error = names_of(&["eth9"]).unwrap_err();
        assert!(
            error.contains("`eth9`") && error.contains("eth0, eth0.5, br0"),
            "{error}"
        );
    }

    #[test]
    fn an_interface_and_one_below_it_are_refused() {
        assert!(
            names_of(&["eth0.5", "eth0"])
                .unwrap_err()
                .contains("counted twice")
        );
        assert!(
            names_of(&["eth0", "br0"])
                .unwrap_err()
                .contains("`eth0.7` and `eth0`")
        );
        assert_eq!(names_of(&["eth0.5", "eth0.7"]).unwrap().len(), 2);
    }

    #[test]
    fn an_interface_without_mac_addresses_is_refused() {
        assert!(names_of(&["wg0"]).unwrap_err().contains("no MAC addresses"));
    }
}
