//! The proof that nothing was missed.
//!
//! From a device's window to differences that must all be zero: frames seen against frames in
//! flows and unaccounted ones, and what the kernel added to flows against what was drained. While it
//! counts, that lies between what it had added before the drain and after it.

use super::DeviceWindow;
use crate::observation::{DirectionTotals, Traffic};

/// What is missing (positive) or too much (negative) in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// Frames seen, less those in flows and those unaccounted.
    pub frames: i64,
    /// Packets that the kernel added to flows, less those that were drained.
    pub packets: i64,
    /// Octets, likewise.
    pub octets: i64,
}

/// Whether one device's counts add up, as of a drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conservation {
    /// From the device.
    pub up: Difference,
    /// To the device.
    pub down: Difference,
}

impl Conservation {
    pub(super) fn of(device: &DeviceWindow) -> Self {
        let DeviceWindow {
            totals,
            due,
            folded,
            ..
        } = device;
        Self {
            up: Difference::of(&totals.up, due.up, folded.up),
            down: Difference::of(&totals.down, due.down, folded.down),
        }
    }

    /// Returns whether everything adds up.
    #[must_use]
    pub fn holds(&self) -> bool {
        *self == Self::default()
    }
}

impl Difference {
    /// Returns whether this direction adds up.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn of(totals: &DirectionTotals, due: Traffic, folded: Traffic) -> Self {
        let unaccounted: u64 = totals.unaccounted.iter().map(|reason| reason.frames).sum();
        let counted = totals.in_flows.frames + unaccounted;
        Self {
            frames: totals.seen.frames.wrapping_sub(counted).cast_signed(),
            packets: beyond(totals.flow_traffic.packets, due.packets, folded.packets),
            octets: beyond(totals.flow_traffic.octets, due.octets, folded.octets),
        }
    }
}

/// Returns by how much a count is below the least, or (negative) above the most.
const fn beyond(most: u64, least: u64, count: u64) -> i64 {
    if count > most {
        most.wrapping_sub(count).cast_signed()
    } else {
        least.saturating_sub(count).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use flowwatch_common::abi::Reason;

    use super::*;
    use crate::observation::Frames;

    fn window() -> DeviceWindow {
        let mut window = DeviceWindow::default();
        let up = &mut window.totals.up;
        up.seen = Frames {
            frames: 10,
            l2_octets: 1_000,
        };
        up.in_flows = Frames {
            frames: 7,
            l2_octets: 800,
        };
        up.unaccounted[Reason::NotIp as usize].frames = 2;
        up.unaccounted[Reason::FlowTableFull as usize].frames = 1;
        up.flow_traffic = Traffic {
            packets: 9,
            octets: 700,
        };
        window.folded.up = Traffic {
            packets: 9,
            octets: 700,
        };
        window.due = window.folded;
        window
    }

    #[test]
    fn what_passed_since_the_drain_began_is_not_missing() {
        let mut window = window();
        window.totals.up.flow_traffic.packets += 5;
        window.totals.up.flow_traffic.octets += 500;
        window.totals.up.seen.frames += 5;
        window.totals.up.in_flows.frames += 5;
        assert!(Conservation::of(&window).holds());
        window.folded.up.packets -= 1;
        let missing = Conservation::of(&window).up;
        assert_eq!(missing.packets, 1, "what had passed before is");
        window.folded.up.packets += 7;
        let surplus = Conservation::of(&window).up;
        assert_eq!(
            surplus.packets, -1,
            "and nothing is there that did not pass"
        );
    }

    #[test]
    fn counts_that_add_up_hold() {
        assert!(Conservation::of(&window()).holds());
    }

    #[test]
    fn a_lost_frame_and_an_octet_too_much_are_named() {
        let mut window = window();
        window.totals.up.in_flows.frames = 6;
        window.folded.up.octets = 703;
        let conservation = Conservation::of(&window);
        assert!(!conservation.holds());
        assert_eq!(
            conservation.up,
            Difference {
                frames: 1,
                packets: 0,
                octets: -3
            }
        );
        assert!(conservation.down.is_zero());
    }
}
