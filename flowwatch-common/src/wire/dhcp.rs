//! DHCP messages: the fixed part, and the options that say who a client is and whom it may ask.
//!
//! Made of a datagram's payload, from or to UDP port 67 or 68; read by `flowwatch::census` and by
//! what wants to know the name servers that a network gave. RFC 2131 §2 (messages), RFC 2132
//! (options), RFC 4702 (client FQDN).
//!
//! Whatever the octets say, reading them ends: an option takes at least one octet, and each of the
//! three fields that may hold options is read once. Nothing here judges content.

use core::fmt;
use core::net::Ipv4Addr;

use super::dns::write_label;

/// Octets of the fixed part, the magic cookie included: the options begin behind it.
pub const HEADER_LENGTH: usize = 240;
/// The server's UDP port (RFC 2131 §4.1).
pub const SERVER_PORT: u16 = 67;
/// The client's UDP port.
pub const CLIENT_PORT: u16 = 68;

/// A message from a client (RFC 2131 §2, `op`).
pub const BOOT_REQUEST: u8 = 1;
/// A message to a client.
pub const BOOT_REPLY: u8 = 2;

/// The values of option 53 (RFC 2132 §9.6).
pub mod message_type {
    /// A client looks for servers.
    pub const DISCOVER: u8 = 1;
    /// A server offers an address.
    pub const OFFER: u8 = 2;
    /// A client takes an offer, or confirms or renews what it has.
    pub const REQUEST: u8 = 3;
    /// A client found the address taken.
    pub const DECLINE: u8 = 4;
    /// A server hands out the address.
    pub const ACK: u8 = 5;
    /// A server refuses.
    pub const NAK: u8 = 6;
    /// A client gives the address back.
    pub const RELEASE: u8 = 7;
    /// A client has an address and asks for the rest.
    pub const INFORM: u8 = 8;
}

/// The codes of the options that are read here (RFC 2132; 81 is RFC 4702).
pub mod option {
    /// Fills up; has no length.
    pub const PAD: u8 = 0;
    /// Addresses of name servers.
    pub const DNS_SERVERS: u8 = 6;
    /// The client's name, as it says.
    pub const HOST_NAME: u8 = 12;
    /// The address that the client would like to have.
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// Which of the fields `sname` and `file` hold options.
    pub const OVERLOAD: u8 = 52;
    /// The kind of message: [`super::message_type`].
    pub const MESSAGE_TYPE: u8 = 53;
    /// The server that the message is from or meant for.
    pub const SERVER_IDENTIFIER: u8 = 54;
    /// The codes of the options that the client asks for.
    pub const PARAMETER_REQUEST_LIST: u8 = 55;
    /// The vendor and kind of the client, as it says.
    pub const VENDOR_CLASS: u8 = 60;
    /// What the client is known by, mostly 1 and its MAC address.
    pub const CLIENT_IDENTIFIER: u8 = 61;
    /// The client's fully qualified domain name.
    pub const CLIENT_FQDN: u8 = 81;
    /// Ends the options of a field; has no length.
    pub const END: u8 = 255;
}

/// Ethernet (IANA's hardware types).
const ETHERNET: u8 = 1;
/// What tells DHCP's options from BOOTP's vendor area (RFC 2131 §3).
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
const HARDWARE_ADDRESS: usize = 28;
const SERVER_NAME: core::ops::Range<usize> = 44..108;
const FILE: core::ops::Range<usize> = 108..236;

/// Why a message, or what follows in it, can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DhcpError {
    /// The octets end before what they announce.
    Truncated,
    /// The magic cookie is not there.
    NoCookie,
}

impl fmt::Display for DhcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the DHCP message ends before what it announces",
            Self::NoCookie => "the message has no DHCP options",
        })
    }
}

impl core::error::Error for DhcpError {}

/// A view over a message's octets, whose fixed part is whole.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: &'a [u8; HEADER_LENGTH],
    options: &'a [u8],
}

