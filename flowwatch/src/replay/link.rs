//! The link layer of a captured frame: whose addresses it shows, and where its IP header is.
//!
//! Sources: the tcpdump group's pages on `LINKTYPE_LINUX_SLL`, `LINKTYPE_LINUX_SLL2` and
//! `LINKTYPE_RAW`.

use flowwatch_common::abi::{Reason, mac_word};
use flowwatch_common::bytes::PacketBytes as _;
use flowwatch_common::parse::{FrameInfo, locate_network};
use flowwatch_common::wire::ethernet;
use flowwatch_common::wire::vlan::{Tagged, skip_tags};
use flowwatch_common::wire::{ipv4, ipv6};

use crate::capture::{Frame, LinkType};

/// Octets of the header that Linux has in the place of the link layer's, and of its second version.
const COOKED_V1_LENGTH: usize = 16;
const COOKED_V2_LENGTH: usize = 20;
/// Octets of a MAC address, as the cooked headers say them.
const MAC_LENGTH: u16 = 6;

/// What a frame's link layer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The sender's MAC address, as `mac_word`.
    pub(super) source: Option<u64>,
    /// The receiver's.
    pub(super) destination: Option<u64>,
    /// Where the network layer begins, and what it is.
    pub(super) network: Result<Tagged, Reason>,
    /// Octets before it that were not on the wire.
    pub(super) added: u32,
}

/// An IP address as packets have it: the version, and the address as `FlowKey::remote` has it.
pub(super) type Address = (u8, [u32; 4]);

/// Returns what a frame's link layer says; nothing where it has none that is whole.
#[inline]
pub(super) fn link_of(frame: &Frame<'_>, info: &FrameInfo) -> Option<Link> {
    if frame.link_type == LinkType::ETHERNET {
        let header = ethernet::parse(frame.octets).ok()?;
        return Some(Link {
            source: Some(header.source),
            destination: Some(header.destination),
            network: locate_network(frame.octets, &header, info),
            added: 0,
        });
    }
    let link = match frame.link_type {
        LinkType::COOKED_V1 => {
            let [_, _, _, _, l0, l1] = frame.octets.octets(0)?;
            let [t0, t1] = frame.octets.octets(14)?;
            let length = u16::from_be_bytes([l0, l1]);
            let address = frame.octets.octets(6)?;
            cooked(frame, length, address, [t0, t1], COOKED_V1_LENGTH)
        }
        LinkType::COOKED_V2 => {
            let [t0, t1] = frame.octets.octets(0)?;
            let [length] = frame.octets.octets(11)?;
            let address = frame.octets.octets(12)?;
            // Of an address, eight octets have room.
            frame.octets.octets::<COOKED_V2_LENGTH>(0)?;
            cooked(frame, length.into(), address, [t0, t1], COOKED_V2_LENGTH)
        }
        LinkType::RAW_IPV4 => raw(Ok(ethernet::IPV4)),
        LinkType::RAW_IPV6 => raw(Ok(ethernet::IPV6)),
        _ => raw(version_of(frame.octets)),
    };
    Some(link)
}

fn cooked(
    frame: &Frame<'_>,
    address_length: u16,
    address: [u8; 6],
    protocol: [u8; 2],
    header: usize,
) -> Link {
    let has_mac = address_length == MAC_LENGTH;
    Link {
        source: has_mac.then(|| mac_word(address)),
        destination: None,
        network: skip_tags(frame.octets, u16::from_be_bytes(protocol), header, 0),
        added: header as u32,
    }
}

fn raw(ethertype: Result<u16, Reason>) -> Link {
    Link {
        source: None,
        destination: None,
        network: ethertype.map(|ethertype| Tagged {
            ethertype,
            offset: 0,
        }),
        added: 0,
    }
}

/// Returns the EtherType of an IP packet by its version.
fn version_of(octets: &[u8]) -> Result<u16, Reason> {
    match octets.first().map(|first| first >> 4) {
        Some(4) => Ok(ethernet::IPV4),
        Some(6) => Ok(ethernet::IPV6),
        Some(_) => Err(Reason::Malformed),
        None => Err(Reason::Truncated),
    }
}

