//! Service bindings: the rdata of SVCB and HTTPS records (RFC 9460).
//!
//! Made of a record's rdata; a record whose parameters contradict the format is refused whole
//! (RFC 9460 §2.2, §7), so that what is read of one that was taken can't fail.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::reader::Reader;
use super::{DnsError, Name};

/// Type SVCB (RFC 9460 §14.1).
pub const TYPE_SVCB: u16 = 64;
/// Type HTTPS (RFC 9460 §14.1).
pub const TYPE_HTTPS: u16 = 65;

/// The keys of the parameters that are read here (RFC 9460 §14.3.2; `ech` is RFC 9848).
pub mod key {
    /// Keys that a client must understand to use the record.
    pub const MANDATORY: u16 = 0;
    /// Protocols that the service speaks, by their ALPN identifiers.
    pub const ALPN: u16 = 1;
    /// That it doesn't speak the scheme's default protocol; has no value.
    pub const NO_DEFAULT_ALPN: u16 = 2;
    /// Its port.
    pub const PORT: u16 = 3;
    /// IPv4 addresses that a client may try before it knows better.
    pub const IPV4_HINT: u16 = 4;
    /// The keys of Encrypted Client Hello.
    pub const ECH: u16 = 5;
    /// IPv6 addresses, likewise.
    pub const IPV6_HINT: u16 = 6;
}

/// A service binding (RFC 9460 §2.2).
#[derive(Clone, Copy, Debug)]
pub struct ServiceBinding<'a> {
    /// The smaller, the better; 0 is alias mode.
    pub priority: u16,
    /// The name that the owner is an alias of, or that offers the service; the root stands for no
    /// name in alias mode and for the owner otherwise (§2.5).
    pub target: Name<'a>,
    parameters: &'a [u8],
}

impl<'a> ServiceBinding<'a> {
    pub(super) fn parse(rdata: &mut Reader<'a>) -> Result<Self, DnsError> {
        let priority = rdata.take_u16()?;
        let target = rdata.take_name()?;
        let parameters = rdata.rest();
        let binding = Self {
            priority,
            target,
            // RFC 9460 §2.4.2: in alias mode, parameters are ignored.
            parameters: if priority == 0 { &[] } else { parameters },
        };
        check(binding.parameters)?;
        Ok(binding)
    }

    /// Returns whether it says of the owner that it is an alias (RFC 9460 §2.4.2).
    #[must_use]
    pub const fn is_alias(&self) -> bool {
        self.priority == 0
    }

    /// Returns the parameters, in ascending order of their keys.
    #[must_use]
    pub const fn parameters(&self) -> Parameters<'a> {
        Parameters {
            rest: self.parameters,
        }
    }

    /// Returns the value of a parameter, when it is there.
    #[must_use]
    pub fn parameter(&self, key: u16) -> Option<&'a [u8]> {
        self.parameters()
            .find(|parameter| parameter.key == key)
            .map(|parameter| parameter.value)
    }

    /// Returns the IPv4 addresses that it hints at (§7.3).
    pub fn ipv4_hints(&self) -> impl Iterator<Item = Ipv4Addr> + use<'a> {
        let value = self.parameter(key::IPV4_HINT).unwrap_or_default();
        let (addresses, _) = value.as_chunks::<4>();
        addresses.iter().map(|octets| Ipv4Addr::from(*octets))
    }

    /// Returns the IPv6 addresses that it hints at (§7.3).
    pub fn ipv6_hints(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        let value = self.parameter(key::IPV6_HINT).unwrap_or_default();
        let (addresses, _) = value.as_chunks::<16>();
        addresses.iter().map(|octets| Ipv6Addr::from(*octets))
    }

    /// Returns the ALPN identifiers of the protocols that the service speaks (§7.1): octets from a
    /// stranger, each of 1 to 255.
    #[must_use]
    pub fn alpn(&self) -> AlpnIdentifiers<'a> {
        AlpnIdentifiers {
            rest: self.parameter(key::ALPN).unwrap_or_default(),
        }
    }

    /// Returns whether clients can hide the name that they connect to (RFC 9848).
    #[must_use]
    pub fn has_ech(&self) -> bool {
        self.parameter(key::ECH).is_some()
    }
}

/// A parameter of a service binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its key, of [`key`] or any other.
    pub key: u16,
    /// Its value.
    pub value: &'a [u8],
}

