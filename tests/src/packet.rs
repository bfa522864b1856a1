//! The packet builder: `Packet::ethernet(source, destination).vlan(5).ipv4(a, b).udp(1, 2)
//! .payload(100)` gives the octets of a frame with correct lengths, numbers and checksums.
//!
//! Any field can be set with [`Packet::with`], and octets patched or cut off afterwards, to build
//! frames that lie.

mod assembly;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::headers::{
    AnyLayer, Authentication, Ethernet, Extension, Fragment, Header, Icmp, Ipv4, Ipv6, Layer,
    Pppoe, Sctp, Tag, Tcp, Udp,
};
use crate::link::Mac;

/// 802.1Q.
pub const TPID_CUSTOMER: u16 = 0x8100;
/// 802.1ad.
pub const TPID_SERVICE: u16 = 0x88a8;

/// A frame under construction.
#[derive(Clone, Debug)]
pub struct Packet {
    layers: Vec<AnyLayer>,
    payload: Vec<u8>,
    pad_to: usize,
    patches: Vec<(usize, Vec<u8>)>,
    truncate_to: usize,
}

/// Link, network and what lies between them.
impl Packet {
    /// Begins a frame from `source` to `destination`.
    #[must_use]
    pub fn ethernet(source: Mac, destination: Mac) -> Self {
        let header = Ethernet {
            destination,
            source,
            ether_type: None,
        };
        Self {
            layers: vec![AnyLayer(Layer::Ethernet(header))],
            payload: Vec::new(),
            pad_to: 0,
            patches: Vec::new(),
            truncate_to: usize::MAX,
        }
    }

    /// Adds an 802.1Q tag of priority 0.
    #[must_use]
    pub fn vlan(self, identifier: u16) -> Self {
        self.tag(TPID_CUSTOMER, identifier)
    }

    /// Adds a tag; `control` is priority, drop eligibility and identifier.
    #[must_use]
    pub fn tag(self, tpid: u16, control: u16) -> Self {
        self.layer(Layer::Tag(Tag {
            tpid,
            control,
            ether_type: None,
        }))
    }

    /// Adds a `PPPoE` session header and its PPP protocol number.
    #[must_use]
    pub fn pppoe(self, session: u16) -> Self {
        let header = Pppoe {
            version_type: 0x11,
            code: 0,
            session,
            length: None,
            protocol: None,
        };
        self.layer(Layer::Pppoe(header))
    }

    /// Adds an IPv4 header.
    #[must_use]
    pub fn ipv4(self, source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        self.layer(Layer::Ipv4(Ipv4 {
            source,
            destination,
            version: 4,
            header_words: None,
            tos: 0,
            total_length: None,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            offset: 0,
            ttl: 64,
            protocol: None,
            checksum: None,
            options: Vec::new(),
        }))
    }

    /// Adds an IPv6 header.
    #[must_use]
    pub fn ipv6(self, source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        self.layer(Layer::Ipv6(Ipv6 {
            source,
            destination,
            version: 6,
            traffic_class: 0,
            flow_label: 0,
            payload_length: None,
            next_header: None,
            hop_limit: 64,
        }))
    }

    /// Adds an IPv4 or an IPv6 header, as the addresses are; of two families it takes IPv6, the
    /// IPv4 address mapped.
    #[must_use]
    pub fn ip(self, source: IpAddr, destination: IpAddr) -> Self {
        let mapped = |address| match address {
            IpAddr::V4(address) => Ipv4Addr::to_ipv6_mapped(&address),
            IpAddr::V6(address) => address,
        };
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.ipv4(source, destination),
            (source, destination) => self.ipv6(mapped(source), mapped(destination)),
        }
    }

    /// Adds a hop-by-hop options header of padding: 8 octets and `extra_words` times 8.
    #[must_use]
    pub fn hop_by_hop(self, extra_words: u8) -> Self {
        self.extension(0, padding_options(extra_words))
    }

    /// Adds a destination options header of padding: 8 octets and `extra_words` times 8.
    #[must_use]
    pub fn destination_options(self, extra_words: u8) -> Self {
        self.extension(60, padding_options(extra_words))
    }

    /// Adds a routing header without segments left (type 253, for experiments: RFC 4727).
    #[must_use]
    pub fn routing(self, extra_words: u8) -> Self {
        let mut content = vec![253, 0];
        content.resize(6 + 8 * usize::from(extra_words), 0);
        self.extension(43, content)
    }

    /// Adds an extension header of the common form; `content` follows its first two octets.
    #[must_use]
    pub fn extension(self, number: u8, content: Vec<u8>) -> Self {
        let header = Extension {
            number,
            next_header: None,
            length: None,
            content,
        };
        self.layer(Layer::Extension(header))
    }

    /// Adds an IPv6 fragment header; `offset` in octets, a multiple of 8.
    #[must_use]
    pub fn fragment(self, offset: u16, more_fragments: bool, identification: u32) -> Self {
        let header = Fragment {
            next_header: None,
            offset,
            more_fragments,
            identification,
        };
        self.layer(Layer::Fragment(header))
    }

    /// Adds an authentication header with a check value of 12 octets.
    #[must_use]
    pub fn authentication(self) -> Self {
        self.layer(Layer::Authentication(Authentication {
            next_header: None,
            length: None,
            spi: 0x100,
            sequence: 1,
            check_value: vec![0; 12],
        }))
    }
}

