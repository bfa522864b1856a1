//! DHCPv6 messages between clients and servers: who the client is, its name, and the name servers.
//!
//! Made of a datagram's payload, from or to UDP port 546 or 547; read like `dhcp`. RFC 8415 §8
//! (messages), §11 (DUIDs), §21 (options), RFC 3646 (name servers), RFC 4704 (client FQDN).
//!
//! Relays' messages have another header, and pass between relay and server alone: they are refused.

use core::fmt;
use core::net::Ipv6Addr;

use super::dhcp::ClientName;

/// Octets of the message type and the transaction number.
pub const HEADER_LENGTH: usize = 4;
/// The client's UDP port (RFC 8415 §7.2).
pub const CLIENT_PORT: u16 = 546;
/// The server's UDP port.
pub const SERVER_PORT: u16 = 547;

/// The codes of the options that are read here.
pub mod option {
    /// The client's DUID (RFC 8415 §21.2).
    pub const CLIENT_IDENTIFIER: u16 = 1;
    /// Addresses of name servers (RFC 3646 §3).
    pub const DNS_SERVERS: u16 = 23;
    /// The client's fully qualified domain name (RFC 4704 §4).
    pub const CLIENT_FQDN: u16 = 39;
}

/// A relay's messages (RFC 8415 §7.3).
const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;
/// Kinds of DUID that hold a link-layer address: with a time, and without (RFC 8415 §11.2, §11.4).
const DUID_LLT: [u8; 2] = [0, 1];
const DUID_LL: [u8; 2] = [0, 3];
/// Ethernet (IANA's hardware types).
const ETHERNET: [u8; 2] = [0, 1];

/// Why a message, or what follows in it, can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dhcpv6Error {
    /// The octets end before what they announce.
    Truncated,
    /// It is between a relay and a server.
    Relayed,
}

impl fmt::Display for Dhcpv6Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the DHCPv6 message ends before what it announces",
            Self::Relayed => "the DHCPv6 message is between a relay and a server",
        })
    }
}

impl core::error::Error for Dhcpv6Error {}

/// A view over a message's octets.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    message_type: u8,
    options: &'a [u8],
}

impl<'a> Message<'a> {
    /// Looks at the header; options are read when asked for.
    ///
    /// # Errors
    /// `Truncated` below [`HEADER_LENGTH`] octets, `Relayed`.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Dhcpv6Error> {
        match octets {
            [RELAY_FORWARD | RELAY_REPLY, ..] => Err(Dhcpv6Error::Relayed),
            [message_type, _, _, _, options @ ..] => Ok(Self {
                message_type: *message_type,
                options,
            }),
            _ => Err(Dhcpv6Error::Truncated),
        }
    }

    /// Returns the message type (RFC 8415 §7.3): 1 SOLICIT, 3 REQUEST, 7 REPLY, …
    #[must_use]
    pub const fn message_type(&self) -> u8 {
        self.message_type
    }

    /// Returns the options, one after the other; an error is the last.
    #[must_use]
    pub const fn options(&self) -> Options<'a> {
        Options { rest: self.options }
    }

    /// Returns the data of the first option with this code, as far as the options can be read.
    #[must_use]
    pub fn option(&self, code: u16) -> Option<&'a [u8]> {
        self.options()
            .map_while(Result::ok)
            .find(|option| option.code == code)
            .map(|option| option.data)
    }

    /// Returns the MAC address in the client's DUID, where there is one. It tells the machine: one
    /// with several interfaces sends the address of one of them on all.
    #[must_use]
    pub fn hardware_address(&self) -> Option<[u8; 6]> {
        let [k0, k1, h0, h1, rest @ ..] = self.option(option::CLIENT_IDENTIFIER)? else {
            return None;
        };
        let address = match [*k0, *k1] {
            DUID_LLT => rest.get(4..)?,
            DUID_LL => rest,
            _ => return None,
        };
        let is_ethernet = [*h0, *h1] == ETHERNET;
        address.try_into().ok().filter(|_| is_ethernet)
    }

    /// Returns the client's domain name of option 39, unless it can't be read.
    #[must_use]
    pub fn client_fqdn(&self) -> Option<ClientName<'a>> {
        let (_flags, labels) = self.option(option::CLIENT_FQDN)?.split_first()?;
        ClientName::of_labels(labels)
    }

    /// Returns the name servers that the server names; nothing where it names none.
    pub fn dns_servers(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        let data = self.option(option::DNS_SERVERS).unwrap_or_default();
        let (addresses, _) = data.as_chunks::<16>();
        addresses.iter().map(|octets| Ipv6Addr::from(*octets))
    }
}

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dhcpv6Option<'a> {
    /// Its code.
    pub code: u16,
    /// Its data.
    pub data: &'a [u8],
}

