//! The host's neighbours, from rtnetlink: whom it knows on the LAN, though they be silent.

use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};

use super::interface::InterfaceError;

/// A neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The number of the interface that it is at.
    pub interface: u32,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its IP address; none where a bridge knows the MAC address alone.
    pub address: Option<IpAddr>,
}

/// Lists the neighbours at some interfaces, and whom a bridge knows behind those of them that are
/// its ports.
///
/// # Errors
/// [`InterfaceError`] when rtnetlink fails.
pub async fn list(interfaces: &[u32]) -> Result<Vec<Neighbour>, InterfaceError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(InterfaceError::Open)?;
    let connection = tokio::spawn(connection);
    let mut found = Vec::new();
    let mut outcome = Ok(());
    for family in [AddressFamily::Unspec, AddressFamily::Bridge] {
        let request = handle.neighbours().get().set_address_family(family);
        let messages: Result<Vec<_>, _> = request.execute().try_collect().await;
        match messages {
            Ok(messages) => found.extend(messages.iter().filter_map(|message| {
                let is_here = interfaces.contains(&message.header.ifindex);
                is_here.then(|| neighbour_of(message)).flatten()
            })),
            Err(error) => outcome = Err(InterfaceError::List(error)),
        }
    }
    connection.abort();
    outcome.map(|()| found)
}

/// Returns the neighbour; nothing where it is none: an entry without a MAC address, one that did not
/// answer, a multicast group, or (as permanent entries of a bridge are) the host itself.
fn neighbour_of(message: &NeighbourMessage) -> Option<Neighbour> {
    let is_of_bridge = message.header.family == AddressFamily::Bridge;
    let left_out = match message.header.state {
        NeighbourState::Incomplete | NeighbourState::Failed | NeighbourState::Noarp => true,
        NeighbourState::Permanent => is_of_bridge,
        _ => false,
    };
    if left_out {
        return None;
    }
    let mut mac = None;
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(octets) => {
                mac = octets.as_slice().try_into().ok();
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                address = Some(IpAddr::V4(*v4));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                address = Some(IpAddr::V6(*v6));
            }
            _ => {}
        }
    }
    Some(Neighbour {
        interface: message.header.ifindex,
        mac: mac?,
        address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(family: AddressFamily, state: NeighbourState) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = 3;
        message.header.family = family;
        message.header.state = state;
        let address = NeighbourAddress::Inet([192, 168, 8, 214].into());
        message.attributes = vec![
            NeighbourAttribute::LinkLayerAddress(vec![0x2c, 0xaa, 0x8e, 1, 2, 3]),
            NeighbourAttribute::Destination(address),
        ];
        message
    }

    #[test]
    fn a_neighbour_that_answered_is_known_by_both_addresses() {
        let stale = message(AddressFamily::Inet, NeighbourState::Stale);
        let expected = Neighbour {
            interface: 3,
            mac: [0x2c, 0xaa, 0x8e, 1, 2, 3],
            address: Some([192, 168, 8, 214].into()),
        };
        assert_eq!(neighbour_of(&stale), Some(expected));
        let configured = message(AddressFamily::Inet, NeighbourState::Permanent);
        assert_eq!(neighbour_of(&configured), Some(expected));
    }

    #[test]
    fn who_did_not_answer_and_the_host_itself_are_no_neighbours() {
        for state in [NeighbourState::Failed, NeighbourState::Incomplete] {
            assert_eq!(neighbour_of(&message(AddressFamily::Inet, state)), None);
        }
        let own = message(AddressFamily::Bridge, NeighbourState::Permanent);
        assert_eq!(neighbour_of(&own), None);
        let mut nameless = message(AddressFamily::Inet, NeighbourState::Reachable);
        nameless.attributes.remove(0);
        assert_eq!(neighbour_of(&nameless), None);
    }
}