/// Transport, payload and lies.
impl Packet {
    /// Adds a TCP header with ACK set.
    #[must_use]
    pub fn tcp(self, source_port: u16, destination_port: u16) -> Self {
        self.layer(Layer::Tcp(Tcp {
            source_port,
            destination_port,
            sequence: 1,
            acknowledgment: 1,
            data_offset: None,
            flags: 0x10,
            window: 0xffff,
            checksum: None,
            urgent: 0,
            options: Vec::new(),
        }))
    }

    /// Adds a UDP header.
    #[must_use]
    pub fn udp(self, source_port: u16, destination_port: u16) -> Self {
        let header = Udp {
            source_port,
            destination_port,
            length: None,
            checksum: None,
        };
        self.layer(Layer::Udp(header))
    }

    /// Adds an ICMP header.
    #[must_use]
    pub fn icmp(self, kind: u8, code: u8) -> Self {
        let header = Icmp {
            number: 1,
            kind,
            code,
            checksum: None,
            rest: [0; 4],
        };
        self.layer(Layer::Icmp(header))
    }

    /// Adds an `ICMPv6` header.
    #[must_use]
    pub fn icmpv6(self, kind: u8, code: u8) -> Self {
        let header = Icmp {
            number: 58,
            kind,
            code,
            checksum: None,
            rest: [0; 4],
        };
        self.layer(Layer::Icmp(header))
    }

    /// Adds an SCTP common header.
    #[must_use]
    pub fn sctp(self, source_port: u16, destination_port: u16) -> Self {
        let verification_tag = 0x0102_0304;
        let header = Sctp {
            source_port,
            destination_port,
            verification_tag,
            checksum: None,
        };
        self.layer(Layer::Sctp(header))
    }

    /// Says what the payload is: an IP protocol number after an IP header, a PPP protocol number
    /// after `PPPoE`, an ether type after Ethernet or a tag.
    #[must_use]
    pub fn number(self, number: u16) -> Self {
        self.layer(Layer::Number(number))
    }

    /// Sets a payload of `length` octets, counting up.
    #[must_use]
    pub fn payload(self, length: usize) -> Self {
        self.payload_octets((0..length).map(|at| at as u8).collect())
    }

    /// Sets the payload.
    #[must_use]
    pub fn payload_octets(mut self, octets: Vec<u8>) -> Self {
        self.payload = octets;
        self
    }

    /// Changes the last header of a kind: `.with(|ip: &mut Ipv4| ip.total_length = Some(5))`.
    ///
    /// # Panics
    /// When the packet has no such header: the test is wrong.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a fixture without that header is a mistake in a test"
    )]
    pub fn with<H: Header>(mut self, change: impl FnOnce(&mut H)) -> Self {
        let header = self.layers.iter_mut().rev().find_map(H::inside);
        change(header.expect("the packet has no header of that kind"));
        self
    }

    /// Pads the frame with zeros to `length` octets, as a card pads to 60.
    #[must_use]
    pub fn pad_to(mut self, length: usize) -> Self {
        self.pad_to = length;
        self
    }

    /// Overwrites octets of the finished frame; what lies beyond its end is left out.
    #[must_use]
    pub fn patch(mut self, offset: usize, octets: &[u8]) -> Self {
        self.patches.push((offset, octets.to_vec()));
        self
    }

    /// Cuts the finished frame off after `length` octets.
    #[must_use]
    pub fn truncate(mut self, length: usize) -> Self {
        self.truncate_to = length;
        self
    }

    fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(AnyLayer(layer));
        self
    }
}

fn padding_options(extra_words: u8) -> Vec<u8> {
    let length = 6 + 8 * usize::from(extra_words);
    // One PadN option (RFC 8200 §4.2) holds up to 255 octets of padding; 257 with its own two.
    let mut content = Vec::with_capacity(length);
    while content.len() < length {
        let room = length - content.len();
        // A single octet left over would need Pad1, which is a zero.
        let option = if room == 258 { 256 } else { room.min(257) };
        content.extend(if option == 1 {
            vec![0]
        } else {
            vec![1, (option - 2) as u8]
        });
        content.resize(content.len() + option.saturating_sub(2), 0);
    }
    content
}
