//! What was recorded, told to people: a write-up in Markdown, and a page for browsers.
//!
//! From a snapshot, and its course over time, to octets. Both put a device's flows together by what
//! it asked for, and both are bounded: beyond so many destinations a device, the rest is one row, so
//! that sums stay true.

mod course;
mod destinations;
mod page;
mod writeup;

use std::io;

use crate::{
    grouping::Grouping,
    history::{Bucket, Span},
    store::{DeviceSummary, Snapshot},
};

pub use self::course::step_for;

/// Destinations of one device that are told one by one.
const MAX_DESTINATIONS: usize = 100;
/// Devices whose destinations are told; of the others, the sums are.
const MAX_DEVICES_TOLD: usize = 50;

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was counted.
    pub snapshot: &'a Snapshot,
    /// When.
    pub span: Span,
    /// The same by time; without it, its course is left out.
    pub series: &'a [Bucket],
    /// What flows are put together by, beside names and places.
    pub by: Option<&'static Grouping>,
}

impl Report<'_> {
    /// Writes the write-up, in Markdown.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_up(&self, out: &mut dyn io::Write) -> io::Result<()> {
        writeup::write(self, out)
    }

    /// Writes the page: HTML that is XML, too, and that loads nothing.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_page(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(page::text(self).as_bytes())
    }

    /// Returns the octets of all devices, both directions.
    fn octets(&self) -> u64 {
        self.snapshot.devices.iter().map(octets_of).sum()
    }

    /// Returns the devices, the one with the most octets first.
    fn devices(&self) -> Vec<&DeviceSummary> {
        let mut devices: Vec<_> = self.snapshot.devices.iter().collect();
        devices.sort_by_key(|device| std::cmp::Reverse(octets_of(device)));
        devices
    }
}

const fn octets_of(device: &DeviceSummary) -> u64 {
    device.up.octets.saturating_add(device.down.octets)
}

#[cfg(test)]
mod tests;
