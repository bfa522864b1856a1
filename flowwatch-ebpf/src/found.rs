//! Devices that are tagged by how their addresses begin: found as their first frame passes, and
//! counted from it on.
//!
//! Reached for frames of no tagged address alone, and only where there are rules: otherwise the
//! verifier knows that there are none, and removes the way here.
#![expect(unsafe_code, reason = "map values are reached by address")]

use aya_ebpf::bindings::BPF_NOEXIST;
use flowwatch_common::prefix::{MAX_PREFIX_RULES, NO_DEVICE, matches};

use crate::maps::{FOUND_DEVICES, FOUND_NO_ROOM, FREE_NUMBERS, PREFIX_COUNT, PREFIXES};

/// Returns the number of the device that has this address, if a rule matches it.
#[inline(always)]
pub(crate) fn number_of(mac: u64) -> Option<u32> {
    match find(mac) {
        NO_DEVICE => None,
        number => Some(number),
    }
}

/// The number, or [`NO_DEVICE`]: BPF functions return a word.
#[inline(never)]
fn find(mac: u64) -> u32 {
    if !is_wanted(mac) {
        return NO_DEVICE;
    }
    known(mac).unwrap_or_else(|| add(mac))
}

/// Compared first: it costs a stranger's frame less than a look-up in a hash table.
#[inline(always)]
fn is_wanted(mac: u64) -> bool {
    let Some(rules) = PREFIXES.get_ptr(0) else {
        return false;
    };
    // SAFETY: the kernel returned the value's address; the loader wrote it before any program ran.
    let rules = unsafe { &*rules };
    let count = PREFIX_COUNT.load();
    let mut index = 0;
    while index < MAX_PREFIX_RULES {
        if index as u32 >= count {
            break;
        }
        if matches(rules.rules[index], mac) {
            return true;
        }
        index += 1;
    }
    false
}

#[inline(always)]
fn known(mac: u64) -> Option<u32> {
    let number = FOUND_DEVICES.get_ptr(mac)?;
    // SAFETY: the kernel returned the value's address, and entries are neither changed nor deleted.
    Some(unsafe { *number })
}

/// Gives a device a number. Should another CPU do the same meanwhile, its number stands.
#[inline(never)]
fn add(mac: u64) -> u32 {
    if let Ok(Some(number)) = FREE_NUMBERS.pop() {
        if FOUND_DEVICES
            .insert(mac, number, u64::from(BPF_NOEXIST))
            .is_ok()
        {
            return number;
        }
        // There is room: it was taken from there.
        let _ = FREE_NUMBERS.push(number, 0);
    }
    if let Some(number) = known(mac) {
        return number;
    }
    if let Some(frames) = FOUND_NO_ROOM.get_ptr_mut(0) {
        // SAFETY: the kernel returned this CPU's own value.
        unsafe { *frames += 1 };
    }
    NO_DEVICE
}
