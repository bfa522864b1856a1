//! Who is on the LAN: every device by its MAC address, with what is known of it.
//!
//! Fed with sightings and frames by `devices` (from the kernel or a capture), with neighbours and
//! leases of the host; its list goes to `format`. Pure, and bounded: what finds no room is counted.

mod device;
mod leases;
mod names;
mod suggestion;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use flowwatch_common::census::{SightingKey, sighting_of};
use flowwatch_common::parse::FrameInfo;
use jiff::Timestamp;

pub use device::{CensusMeta, DEVICE_FIELDS, DeviceField, LanDevice, LanDevices};
pub use leases::{Lease, read as read_leases};
pub use names::{Hostname, HostnameSource};

use crate::model::{MacAddress, TaggedDevices};
use crate::oui::{VendorRegistry, is_locally_administered};

/// The most devices; a LAN has 65,536 addresses at most in a /16, and far fewer devices.
const MAX_DEVICES: usize = 16_384;
/// The addresses of each version that are kept of a device.
const MAX_ADDRESSES: usize = 128;
/// More IPv4 addresses than this are no device's own: another router forwards for others.
const ROUTER_V4: usize = 16;
/// A device of a home has one IPv4 address of the internet at most, and then none of the LAN's.
const ROUTER_PUBLIC_V4: usize = 2;
/// The same as `ROUTER_V4` of IPv6, of which privacy extensions make some a day.
const ROUTER_V6: usize = 64;

/// What is known of the LAN so far.
#[derive(Debug, Default)]
pub struct Census {
    devices: BTreeMap<MacAddress, Entry>,
    without_room: u64,
}

/// What is known of a device.
#[derive(Debug, Default)]
struct Entry {
    hostname: Option<Hostname>,
    addresses: [BTreeSet<IpAddr>; 2],
    seen: Option<(Timestamp, Timestamp)>,
    frames: u64,
}

/// Frames from one pair of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sightings {
    /// The pair.
    pub key: SightingKey,
    /// How many.
    pub frames: u64,
    /// The first.
    pub first_seen: Timestamp,
    /// The last.
    pub last_seen: Timestamp,
}

impl Census {
    /// Takes up what was seen of a pair of addresses.
    pub fn sighted(&mut self, sightings: &Sightings) {
        let Some(entry) = self.entry(sightings.key.mac()) else {
            return;
        };
        entry.frames += sightings.frames;
        let (first, last) = (sightings.first_seen, sightings.last_seen);
        let (before, after) = entry.seen.unwrap_or((first, last));
        entry.seen = Some((before.min(first), after.max(last)));
        if let Some(address) = address_of(&sightings.key) {
            entry.add_address(address);
        }
    }

    /// Takes up a frame: who it is from, and the names in it. `length` is the frame's on the wire.
    pub fn observe(&mut self, octets: &[u8], length: u32, at: Timestamp) {
        let frame = FrameInfo {
            length,
            ..FrameInfo::default()
        };
        let Some(sighting) = sighting_of(octets, &frame) else {
            return;
        };
        self.sighted(&Sightings {
            key: sighting.key,
            frames: 1,
            first_seen: at,
            last_seen: at,
        });
        if sighting.carries_names {
            self.read_names(octets, length);
        }
    }

    /// Takes up the names in a frame whose sender was sighted.
    pub fn read_names(&mut self, octets: &[u8], length: u32) {
        if let Some((mac, hostname)) = names::in_frame(octets, length) {
            self.name(mac, hostname);
        }
    }

    /// Takes up a neighbour that the host knows, however long ago it spoke.
    pub fn know(&mut self, mac: [u8; 6], address: Option<IpAddr>) {
        if let (Some(entry), Some(address)) = (self.entry(mac), address) {
            entry.add_address(address);
        }
    }

    /// Takes up a lease: its device is shown where it is known otherwise, too.
    pub fn lease(&mut self, lease: Lease) {
        let Ok(mac) = MacAddress::new(lease.mac) else {
            return;
        };
        if let (Some(hostname), true) = (lease.hostname, self.devices.contains_key(&mac)) {
            self.name(lease.mac, hostname);
        }
    }

