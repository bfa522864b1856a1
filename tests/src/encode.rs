//! How headers become octets: lengths, numbers of what follows and checksums are worked out here
//! wherever a header doesn't set them.
//!
//! Headers from `headers`; called by `packet`, from the innermost header outwards.

use std::net::IpAddr;

use crate::checksum;
use crate::headers::{
    Authentication, Ethernet, Extension, Fragment, Icmp, Ipv4, Ipv6, Layer, Pppoe, Sctp, Tag, Tcp,
    Udp,
};

/// What a header needs to know of its surroundings to fill its fields in.
pub(crate) struct Around<'a> {
    /// The layer that follows.
    pub(crate) next: Option<&'a Layer>,
    /// The octets that follow, all layers and the payload.
    pub(crate) body: &'a [u8],
    /// Source and destination of the nearest IP header before.
    pub(crate) addresses: Option<(IpAddr, IpAddr)>,
}

impl Layer {
    pub(crate) fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        match self {
            Self::Ethernet(header) => header.encode(around),
            Self::Tag(header) => header.encode(around),
            Self::Pppoe(header) => header.encode(around),
            Self::Ipv4(header) => header.encode(around),
            Self::Ipv6(header) => header.encode(around),
            Self::Extension(header) => header.encode(around),
            Self::Fragment(header) => header.encode(around),
            Self::Authentication(header) => header.encode(around),
            Self::Tcp(header) => header.encode(around),
            Self::Udp(header) => header.encode(around),
            Self::Icmp(header) => header.encode(around),
            Self::Sctp(header) => header.encode(around),
            Self::Number(_) => Vec::new(),
        }
    }

    /// Source and destination, when this is an IP header.
    pub(crate) fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match self {
            Self::Ipv4(ip) => Some((ip.source.into(), ip.destination.into())),
            Self::Ipv6(ip) => Some((ip.source.into(), ip.destination.into())),
            _ => None,
        }
    }

    fn ether_type(&self) -> u16 {
        match self {
            Self::Tag(tag) => tag.tpid,
            Self::Pppoe(_) => 0x8864,
            Self::Ipv4(_) => 0x0800,
            Self::Ipv6(_) => 0x86dd,
            Self::Number(number) => *number,
            // An Ethernet frame in an Ethernet frame: no number of its own, a local experiment's.
            _ => 0x88b5,
        }
    }

    fn ppp_protocol(&self) -> u16 {
        match self {
            Self::Ipv4(_) => 0x0021,
            Self::Ipv6(_) => 0x0057,
            Self::Number(number) => *number,
            _ => 0,
        }
    }

    pub(crate) fn protocol(&self) -> u8 {
        match self {
            Self::Ipv4(_) => 4,
            Self::Ipv6(_) => 41,
            Self::Extension(extension) => extension.number,
            Self::Fragment(_) => 44,
            Self::Authentication(_) => 51,
            Self::Tcp(_) => 6,
            Self::Udp(_) => 17,
            Self::Icmp(icmp) => icmp.number,
            Self::Sctp(_) => 132,
            Self::Ethernet(_) => 143,
            Self::Tag(_) | Self::Pppoe(_) => NO_NEXT_HEADER,
            Self::Number(number) => *number as u8,
        }
    }
}

/// RFC 8200 §4.7.
const NO_NEXT_HEADER: u8 = 59;

impl Around<'_> {
    fn protocol(&self) -> u8 {
        self.next.map_or(NO_NEXT_HEADER, Layer::protocol)
    }

    /// 0xffff, which is reserved, when nothing says what follows.
    fn ether_type(&self) -> u16 {
        self.next.map_or(0xffff, Layer::ether_type)
    }

    /// The checksum over `header` and what follows, under the pseudo-header of `protocol`.
    fn transport_checksum(&self, header: &[u8], protocol: u8) -> u16 {
        let Some((source, destination)) = self.addresses else {
            return 0;
        };
        let length = header.len() + self.body.len();
        let pseudo = checksum::pseudo_header(source, destination, protocol, length);
        checksum::internet(&[&pseudo, header, self.body])
    }
}

impl Ethernet {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let ether_type = self.ether_type.unwrap_or_else(|| around.ether_type());
        [
            &self.destination.0[..],
            &self.source.0,
            &ether_type.to_be_bytes(),
        ]
        .concat()
    }
}

impl Tag {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let ether_type = self.ether_type.unwrap_or_else(|| around.ether_type());
        // The tag protocol identifier itself is the ether type of the header before.
        [self.control.to_be_bytes(), ether_type.to_be_bytes()].concat()
    }
}

impl Pppoe {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let length = self.length.unwrap_or(around.body.len() as u16 + 2);
        let following = || around.next.map_or(0, Layer::ppp_protocol);
        let protocol = self.protocol.unwrap_or_else(following);
        let mut octets = vec![self.version_type, self.code];
        octets.extend(self.session.to_be_bytes());
        octets.extend(length.to_be_bytes());
        octets.extend(protocol.to_be_bytes());
        octets
    }
}

