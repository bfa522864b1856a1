//! What rtnetlink tells of an interface beside what counting needs: its state, its MTU, the program
//! in its XDP slot, and whether a switch's hardware is behind it.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, LinkXdp, XdpAttached};

use super::interface::InterfaceError;

/// What rtnetlink tells of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkDetails {
    /// Whether it is switched on.
    pub is_up: bool,
    /// Whether something is at the other end.
    pub has_carrier: bool,
    /// Octets of a packet that it takes at most.
    pub mtu: u32,
    /// The program in its XDP slot.
    pub xdp: Option<XdpSlot>,
    /// Whether it is a port of a hardware switch, which forwards between its ports by itself.
    pub is_switch_port: bool,
}

/// A taken XDP slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XdpSlot {
    /// `native`, `generic`, `hardware`, or `several` at once.
    pub mode: &'static str,
    /// The program's number; none where there are several.
    pub program: Option<u32>,
}

/// Returns what rtnetlink tells of the interfaces of this namespace, by their numbers.
///
/// # Errors
/// [`InterfaceError`] when rtnetlink fails.
pub async fn all() -> Result<BTreeMap<u32, LinkDetails>, InterfaceError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(InterfaceError::Open)?;
    let connection = tokio::spawn(connection);
    let links = handle.link().get().execute();
    let links = links.map_ok(|link| (link.header.index, details_of(&link)));
    let details = links.try_collect().await.map_err(InterfaceError::List);
    connection.abort();
    details
}

fn details_of(link: &LinkMessage) -> LinkDetails {
    let mut details = LinkDetails {
        is_up: link.header.flags.contains(LinkFlags::Up),
        has_carrier: link.header.flags.contains(LinkFlags::LowerUp),
        ..LinkDetails::default()
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => details.mtu = *mtu,
            LinkAttribute::Xdp(parts) => details.xdp = slot_of(parts),
            LinkAttribute::PhysSwitchId(_) => details.is_switch_port = true,
            _ => {}
        }
    }
    details
}

fn slot_of(parts: &[LinkXdp]) -> Option<XdpSlot> {
    let attached = parts.iter().find_map(|part| match part {
        LinkXdp::Attached(attached) => Some(*attached),
        _ => None,
    })?;
    let mode = match attached {
        XdpAttached::None => return None,
        XdpAttached::Driver => "native",
        XdpAttached::SocketBuffer => "generic",
        XdpAttached::Hardware => "hardware",
        _ => "several",
    };
    let program = parts.iter().find_map(|part| match part {
        LinkXdp::ProgId(number) => Some(*number),
        _ => None,
    });
    Some(XdpSlot { mode, program })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_slot_is_told_with_its_mode_and_program() {
        let slot = |attached, program: Option<u32>| {
            let mut parts = vec![LinkXdp::Attached(attached)];
            parts.extend(program.map(LinkXdp::ProgId));
            slot_of(&parts)
        };
        assert_eq!(slot(XdpAttached::None, None), None);
        assert_eq!(slot_of(&[]), None);
        let check = |attached, mode, program| {
            assert_eq!(slot(attached, program), Some(XdpSlot { mode, program }));
        };
        check(XdpAttached::Driver, "native", Some(7));
        check(XdpAttached::SocketBuffer, "generic", Some(7));
        check(XdpAttached::Hardware, "hardware", Some(7));
        check(XdpAttached::Multiple, "several", None);
    }
}
