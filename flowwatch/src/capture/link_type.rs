//! Link types: what the packets of a capture begin with (the tcpdump group's list of LINKTYPE
//! values).

use std::fmt;

/// A link type, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u32);

/// The names of link types that gateways and testers meet.
const NAMES: &[(u32, &str)] = &[
    (0, "BSD loopback"),
    (1, "Ethernet"),
    (9, "PPP"),
    (12, "raw IP"),
    (14, "raw IP"),
    (50, "PPP in HDLC framing"),
    (51, "PPPoE"),
    (101, "raw IP"),
    (104, "Cisco HDLC"),
    (105, "IEEE 802.11"),
    (107, "Frame Relay"),
    (108, "OpenBSD loopback"),
    (113, "Linux cooked v1"),
    (117, "OpenBSD pflog"),
    (119, "IEEE 802.11 with Prism header"),
    (127, "IEEE 802.11 with radiotap header"),
    (163, "IEEE 802.11 with AVS header"),
    (187, "Bluetooth HCI"),
    (189, "USB"),
    (192, "PPI"),
    (195, "IEEE 802.15.4"),
    (201, "Bluetooth HCI"),
    (220, "USB"),
    (228, "raw IPv4"),
    (229, "raw IPv6"),
    (230, "IEEE 802.15.4"),
    (239, "Linux NFLOG"),
    (249, "USB"),
    (251, "Bluetooth Low Energy"),
    (253, "Linux netlink"),
    (274, "Ethernet with preamble"),
    (276, "Linux cooked v2"),
    (u32::MAX, "an interface that is not described"),
];

impl LinkType {
    /// IEEE 802.3.
    pub const ETHERNET: Self = Self(1);
    /// `AF_PACKET`'s own header in place of the link layer's.
    pub const COOKED_V1: Self = Self(113);
    /// Its second version.
    pub const COOKED_V2: Self = Self(276);
    /// IPv4 or IPv6.
    pub const RAW: Self = Self(101);
    /// The same, as some systems number it in files.
    pub const RAW_OLD: [Self; 2] = [Self(12), Self(14)];
    /// IPv4.
    pub const RAW_IPV4: Self = Self(228);
    /// IPv6.
    pub const RAW_IPV6: Self = Self(229);

    /// That of packets of an interface that the capture does not describe.
    pub const UNDESCRIBED: Self = Self(u32::MAX);

    /// Returns whether its packets begin with an IP header: no device's MAC address is there.
    #[must_use]
    pub fn is_raw_ip(self) -> bool {
        matches!(self, Self::RAW | Self::RAW_IPV4 | Self::RAW_IPV6) || Self::RAW_OLD.contains(&self)
    }

    /// Returns whether flowwatch can tell whose its packets are and where they go.
    #[must_use]
    pub fn is_supported(self) -> bool {
        matches!(self, Self::ETHERNET | Self::COOKED_V1 | Self::COOKED_V2) || self.is_raw_ip()
    }

    /// Returns what to do about one that is not supported.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self.0 {
            105 | 119 | 127 | 163 | 192 => {
                "frames from the air are encrypted, or want a key; capture on the gateway's LAN \
                 interface instead"
            }
            187 | 189 | 195 | 201 | 220 | 230 | 249 | 251 | 253 => "it carries no IP",
            u32::MAX => "the capture is damaged",
            _ => "capture on an Ethernet interface, such as the gateway's LAN bridge",
        }
    }
}

impl fmt::Display for LinkType {
    /// Its name, or its number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "link type {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_supported_has_a_name_and_the_rest_at_least_its_number() {
        let supported: Vec<u32> = (0..=0x1_0000)
            .filter(|number| LinkType(*number).is_supported())
            .collect();
        assert_eq!(supported, [1, 12, 14, 101, 113, 228, 229, 276]);
        for number in supported {
            let name = LinkType(number).to_string();
            assert!(!name.starts_with("link type"), "{number}");
        }
        assert_eq!(LinkType(147).to_string(), "link type 147");
        assert!(NAMES.is_sorted());
    }
}
