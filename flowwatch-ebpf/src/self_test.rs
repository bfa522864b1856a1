//! The self-test's half in the kernel: a hook that runs leaves a note.

use aya_ebpf::bindings::BPF_ANY;
use flowwatch_common::abi::{Direction, hook_key};

use crate::maps::{HOOKS_SEEN, SELF_TEST};

/// Notes that the hook of this interface and direction ran, while a self-test is on.
#[inline(always)]
pub(crate) fn note(ifindex: impl Fn() -> u32, direction: Direction) {
    if SELF_TEST.load() == 0 {
        return;
    }
    let key = hook_key(ifindex(), direction);
    if HOOKS_SEEN.get_ptr(key).is_none() {
        // The table has room for the hooks of 512 interfaces. What finds none is not noted, and is
        // told as a hook that doesn't run.
        let _ = HOOKS_SEEN.insert(key, 1, u64::from(BPF_ANY));
    }
}
