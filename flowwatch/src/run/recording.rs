//! From the counting to the history: what is pending, with what is known of it.

use super::drainer::Counting;
use crate::geo::Databases;
use crate::history::{Epoch, Known, Recorder};
use crate::model::Device;
use crate::names::NameTable;
use crate::store::{AttachedInterface, Losses};

/// The recorder, and how it went so far.
pub(crate) struct Recording {
    pub(crate) recorder: Recorder,
    /// Whether it was told that the journal takes nothing.
    is_told: bool,
}

impl Recording {
    /// Begins to give a recorder epochs.
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            is_told: false,
        }
    }

    /// Hands an epoch over. What the journal can't take stays in memory: the kernel's table is
    /// needed for the next.
    pub(super) fn take(&mut self, epoch: &Epoch) {
        if let Err(error) = self.recorder.take(epoch) {
            self.recorder.hold(epoch);
            if !std::mem::replace(&mut self.is_told, true) {
                log::warn!("{error}; until then, what is not recorded yet is in memory alone");
            }
        }
    }
}

/// What goes to the history with the counts.
pub(super) struct Recordable<'a> {
    /// Those that are counted on, and those that were.
    pub(super) interfaces: &'a [AttachedInterface],
    pub(super) names: &'a NameTable,
    pub(super) databases: &'a Databases,
    pub(super) samples_dropped: u64,
}

impl Recordable<'_> {
    /// Records what is pending, once a record interval. Returns whether it did, or there is no history.
    pub(super) fn record_when_due(&self, counting: &mut Counting) -> anyhow::Result<bool> {
        let prefix_frames = counting.frames_without_room();
        let Some(recorder) = counting.recorder.as_mut().map(|it| &mut it.recorder) else {
            return Ok(true);
        };
        if !recorder.is_due() {
            return Ok(false);
        }
        let interfaces = self.present();
        let known = self.known(counting.devices.devices(), &interfaces, prefix_frames);
        recorder.record(&known)?;
        Ok(true)
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
