//! How the MAC addresses of one vendor's devices begin, as the user writes it, and the tag for every
//! device of that kind that appears.
//!
//! Read from the command line and the configuration; given to the kernel as rules. Blocks are the
//! IEEE's of 24, 28 and 36 bits, or any other length.

use std::{fmt, str::FromStr, sync::Arc};

use super::{Device, DeviceError, MacAddress};

/// The first bits of MAC addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacPrefix {
    octets: [u8; 6],
    bits: u32,
}

/// The least bits of a prefix: they hold the group bit, so that no prefix is of multicast addresses.
const FEWEST_BITS: u32 = 8;
/// The most: what has one bit more is a whole address.
const MOST_BITS: u32 = 47;

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacPrefixError {
    /// Not the beginning of an address.
    #[error(
        "`{0}` is not the beginning of a MAC address; write it as 2c:aa:8e:*, 74:1a:e0:9* or \
         74:1a:e0:90:00:00/28"
    )]
    Form(String),
    /// The group bit is set.
    #[error("`{0}` is a prefix of multicast addresses, which are not a device's own")]
    Group(String),
}

impl MacPrefix {
    /// Returns whether a text is meant as a prefix rather than as a whole address.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.contains(['*', '/']) || text.ends_with([':', '-'])
    }

    /// Returns the first bits of an address; the rest is zero.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.octets
    }

    /// Returns how many bits it has, 8 to 47.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// Returns whether an address begins so.
    #[must_use]
    pub fn matches(self, mac: MacAddress) -> bool {
        cut(mac.octets(), self.bits) == self.octets
    }

    fn new(octets: [u8; 6], bits: u32) -> Option<Self> {
        let is_clean = cut(octets, bits) == octets;
        ((FEWEST_BITS..=MOST_BITS).contains(&bits) && is_clean).then_some(Self { octets, bits })
    }
}

/// Returns an address's first bits, and zeros.
fn cut(octets: [u8; 6], bits: u32) -> [u8; 6] {
    let [a, b, c, d, e, f] = octets;
    let number = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let shift = 48_u32.saturating_sub(bits);
    let [_, _, octets @ ..] = (number >> shift << shift).to_be_bytes();
    octets
}

impl fmt::Display for MacPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.bits.is_multiple_of(4) {
            let [a, b, c, d, e, g] = self.octets;
            let bits = self.bits;
            return write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}/{bits}");
        }
        for octet in &self.octets[..self.bits as usize / 8] {
            write!(f, "{octet:02x}:")?;
        }
        if self.bits % 8 == 4 {
            write!(f, "{:x}", self.octets[self.bits as usize / 8] >> 4)?;
        }
        f.write_str("*")
    }
}

impl FromStr for MacPrefix {
    type Err = MacPrefixError;

    /// Parses an address's first hexadecimal digits with `*` for the rest, or an address with the
    /// number of bits behind a `/`; separators are `:` or `-` throughout.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || MacPrefixError::Form(text.to_owned());
        let prefix = match text.split_once('/') {
            Some((octets, bits)) => with_bits(octets, bits),
            None => with_stars(text),
        };
        let prefix = prefix.ok_or_else(form)?;
        if prefix.octets[0] & 1 == 1 {
            return Err(MacPrefixError::Group(text.to_owned()));
        }
        Ok(prefix)
    }
}

fn with_bits(octets: &str, bits: &str) -> Option<MacPrefix> {
    let is_number = bits.bytes().all(|digit| digit.is_ascii_digit());
    let bits = is_number.then(|| bits.parse().ok()).flatten()?;
    let mac: MacAddress = octets.parse().ok()?;
    MacPrefix::new(mac.octets(), bits)
}

fn with_stars(text: &str) -> Option<MacPrefix> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let digits = text.trim_end_matches(['*', separator]);
    let rest = text.strip_prefix(digits)?;
    let mut octets = [0; 6];
    let mut bits = 0;
    let mut places = octets.iter_mut();
    for part in digits.split(separator) {
        let octet = places.next().filter(|_| bits % 8 == 0)?;
        let is_hexadecimal = part.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = is_hexadecimal.then(|| u8::from_str_radix(part, 16).ok())??;
        (*octet, bits) = match part.len() {
            2 => (value, bits + 8),
            // Half an octet, if a star says so: `9:` may be meant as `09:`.
            1 if rest.starts_with('*') => (value << 4, bits + 4),
            _ => return None,
        };
    }
    let shown = 1 + rest.matches(separator).count() + digits.matches(separator).count();
    MacPrefix::new(octets, bits).filter(|_| !rest.is_empty() && shown <= 6)
}

/// A tag for every device whose address begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixTag {
    /// The user's name for such devices.
    pub name: Arc<str>,
    /// How their addresses begin.
    pub prefix: MacPrefix,
}

impl PrefixTag {
    /// Returns the name of a device that the tag is for: the tag's, and the rest of its address.
    #[must_use]
    pub fn name_of(&self, mac: MacAddress) -> String {
        let rest = mac.to_string().split_off(self.prefix.bits as usize / 8 * 3);
        format!("{}-{rest}", self.name)
    }
}