impl<'a> Message<'a> {
    /// Looks at the fixed part; options are read when asked for.
    ///
    /// # Errors
    /// `Truncated` below [`HEADER_LENGTH`] octets, `NoCookie` for what is BOOTP alone or neither.
    pub fn parse(octets: &'a [u8]) -> Result<Self, DhcpError> {
        let (header, options) = octets.split_first_chunk().ok_or(DhcpError::Truncated)?;
        if !header.ends_with(&MAGIC_COOKIE) {
            return Err(DhcpError::NoCookie);
        }
        Ok(Self { header, options })
    }

    /// Returns [`BOOT_REQUEST`], [`BOOT_REPLY`], or what else stands there.
    #[must_use]
    pub const fn operation(&self) -> u8 {
        self.header[0]
    }

    /// Returns the number that the messages of one conversation share (`xid`).
    #[must_use]
    pub fn transaction(&self) -> u32 {
        u32::from_be_bytes(self.octets_at(4))
    }

    /// Returns the address that the client has already (`ciaddr`); 0.0.0.0 when it has none.
    #[must_use]
    pub fn client_address(&self) -> Ipv4Addr {
        self.octets_at(12).into()
    }

    /// Returns the address that the server gives the client (`yiaddr`); 0.0.0.0 where it gives none.
    #[must_use]
    pub fn your_address(&self) -> Ipv4Addr {
        self.octets_at(16).into()
    }

    /// Returns the client's MAC address (`chaddr`), where its network is of Ethernet's kind.
    #[must_use]
    pub fn hardware_address(&self) -> Option<[u8; 6]> {
        let [_, kind, length, ..] = *self.header;
        (kind == ETHERNET && length == 6).then(|| self.octets_at(HARDWARE_ADDRESS))
    }

    /// Returns the options, in the order of RFC 2131 §4.1: those of the options field, then, where
    /// one of them says that there are more, those of `file` and of `sname`.
    #[must_use]
    pub fn options(&self) -> Options<'a> {
        Options {
            rest: self.options,
            file: self.header.get(FILE).unwrap_or_default(),
            server_name: self.header.get(SERVER_NAME).unwrap_or_default(),
            overload: 0,
            is_first_field: true,
        }
    }

    /// Returns the data of the first option with this code, as far as the options can be read.
    #[must_use]
    pub fn option(&self, code: u8) -> Option<&'a [u8]> {
        self.options()
            .map_while(Result::ok)
            .find(|option| option.code == code)
            .map(|option| option.data)
    }

    /// Returns the kind of message, of [`message_type`].
    #[must_use]
    pub fn message_type(&self) -> Option<u8> {
        self.option(option::MESSAGE_TYPE)?.first().copied()
    }

    /// Returns the name servers that the server names; nothing where it names none.
    pub fn dns_servers(&self) -> impl Iterator<Item = Ipv4Addr> + use<'a> {
        let data = self.option(option::DNS_SERVERS).unwrap_or_default();
        let (addresses, _) = data.as_chunks::<4>();
        addresses.iter().map(|octets| Ipv4Addr::from(*octets))
    }

    /// Returns the client's name as it stands in option 12: octets from a stranger.
    #[must_use]
    pub fn host_name(&self) -> Option<&'a [u8]> {
        self.option(option::HOST_NAME)
    }

    /// Returns the address that the client would like to have.
    #[must_use]
    pub fn requested_address(&self) -> Option<Ipv4Addr> {
        self.address(option::REQUESTED_ADDRESS)
    }

    /// Returns the address of the server that the message is from or meant for.
    #[must_use]
    pub fn server_identifier(&self) -> Option<Ipv4Addr> {
        self.address(option::SERVER_IDENTIFIER)
    }

    /// Returns the codes of the options that the client asks for.
    #[must_use]
    pub fn parameter_request_list(&self) -> Option<&'a [u8]> {
        self.option(option::PARAMETER_REQUEST_LIST)
    }

    /// Returns the vendor class (option 60): octets from a stranger.
    #[must_use]
    pub fn vendor_class(&self) -> Option<&'a [u8]> {
        self.option(option::VENDOR_CLASS)
    }

    /// Returns the client identifier (option 61): octets from a stranger.
    #[must_use]
    pub fn client_identifier(&self) -> Option<&'a [u8]> {
        self.option(option::CLIENT_IDENTIFIER)
    }

    /// Returns the client's domain name of option 81 (RFC 4702), unless it can't be read.
    #[must_use]
    pub fn client_fqdn(&self) -> Option<ClientName<'a>> {
        ClientName::of_option_81(self.option(option::CLIENT_FQDN)?)
    }

    fn address(&self, code: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.option(code)?.try_into().ok()?;
        Some(octets.into())
    }

    fn octets_at<const N: usize>(&self, at: usize) -> [u8; N] {
        let octets = self.header.get(at..).and_then(|rest| rest.first_chunk());
        octets.copied().unwrap_or([0; N])
    }
}

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpOption<'a> {
    /// Its code.
    pub code: u8,
    /// Its data, up to 255 octets. One that was split in several (RFC 3396) comes as several.
    pub data: &'a [u8],
}

