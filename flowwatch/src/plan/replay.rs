//! What a replay is to do: the settings that it shares with a run, its capture, and devices that
//! may be known by an IP address alone.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::{PlanError, Settings, check_devices};
use crate::format::{FORMATS, FormatEntry};
use crate::model::{Device, DeviceError};

/// A device as `replay` may be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureDevice {
    /// Its name, and its MAC address unless it goes by an IP address.
    pub device: Device,
    /// The IP address that it goes by.
    pub address: Option<IpAddr>,
}

impl From<Device> for CaptureDevice {
    fn from(device: Device) -> Self {
        Self {
            device,
            address: None,
        }
    }
}

impl FromStr for CaptureDevice {
    type Err = DeviceError;

    /// Parses `NAME=MAC` or `NAME=IP`; the name may contain `=`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.rsplit_once('=').and_then(|(name, address)| {
            let address = address.trim().parse::<IpAddr>().ok()?;
            Some((name, address))
        });
        match address {
            None => text.parse::<Device>().map(Self::from),
            Some((name, address)) => Ok(Self {
                device: Device::without_mac(name)?,
                address: Some(address),
            }),
        }
    }
}

/// What a replay is to do, complete and valid.
#[derive(Clone, Debug)]
pub struct ReplayPlan {
    /// The capture's file; `-` is standard input.
    pub capture: PathBuf,
    /// Tagged devices, names and addresses unique, at most `MAX_DEVICES`; when there are none, every
    /// device that sends is one.
    pub devices: Vec<CaptureDevice>,
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
    /// Makes the plan of the command line's devices and of settings in which those of a
    /// configuration file may be; the command line's win. What else is set is not for a replay.
    ///
    /// # Errors
    /// Those of devices.
    pub fn new(
        capture: PathBuf,
        devices: Vec<CaptureDevice>,
        settings: Settings,
    ) -> Result<Self, PlanError> {
        Ok(Self {
            capture,
            devices: united(devices, settings.devices)?,
            geo: settings.geo,
            uses_builtin_geo: settings.builtin_geo.unwrap_or(true),
            format: settings.format.unwrap_or(&FORMATS[0]),
            output: settings.output,
        })
    }
}

/// Returns the devices of both, those of the file first, but for the ones that the command line
/// names anew.
fn united(
    devices: Vec<CaptureDevice>,
    of_file: Vec<Device>,
) -> Result<Vec<CaptureDevice>, PlanError> {
    let names: HashSet<_> = devices
        .iter()
        .map(|tagged| tagged.device.name.clone())
        .collect();
    let others = of_file
        .into_iter()
        .filter(|device| !names.contains(&device.name))
        .map(CaptureDevice::from);
    let united: Vec<CaptureDevice> = others.chain(devices).collect();
    if united.is_empty() {
        return Ok(united);
    }
    let list: Vec<Device> = united.iter().map(|tagged| tagged.device.clone()).collect();
    check_devices(&list)?;
    let mut addresses = HashMap::new();
    for CaptureDevice { device, address } in &united {
        let Some(address) = *address else { continue };
        if let Some(first) = addresses.insert(address, &device.name) {
            return Err(PlanError::SameAddress {
                address,
                first: first.to_string(),
                second: device.name.to_string(),
            });
        }
    }
    Ok(united)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(texts: &[&str]) -> Vec<CaptureDevice> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn plan(texts: &[&str], of_file: &[&str]) -> Result<ReplayPlan, PlanError> {
        let of_file = of_file.iter().map(|text| text.parse().unwrap());
        let settings = Settings {
            devices: of_file.collect(),
            interfaces: vec!["br-lan".to_owned()],
            ..Settings::default()
        };
        ReplayPlan::new("-".into(), devices(texts), settings)
    }

    #[test]
    fn a_device_goes_by_a_mac_or_an_ip_address() {
        let read = devices(&[
            "camera=2c:aa:8e:01:02:03",
            "a=b = 192.168.8.214",
            "phone=fd00::9",
        ]);
        let by_address = |at: usize| (read[at].device.mac.is_some(), read[at].address);
        assert_eq!(by_address(0), (true, None));
        assert_eq!(&*read[1].device.name, "a=b");
        assert_eq!(by_address(1), (false, "192.168.8.214".parse().ok()));
        assert_eq!(by_address(2), (false, "fd00::9".parse().ok()));
        let refused = |text: &str| text.parse::<CaptureDevice>().unwrap_err().to_string();
        assert!(refused("camera=192.168.8").contains("is not a MAC address"));
        assert!(refused(" =192.168.8.1").contains("not blank"));
    }

    #[test]
    fn the_command_lines_devices_win_over_the_files() {
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