    /// Returns the list: tagged devices first, then those seen last.
    #[must_use]
    pub fn list(self, vendors: &VendorRegistry, tags: &TaggedDevices) -> LanDevices {
        let mut devices: Vec<_> = self
            .devices
            .into_iter()
            .map(|(mac, entry)| entry.listed(mac, vendors, tags))
            .collect();
        devices.sort_by_key(|device| {
            let last_seen = std::cmp::Reverse(device.last_seen);
            (device.tag.is_none(), last_seen, device.mac)
        });
        let tagged = tags.devices().iter().map(|device| &*device.name);
        suggestion::suggest(&mut devices, tagged);
        LanDevices {
            meta: CensusMeta {
                devices_without_room: self.without_room,
                ..CensusMeta::default()
            },
            devices,
        }
    }

    fn name(&mut self, mac: [u8; 6], hostname: Hostname) {
        let Some(entry) = self.entry(mac) else {
            return;
        };
        // The newest of the best source.
        let is_better = entry
            .hostname
            .as_ref()
            .is_none_or(|known| hostname.source <= known.source);
        if is_better {
            entry.hostname = Some(hostname);
        }
    }

    fn entry(&mut self, mac: [u8; 6]) -> Option<&mut Entry> {
        let mac = MacAddress::new(mac).ok()?;
        if self.devices.len() >= MAX_DEVICES && !self.devices.contains_key(&mac) {
            self.without_room += 1;
            return None;
        }
        Some(self.devices.entry(mac).or_default())
    }
}

impl Entry {
    fn add_address(&mut self, address: IpAddr) {
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return;
        }
        let addresses = &mut self.addresses[usize::from(address.is_ipv6())];
        if addresses.len() < MAX_ADDRESSES {
            addresses.insert(address);
        }
    }

    fn listed(self, mac: MacAddress, vendors: &VendorRegistry, tags: &TaggedDevices) -> LanDevice {
        let vendor = vendors.vendor_of(mac.octets());
        let tag = tags
            .devices()
            .iter()
            .find(|device| device.mac == Some(mac))
            .map(|device| device.name.to_string());
        let by_prefix = || tags.tag_of(mac).map(|tag| tag.name_of(mac));
        let [mut v4, v6] = self.addresses.map(Vec::from_iter);
        // The LAN's own first: a router's others are those that it forwards for.
        v4.sort_by_key(|address| !is_private(*address));
        LanDevice {
            is_probable_router: is_router(&v4, &v6),
            mac,
            vendor: vendor.map(str::to_owned),
            // What the registry knows was not made up, although the bit says that it may be.
            is_randomized: is_locally_administered(mac.octets()) && vendor.is_none(),
            hostname: self.hostname,
            ipv4_addresses: v4,
            ipv6_addresses: v6,
            first_seen: self.seen.map(|(first, _)| first),
            last_seen: self.seen.map(|(_, last)| last),
            frames: self.frames,
            tag: tag.or_else(by_prefix),
            option: None,
        }
    }
}

/// Returns whether a device with these addresses forwards for others.
fn is_router(v4: &[IpAddr], v6: &[IpAddr]) -> bool {
    let beyond_link = |addresses: &[IpAddr]| {
        let far = addresses.iter().filter(|address| !is_link_local(**address));
        far.count()
    };
    let private = v4.iter().filter(|address| is_private(**address)).count();
    let is_between = private > 0 && v4.len() - private >= ROUTER_PUBLIC_V4;
    is_between || beyond_link(v4) > ROUTER_V4 || beyond_link(v6) > ROUTER_V6
}

/// Returns whether it is an IPv4 address of a LAN (RFC 1918), or of a link.
fn is_private(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_private() || address.is_link_local())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Returns the IP address of a pair; nothing where the frames had none.
fn address_of(key: &SightingKey) -> Option<IpAddr> {
    let mut octets = [0; 16];
    for (four, word) in octets.chunks_exact_mut(4).zip(key.address) {
        four.copy_from_slice(&word.to_ne_bytes());
    }
    let address = std::net::Ipv6Addr::from(octets);
    match key.ip_version() {
        4 => address.to_ipv4_mapped().map(IpAddr::V4),
        6 => Some(IpAddr::V6(address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
