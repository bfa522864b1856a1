//! The end of a run: what is left is drained, recorded and joined to the document. What persists is left
//! counting.

use jiff::Timestamp;

use super::drainer::Counting;
use super::recording::Recordable;
use super::sampled::take_samples;
use super::served::Counted;
use super::{Session, standing, warn};
use crate::kernel::clock::TickClock;
use crate::store::Snapshot;

impl Session {
    /// Detaches, unless the programs go on, drains what is left, and joins everything.
    pub(super) async fn finish(
        mut self,
        outcome: anyhow::Result<()>,
    ) -> anyhow::Result<(Snapshot, anyhow::Result<()>)> {
        self.supervised.stopping();
        if let Ok(clock) = self.programs.clock() {
            self.take_up_clock(clock);
        }
        // What passes after that may be too late for its hook.
        self.watch.look().await;
        let Self {
            attached,
            standing,
            programs,
            drainer,
            ring,
            mut names,
            databases,
            mut watch,
            served,
            ..
        } = self;
        let attachments = attached.leave();
        let interfaces = self.following.interfaces().to_vec();
        let clock = programs.clock().unwrap_or(self.clock);
        let (mut counting, under_way) = match drainer.into_counting().await {
            Ok(counting) => counting,
            Err(error) => return Err(outcome.err().unwrap_or_else(|| error.into())),
        };
        let drained = drain_rest(&mut counting, &clock);
        // What can't be looked up is no reason to lose what was counted.
        warn(&watch.complaints(&attachments).unwrap_or_default());
        let mut ring = ring.into_inner();
        take_samples(&mut ring, &clock, usize::MAX, &self.numbers, &mut names);
        self.remembering
            .hand_over_rest(&counting.devices, &mut names);
        let losses = counting.loss_counters(&self.sample_losses);
        let dropped = self.sample_losses.since_the_window(losses.samples_dropped);
        let recorded = Recordable {
            interfaces: &interfaces,
            names: &names,
            databases: &databases,
            samples_dropped: dropped,
        }
        .record_rest(&mut counting);
        standing::leave(standing, losses);
        let counted = Counted {
            interfaces: &interfaces,
            names: &mut names,
            databases: &databases,
            span: (self.started_at, Timestamp::now()),
            samples_dropped: dropped,
            warnings: self.cautions.all(),
            clock_step_seconds: self.clock_step.map(|step| step.as_secs()),
        };
        let (snapshot, undelivered) = served.conclude(&mut counting, counted).await;
        warn(&undelivered);
        let drained = under_way.map_err(Into::into).and(drained);
        Ok((snapshot, outcome.and(drained).and(recorded)))
    }
}

/// Drains both tables: the one that was active when the programs were detached, and the one that
/// programs still running elsewhere at that moment may have been given meanwhile. Of programs that
/// go on, there is no last epoch.
fn drain_rest(counting: &mut Counting, clock: &TickClock) -> anyhow::Result<()> {
    counting.end_epoch(clock)?;
    if !counting.goes_on {
        counting.end_last_epoch(clock)?;
    }
    Ok(())
}
