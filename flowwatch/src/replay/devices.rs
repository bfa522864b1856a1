//! Whose a captured frame is: by MAC address, and by IP address where there is no other.
//!
//! Every table has a bound; what it turns away is counted.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use flowwatch_common::abi::mac_word;
use foldhash::fast::RandomState;

use super::link::Address;
use crate::model::{Device, MacAddress, PrefixTag, TaggedDevices};
use crate::observation::DeviceId;
use crate::plan::CaptureDevice;

/// The most devices: their numbers are 16 bits wide.
const MAX_DEVICES: usize = DeviceId::MAX as usize;
/// IP addresses that are remembered as those that devices send from.
const MAX_ADDRESSES: usize = 1 << 16;

/// The devices of a capture.
#[derive(Debug)]
pub(super) struct Devices {
    list: TaggedDevices,
    by_mac: HashMap<u64, DeviceId, RandomState>,
    /// Those that the user gave an IP address.
    by_address: HashMap<Address, DeviceId, RandomState>,
    /// The addresses from which devices were seen sending.
    learned: HashMap<Address, DeviceId, RandomState>,
    /// Whether every MAC address is a device, as none is tagged.
    adopts: bool,
    most: usize,
    turned_away: u64,
    addresses_turned_away: u64,
}

impl Devices {
    /// Returns the tagged devices, which those with a prefix join; or, where nothing is tagged, a
    /// list that each sender joins.
    pub(super) fn new(tagged: &[CaptureDevice], prefixes: &[PrefixTag]) -> Self {
        let list: Vec<_> = tagged.iter().map(|it| it.device.clone()).collect();
        let mut devices = Self {
            list: TaggedDevices::new(&list, prefixes),
            by_mac: HashMap::default(),
            by_address: HashMap::default(),
            learned: HashMap::default(),
            adopts: tagged.is_empty() && prefixes.is_empty(),
            most: MAX_DEVICES,
            turned_away: 0,
            addresses_turned_away: 0,
        };
        for (id, tagged) in (0..).zip(tagged) {
            if let Some(mac) = tagged.device.mac {
                devices.by_mac.insert(mac_word(mac.octets()), id);
            }
            if let Some(address) = tagged.address {
                devices.by_address.insert(address_of(address), id);
            }
        }
        devices
    }

    /// Returns the device with a MAC address. When none is tagged, it is one from now on: also by
    /// what it receives, as that may come before all that it sends.
    #[inline]
    pub(super) fn with_mac(&mut self, mac: u64) -> Option<DeviceId> {
        match self.by_mac.get(&mac) {
            Some(id) => Some(*id),
            None if self.adopts || self.list.may_appear() => self.adopt(mac),
            None => None,
        }
    }

    #[cold]
    fn adopt(&mut self, mac: u64) -> Option<DeviceId> {
        let [a, b, c, d, e, f, ..] = mac.to_le_bytes();
        let address = MacAddress::new([a, b, c, d, e, f]).ok()?;
        if !self.adopts && self.list.tag_of(address).is_none() {
            return None;
        }
        let count = self.list.devices().len();
        if count >= self.most {
            self.turned_away += 1;
            return None;
        }
        let id = count as DeviceId;
        if self.adopts {
            let device = Device::new(&address.to_string(), address).ok()?;
            self.list.push(device);
        } else {
            self.list.appear(&BTreeMap::from([(id, address.octets())]));
        }
        self.by_mac.insert(mac, id);
        Some(id)
    }

    /// Returns the device to which the user gave this IP address.
    pub(super) fn with_address(&self, address: &Address) -> Option<DeviceId> {
        self.by_address.get(address).copied()
    }

    /// Returns whether the user gave a device an IP address.
    #[inline]
    pub(super) fn have_addresses(&self) -> bool {
        !self.by_address.is_empty()
    }

    /// Remembers that a device sends from an IP address; the first that does keeps it.
    pub(super) fn learn(&mut self, address: Address, device: DeviceId) {
        if self.learned.contains_key(&address) || is_nobodys(&address) {
            return;
        }
        if self.learned.len() >= MAX_ADDRESSES {
            self.addresses_turned_away += 1;
            return;
        }
        self.learned.insert(address, device);
    }

    /// Returns the device that was seen sending from this IP address.
    pub(super) fn that_sent_from(&self, address: &Address) -> Option<DeviceId> {
        self.learned.get(address).copied()
    }

    /// Returns the devices in the order of their numbers.
    pub(super) fn list(&self) -> &[Device] {
        self.list.devices()
    }

    /// Returns whether none is tagged.
    pub(super) fn are_adopted(&self) -> bool {
        self.adopts
    }

    /// Returns frames of devices that found no room, once for each direction.
    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Returns how often an address found no room.
    pub(super) fn addresses_turned_away(&self) -> u64 {
        self.addresses_turned_away
    }
}

