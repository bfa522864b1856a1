//! The devices that are counted: those that the user tagged, and those that appear under a prefix.
//!
//! A device's number is its position. The kernel gives numbers to those that appear; here they get
//! their names.

use std::collections::BTreeMap;

use super::{Device, MacAddress, PrefixTag};

/// The devices by their numbers.
#[derive(Clone, Debug, Default)]
pub struct TaggedDevices {
    devices: Vec<Device>,
    /// The longest first.
    prefixes: Vec<PrefixTag>,
}

impl TaggedDevices {
    /// Begins with the devices whose addresses are known.
    #[must_use]
    pub fn new(devices: &[Device], prefixes: &[PrefixTag]) -> Self {
        let mut prefixes = prefixes.to_vec();
        prefixes.sort_by_key(|tag| std::cmp::Reverse(tag.prefix.bits()));
        Self {
            devices: devices.to_vec(),
            prefixes,
        }
    }

    /// Returns the devices; a device's number is its position. A number that none has is vacant.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Returns the tag that a device with this address gets: that of the longest prefix.
    #[must_use]
    pub fn tag_of(&self, mac: MacAddress) -> Option<&PrefixTag> {
        self.prefixes.iter().find(|tag| tag.prefix.matches(mac))
    }

    /// Adds a device that nobody tagged.
    pub fn push(&mut self, device: Device) {
        self.devices.push(device);
    }