/// A message's options, one after the other; an error is the last.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
    file: &'a [u8],
    server_name: &'a [u8],
    overload: u8,
    is_first_field: bool,
}

impl<'a> Options<'a> {
    /// Takes an option of the field that is being read; nothing at its end.
    fn take(&mut self) -> Option<Result<DhcpOption<'a>, DhcpError>> {
        loop {
            let (&code, rest) = self.rest.split_first()?;
            self.rest = rest;
            match code {
                option::PAD => {}
                option::END => {
                    self.rest = &[];
                    return None;
                }
                _ => return Some(self.take_data().map(|data| DhcpOption { code, data })),
            }
        }
    }

    fn take_data(&mut self) -> Result<&'a [u8], DhcpError> {
        let split = self
            .rest
            .split_first()
            .and_then(|(&length, rest)| rest.split_at_checked(usize::from(length)));
        let Some((data, rest)) = split else {
            // Where this field's next option is can't be told, and so whether there are others.
            *self = Self {
                rest: &[],
                overload: 0,
                ..*self
            };
            return Err(DhcpError::Truncated);
        };
        self.rest = rest;
        Ok(data)
    }

    /// Goes to the next field that was said to hold options; nothing behind the last.
    fn next_field(&mut self) -> Option<()> {
        self.is_first_field = false;
        (self.rest, self.overload) = match self.overload {
            1 => (self.file, 0),
            2 => (self.server_name, 0),
            3 => (self.file, 2),
            _ => return None,
        };
        Some(())
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<DhcpOption<'a>, DhcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(taken) = self.take() else {
                self.next_field()?;
                continue;
            };
            if let Ok(DhcpOption {
                code: option::OVERLOAD,
                data: [which],
            }) = taken
                && self.is_first_field
            {
                self.overload = *which;
            }
            return Some(taken);
        }
    }
}

/// The name that a client gives itself in option 81 (RFC 4702 §2.3) or DHCPv6's option 39
/// (RFC 4704 §4.2): whole, or its first labels alone.
///
/// Its text is that of a DNS name, with the same escapes and without a last dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientName<'a> {
    octets: &'a [u8],
    is_wire: bool,
}

/// The flag of option 81 that says that the name is encoded as in DNS messages (RFC 4702 §2.1, E).
const FLAG_WIRE: u8 = 0x04;

impl<'a> ClientName<'a> {
    fn of_option_81(data: &'a [u8]) -> Option<Self> {
        let [flags, _, _, octets @ ..] = data else {
            return None;
        };
        if flags & FLAG_WIRE != 0 {
            return Self::of_labels(octets);
        }
        Some(Self {
            octets,
            is_wire: false,
        })
    }

    /// Returns the name that labels, as DNS messages have them, make up; without the root's, it is a
    /// part of one. Nothing when they contradict themselves: compression is not allowed here.
    pub(super) fn of_labels(octets: &'a [u8]) -> Option<Self> {
        let name = Self {
            octets,
            is_wire: true,
        };
        let labels = name.labels().map(|label| 1 + label.len()).sum::<usize>();
        matches!(octets.get(labels..), Some([] | [0, ..])).then_some(name)
    }