/// A service binding's parameters, one after the other.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Parameters<'a> {
    fn parse_next(&mut self) -> Result<Option<Parameter<'a>>, DnsError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut reader = Reader::new(self.rest);
        let key = reader.take_u16()?;
        let length = reader.take_u16()?;
        let value = reader.take(usize::from(length))?;
        self.rest = reader.rest();
        Ok(Some(Parameter { key, value }))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.parse_next().ok().flatten()
    }
}

/// ALPN identifiers, one after the other.
#[derive(Clone, Debug)]
pub struct AlpnIdentifiers<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for AlpnIdentifiers<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let (&length, rest) = self.rest.split_first()?;
        let (identifier, rest) = rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(identifier)
    }
}

/// Refuses parameters whose keys don't ascend, and values that aren't as their key has them.
fn check(parameters: &[u8]) -> Result<(), DnsError> {
    let mut parameters = Parameters { rest: parameters };
    let mut former = None;
    while let Some(Parameter { key, value }) = parameters.parse_next()? {
        // RFC 9460 §2.2: strictly increasing.
        let is_in_order = former.is_none_or(|former| former < key);
        if !(is_in_order && is_value_of(key, value)) {
            return Err(DnsError::ServiceParameter);
        }
        former = Some(key);
    }
    Ok(())
}

fn is_value_of(key: u16, value: &[u8]) -> bool {
    let has_items_of = |length: usize| !value.is_empty() && value.len().is_multiple_of(length);
    match key {
        key::MANDATORY => has_items_of(2) && are_mandatory_keys(value),
        key::ALPN => are_alpn_identifiers(value),
        key::NO_DEFAULT_ALPN => value.is_empty(),
        key::PORT => value.len() == 2,
        key::IPV4_HINT => has_items_of(4),
        key::IPV6_HINT => has_items_of(16),
        _ => true,
    }
}

/// RFC 9460 §8: in ascending order, none twice, and not the key `mandatory` itself.
fn are_mandatory_keys(value: &[u8]) -> bool {
    let (keys, _) = value.as_chunks::<2>();
    let keys = keys.iter().map(|octets| u16::from_be_bytes(*octets));
    keys.clone().next() != Some(key::MANDATORY) && keys.is_sorted_by(|former, key| former < key)
}