/// Addresses that stand for no host: unspecified, as DHCP clients have it, and multicast.
fn is_nobodys((version, words): &Address) -> bool {
    let [.., last] = words;
    let octets = words[0].to_ne_bytes();
    match version {
        4 => *last == 0 || last.to_ne_bytes()[0] >= 224,
        _ => *words == [0; 4] || octets[0] == 0xff,
    }
}

/// Returns an address as packets have it.
fn address_of(address: IpAddr) -> Address {
    let (version, octets) = match address {
        IpAddr::V4(address) => (4, address.to_ipv6_mapped().octets()),
        IpAddr::V6(address) => (6, address.octets()),
    };
    let mut words = [0; 4];
    for (word, four) in words.iter_mut().zip(octets.as_chunks::<4>().0) {
        *word = u32::from_ne_bytes(*four);
    }
    (version, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ReplayPlan, Settings};

    fn tagged(texts: &[&str]) -> (Vec<CaptureDevice>, Vec<PrefixTag>) {
        let tags = texts.iter().map(|text| text.parse().unwrap()).collect();
        let plan = ReplayPlan::new("-".into(), tags, Settings::default()).unwrap();
        (plan.devices, plan.prefixes)
    }

    fn address(text: &str) -> Address {
        address_of(text.parse().unwrap())
    }

    #[test]
    fn without_tags_every_unicast_address_is_a_device_up_to_the_bound() {
        let mut devices = Devices::new(&[], &[]);
        devices.most = 2;
        let mac = |last| mac_word([0x2c, 0xaa, 0x8e, 0, 0, last]);
        assert_eq!(devices.with_mac(mac(1)), Some(0));
        assert_eq!(devices.with_mac(mac(2)), Some(1));
        assert_eq!(devices.with_mac(mac(1)), Some(0));
        assert_eq!(devices.with_mac(0), None);
        assert_eq!(devices.with_mac(mac_word([1, 0, 0x5e, 0, 0, 251])), None);
        assert_eq!(devices.with_mac(u64::MAX >> 16), None);
        assert_eq!((devices.list().len(), devices.turned_away()), (2, 0));
        assert_eq!(devices.with_mac(mac(3)), None);
        assert_eq!(devices.turned_away(), 1);
        assert_eq!(&*devices.list()[0].name, "2c:aa:8e:00:00:01");
    }

    #[test]
    fn with_tags_nobody_else_is_a_device() {
        let (tagged, _) = tagged(&["camera=2c:aa:8e:00:00:01", "phone=fd00::9"]);
        let mut devices = Devices::new(&tagged, &[]);
        let mac = |last| mac_word([0x2c, 0xaa, 0x8e, 0, 0, last]);
        assert_eq!(devices.with_mac(mac(1)), Some(0));
        assert_eq!(devices.with_mac(mac(2)), None);
        assert_eq!(devices.with_address(&address("fd00::9")), Some(1));
        assert_eq!(devices.with_address(&address("fd00::8")), None);
        assert!(devices.have_addresses() && !devices.are_adopted());
    }

    #[test]
    fn devices_with_a_prefix_appear() {
        let (tagged, prefixes) = tagged(&["camera=2c:aa:8e:00:00:01", "cam=2c:aa:8e:*"]);
        let mut devices = Devices::new(&tagged, &prefixes);
        assert_eq!(devices.with_mac(mac_word([2, 0, 0, 0, 0, 1])), None);
        let mac = |last| mac_word([0x2c, 0xaa, 0x8e, 0, 0, last]);
        assert_eq!(devices.with_mac(mac(9)), Some(1));
        assert_eq!(devices.with_mac(mac(1)), Some(0));
        assert_eq!(devices.with_mac(mac(9)), Some(1));
        assert_eq!(&*devices.list()[1].name, "cam-00:00:09");
        assert_eq!(devices.list().len(), 2);
    }

    #[test]
    fn an_address_is_its_first_senders_and_what_is_no_hosts_is_nobodys() {
        let mut devices = Devices::new(&[], &[]);
        for (text, device) in [
            ("192.0.2.1", 7),
            ("192.0.2.1", 8),
            ("0.0.0.0", 7),
            ("224.0.0.251", 7),
            ("::", 7),
            ("ff02::fb", 7),
            ("fe80::1", 9),
        ] {
            devices.learn(address(text), device);
        }
        assert_eq!(devices.learned.len(), 2);
        assert_eq!(devices.that_sent_from(&address("192.0.2.1")), Some(7));
        assert_eq!(devices.that_sent_from(&address("fe80::1")), Some(9));
        assert_eq!(
            devices.that_sent_from(&address("::ffff:192.0.2.1")),
            None,
            "a mapped address is another"
        );
    }
}
