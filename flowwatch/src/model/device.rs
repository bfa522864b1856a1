//! A tagged device: the user's name for a MAC address.
//!
//! Read from the command line and the configuration; its position in the list of devices is its
//! number everywhere else.

use std::{str::FromStr, sync::Arc};

use super::{MacAddress, MacAddressError, MacPrefixError};

/// A device that the user tagged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The user's name for it; not empty, and unlike any other device's.
    pub name: Arc<str>,
    /// Its MAC address; nothing where it is known by an IP address alone, in captures without MAC
    /// addresses.
    pub mac: Option<MacAddress>,
}

/// Why a text is not a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No `=`, or nothing before it.
    #[error("`{0}` does not name a device; write NAME=MAC, for example camera=2c:aa:8e:01:02:03")]
    Form(String),
    /// The name is empty or blank.
    #[error("a device needs a name that is not blank")]
    BlankName,
    /// The part after `=` is not a device's MAC address.
    #[error(transparent)]
    Mac(#[from] MacAddressError),
    /// The part after `=` is meant as a prefix, and is none.
    #[error(transparent)]
    Prefix(#[from] MacPrefixError),
}

impl Device {
    /// Returns the device of this name and MAC address.
    ///
    /// # Errors
    /// `BlankName`.
    pub fn new(name: &str, mac: MacAddress) -> Result<Self, DeviceError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(DeviceError::BlankName);
        }
        Ok(Self {
            name: name.into(),
            mac: Some(mac),
        })
    }

    /// Returns the device of this name, whose MAC address is not known.
    ///
    /// # Errors
    /// `BlankName`.
    pub fn without_mac(name: &str) -> Result<Self, DeviceError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(DeviceError::BlankName);
        }
        Ok(Self {
            name: name.into(),
            mac: None,
        })
    }

    /// Returns what stands for a number that no device has.
    #[must_use]
    pub(super) fn vacant() -> Self {
        Self {
            name: "".into(),
            mac: None,
        }
    }

    /// Returns whether this stands for a number that no device has.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        self.name.is_empty()
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    /// Parses `NAME=MAC`; the name may contain `=`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('=') {
            Some((name, mac)) if !name.trim().is_empty() => Self::new(name, mac.trim().parse()?),
            _ => Err(DeviceError::Form(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_equals_sign_separates_name_and_address() {
        let device: Device = "a=b=2c:aa:8e:01:02:03".parse().unwrap();
        assert_eq!(&*device.name, "a=b");
        assert_eq!(device.mac, "2c:aa:8e:01:02:03".parse().ok());
    }

    #[test]
    fn a_device_without_name_or_address_is_refused() {
        for text in [
            "2c:aa:8e:01:02:03",
            "=2c:aa:8e:01:02:03",
            " =2c:aa:8e:01:02:03",
        ] {
            let error = text.parse::<Device>().unwrap_err();
            assert!(error.to_string().contains("write NAME=MAC"), "{error}");
        }
        let error = "camera=".parse::<Device>().unwrap_err();
        assert!(
            matches!(error, DeviceError::Mac(MacAddressError::Form(_))),
            "{error}"
        );
    }
}