/// RFC 9460 §7.1.1: at least one, none of them empty, and all of them whole.
fn are_alpn_identifiers(value: &[u8]) -> bool {
    let mut identifiers = AlpnIdentifiers { rest: value };
    let are_named = identifiers
        .by_ref()
        .all(|identifier| !identifier.is_empty());
    !value.is_empty() && are_named && identifiers.rest.is_empty()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;

    /// `foo.example.com`, as RFC 9460's test vectors have it.
    const TARGET: &[u8] = b"\x03foo\x07example\x03com\x00";

    /// Writes a binding as text: priority, target, and each parameter's key and value.
    fn text_of(rdata: &[u8]) -> Result<String, DnsError> {
        let mut reader = Reader::new(rdata);
        let binding = ServiceBinding::parse(&mut reader)?;
        let mut text = std::format!("{} {}", binding.priority, binding.target);
        for Parameter { key, value } in binding.parameters() {
            write!(text, " {key}={}", value.escape_ascii()).unwrap();
        }
        Ok(text)
    }

    fn check(parts: &[&[u8]], expected: Result<&str, DnsError>) {
        assert_eq!(text_of(&parts.concat()), expected.map(ToString::to_string));
    }

    fn binding(rdata: &[u8]) -> ServiceBinding<'_> {
        ServiceBinding::parse(&mut Reader::new(rdata)).unwrap()
    }

    /// RFC 9460, appendix D.1 and D.2: figures 2 to 10.
    #[test]
    fn the_rfcs_vectors_are_read() {
        check(&[b"\x00\x00", TARGET], Ok("0 foo.example.com"));
        check(&[b"\x00\x01\x00"], Ok("1 ."));
        let port = b"\x00\x03\x00\x02\x00\x35";
        check(
            &[b"\x00\x10", TARGET, port],
            Ok(r"16 foo.example.com 3=\x005"),
        );
        let hello = b"\x02\x9b\x00\x05hello";
        check(
            &[b"\x00\x01", TARGET, hello],
            Ok("1 foo.example.com 667=hello"),
        );
        let escaped = b"\x02\x9b\x00\x09hello\xd2qoo";
        check(
            &[b"\x00\x01", TARGET, escaped],
            Ok(r"1 foo.example.com 667=hello\xd2qoo"),
        );
    }

    #[test]
    fn the_rfcs_hints_and_protocols_are_read() {
        let hints = [
            b"\x00\x01",
            TARGET,
            b"\x00\x06\x00\x20\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
            b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\x53\0\x01",
        ]
        .concat();
        let hints: Vec<_> = binding(&hints)
            .ipv6_hints()
            .map(|hint| hint.to_string())
            .collect();
        assert_eq!(hints, ["2001:db8::1", "2001:db8::53:1"]);
        let all = [
            b"\x00\x10\x03foo\x07example\x03org\x00",
            &b"\x00\x00\x00\x04\x00\x01\x00\x04"[..],
            b"\x00\x01\x00\x09\x02h2\x05h3-19",
            b"\x00\x04\x00\x04\xc0\x00\x02\x01",
        ]
        .concat();
        let all = binding(&all);
        assert_eq!(all.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"h3-19"]);
        let hints: Vec<_> = all.ipv4_hints().collect();
        assert_eq!(hints, [Ipv4Addr::new(192, 0, 2, 1)]);
        assert!(!all.has_ech() && !all.is_alias());
        let with_comma = [b"\x00\x10", TARGET, b"\x00\x01\x00\x0c\x08f\\oo,bar\x02h2"].concat();
        let protocols: Vec<_> = binding(&with_comma).alpn().collect();
        assert_eq!(protocols, [&b"f\\oo,bar"[..], b"h2"]);
    }

    #[test]
    fn ech_and_a_default_protocol_are_told() {
        let rdata = b"\x00\x01\x00\x00\x02\x00\x00\x00\x05\x00\x03abc";
        assert!(binding(rdata).has_ech());
        assert_eq!(
            binding(rdata).parameter(key::NO_DEFAULT_ALPN),
            Some(&b""[..])
        );
    }

    #[test]
    fn parameters_of_an_alias_are_ignored() {
        check(
            &[b"\x00\x00", TARGET, b"\x00\x03\x00\x01\x00"],
            Ok("0 foo.example.com"),
        );
        let rdata = [b"\x00\x00", TARGET, b"\x00\x04\x00\x04\xc0\x00\x02\x01"].concat();
        assert!(binding(&rdata).is_alias());
        assert_eq!(binding(&rdata).ipv4_hints().count(), 0);
    }

    #[test]
    fn keys_that_do_not_ascend_are_refused() {
        let refused = Err(DnsError::ServiceParameter);
        let (port, alpn) = (b"\x00\x03\x00\x02\x00\x35", b"\x00\x01\x00\x03\x02h2");
        check(&[b"\x00\x01\x00", alpn, port], Ok(r"1 . 1=\x02h2 3=\x005"));
        check(&[b"\x00\x01\x00", port, alpn], refused);
        check(&[b"\x00\x01\x00", port, port], refused);
    }

    #[test]
    fn values_of_another_form_than_their_keys_are_refused() {
        for parameter in [
            // mandatory: nothing, half a key, itself, out of order, twice.
            &b"\x00\x00\x00\x00"[..],
            b"\x00\x00\x00\x01\x00",
            b"\x00\x00\x00\x02\x00\x00",
            b"\x00\x00\x00\x04\x00\x04\x00\x01",
            b"\x00\x00\x00\x04\x00\x01\x00\x01",
            // alpn: nothing, an empty one, one longer than the value.
            b"\x00\x01\x00\x00",
            b"\x00\x01\x00\x04\x02h2\x00",
            b"\x00\x01\x00\x03\x03h2",
            b"\x00\x02\x00\x01\x00",
            b"\x00\x03\x00\x01\x00",
            b"\x00\x04\x00\x00",
            b"\x00\x04\x00\x05\xc0\x00\x02\x01\x00",
            b"\x00\x06\x00\x04\xc0\x00\x02\x01",
        ] {
            check(
                &[b"\x00\x01\x00", parameter],
                Err(DnsError::ServiceParameter),
            );
        }
    }

    #[test]
    fn a_value_that_is_cut_is_truncated() {
        for rdata in [
            &b"\x00"[..],
            b"\x00\x01",
            b"\x00\x01\x03fo",
            b"\x00\x01\x00\x00",
            b"\x00\x01\x00\x00\x03\x00",
            b"\x00\x01\x00\x00\x03\x00\x02\x00",
        ] {
            check(&[rdata], Err(DnsError::Truncated));
        }
    }
}