impl Ipv4 {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let options = padded(&self.options, 4);
        let length = 20 + options.len();
        let total = self
            .total_length
            .unwrap_or((length + around.body.len()) as u16);
        let words = self.header_words.unwrap_or((length / 4) as u8);
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        let mut octets = vec![self.version << 4 | words & 0x0f, self.tos];
        octets.extend(total.to_be_bytes());
        octets.extend(self.identification.to_be_bytes());
        octets.extend((flags | (self.offset / 8)).to_be_bytes());
        octets.extend([
            self.ttl,
            self.protocol.unwrap_or_else(|| around.protocol()),
            0,
            0,
        ]);
        octets.extend(self.source.octets());
        octets.extend(self.destination.octets());
        octets.extend(options);
        let checksum = self
            .checksum
            .unwrap_or_else(|| checksum::internet(&[&octets]));
        octets[10..12].copy_from_slice(&checksum.to_be_bytes());
        octets
    }
}

impl Ipv6 {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let first_word = u32::from(self.version) << 28
            | u32::from(self.traffic_class) << 20
            | self.flow_label & 0x000f_ffff;
        let length = self.payload_length.unwrap_or(around.body.len() as u16);
        let next_header = self.next_header.unwrap_or_else(|| around.protocol());
        let mut octets = first_word.to_be_bytes().to_vec();
        octets.extend(length.to_be_bytes());
        octets.extend([next_header, self.hop_limit]);
        octets.extend(self.source.octets());
        octets.extend(self.destination.octets());
        octets
    }
}

impl Extension {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let length = self
            .length
            .unwrap_or(((self.content.len() + 2) / 8 - 1) as u8);
        let mut octets = vec![
            self.next_header.unwrap_or_else(|| around.protocol()),
            length,
        ];
        octets.extend(&self.content);
        octets
    }
}

impl Fragment {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let mut octets = vec![self.next_header.unwrap_or_else(|| around.protocol()), 0];
        octets.extend((self.offset & !7 | u16::from(self.more_fragments)).to_be_bytes());
        octets.extend(self.identification.to_be_bytes());
        octets
    }
}

impl Authentication {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        // RFC 4302 §2.2: words of the whole header less 2; 12 octets are fixed.
        let length = self
            .length
            .unwrap_or((self.check_value.len() / 4 + 1) as u8);
        let next_header = self.next_header.unwrap_or_else(|| around.protocol());
        let mut octets = vec![next_header, length, 0, 0];
        octets.extend(self.spi.to_be_bytes());
        octets.extend(self.sequence.to_be_bytes());
        octets.extend(&self.check_value);
        octets
    }
}

impl Tcp {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let options = padded(&self.options, 4);
        let words = self.data_offset.unwrap_or(((20 + options.len()) / 4) as u8);
        let mut octets = self.source_port.to_be_bytes().to_vec();
        octets.extend(self.destination_port.to_be_bytes());
        octets.extend(self.sequence.to_be_bytes());
        octets.extend(self.acknowledgment.to_be_bytes());
        octets.extend([words << 4, self.flags]);
        octets.extend(self.window.to_be_bytes());
        octets.extend([0, 0]);
        octets.extend(self.urgent.to_be_bytes());
        octets.extend(options);
        let checksum = self
            .checksum
            .unwrap_or_else(|| around.transport_checksum(&octets, 6));
        octets[16..18].copy_from_slice(&checksum.to_be_bytes());
        octets
    }
}

impl Udp {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let length = self.length.unwrap_or(8 + around.body.len() as u16);
        let mut octets = self.source_port.to_be_bytes().to_vec();
        octets.extend(self.destination_port.to_be_bytes());
        octets.extend(length.to_be_bytes());
        octets.extend([0, 0]);
        let worked_out = || match around.transport_checksum(&octets, 17) {
            // RFC 768: zero would mean that there is none.
            0 => 0xffff,
            sum => sum,
        };
        let checksum = self.checksum.unwrap_or_else(worked_out);
        octets[6..8].copy_from_slice(&checksum.to_be_bytes());
        octets
    }
}

impl Icmp {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let mut octets = vec![self.kind, self.code, 0, 0];
        octets.extend(self.rest);
        let worked_out = || match around.addresses {
            Some((IpAddr::V6(_), _)) => around.transport_checksum(&octets, self.number),
            _ => checksum::internet(&[&octets, around.body]),
        };
        let checksum = self.checksum.unwrap_or_else(worked_out);
        octets[2..4].copy_from_slice(&checksum.to_be_bytes());
        octets
    }
}

impl Sctp {
    fn encode(&self, around: &Around<'_>) -> Vec<u8> {
        let mut octets = self.source_port.to_be_bytes().to_vec();
        octets.extend(self.destination_port.to_be_bytes());
        octets.extend(self.verification_tag.to_be_bytes());
        octets.extend([0; 4]);
        let worked_out = || checksum::crc32c(&[&octets, around.body]);
        let checksum = self.checksum.unwrap_or_else(worked_out);
        octets[8..12].copy_from_slice(&checksum);
        octets
    }
}

fn padded(options: &[u8], unit: usize) -> Vec<u8> {
    let mut octets = options.to_vec();
    octets.resize(octets.len().next_multiple_of(unit), 0);
    octets
}
