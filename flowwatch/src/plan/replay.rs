//! What a replay is to do: the settings that it shares with a run, its capture, and devices that
//! may be known by an IP address alone.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::{PlanError, Settings, check_devices};
use crate::format::{FORMATS, FormatEntry};
use crate::model::{Device, DeviceError, DeviceTag, PrefixTag};

impl Settings {
    /// Returns what of a configuration file holds for captures, too: tags and places. The rest is a
    /// run's.
    #[must_use]
    pub fn of_captures(self) -> Self {
        Self {
            devices: self.devices,
            prefixes: self.prefixes,
            geo: self.geo,
            builtin_geo: self.builtin_geo,
            ..Self::default()
        }
    }
}

/// What the user tags in a capture: a device, or all that have a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureTag {
    /// A device.
    One(CaptureDevice),
    /// Every device with a prefix.
    Prefix(PrefixTag),
}

impl CaptureTag {
    /// Returns the tag as one of a device on the LAN.
    ///
    /// # Errors
    /// `ByAddress`.
    pub(super) fn on_lan(self) -> Result<DeviceTag, PlanError> {
        match self {
            Self::One(CaptureDevice {
                device,
                address: None,
            }) => Ok(DeviceTag::One(device)),
            Self::One(tagged) => Err(PlanError::ByAddress(tagged.device.name.to_string())),
            Self::Prefix(tag) => Ok(DeviceTag::Prefix(tag)),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::One(tagged) => &tagged.device.name,
            Self::Prefix(tag) => &tag.name,
        }
    }
}

/// A device as `replay` may be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureDevice {
    /// Its name, and its MAC address unless it goes by an IP address.
    pub device: Device,
    /// The IP address that it goes by.
    pub address: Option<IpAddr>,
}

impl From<DeviceTag> for CaptureTag {
    fn from(tag: DeviceTag) -> Self {
        match tag {
            DeviceTag::One(device) => Self::One(CaptureDevice {
                device,
                address: None,
            }),
            DeviceTag::Prefix(tag) => Self::Prefix(tag),
        }
    }
}

impl FromStr for CaptureTag {
    type Err = DeviceError;

    /// Parses `NAME=MAC`, `NAME=PREFIX` or `NAME=IP`; the name may contain `=`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.rsplit_once('=').and_then(|(name, address)| {
            let address = address.trim().parse::<IpAddr>().ok()?;
            Some((name, address))
        });
        match address {
            None => text.parse::<DeviceTag>().map(Self::from),
            Some((name, address)) => Ok(Self::One(CaptureDevice {
                device: Device::without_mac(name)?,
                address: Some(address),
            })),
        }
    }
}

/// What a replay is to do, complete and valid.
#[derive(Clone, Debug)]
pub struct ReplayPlan {
    /// The capture's file; `-` is standard input.
    pub capture: PathBuf,
    /// Tagged devices, names and addresses unique, at most `MAX_DEVICES`; when there are neither
    /// these nor prefixes, every device that sends is one.
    pub devices: Vec<CaptureDevice>,
    /// Prefixes whose devices are tagged as they appear.
    pub prefixes: Vec<PrefixTag>,
    /// Databases of places, in order of precedence.
    pub geo: Vec<PathBuf>,
    /// Whether the built-in database of places follows them.
    pub uses_builtin_geo: bool,
    /// The output's format.
    pub format: &'static FormatEntry,
    /// The output's file; without it, standard output.
    pub output: Option<PathBuf>,
}

impl ReplayPlan {
    /// Makes the plan of the command line's tags and of settings in which those of a
    /// configuration file may be; the command line's win. What else is set is not for a replay.
    ///
    /// # Errors
    /// Those of devices.
    pub fn new(
        capture: PathBuf,
        tags: Vec<CaptureTag>,
        settings: Settings,
    ) -> Result<Self, PlanError> {
        let (devices, prefixes) = united(tags, &settings)?;
        Ok(Self {
            capture,
            devices,
            prefixes,
            geo: settings.geo,
            uses_builtin_geo: settings.builtin_geo.unwrap_or(true),
            format: settings.format.unwrap_or(&FORMATS[0]),
            output: settings.output,
        })
    }
}

