//! The device table's layout: a perfect hash, so that the kernel needs one array look-up.
//!
//! Pure: addresses in, slots out. The kernel's half is `flowwatch-ebpf`'s `device.rs`.

use flowwatch_common::abi::{MAX_DEVICES, device_slot, device_slot_index};

/// Multipliers tried for each size before the table is doubled.
const TRIES_PER_SIZE: usize = 512;
/// The largest table: 8 octets a slot, so 64 MiB. Reached by no list that was tried.
const MAX_SLOT_BITS: u32 = 23;

/// Where each device's slot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTable {
    /// The hash's factor.
    pub multiplier: u64,
    /// 64 minus the binary logarithm of the number of slots.
    pub shift: u32,
    /// Index and content of the slots that hold a device.
    pub slots: Vec<(u32, u64)>,
}

/// The devices can't be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceTableError {
    /// More devices than numbers.
    #[error("{count} devices are tagged, and at most {MAX_DEVICES} can be; tag fewer")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// No multiplier separates them; two addresses are the same.
    #[error("two devices have the same MAC address; give each address one name")]
    Duplicate,
}

impl DeviceTable {
    /// Lays out devices, given as `abi::mac_word`s; a device's number is its position.
    ///
    /// # Errors
    /// [`DeviceTableError`] for too many devices, or two with one address.
    pub fn lay_out(macs: &[u64]) -> Result<Self, DeviceTableError> {
        if macs.len() > MAX_DEVICES {
            return Err(DeviceTableError::TooMany { count: macs.len() });
        }
        let mut sorted = macs.to_vec();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(DeviceTableError::Duplicate);
        }
        // A table of n² / 8 slots separates n addresses with one multiplier in e⁴ = 55.
        let wanted = (macs.len() * macs.len() / 8).max(macs.len()).max(16);
        let mut candidates = Multipliers(0x9e37_79b9_7f4a_7c15);
        (wanted.next_power_of_two().ilog2()..=MAX_SLOT_BITS)
            .find_map(|bits| Self::of_size(macs, bits, &mut candidates))
            .ok_or(DeviceTableError::Duplicate)
    }

    /// Returns how many slots the kernel's array needs.
    #[must_use]
    pub fn slot_count(&self) -> u32 {
        1 << (64 - self.shift)
    }

    fn of_size(macs: &[u64], bits: u32, candidates: &mut Multipliers) -> Option<Self> {
        let shift = 64 - bits;
        let mut taken_by = vec![0_u32; 1 << bits];
        for attempt in 1..=TRIES_PER_SIZE as u32 {
            let multiplier = candidates.next_odd();
            let separates = macs.iter().all(|mac| {
                let slot = &mut taken_by[device_slot_index(*mac, multiplier, shift) as usize];
                std::mem::replace(slot, attempt) != attempt
            });
            if separates {
                return Some(Self {
                    multiplier,
                    shift,
                    slots: fill(macs, multiplier, shift),
                });
            }
        }
        None
    }
}

fn fill(macs: &[u64], multiplier: u64, shift: u32) -> Vec<(u32, u64)> {
    let numbered = (0_u16..).zip(macs);
    numbered
        .map(|(number, mac)| {
            (
                device_slot_index(*mac, multiplier, shift),
                device_slot(*mac, number),
            )
        })
        .collect()
}

/// A reproducible sequence of multipliers (xorshift64*, Vigna 2016).
struct Multipliers(u64);

impl Multipliers {
    fn next_odd(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use flowwatch_common::abi::{device_in_slot, mac_word};

    use super::*;

    fn check(macs: &[u64]) -> DeviceTable {
        let table = DeviceTable::lay_out(macs).unwrap();
        let distinct: HashSet<u32> = table.slots.iter().map(|(index, _)| *index).collect();
        assert_eq!(distinct.len(), macs.len(), "two devices share a slot");
        for (number, mac) in macs.iter().enumerate() {
            let index = device_slot_index(*mac, table.multiplier, table.shift);
            let (_, slot) = table.slots.iter().find(|(at, _)| *at == index).unwrap();
            assert_eq!(device_in_slot(*slot, *mac), Some(number as u32));
            assert!(index < table.slot_count());
        }
        table
    }

    #[test]
    fn one_device_and_none_are_found() {
        check(&[]);
        check(&[mac_word([0x2c, 0xaa, 0x8e, 0, 0, 1])]);
    }

    #[test]
    fn as_many_devices_as_allowed_from_one_vendor_are_separated() {
        let macs: Vec<u64> = (0..MAX_DEVICES as u32)
            .map(|n| {
                let [_, high, mid, low] = n.to_be_bytes();
                mac_word([0x2c, 0xaa, 0x8e, high, mid, low])
            })
            .collect();
        assert!(check(&macs).slot_count() <= 1 << 21, "16 MiB is enough");
    }

    #[test]
    fn an_address_that_is_not_tagged_is_not_found_in_a_slot_of_another() {
        let tagged = mac_word([0x2c, 0xaa, 0x8e, 0, 0, 1]);
        let stranger = mac_word([0x2c, 0xaa, 0x8e, 0, 0, 2]);
        assert_eq!(device_in_slot(device_slot(tagged, 0), stranger), None);
        assert_eq!(device_in_slot(0, 0), None, "an empty slot is nobody's");
    }

    #[test]
    fn the_same_address_twice_is_refused() {
        assert_eq!(
            DeviceTable::lay_out(&[7, 9, 7]),
            Err(DeviceTableError::Duplicate)
        );
    }

    #[test]
    fn too_many_devices_are_refused() {
        let macs: Vec<u64> = (0..=MAX_DEVICES as u64).collect();
        let count = macs.len();
        assert_eq!(
            DeviceTable::lay_out(&macs),
            Err(DeviceTableError::TooMany { count })
        );
    }
}
