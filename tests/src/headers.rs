//! The headers that a packet is built of. Every field can be set; a field of `Option` that is
//! `None` is worked out from what follows, so that a lie has to be told on purpose.
//!
//! Used through [`crate::packet::Packet`].

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::link::Mac;

/// One header.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    Ethernet(Ethernet),
    Tag(Tag),
    Pppoe(Pppoe),
    Ipv4(Ipv4),
    Ipv6(Ipv6),
    Extension(Extension),
    Fragment(Fragment),
    Authentication(Authentication),
    Tcp(Tcp),
    Udp(Udp),
    Icmp(Icmp),
    Sctp(Sctp),
    /// Nothing but the number that the header before shall give what follows.
    Number(u16),
}

/// An Ethernet header.
#[derive(Clone, Debug)]
pub struct Ethernet {
    /// Destination address.
    pub destination: Mac,
    /// Source address.
    pub source: Mac,
    /// What follows.
    pub ether_type: Option<u16>,
}

/// A VLAN tag.
#[derive(Clone, Debug)]
pub struct Tag {
    /// 0x8100 (802.1Q) or 0x88a8 (802.1ad), or a lie.
    pub tpid: u16,
    /// Priority, drop eligibility and the 12 bits of the identifier.
    pub control: u16,
    /// What follows.
    pub ether_type: Option<u16>,
}

/// A `PPPoE` session header with the PPP protocol number (RFC 2516).
#[derive(Clone, Debug)]
pub struct Pppoe {
    /// Version and type: 0x11.
    pub version_type: u8,
    /// 0 for session data.
    pub code: u8,
    /// Session identifier.
    pub session: u16,
    /// Octets that follow the 6 of the `PPPoE` header.
    pub length: Option<u16>,
    /// PPP protocol number.
    pub protocol: Option<u16>,
}

/// An IPv4 header (RFC 791).
#[derive(Clone, Debug)]
pub struct Ipv4 {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// The version field: 4.
    pub version: u8,
    /// Header length in words of 4 octets.
    pub header_words: Option<u8>,
    /// Type of service.
    pub tos: u8,
    /// Octets of header and payload.
    pub total_length: Option<u16>,
    /// Identification, shared by the fragments of a packet.
    pub identification: u16,
    /// Don't-fragment bit.
    pub dont_fragment: bool,
    /// More-fragments bit.
    pub more_fragments: bool,
    /// Fragment offset in octets, a multiple of 8.
    pub offset: u16,
    /// Time to live.
    pub ttl: u8,
    /// What follows.
    pub protocol: Option<u8>,
    /// Header checksum.
    pub checksum: Option<u16>,
    /// Options; padded with End of Option List to a whole word.
    pub options: Vec<u8>,
}

/// An IPv6 header (RFC 8200 §3).
#[derive(Clone, Debug)]
pub struct Ipv6 {
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// The version field: 6.
    pub version: u8,
    /// Traffic class.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Octets after this header.
    pub payload_length: Option<u16>,
    /// What follows.
    pub next_header: Option<u8>,
    /// Hop limit.
    pub hop_limit: u8,
}

/// An IPv6 extension header of the common form: hop-by-hop, routing, destination options.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Its own number: 0, 43 or 60, or another of that form.
    pub number: u8,
    /// What follows.
    pub next_header: Option<u8>,
    /// Length in units of 8 octets, without the first 8.
    pub length: Option<u8>,
    /// What comes after the two fields above; 6 octets, or 6 and a multiple of 8.
    pub content: Vec<u8>,
}

/// An IPv6 fragment header (RFC 8200 §4.5).
#[derive(Clone, Debug)]
pub struct Fragment {
    /// What follows (in a later fragment: what the first one begins with).
    pub next_header: Option<u8>,
    /// Fragment offset in octets, a multiple of 8.
    pub offset: u16,
    /// More-fragments bit.
    pub more_fragments: bool,
    /// Identification.
    pub identification: u32,
}

/// An authentication header (RFC 4302).
#[derive(Clone, Debug)]
pub struct Authentication {
    /// What follows.
    pub next_header: Option<u8>,
    /// Length in words of 4 octets, less 2.
    pub length: Option<u8>,
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
    /// Integrity check value; a multiple of 4 octets.
    pub check_value: Vec<u8>,
}

/// A TCP header (RFC 9293).
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Header length in words of 4 octets.
    pub data_offset: Option<u8>,
    /// Control bits: 0x02 is SYN, 0x10 is ACK.
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Checksum.
    pub checksum: Option<u16>,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options; padded with End of Option List to a whole word.
    pub options: Vec<u8>,
}

/// A UDP header (RFC 768).
#[derive(Clone, Debug)]
pub struct Udp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Octets of header and data.
    pub length: Option<u16>,
    /// Checksum; 0 is none.
    pub checksum: Option<u16>,
}

/// An ICMP or `ICMPv6` header (RFC 792, RFC 4443); which of them, the IP header before decides.
#[derive(Clone, Debug)]
pub struct Icmp {
    /// 1 is ICMP, 58 `ICMPv6`.
    pub number: u8,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum.
    pub checksum: Option<u16>,
    /// The second word, such as identifier and sequence number.
    pub rest: [u8; 4],
}

/// An SCTP common header (RFC 9260 §3.1); the chunks are the payload.
#[derive(Clone, Debug)]
pub struct Sctp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Verification tag.
    pub verification_tag: u32,
    /// `CRC32c` as it stands on the wire.
    pub checksum: Option<[u8; 4]>,
}

/// A header that [`crate::packet::Packet::with`] can change.
pub trait Header: Sized {
    /// Returns the header inside a layer, when it is of this kind.
    #[doc(hidden)]
    fn inside(layer: &mut AnyLayer) -> Option<&mut Self>;
}

/// A layer of any kind, opaque outside the packet builder.
#[derive(Clone, Debug)]
pub struct AnyLayer(pub(crate) Layer);

macro_rules! headers {
    ($($kind:ident),*) => {
        $(impl Header for $kind {
            fn inside(layer: &mut AnyLayer) -> Option<&mut Self> {
                match &mut layer.0 {
                    Layer::$kind(header) => Some(header),
                    _ => None,
                }
            }
        })*
    };
}

headers!(Ethernet, Tag, Pppoe, Ipv4, Ipv6, Extension, Fragment);
headers!(Authentication, Tcp, Udp, Icmp, Sctp);