impl ReplayPlan {
    /// Returns what is replayed, in a few words.
    #[must_use]
    pub fn source(&self) -> String {
        let name = self.capture.file_name();
        match name {
            Some(name) if name != "-" => format!("capture {}", name.display()),
            _ => "capture from standard input".to_owned(),
        }
    }
}

/// Returns the tags of both, those of the file first, but for the ones that the command line names
/// anew.
fn united(
    tags: Vec<CaptureTag>,
    file: &Settings,
) -> Result<(Vec<CaptureDevice>, Vec<PrefixTag>), PlanError> {
    let names: HashSet<_> = tags.iter().map(|tag| tag.name().to_owned()).collect();
    let devices = file.devices.iter().cloned().map(DeviceTag::One);
    let prefixes = file.prefixes.iter().cloned().map(DeviceTag::Prefix);
    let of_file = devices.chain(prefixes).map(CaptureTag::from);
    let others = of_file.filter(|tag| !names.contains(tag.name()));
    let (mut devices, mut prefixes) = (Vec::new(), Vec::new());
    for tag in others.chain(tags) {
        match tag {
            CaptureTag::One(device) => devices.push(device),
            CaptureTag::Prefix(prefix) => prefixes.push(prefix),
        }
    }
    if !(devices.is_empty() && prefixes.is_empty()) {
        check(&devices, &prefixes)?;
    }
    Ok((devices, prefixes))
}

fn check(tagged: &[CaptureDevice], prefixes: &[PrefixTag]) -> Result<(), PlanError> {
    let devices: Vec<Device> = tagged.iter().map(|tagged| tagged.device.clone()).collect();
    check_devices(&devices, prefixes)?;
    let mut addresses = HashMap::new();
    for CaptureDevice { device, address } in tagged {
        let Some(address) = *address else { continue };
        if let Some(first) = addresses.insert(address, &device.name) {
            return Err(PlanError::SameAddress {
                address,
                first: first.to_string(),
                second: device.name.to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> Vec<CaptureTag> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn plan(texts: &[&str], of_file: &[&str]) -> Result<ReplayPlan, PlanError> {
        let of_file = of_file.iter().map(|text| text.parse().unwrap());
        let settings = Settings {
            devices: of_file.collect(),
            interfaces: vec!["br-lan".to_owned()],
            ..Settings::default()
        };
        ReplayPlan::new("-".into(), tags(texts), settings)
    }

    #[test]
    fn a_device_goes_by_a_mac_or_an_ip_address() {
        let texts = [
            "camera=2c:aa:8e:01:02:03",
            "a=b = 192.168.8.214",
            "phone=fd00::9",
            "cam=2c:aa:8e:*",
        ];
        let plan = plan(&texts, &[]).unwrap();
        assert_eq!(&*plan.prefixes[0].name, "cam");
        let read = plan.devices;
        let by_address = |at: usize| (read[at].device.mac.is_some(), read[at].address);
        assert_eq!(by_address(0), (true, None));
        assert_eq!(&*read[1].device.name, "a=b");
        assert_eq!(by_address(1), (false, "192.168.8.214".parse().ok()));
        assert_eq!(by_address(2), (false, "fd00::9".parse().ok()));
        let refused = |text: &str| text.parse::<CaptureTag>().unwrap_err().to_string();
        assert!(refused("camera=192.168.8").contains("is not a MAC address"));
        assert!(refused(" =192.168.8.1").contains("not blank"));
    }

    #[test]
    fn the_command_lines_tags_win_over_the_files() {
        let plan = plan(
            &["camera=192.168.8.214"],
            &["camera=2c:aa:8e:01:02:03", "plug=50:c7:bf:0a:0b:0c"],
        )
        .unwrap();
        let names: Vec<_> = plan.devices.iter().map(|it| &*it.device.name).collect();
        assert_eq!(names, ["plug", "camera"]);
        assert_eq!(plan.devices[1].device.mac, None);
    }

    #[test]
    fn no_device_is_a_plan_and_two_of_one_address_are_none() {
        assert!(plan(&[], &[]).unwrap().devices.is_empty());
        let error = plan(&["a=192.0.2.1", "b=192.0.2.1"], &[]).unwrap_err();
        assert!(error.to_string().contains("192.0.2.1"), "{error}");
        assert!(plan(&["a=192.0.2.1", "a=192.0.2.2"], &[]).is_err());
    }
}
