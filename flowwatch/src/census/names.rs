//! What devices are called: the names in frames of DHCP, DHCPv6 and multicast DNS.
//!
//! Names are a stranger's: texts are kept as they were sent, up to a bound, and escaped by formats.

use flowwatch_common::abi::Direction;
use flowwatch_common::bytes::PacketBytes as _;
use flowwatch_common::census::MDNS_PORT;
use flowwatch_common::parse::{FrameInfo, Packet, parse_packet};
use flowwatch_common::wire::dns;
use flowwatch_common::wire::transport::UDP_HEADER_LENGTH;
use flowwatch_common::wire::{dhcp, dhcpv6, ethernet};

/// The octets that are kept of a name: those of the longest domain name.
const MAX_NAME: usize = 255;
/// Offset of a frame's source address.
const SOURCE: usize = 6;
/// The records of a multicast message that are looked at.
const MAX_RECORDS: usize = 64;

/// Who says what a device is called, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostnameSource {
    /// A DHCP server's file of leases.
    Lease,
    /// The device, to a DHCP server.
    Dhcp,
    /// The device, to a DHCPv6 server.
    Dhcpv6,
    /// The device, to everybody.
    Mdns,
}

impl HostnameSource {
    /// Returns the source's name in every format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Dhcp => "dhcp",
            Self::Dhcpv6 => "dhcpv6",
            Self::Mdns => "mdns",
        }
    }
}

/// What a device is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname {
    /// The name, unescaped.
    pub text: String,
    /// Who says so.
    pub source: HostnameSource,
}

impl Hostname {
    /// Returns the name in some octets; nothing where there is none.
    pub(super) fn of_octets(octets: &[u8], source: HostnameSource) -> Option<Self> {
        // Some clients send C's terminator, too.
        let end = octets.iter().position(|octet| *octet == 0);
        let octets = octets.get(..end.unwrap_or(octets.len()))?;
        let text = String::from_utf8_lossy(octets.get(..MAX_NAME).unwrap_or(octets));
        Self::of_text(&text, source)
    }

    pub(super) fn of_text(text: &str, source: HostnameSource) -> Option<Self> {
        let text = text.trim().trim_end_matches('.');
        (!text.is_empty()).then(|| Self {
            text: text.to_owned(),
            source,
        })
    }
}

/// Returns the names in a frame of `length` octets on the wire, and whose they are.
pub(super) fn in_frame(octets: &[u8], length: u32) -> Option<([u8; 6], Hostname)> {
    let frame = FrameInfo {
        length,
        ..FrameInfo::default()
    };
    let header = ethernet::parse(octets).ok()?;
    let sender = octets.octets(SOURCE)?;
    let packet = parse_packet(octets, &header, &frame, Direction::Down).ok()?;
    let start = (packet.transport_offset + UDP_HEADER_LENGTH) as usize;
    let end = (packet.ip_offset + packet.octets) as usize;
    let payload = octets.get(start..end.min(octets.len()))?;
    match (packet.remote_port, packet.local_port) {
        (_, dhcp::SERVER_PORT) | (dhcp::SERVER_PORT, _) => in_dhcp(payload),
        (_, dhcpv6::SERVER_PORT) => {
            let name = in_dhcpv6(payload)?;
            Some((sender, name))
        }
        (MDNS_PORT, _) => Some((sender, in_mdns(payload, &packet)?)),
        _ => None,
    }
}

/// The client that a message is from or for: a relay's messages have its own address as sender.
fn in_dhcp(payload: &[u8]) -> Option<([u8; 6], Hostname)> {
    let message = dhcp::Message::parse(payload).ok()?;
    // A server's answer may say what it calls the client.
    let name = message.host_name();
    let name = name.and_then(|octets| Hostname::of_octets(octets, HostnameSource::Dhcp));
    let full = || {
        let full = message.client_fqdn()?.to_string();
        Hostname::of_text(&full, HostnameSource::Dhcp)
    };
    Some((message.hardware_address()?, name.or_else(full)?))
}

fn in_dhcpv6(payload: &[u8]) -> Option<Hostname> {
    let message = dhcpv6::Message::parse(payload).ok()?;
    let name = message.client_fqdn()?.to_string();
    Hostname::of_text(&name, HostnameSource::Dhcpv6)
}

/// The name that a responder gives to the very address that it sends from (RFC 6762 §10).
fn in_mdns(payload: &[u8], packet: &Packet) -> Option<Hostname> {
    let message = dns::Message::parse(payload).ok()?;
    if !message.header().is_response() {
        return None;
    }
    let from = packet.key(0).remote_address();
    let records = message.records().ok()?.map_while(Result::ok);
    let mut records = records.take(MAX_RECORDS);
    let own = records.find(|record| record.multicast_address() == Some(from))?;
    let name = own.owner.to_string();
    let is_local = name.len() > 6 && name.is_char_boundary(name.len() - 6);
    let name = match is_local.then(|| name.split_at(name.len() - 6)) {
        Some((host, domain)) if domain.eq_ignore_ascii_case(".local") => host,
        _ => &name,
    };
    Hostname::of_text(name, HostnameSource::Mdns)
}
