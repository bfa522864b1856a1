//! Which devices the user chooses to be told of: by name, by MAC address, or by a tag.

use std::str::FromStr;

use super::{CaptureDevice, CaptureTag};
use crate::model::{DeviceError, MacAddress};

/// Devices that a sentence lists.
const DEVICES_LISTED: usize = 8;

/// A device that the user chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// By its name.
    Name(String),
    /// By its MAC address.
    Mac(MacAddress),
    /// By a tag, which captures are counted with.
    Tag(CaptureTag),
}

impl DeviceChoice {
    /// Returns whether it is the device of this name and MAC address.
    #[must_use]
    pub fn is(&self, name: &str, mac: Option<MacAddress>) -> bool {
        match self {
            Self::Name(chosen) => *chosen == name,
            Self::Mac(chosen) => mac == Some(*chosen),
            Self::Tag(CaptureTag::One(CaptureDevice { device: tagged, .. })) => {
                *tagged.name == *name || tagged.mac.is_some() && tagged.mac == mac
            }
            Self::Tag(CaptureTag::Prefix(tag)) => mac.is_some_and(|mac| tag.prefix.matches(mac)),
        }
    }

    /// Returns the tags among some choices, for captures.
    #[must_use]
    pub fn tags(choices: &[Self]) -> Vec<CaptureTag> {
        let tags = choices.iter().filter_map(|choice| match choice {
            Self::Tag(tag) => Some(tag.clone()),
            Self::Name(_) | Self::Mac(_) => None,
        });
        tags.collect()
    }
}

/// Returns names of devices as a sentence lists them: each once, and a few of them.
#[must_use]
pub fn listed_devices<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(DEVICES_LISTED);
    names.truncate(DEVICES_LISTED);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, _) => format!("{} and {more} more", names.join(", ")),
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Mac(mac) => mac.fmt(formatter),
            Self::Tag(CaptureTag::One(tagged)) => formatter.write_str(&tagged.device.name),
            Self::Tag(CaptureTag::Prefix(tag)) => formatter.write_str(&tag.name),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    /// Parses a name, a MAC address, or a tag: `NAME=MAC`, `NAME=PREFIX` or `NAME=IP`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('=') {
            return text.parse().map(Self::Tag);
        }
        if text.trim().is_empty() {
            return Err(DeviceError::BlankName);
        }
        let mac = text.trim().parse().map(Self::Mac);
        Ok(mac.unwrap_or_else(|_| Self::Name(text.trim().to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_chosen_by_name_address_or_tag() {
        let camera = ("camera", "2c:aa:8e:00:00:01");
        let renamed = ("cam", "2c:aa:8e:00:00:01");
        let replaced = ("camera", "50:c7:bf:00:00:02");
        let check = |text: &str, expected: [bool; 3]| {
            let choice: DeviceChoice = text.parse().unwrap();
            let is = [camera, renamed, replaced]
                .map(|(name, mac)| choice.is(name, Some(mac.parse().unwrap())));
            assert_eq!(is, expected, "{text}");
        };
        check("camera", [true, false, true]);
        check("2C:AA:8E:00:00:01", [true, true, false]);
        check("camera=2c:aa:8e:00:00:01", [true, true, true]);
        check("any=2c:aa:8e:*", [true, true, false]);
        check("camera=192.168.8.214", [true, false, true]);
        check("plug", [false; 3]);
        assert!("".parse::<DeviceChoice>().is_err());
        assert!("camera=nonsense".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn a_sentence_lists_few_devices() {
        assert_eq!(listed_devices([].into_iter()), "none");
        assert_eq!(
            listed_devices(["plug", "camera", "plug"].into_iter()),
            "camera, plug"
        );
        let many: Vec<_> = (1..=9).map(|number| format!("d{number}")).collect();
        let told = listed_devices(many.iter().map(String::as_str));
        assert_eq!(told, "d1, d2, d3, d4, d5, d6, d7, d8 and 1 more");
    }
}
