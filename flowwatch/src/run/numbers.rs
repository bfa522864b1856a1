//! From the kernel's numbers of devices to those that they have here.
//!
//! The kernel numbers the devices of one load of the programs. A load with other devices numbers them
//! anew; here, a device keeps its number as long as flowwatch counts. Read by the drain, on a thread
//! of its own, and for each sample.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::observation::DeviceId;

/// The numbers of one load's devices; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    /// By the kernel's number.
    here: Vec<Option<DeviceId>>,
    /// Numbers that nobody has, from here on.
    free: DeviceId,
}

impl Numbers {
    /// Begins with devices whose numbers are known, in the kernel's order; others get theirs from
    /// `free` on, as they appear.
    pub(crate) fn new(known: impl IntoIterator<Item = DeviceId>, free: DeviceId) -> Self {
        let here = known.into_iter().map(Some).collect();
        Self(Arc::new(Mutex::new(Known { here, free })))
    }

    /// Returns a device's number here; one that has none gets it.
    pub(crate) fn of(&self, device: DeviceId) -> DeviceId {
        let mut known = self.lock();
        if let Some(Some(number)) = known.here.get(usize::from(device)) {
            return *number;
        }
        let number = known.take_free();
        known.set(device, number);
        number
    }

    /// Says which number a device has here that the kernel found.
    pub(crate) fn bind(&self, device: DeviceId, number: DeviceId) {
        self.lock().set(device, number);
    }

    /// Returns a number that nobody has, and that nobody else gets.
    pub(crate) fn take_free(&self) -> DeviceId {
        self.lock().take_free()
    }

    /// Returns the first number that nobody has.
    pub(crate) fn free(&self) -> DeviceId {
        self.lock().free
    }

    /// Returns the numbers here by the kernel's.
    pub(crate) fn all(&self) -> Vec<Option<DeviceId>> {
        self.lock().here.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The last number is everybody's, once there is no other; `Reload` lets it not come to that.
    fn take_free(&mut self) -> DeviceId {
        let number = self.free;
        self.free = number.saturating_add(1);
        number
    }

    fn set(&mut self, device: DeviceId, number: DeviceId) {
        let device = usize::from(device);
        if device >= self.here.len() {
            self.here.resize(device + 1, None);
        }
        self.here[device] = Some(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_keeps_the_number_that_it_was_given_or_got_first() {
        let numbers = Numbers::new([4, 0], 7);
        let shared = numbers.clone();
        assert_eq!([0, 1].map(|device| numbers.of(device)), [4, 0]);
        assert_eq!([5, 3, 5].map(|device| shared.of(device)), [7, 8, 7]);
        numbers.bind(6, 2);
        assert_eq!(
            (shared.of(6), numbers.take_free(), numbers.free()),
            (2, 9, 10)
        );
        let all = [Some(4), Some(0), None, Some(8), None, Some(7), Some(2)];
        assert_eq!(numbers.all(), all);
    }
}
