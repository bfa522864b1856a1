//! A device's MAC address, as the user writes it and as frames carry it.
//!
//! Read from the command line and the configuration; given to the kernel's device table. Source:
//! IEEE 802, clause 8.2 (EUI-48, the group bit).

use std::{fmt, str::FromStr};

/// A device's own (unicast) EUI-48 address, six octets in the order of transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress([u8; 6]);

/// Why a text or six octets are not a device's MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacAddressError {
    /// Not six pairs of hexadecimal digits.
    #[error("`{0}` is not a MAC address; write six pairs of hexadecimal digits: 2c:aa:8e:01:02:03")]
    Form(String),
    /// The group bit is set: no single device has this address.
    #[error("`{0}` is a multicast or broadcast address, which is not a device's own")]
    Group(String),
    /// All octets are zero.
    #[error("`{0}` is the all-zero address, which is not a device's own")]
    Zero(String),
}

impl MacAddress {
    /// Returns the address with these octets.
    ///
    /// # Errors
    /// `Group` and `Zero`.
    pub fn new(octets: [u8; 6]) -> Result<Self, MacAddressError> {
        let address = Self(octets);
        if octets == [0; 6] {
            return Err(MacAddressError::Zero(address.to_string()));
        }
        if octets[0] & 1 == 1 {
            return Err(MacAddressError::Group(address.to_string()));
        }
        Ok(address)
    }

    /// Returns the six octets, in the order of transmission.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, octet) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ":" };
            write!(f, "{separator}{octet:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for MacAddress {
    type Err = MacAddressError;

    /// Parses six pairs of hexadecimal digits of any case, separated by `:` or `-` throughout.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let octets = octets_of(text).ok_or_else(|| MacAddressError::Form(text.to_owned()))?;
        Self::new(octets)
    }
}

impl serde::Serialize for MacAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn octets_of(text: &str) -> Option<[u8; 6]> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let mut octets = [0; 6];
    let mut pairs = text.split(separator);
    for octet in &mut octets {
        let pair = pairs.next()?;
        // `from_str_radix` would take a sign, too.
        if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *octet = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let got = text
            .parse::<MacAddress>()
            .map(|mac| mac.to_string())
            .map_err(|e| e.to_string());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(part)) => assert!(got.contains(part), "`{got}` lacks `{part}`"),
            (got, expected) => panic!("`{text}`: got {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn both_separators_and_any_case_are_read() {
        check("2c:aa:8e:01:02:0f", Ok("2c:aa:8e:01:02:0f"));
        check("2C-AA-8E-01-02-0F", Ok("2c:aa:8e:01:02:0f"));
        check("02:00:00:00:00:01", Ok("02:00:00:00:00:01"));
    }

    #[test]
    fn what_is_not_a_devices_address_is_refused_with_its_reason() {
        for text in [
            "",
            "camera",
            "2c:aa:8e:01:02",
            "2c:aa:8e:01:02:03:04",
            "2c:aa:8e:01:02:+3",
        ] {
            check(text, Err("is not a MAC address"));
        }
        check("2c-aa:8e-01-02-03", Err("is not a MAC address"));
        check("2c:aa:8e:*", Err("is not a MAC address"));
        check("01:00:5e:00:00:01", Err("multicast"));
        check("ff:ff:ff:ff:ff:ff", Err("broadcast"));
        check("00:00:00:00:00:00", Err("all-zero"));
    }
}
