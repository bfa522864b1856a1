//! What a comparison is to do: its two sides as they were named, which devices, and in what.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{CaptureDevice, CaptureTag, Settings};
use crate::{
    diff::{KINDS, Kind, Remotes, SideDevice},
    format::{FORMATS, FormatEntry},
    model::{DeviceError, MacAddress},
};

/// The history that is read unless the user names another: the service's.
pub const DEFAULT_HISTORY: &str = "/var/lib/flowwatch/history.db";

/// A device that the user chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// By the name that it has on one of the sides.
    Name(String),
    /// By its MAC address.
    Mac(MacAddress),
    /// By a tag, which captures are counted with.
    Tag(CaptureTag),
}

/// What a comparison is to do.
#[derive(Clone, Debug)]
pub struct DiffPlan {
    /// Before and after, as they were named.
    pub sides: [String; 2],
    /// The history that spans without one are of.
    pub history: PathBuf,
    /// The devices that are compared; all where none is chosen.
    pub devices: Vec<DeviceChoice>,
    /// In what they are compared, in the order of [`KINDS`].
    pub kinds: Vec<&'static Kind>,
    /// Which remotes are.
    pub remotes: Remotes,
    /// Whether a difference is to be told by the exit status.
    pub tells_by_status: bool,
    /// Databases and tags of devices for captures.
    pub counting: Settings,
    /// The output's format.
    pub format: &'static FormatEntry,
    /// The output's file; without it, standard output.
    pub output: Option<PathBuf>,
}

impl DiffPlan {
    /// Makes the plan of all kinds and the internet's remotes, of settings in which those of a
    /// configuration file may be. What else is set is not for a comparison.
    #[must_use]
    pub fn new(sides: [String; 2], devices: Vec<DeviceChoice>, settings: Settings) -> Self {
        let history = settings.history.file.clone();
        Self {
            sides,
            history: history.unwrap_or_else(|| Path::new(DEFAULT_HISTORY).to_owned()),
            devices,
            kinds: KINDS.iter().collect(),
            remotes: Remotes::default(),
            tells_by_status: false,
            format: settings.format.unwrap_or(&FORMATS[0]),
            output: settings.output.clone(),
            counting: settings,
        }
    }

    /// Returns the tags among the chosen devices, for captures.
    #[must_use]
    pub fn tags(&self) -> Vec<CaptureTag> {
        let tags = self.devices.iter().filter_map(|choice| match choice {
            DeviceChoice::Tag(tag) => Some(tag.clone()),
            DeviceChoice::Name(_) | DeviceChoice::Mac(_) => None,
        });
        tags.collect()
    }
}

impl DeviceChoice {
    /// Returns whether it is this device.
    #[must_use]
    pub fn is(&self, device: &SideDevice) -> bool {
        match self {
            Self::Name(name) => *name == device.name,
            Self::Mac(mac) => device.mac == Some(*mac),
            Self::Tag(CaptureTag::One(CaptureDevice { device: tagged, .. })) => {
                *tagged.name == *device.name || tagged.mac.is_some() && tagged.mac == device.mac
            }
            Self::Tag(CaptureTag::Prefix(tag)) => {
                device.mac.is_some_and(|mac| tag.prefix.matches(mac))
            }
        }
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

    fn device(name: &str, mac: Option<&str>) -> SideDevice {
        SideDevice {
            name: name.to_owned(),
            mac: mac.map(|mac| mac.parse().unwrap()),
            destinations: Vec::new(),
        }
    }

    #[test]
    fn a_device_is_chosen_by_name_address_or_tag() {
        let camera = device("camera", Some("2c:aa:8e:00:00:01"));
        let renamed = device("cam", Some("2c:aa:8e:00:00:01"));
        let replaced = device("camera", Some("50:c7:bf:00:00:02"));
        let check = |text: &str, expected: [bool; 3]| {
            let choice: DeviceChoice = text.parse().unwrap();
            let is = [&camera, &renamed, &replaced].map(|device| choice.is(device));
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
}
