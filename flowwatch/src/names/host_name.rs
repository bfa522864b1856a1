//! Host names that devices send, as text that can be shown.
//!
//! Made of `server_name` and `Host` by the readers beside this file. The text is that of names from
//! DNS: lower case, no last dot, what is no visible ASCII character as `\DDD`.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

/// The longest name in octets (RFC 1035 §2.3.4).
pub(super) const MAX_LENGTH: usize = 255;

/// Returns the name's text; nothing for what names no host: an IP address (RFC 6066 §3 forbids it), no
/// octets, or more than any name has.
pub(super) fn text_of(octets: &[u8]) -> Option<Arc<str>> {
    let octets = octets.strip_suffix(b".").unwrap_or(octets);
    if octets.is_empty() || octets.len() >= MAX_LENGTH || is_address(octets) {
        return None;
    }
    let mut text = String::with_capacity(octets.len());
    for octet in octets.to_ascii_lowercase() {
        match octet {
            b'!'..=b'~' if octet != b'\\' => text.push(char::from(octet)),
            _ => write!(text, "\\{octet:03}").ok()?,
        }
    }
    Some(text.into())
}

/// Returns whether it is an IP address, in brackets or not, with a zone or without.
fn is_address(octets: &[u8]) -> bool {
    let inner = octets
        .strip_prefix(b"[")
        .and_then(|octets| octets.strip_suffix(b"]"));
    let address = inner.unwrap_or(octets);
    let zone = address.iter().position(|octet| *octet == b'%');
    let address = address.get(..zone.unwrap_or(address.len()));
    address
        .and_then(|octets| std::str::from_utf8(octets).ok())
        .is_some_and(|text| text.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(octets: &[u8], expected: Option<&str>) {
        assert_eq!(text_of(octets).as_deref(), expected);
    }

    #[test]
    fn names_lose_case_and_one_last_dot() {
        check(b"Gm.IotcPlatform.COM.", Some("gm.iotcplatform.com"));
        check(b"a.test..", Some("a.test."));
        check(b"localhost", Some("localhost"));
        check(b"xn--bcher-kva.example", Some("xn--bcher-kva.example"));
        check(b"_under-score.test", Some("_under-score.test"));
    }

    #[test]
    fn addresses_are_no_names() {
        for octets in [
            &b"192.168.1.70"[..],
            b"192.168.1.70.",
            b"2001:db8::1",
            b"[2001:DB8::1]",
            b"fe80::1%eth0",
            b"[fe80::1%25eth0]",
            b"::ffff:192.0.2.1",
        ] {
            check(octets, None);
        }
        check(b"192.168.1.70.test", Some("192.168.1.70.test"));
    }

    #[test]
    fn what_is_not_visible_ascii_is_escaped_as_in_dns() {
        check(b"\x1b[2J.te\nst", Some(r"\027[2j.te\010st"));
        check(b"a\0b\\c d\x7f", Some(r"a\000b\092c\032d\127"));
        // Latin-1, octets that no UTF-8 has, and the mark that turns text around.
        check(b"b\xfccher.\xff\xfe", Some(r"b\252cher.\255\254"));
        check("a\u{202e}b".as_bytes(), Some(r"a\226\128\174b"));
        check(b"<b>\"=1+1|'", Some("<b>\"=1+1|'"));
    }

    #[test]
    fn names_have_at_most_254_octets_and_a_last_dot() {
        check(&[b'.'; 255], Some(&".".repeat(254)));
        check(&[b'.'; 256], None);
        check(&[b'x'; 254], Some(&"x".repeat(254)));
        check(&[b'x'; 255], None);
        check(&[0xff; 254], Some(&r"\255".repeat(254)));
        check(b"", None);
        check(b".", None);
    }
}
