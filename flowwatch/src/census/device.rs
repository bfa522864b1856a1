//! A device of the LAN as it is listed, and the one list of its fields.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::Hostname;
use crate::model::{MacAddress, Value};

/// What the router's mark says.
const PROBABLE_ROUTER: &str = "probable second router";

/// A device of the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanDevice {
    /// Its MAC address.
    pub mac: MacAddress,
    /// The organization that the IEEE gave the address's block to.
    pub vendor: Option<String>,
    /// Whether the address is made up: locally administered, and in no block of the registry.
    pub is_randomized: bool,
    /// What it is called.
    pub hostname: Option<Hostname>,
    /// Its IPv4 addresses, in order.
    pub ipv4_addresses: Vec<IpAddr>,
    /// Its IPv6 addresses, in order.
    pub ipv6_addresses: Vec<IpAddr>,
    /// Its first frame; nothing when it is known, but silent.
    pub first_seen: Option<Timestamp>,
    /// Its last frame.
    pub last_seen: Option<Timestamp>,
    /// Its frames.
    pub frames: u64,
    /// The user's name for it.
    pub tag: Option<String>,
    /// Whether it has so many addresses that it forwards for others.
    pub is_probable_router: bool,
    /// The option that tags it, where it isn't; safe to copy into a shell.
    pub option: Option<String>,
}

impl LanDevice {
    /// Returns what is to be said beside the fields that are seen.
    #[must_use]
    pub const fn note(&self) -> Option<&'static str> {
        if self.is_probable_router {
            Some(PROBABLE_ROUTER)
        } else {
            None
        }
    }
}

/// The list, and its circumstances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanDevices {
    /// The circumstances.
    pub meta: CensusMeta,
    /// The devices: tagged ones first, then those seen last.
    pub devices: Vec<LanDevice>,
}

/// The circumstances of a census.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CensusMeta {
    /// Interfaces that were watched, or the capture that was read.
    pub sources: Vec<String>,
    /// The registry of vendors: `built-in`, a folder or `none`; and the date of its data.
    pub vendors: String,
    /// Frames whose pair of addresses found no room in the kernel.
    pub sightings_without_room: u64,
    /// Frames that carry names and did not arrive.
    pub frames_without_room: u64,
    /// Frames and neighbours of devices that found no room.
    pub devices_without_room: u64,
    /// Packets of a capture whose link layer has no MAC addresses.
    pub frames_without_mac: u64,
}

/// One field of a listed device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceField {
    /// The name in every format.
    pub name: &'static str,
    /// One sentence for help and documentation.
    pub description: &'static str,
    /// Returns the field of a device.
    pub value: for<'device> fn(&'device LanDevice) -> Value<'device>,
}

/// The fields, in the order of every format.
pub const DEVICE_FIELDS: &[DeviceField] = &[
    DeviceField {
        name: "tag",
        description: "The device's name, as the user tagged it.",
        value: |device| Value::of_text(device.tag.as_deref()),
    },
    DeviceField {
        name: "mac",
        description: "The device's MAC address.",
        value: |device| Value::Text(Cow::Owned(device.mac.to_string())),
    },
    DeviceField {
        name: "vendor",
        description: "The organization that the IEEE gave the address's block to.",
        value: |device| Value::of_text(device.vendor.as_deref()),
    },
    DeviceField {
        name: "randomized",
        description: "Whether the address is made up, as those of privacy-minded phones are.",
        value: |device| Value::Flag(device.is_randomized),
    },
    DeviceField {
        name: "hostname",
        description: "What the device is called.",
        value: |device| Value::of_text(device.hostname.as_ref().map(|name| &*name.text)),
    },
    DeviceField {
        name: "hostname_source",
        description: "Who says so: `lease`, `dhcp`, `dhcpv6` or `mdns`.",
        value: |device| Value::of_text(device.hostname.as_ref().map(|name| name.source.name())),
    },
    DeviceField {
        name: "ipv4_addresses",
        description: "The device's IPv4 addresses.",
        value: |device| Value::Addresses(&device.ipv4_addresses),
    },
    DeviceField {
        name: "ipv6_addresses",
        description: "The device's IPv6 addresses.",
        value: |device| Value::Addresses(&device.ipv6_addresses),
    },
    DeviceField {
        name: "first_seen",
        description: "When its first frame was seen; unknown for a device that is known, but silent.",
        value: |device| device.first_seen.map_or(Value::Null, Value::Time),
    },
    DeviceField {
        name: "last_seen",
        description: "When its last frame was seen.",
        value: |device| device.last_seen.map_or(Value::Null, Value::Time),
    },
    DeviceField {
        name: "frames",
        description: "Frames from the device.",
        value: |device| Value::Number(device.frames),
    },
    DeviceField {
        name: "note",
        description: "`probable second router` for a device with very many addresses.",
        value: |device| Value::of_text(device.note()),
    },
    DeviceField {
        name: "option",
        description: "The option of `flowwatch run` that tags the device, if it isn't tagged.",
        value: |device| Value::of_text(device.option.as_deref()),
    },
];