/// What the user tags: one device, or all that have a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceTag {
    /// A device.
    One(Device),
    /// Every device with a prefix.
    Prefix(PrefixTag),
}

impl DeviceTag {
    /// Returns the tag of this name for an address or a prefix.
    ///
    /// # Errors
    /// [`DeviceError`], but for `Form`.
    pub fn new(name: &str, mac: &str) -> Result<Self, DeviceError> {
        let name = name.trim();
        if !MacPrefix::is_meant(mac) {
            return Device::new(name, mac.parse()?).map(Self::One);
        }
        if name.is_empty() {
            return Err(DeviceError::BlankName);
        }
        Ok(Self::Prefix(PrefixTag {
            name: name.into(),
            prefix: mac.parse()?,
        }))
    }

    /// Returns the devices and the prefixes among tags.
    #[must_use]
    pub fn split(tags: Vec<Self>) -> (Vec<Device>, Vec<PrefixTag>) {
        let (mut devices, mut prefixes) = (Vec::new(), Vec::new());
        for tag in tags {
            match tag {
                Self::One(device) => devices.push(device),
                Self::Prefix(prefix) => prefixes.push(prefix),
            }
        }
        (devices, prefixes)
    }
}

impl FromStr for DeviceTag {
    type Err = DeviceError;

    /// Parses `NAME=MAC` or `NAME=PREFIX`; the name may contain `=`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('=') {
            Some((name, mac)) if !name.trim().is_empty() => Self::new(name, mac.trim()),
            _ => Err(DeviceError::Form(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, u32), &str>) {
        let got = text.parse::<MacPrefix>();
        match (got, expected) {
            (Ok(prefix), Ok((shown, bits))) => {
                assert_eq!((prefix.to_string().as_str(), prefix.bits()), (shown, bits));
                assert_eq!(shown.parse(), Ok(prefix), "what is shown can be read");
            }
            (Err(error), Err(part)) => {
                let error = error.to_string();
                assert!(error.contains(part), "`{error}` lacks `{part}`");
            }
            (got, expected) => panic!("`{text}`: got {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn prefixes_are_read_as_people_write_them() {
        for text in [
            "2c:aa:8e:*",
            "2C-AA-8E-*",
            "2c:aa:8e:*:*:*",
            "2c:aa:8e:",
            "2c:aa:8e*",
        ] {
            check(text, Ok(("2c:aa:8e:*", 24)));
        }
        check("2c:aa:8e:00:00:00/24", Ok(("2c:aa:8e:*", 24)));
        check("74:1a:e0:9*", Ok(("74:1a:e0:9*", 28)));
        check("74:1a:e0:9*:*:*", Ok(("74:1a:e0:9*", 28)));
        check("74:1A:E0:90:00:00/28", Ok(("74:1a:e0:9*", 28)));
        check("70:b3:d5:f2:f*", Ok(("70:b3:d5:f2:f*", 36)));
        check("2c:*", Ok(("2c:*", 8)));
        check("2c:aa:8e:01:02:*", Ok(("2c:aa:8e:01:02:*", 40)));
        check("74:00:00:00:00:02/47", Ok(("74:00:00:00:00:02/47", 47)));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in [
            "*",
            ":",
            "",
            "2:*",
            "2*",
            "2c:aa:8e",
            "2c:aa:8e:9:*",
            "2c:+1:*",
            "2c:aag:*",
            "2c:aa-8e:*",
            "2c:aa:8e:01:02:03:*",
            "2c:*:8e",
            "2c:aa:8e:01:02:03/24",
            "2c:aa:8e:00:00:00/48",
            "2c:aa:8e:00:00:00/7",
            "2c:aa:8e:00:00:00/",
            "2c::*:*:*:*:*:*",
        ] {
            check(text, Err("is not the beginning"));
        }
        check("01:00:5e:*", Err("multicast"));
        check("33:33:*", Err("multicast"));
    }

    #[test]
    fn a_device_is_named_after_the_tag_and_the_rest_of_its_address() {
        let mac: MacAddress = "74:1a:e0:91:02:03".parse().unwrap();
        let name = |text: &str| {
            let Ok(DeviceTag::Prefix(tag)) = text.parse() else {
                panic!("{text}");
            };
            assert!(tag.prefix.matches(mac));
            tag.name_of(mac)
        };
        assert_eq!(name("cam=74:1a:e0:*"), "cam-91:02:03");
        assert_eq!(name("cam=74:1a:e0:9*"), "cam-91:02:03");
        assert_eq!(name("a=b=74:1a:e0:91:02:*"), "a=b-03");
        assert_eq!(name("cam=74:*"), "cam-1a:e0:91:02:03");
    }

    #[test]
    fn a_whole_address_is_a_devices_and_a_prefix_needs_a_name() {
        let tag: DeviceTag = "cam=2c:aa:8e:01:02:03".parse().unwrap();
        assert!(matches!(tag, DeviceTag::One(_)));
        let error = "=2c:aa:8e:*".parse::<DeviceTag>().unwrap_err();
        assert!(matches!(error, DeviceError::Form(_)), "{error}");
        let error = DeviceTag::new(" ", "2c:aa:8e:*").unwrap_err();
        assert_eq!(error, DeviceError::BlankName);
    }
}