/// A message's options, one after the other; an error is the last.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<Dhcpv6Option<'a>, Dhcpv6Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let rest = core::mem::take(&mut self.rest);
        let [c0, c1, l0, l1, rest @ ..] = rest else {
            return Some(Err(Dhcpv6Error::Truncated));
        };
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some((data, rest)) = rest.split_at_checked(length) else {
            return Some(Err(Dhcpv6Error::Truncated));
        };
        self.rest = rest;
        let code = u16::from_be_bytes([*c0, *c1]);
        Some(Ok(Dhcpv6Option { code, data }))
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    /// A SOLICIT with a DUID-LLT and a partial name, and what a server would add.
    const SOLICIT: &[u8] = b"\x01\x10\x08\x74\
        \x00\x01\x00\x0e\x00\x01\x00\x01\x1c\x38\x25\xe8\x2c\xaa\x8e\x01\x02\x03\
        \x00\x27\x00\x05\x00\x03cam\
        \x00\x17\x00\x10\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x53";

    #[test]
    fn a_solicitation_says_who_asks() {
        let message = Message::parse(SOLICIT).unwrap();
        assert_eq!(message.message_type(), 1);
        let mac = [0x2c, 0xaa, 0x8e, 1, 2, 3];
        assert_eq!(message.hardware_address(), Some(mac));
        assert_eq!(message.client_fqdn().unwrap().to_string(), "cam");
        let servers: Vec<_> = message.dns_servers().collect();
        assert_eq!(servers, ["2001:db8::53".parse::<Ipv6Addr>().unwrap()]);
        assert_eq!(message.options().flatten().count(), 3);
    }

    #[test]
    fn only_duids_with_an_ethernet_address_have_one() {
        let address = |duid: &[u8]| {
            let header = [1, 0, 0, 0, 0, 1, 0, duid.len() as u8];
            let octets = [&header[..], duid].concat();
            Message::parse(&octets).unwrap().hardware_address()
        };
        let link_layer = [0, 3, 0, 1, 2, 0, 0, 0, 0, 9];
        assert_eq!(address(&link_layer), Some([2, 0, 0, 0, 0, 9]));
        assert_eq!(address(&link_layer[..9]), None);
        assert_eq!(address(&[0, 3, 0, 32, 2, 0, 0, 0, 0, 9]), None);
        assert_eq!(address(&[0, 2, 0, 1, 2, 0, 0, 0, 0, 9]), None, "a vendor's");
        assert_eq!(address(&[0, 1, 0, 1, 0, 0]), None);
    }

    #[test]
    fn what_is_cut_short_or_relayed_is_refused() {
        let refusal = |octets: &[u8]| Message::parse(octets).err();
        assert_eq!(refusal(&[1, 0, 0]), Some(Dhcpv6Error::Truncated));
        assert_eq!(refusal(&[]), Some(Dhcpv6Error::Truncated));
        assert_eq!(refusal(&[12, 0, 0, 0]), Some(Dhcpv6Error::Relayed));
        assert_eq!(refusal(&[13, 0, 0, 0]), Some(Dhcpv6Error::Relayed));
        let cut = Message::parse(&SOLICIT[..30]).unwrap();
        let read: Vec<_> = cut.options().collect();
        assert_eq!(read.last(), Some(&Err(Dhcpv6Error::Truncated)));
        assert_eq!((read.len(), cut.client_fqdn()), (2, None));
    }
}
