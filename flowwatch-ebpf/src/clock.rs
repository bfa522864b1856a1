//! The clock: what the kernel's tick counter says now.
#![expect(unsafe_code, reason = "helpers and map values are reached by address")]

use aya_ebpf::helpers::generated::bpf_jiffies64;

use crate::maps::CLOCK;

/// Writes the tick counter to the map.
#[inline(always)]
pub(crate) fn read() {
    if let Some(tick) = CLOCK.get_ptr_mut(0) {
        // SAFETY: the kernel returned the value's address; the loader runs this program alone.
        unsafe { *tick = bpf_jiffies64() };
    }
}