    fn labels(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.octets;
        core::iter::from_fn(move || {
            let (&length, behind) = rest.split_first()?;
            if !(1..=super::dns::MAX_LABEL_LENGTH).contains(&length) {
                return None;
            }
            let (label, behind) = behind.split_at_checked(usize::from(length))?;
            rest = behind;
            Some(label)
        })
    }
}

impl fmt::Display for ClientName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut write = |label: &[u8]| {
            f.write_str(separator)?;
            separator = ".";
            write_label(f, label)
        };
        if self.is_wire {
            return self.labels().try_for_each(write);
        }
        let name = self.octets.strip_suffix(b".").unwrap_or(self.octets);
        name.split(|&octet| octet == b'.').try_for_each(&mut write)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    /// A client's request, of the shape that RFC 2131's figure 1 has, with these options.
    fn request(options: &[u8]) -> Vec<u8> {
        let mut octets = std::vec![0; HEADER_LENGTH];
        octets[..8].copy_from_slice(&[BOOT_REQUEST, 1, 6, 0, 0x39, 0x03, 0xf3, 0x26]);
        octets[12..16].copy_from_slice(&[192, 168, 8, 214]);
        octets[28..34].copy_from_slice(&[0x2c, 0xaa, 0x8e, 1, 2, 3]);
        octets[236..].copy_from_slice(&[99, 130, 83, 99]);
        octets.extend(options);
        octets
    }

    fn host_name(options: &[u8]) -> Option<Vec<u8>> {
        let octets = request(options);
        let message = Message::parse(&octets).unwrap();
        message.host_name().map(<[u8]>::to_vec)
    }

    #[test]
    fn a_request_says_who_asks_and_what_for() {
        let options = [
            &[53, 1, 3, 61, 7, 1, 0x2c, 0xaa, 0x8e, 1, 2, 3][..],
            &[50, 4, 192, 168, 8, 214, 12, 7],
            b"WyzeCam",
            &[60, 5],
            b"udhcp",
            &[55, 3, 1, 3, 6, 54, 4, 192, 168, 8, 1, 255],
            &[12, 1, b'x'],
        ]
        .concat();
        let octets = request(&options);
        let message = Message::parse(&octets).unwrap();
        assert_eq!(message.operation(), BOOT_REQUEST);
        assert_eq!(message.transaction(), 0x3903_f326);
        assert_eq!(message.client_address(), Ipv4Addr::new(192, 168, 8, 214));
        assert_eq!(message.your_address(), Ipv4Addr::UNSPECIFIED);
        let mac = [0x2c, 0xaa, 0x8e, 1, 2, 3];
        assert_eq!(message.hardware_address(), Some(mac));
        assert_eq!(message.message_type(), Some(message_type::REQUEST));
        assert_eq!(message.host_name(), Some(&b"WyzeCam"[..]));
        assert_eq!(message.vendor_class(), Some(&b"udhcp"[..]));
        assert_eq!(message.parameter_request_list(), Some(&[1, 3, 6][..]));
        let identifier = [1, 0x2c, 0xaa, 0x8e, 1, 2, 3];
        assert_eq!(message.client_identifier(), Some(&identifier[..]));
        let asked = Some(Ipv4Addr::new(192, 168, 8, 214));
        assert_eq!(message.requested_address(), asked);
        let server = Some(Ipv4Addr::new(192, 168, 8, 1));
        assert_eq!(message.server_identifier(), server);
        assert_eq!(message.client_fqdn(), None);
        assert_eq!(message.options().count(), 7, "nothing behind the end");
    }

    #[test]
    fn the_name_servers_that_a_network_gives_are_read_and_a_piece_of_one_is_not() {
        let servers = |options: &[u8]| {
            let octets = request(options);
            let message = Message::parse(&octets).unwrap();
            message.dns_servers().collect::<Vec<_>>()
        };
        let [first, second] = [[192, 168, 8, 1], [8, 8, 8, 8]].map(Ipv4Addr::from);
        let both = [6, 9, 192, 168, 8, 1, 8, 8, 8, 8, 9, 255];
        assert_eq!(servers(&both), [first, second]);
        assert!(servers(&[255]).is_empty());
    }

    #[test]
    fn options_go_on_in_the_fields_that_are_said_to_hold_them() {
        // RFC 2131 §4.1: first `file`, then `sname`.
        let overloaded = |which| {
            let mut octets = request(&[52, 1, which, 255]);
            octets[108..112].copy_from_slice(&[60, 1, b'f', 255]);
            octets[44..51].copy_from_slice(&[52, 1, 3, 12, 1, b's', 255]);
            octets
        };
        let codes = |which| {
            let octets = overloaded(which);
            let options = Message::parse(&octets).unwrap().options();
            options
                .map(|option| option.unwrap().code)
                .collect::<Vec<_>>()
        };
        assert_eq!(codes(0), [52]);
        assert_eq!(codes(1), [52, 60]);
        assert_eq!(codes(2), [52, 52, 12]);
        assert_eq!(codes(3), [52, 60, 52, 12]);
        assert_eq!(codes(4), [52]);
    }

    #[test]
    fn an_option_that_claims_more_than_there_is_ends_the_options() {
        let octets = request(&[52, 1, 3, 53, 1, 1, 12, 9, b'x']);
        let message = Message::parse(&octets).unwrap();
        let read: Vec<_> = message.options().collect();
        assert_eq!(read.last(), Some(&Err(DhcpError::Truncated)));
        assert_eq!(read.len(), 3);
        assert_eq!(message.message_type(), Some(message_type::DISCOVER));
        assert_eq!(message.host_name(), None);
        assert_eq!(host_name(&[12]), None);
        assert_eq!(host_name(b"\x0c\x01x"), Some(b"x".to_vec()));
    }

    #[test]
    fn what_is_too_short_or_no_dhcp_is_refused() {
        let octets = request(&[255]);
        let refusal = |octets: &[u8]| Message::parse(octets).err();
        assert_eq!(refusal(&octets[..239]), Some(DhcpError::Truncated));
        assert_eq!(refusal(&octets[..240]), None);
        let mut bootp = octets;
        bootp[239] = 0;
        assert_eq!(refusal(&bootp), Some(DhcpError::NoCookie));
    }

    #[test]
    fn a_hardware_address_of_another_kind_is_no_mac_address() {
        let mut octets = request(&[255]);
        let mut address = |kind, length| {
            octets[1..3].copy_from_slice(&[kind, length]);
            Message::parse(&octets).unwrap().hardware_address()
        };
        assert!(address(1, 6).is_some());
        assert_eq!(address(1, 16), None);
        assert_eq!(address(32, 6), None);
    }

    fn check_fqdn(data: &[u8], expected: Option<&str>) {
        let octets = request(&[&[81, data.len() as u8], data, &[255]].concat());
        let message = Message::parse(&octets).unwrap();
        let name = message.client_fqdn().map(|name| name.to_string());
        assert_eq!(name.as_deref(), expected);
    }

    #[test]
    fn the_clients_domain_name_is_read_in_both_encodings() {
        check_fqdn(b"\x00\x00\x00cam.example.org.", Some("cam.example.org"));
        check_fqdn(b"\x01\xff\xffcam", Some("cam"));
        let wire = b"\x05\x00\x00\x03cam\x07example\x03org\x00";
        check_fqdn(wire, Some("cam.example.org"));
        check_fqdn(b"\x04\x00\x00\x03cam", Some("cam"));
    }

    #[test]
    fn a_domain_name_that_contradicts_itself_is_none() {
        check_fqdn(b"\x04\x00\x00\x04cam", None);
        check_fqdn(b"\x04\x00\x00\x03cam\xc0\x0c", None);
        check_fqdn(b"\x04\x00", None);
    }

    #[test]
    fn hostile_octets_of_a_domain_name_are_escaped() {
        check_fqdn(b"\x00\x00\x00a\x1b[2J.b", Some("a\\027[2J.b"));
        check_fqdn(b"\x04\x00\x00\x03a.b\x00", Some("a\\046b"));
    }
}