    /// Returns whether devices may appear.
    #[must_use]
    pub fn may_appear(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// Returns the number of the device with this address.
    #[must_use]
    pub fn number_of(&self, mac: MacAddress) -> Option<u16> {
        let position = self.devices.iter().position(|it| it.mac == Some(mac))?;
        u16::try_from(position).ok()
    }

    /// Returns the addresses to count by other tags: those tagged, and of the devices that are known,
    /// those that one of the prefixes tags; at most `most` of them.
    #[must_use]
    pub fn addresses_for(
        &self,
        devices: &[Device],
        prefixes: &[PrefixTag],
        most: usize,
    ) -> Vec<MacAddress> {
        let mut addresses: Vec<_> = devices.iter().filter_map(|device| device.mac).collect();
        let known = self.devices.iter().filter_map(|device| device.mac);
        for mac in known.filter(|mac| prefixes.iter().any(|tag| tag.prefix.matches(*mac))) {
            if addresses.len() < most && !addresses.contains(&mac) {
                addresses.push(mac);
            }
        }
        addresses
    }

    /// Takes other tags. A device that is known keeps its number, and has the name that it is given
    /// now; one that is tagged no longer stays with what was counted. `free` gives new numbers.
    pub fn retag(
        &mut self,
        devices: &[Device],
        prefixes: &[PrefixTag],
        free: &mut dyn FnMut() -> u16,
    ) {
        for device in devices {
            let known = device.mac.and_then(|mac| self.number_of(mac));
            self.put(known.unwrap_or_else(&mut *free), device.clone());
        }
        self.prefixes = prefixes.to_vec();
        self.prefixes
            .sort_by_key(|tag| std::cmp::Reverse(tag.prefix.bits()));
    }

    fn put(&mut self, number: u16, device: Device) {
        let number = usize::from(number);
        if number >= self.devices.len() {
            self.devices.resize(number + 1, Device::vacant());
        }
        self.devices[number] = device;
    }

    /// Takes up devices that appeared, with their numbers, and returns those that are new.
    pub fn appear(&mut self, found: &BTreeMap<u16, [u8; 6]>) -> Vec<Device> {
        let mut new = Vec::new();
        for (&number, &octets) in found {
            let is_known = self
                .devices
                .get(usize::from(number))
                .is_some_and(|it| !it.is_vacant());
            let (false, Ok(mac)) = (is_known, MacAddress::new(octets)) else {
                continue;
            };
            let Some(name) = self.tag_of(mac).map(|tag| self.unused_name(tag, mac)) else {
                continue;
            };
            let device = Device {
                name: name.into(),
                mac: Some(mac),
            };
            self.put(number, device.clone());
            new.push(device);
        }
        new
    }

    /// Returns the tag's name for a device, or, where another has that, a longer one.
    fn unused_name(&self, tag: &PrefixTag, mac: MacAddress) -> String {
        let is_used = |name: &str| self.devices.iter().any(|device| &*device.name == name);
        let mut name = tag.name_of(mac);
        if is_used(&name) {
            name = format!("{}-{mac}", tag.name);
        }
        while is_used(&name) {
            name.push('+');
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceTag;

    fn tagged(tags: &[&str]) -> TaggedDevices {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let (devices, prefixes) = DeviceTag::split(tags);
        TaggedDevices::new(&devices, &prefixes)
    }

    fn names(devices: &[Device]) -> Vec<&str> {
        devices.iter().map(|device| &*device.name).collect()
    }

    const FIRST: [u8; 6] = [0x2c, 0xaa, 0x8e, 0, 0, 1];
    const SECOND: [u8; 6] = [0x2c, 0xaa, 0x8e, 0, 0, 2];

    #[test]
    fn a_device_that_appears_is_named_once_and_keeps_its_number() {
        let mut devices = tagged(&["plug=50:c7:bf:0a:0b:0c", "cam=2c:aa:8e:*"]);
        let found = BTreeMap::from([(1, FIRST)]);
        assert_eq!(names(&devices.appear(&found)), ["cam-00:00:01"]);
        assert_eq!(names(&devices.appear(&found)), [""; 0]);
        let found = BTreeMap::from([(1, FIRST), (2, SECOND)]);
        assert_eq!(names(&devices.appear(&found)), ["cam-00:00:02"]);
        assert_eq!(
            names(devices.devices()),
            ["plug", "cam-00:00:01", "cam-00:00:02"]
        );
    }

    #[test]
    fn the_longest_prefix_names_a_device() {
        let mut devices = tagged(&["any=2c:*", "lab=2c:aa:8e:00:00:*", "cam=2c:aa:8e:*"]);
        let found = BTreeMap::from([(0, FIRST), (1, [0x2c, 0xaa, 0x8e, 0, 1, 1])]);
        assert_eq!(names(&devices.appear(&found)), ["lab-01", "cam-00:01:01"]);
    }

    #[test]
    fn a_number_that_nobody_has_yet_is_vacant() {
        let mut devices = tagged(&["cam=2c:aa:8e:*"]);
        devices.appear(&BTreeMap::from([(1, SECOND)]));
        assert!(devices.devices()[0].is_vacant() && !devices.devices()[1].is_vacant());
        devices.appear(&BTreeMap::from([(0, FIRST), (1, SECOND)]));
        assert_eq!(names(devices.devices()), ["cam-00:00:01", "cam-00:00:02"]);
    }

    #[test]
    fn a_device_keeps_its_number_when_the_tags_change() {
        let mut devices = tagged(&["plug=50:c7:bf:0a:0b:0c", "cam=2c:aa:8e:*"]);
        devices.appear(&BTreeMap::from([(1, FIRST)]));
        let tags = [
            "tv=02:00:00:00:00:01",
            "socket=50:c7:bf:0a:0b:0c",
            "eye=2c:*",
        ];
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let (tagged, prefixes) = DeviceTag::split(tags);
        let addresses = devices.addresses_for(&tagged, &prefixes, 9);
        let addresses: Vec<_> = addresses.iter().map(MacAddress::to_string).collect();
        let expected = [
            "02:00:00:00:00:01",
            "50:c7:bf:0a:0b:0c",
            "2c:aa:8e:00:00:01",
        ];
        assert_eq!(addresses, expected);
        let mut free = 2..;
        devices.retag(&tagged, &prefixes, &mut || free.next().unwrap());
        assert_eq!(names(devices.devices()), ["socket", "cam-00:00:01", "tv"]);
        devices.appear(&BTreeMap::from([(3, SECOND)]));
        assert_eq!(&*devices.devices()[3].name, "eye-aa:8e:00:00:02");
        devices.retag(&[], &prefixes, &mut || unreachable!());
        assert_eq!(devices.devices().len(), 4, "what was counted stays");
    }

    #[test]
    fn no_two_devices_have_one_name() {
        let mut devices = tagged(&[
            "cam-00:00:01=02:00:00:00:00:01",
            "cam-2c:aa:8e:00:00:01=02:00:00:00:00:02",
            "cam=2c:aa:8e:*",
        ]);
        let found = BTreeMap::from([(2, FIRST)]);
        let new = devices.appear(&found);
        assert_eq!(names(&new), ["cam-2c:aa:8e:00:00:01+"]);
    }
}
