//! The names of IP protocols.
//!
//! From a packet's protocol number to the word that every output shows. Source: IANA registry
//! "Assigned Internet Protocol Numbers", keywords in lower case; a number that is not here, or whose
//! keyword is not one word, stays a number.

use std::borrow::Cow;

const KEYWORDS: &[(u8, &str)] = &[
    (0, "hopopt"),
    (1, "icmp"),
    (2, "igmp"),
    (3, "ggp"),
    (4, "ipv4"),
    (6, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (17, "udp"),
    (27, "rdp"),
    (33, "dccp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (88, "eigrp"),
    (89, "ospfigp"),
    (94, "ipip"),
    (97, "etherip"),
    (98, "encap"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (132, "sctp"),
    (133, "fc"),
    (136, "udplite"),
    (137, "mpls-in-ip"),
    (138, "manet"),
    (139, "hip"),
    (140, "shim6"),
    (141, "wesp"),
    (142, "rohc"),
    (143, "ethernet"),
];

/// Returns the IANA keyword of a protocol number in lower case, or the number.
#[must_use]
pub fn protocol_name(number: u8) -> Cow<'static, str> {
    match KEYWORDS.binary_search_by_key(&number, |&(number, _)| number) {
        Ok(found) => Cow::Borrowed(KEYWORDS[found].1),
        Err(_) => Cow::Owned(number.to_string()),
    }
}

/// Returns protocol and port as `tcp/443`; where there is no port, the protocol alone.
#[must_use]
pub fn service_name(protocol: u8, port: u16) -> Cow<'static, str> {
    let protocol = protocol_name(protocol);
    match port {
        0 => protocol,
        port => Cow::Owned(format!("{protocol}/{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_a_port_is_its_protocol() {
        assert_eq!(service_name(6, 443), "tcp/443");
        assert_eq!(service_name(1, 0), "icmp");
        assert_eq!(service_name(253, 0), "253");
    }

    #[test]
    fn keywords_are_found_and_other_numbers_stay_numbers() {
        for (number, name) in [(6, "tcp"), (17, "udp"), (58, "ipv6-icmp"), (253, "253")] {
            assert_eq!(protocol_name(number), name);
        }
    }

    #[test]
    fn the_table_is_sorted_for_the_binary_search() {
        assert!(KEYWORDS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
