//! From the counting to the history: what is pending, with what is known of it.

use super::drainer::Counting;
use crate::geo::Databases;
use crate::history::Known;
use crate::model::Device;
use crate::names::NameTable;
use crate::store::{AttachedInterface, Losses};

/// What goes to the history with the counts.
pub(super) struct Recordable<'a> {
    /// Those that are counted on, and those that were.
    pub(super) interfaces: &'a [AttachedInterface],
    pub(super) names: &'a NameTable,
    pub(super) databases: &'a Databases,
    pub(super) samples_dropped: u64,
}

impl Recordable<'_> {
    /// Records what is pending, once a record interval.
    pub(super) fn record_when_due(&self, counting: &mut Counting) -> anyhow::Result<()> {
        let prefix_frames = counting.frames_without_room();
        let recorder = counting.recorder.as_mut().map(|it| &mut it.recorder);
        let Some(recorder) = recorder.filter(|recorder| recorder.is_due()) else {
            return Ok(());
        };
        let interfaces = self.present();
        let known = self.known(counting.devices.devices(), &interfaces, prefix_frames);
        Ok(recorder.record(&known)?)
    }

    /// Records what is left, and waits until it is written.
    pub(super) fn record_rest(&self, counting: &mut Counting) -> anyhow::Result<()> {
        let Some(recording) = counting.recorder.take() else {
            return Ok(());
        };
        let prefix_frames = counting.frames_without_room();
        let interfaces = self.present();
        let known = self.known(counting.devices.devices(), &interfaces, prefix_frames);
        Ok(recording.recorder.finish(&known)?)
    }

    /// Returns the interfaces that are counted on now.
    fn present(&self) -> Vec<AttachedInterface> {
        let present = self.interfaces.iter().filter(|it| it.gone_at.is_none());
        present.cloned().collect()
    }

    fn known<'k>(
        &'k self,
        devices: &'k [Device],
        interfaces: &'k [AttachedInterface],
        prefix_frames: u64,
    ) -> Known<'k> {
        Known {
            devices,
            names: self.names,
            databases: self.databases,
            interfaces,
            losses: Losses {
                samples_dropped: self.samples_dropped,
                prefix_frames,
                ..Losses::default()
            },
        }
    }
}