impl Link {
    /// Returns the IP addresses of sender and receiver, as far as there is an IP header.
    pub(super) fn addresses(&self, octets: &[u8]) -> Option<[Address; 2]> {
        /// `::ffff:0:0/96` in network byte order.
        const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
        let Tagged { ethertype, offset } = self.network.ok()?;
        match ethertype {
            ethernet::IPV4 => {
                let header = ipv4::parse(octets, offset).ok()?;
                let mapped = |address| (4, [0, 0, MAPPED, address]);
                Some([mapped(header.source), mapped(header.destination)])
            }
            ethernet::IPV6 => {
                let header = ipv6::parse(octets, offset).ok()?;
                Some([(6, header.source), (6, header.destination)])
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(link_type: LinkType, octets: &[u8]) -> Option<Link> {
        let frame = Frame {
            octets,
            length: octets.len() as u32,
            link_type,
            at: None,
        };
        link_of(&frame, &FrameInfo::default())
    }

    const CAMERA: u64 = 0x0302_018e_aa2c;

    #[test]
    fn a_cooked_header_shows_the_senders_address_alone() {
        // Sent by us (4), ARPHRD_ETHER, 6 octets of address, IPv4.
        let v1 = [0, 4, 0, 1, 0, 6, 0x2c, 0xaa, 0x8e, 1, 2, 3, 0, 0, 8, 0];
        let seen = link(LinkType::COOKED_V1, &v1).unwrap();
        assert_eq!((seen.source, seen.destination), (Some(CAMERA), None));
        let network = Tagged {
            ethertype: 0x0800,
            offset: 16,
        };
        assert_eq!((seen.network, seen.added), (Ok(network), 16));
        assert_eq!(link(LinkType::COOKED_V1, &v1[..15]), None);
        // IPv6, interface 2, ARPHRD_ETHER, to us (0).
        let v2 = [
            0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 0x2c, 0xaa, 0x8e, 1, 2, 3, 0, 0,
        ];
        let seen = link(LinkType::COOKED_V2, &v2).unwrap();
        assert_eq!((seen.source, seen.destination), (Some(CAMERA), None));
        let network = Tagged {
            ethertype: 0x86dd,
            offset: 20,
        };
        assert_eq!((seen.network, seen.added), (Ok(network), 20));
        assert_eq!(link(LinkType::COOKED_V2, &v2[..19]), None);
    }

    #[test]
    fn a_cooked_header_without_a_mac_address_and_with_a_tag_is_read_as_such() {
        // A tunnel's (ARPHRD_NONE), which has no addresses, under VLAN 5.
        let v1 = [
            0, 0, 0xff, 0xfe, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x81, 0, 0, 5, 8, 0,
        ];
        let seen = link(LinkType::COOKED_V1, &v1).unwrap();
        assert_eq!(seen.source, None);
        let network = Tagged {
            ethertype: 0x0800,
            offset: 20,
        };
        assert_eq!(seen.network, Ok(network));
    }

    #[test]
    fn raw_ip_is_told_by_its_version() {
        let ethertype = |link_type, octets: &[u8]| {
            let network = link(link_type, octets).unwrap().network;
            network.map(|network| (network.ethertype, network.offset))
        };
        assert_eq!(ethertype(LinkType::RAW, &[0x45]), Ok((0x0800, 0)));
        assert_eq!(ethertype(LinkType(12), &[0x60]), Ok((0x86dd, 0)));
        assert_eq!(ethertype(LinkType(14), &[0x50]), Err(Reason::Malformed));
        assert_eq!(ethertype(LinkType::RAW, &[]), Err(Reason::Truncated));
        assert_eq!(ethertype(LinkType::RAW_IPV4, &[0x60]), Ok((0x0800, 0)));
        assert_eq!(ethertype(LinkType::RAW_IPV6, &[]), Ok((0x86dd, 0)));
    }
}
