//! The device look-up: whose frame it is.
#![expect(unsafe_code, reason = "map values are reached by address")]

use flowwatch_common::abi::{device_in_slot, device_slot_index};

use crate::found;
use crate::maps::{DEVICE_MULTIPLIER, DEVICE_SHIFT, DEVICES, PREFIX_COUNT};

/// Returns the number of the device that has this address, or nothing if it isn't tagged, also by
/// no prefix.
#[inline(always)]
pub(crate) fn number_of(mac: u64) -> Option<u32> {
    let index = device_slot_index(mac, DEVICE_MULTIPLIER.load(), DEVICE_SHIFT.load());
    let slot = DEVICES.get_ptr(index)?;
    // SAFETY: the kernel returned the address of an aligned u64, which the loader may be changing;
    // a volatile read takes it once, whole.
    let tagged = device_in_slot(unsafe { core::ptr::read_volatile(slot) }, mac);
    if tagged.is_none() && PREFIX_COUNT.load() != 0 {
        return found::number_of(mac);
    }
    tagged
}
