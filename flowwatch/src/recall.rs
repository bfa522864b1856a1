//! What a report is about: from its plan to a snapshot of a history or of a capture.
//!
//! Says when there is nothing to tell; leaves out the devices that nobody asked for.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::{
    exit::{ExitStatus, Failure},
    history::{Bucket, History, Span, Step},
    plan::{DeviceChoice, ReportPlan, ReportSource, listed_devices},
    replay,
    store::{DeviceSummary, Snapshot},
};

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// A history in which nothing is recorded yet.
    #[error(
        "report on the history `{}`: nothing is recorded in it yet; let `flowwatch run --history` \
         count for a while",
        .0.display()
    )]
    Empty(PathBuf),
    /// Nothing is recorded of the span: it is before or behind all, or nobody sent anything in it.
    #[error(
        "report on the history `{}` from {} to {}: nothing is recorded of that time; it has what \
         was counted from {} to {}",
        .path.display(), .span.since, .span.until, .held.since, .held.until
    )]
    Nothing {
        /// The history's file.
        path: PathBuf,
        /// What was asked for.
        span: Span,
        /// What it has.
        held: Span,
    },
    /// No device of this name.
    #[error("report on `{name}`: there is no such device in that time; there are {known}")]
    Device {
        /// What was asked for.
        name: String,
        /// Devices that there are.
        known: String,
    },
}

/// What was counted, and when.
#[derive(Debug)]
pub struct Recalled {
    /// What was counted.
    pub snapshot: Snapshot,
    /// The span that it is of: as much of what was asked for as there is, widened to the history's
    /// buckets.
    pub span: Span,
    /// What each device sent and received by time, in buckets of at least `step`; a capture has none.
    pub series: Vec<Bucket>,
}

impl Recalled {
    fn of(snapshot: Snapshot) -> Self {
        let span = Span {
            since: snapshot.meta.started_at,
            until: snapshot.meta.ended_at,
        };
        Self {
            snapshot,
            span,
            series: Vec::new(),
        }
    }
}

/// Returns what a plan is about; with `step`, also its course over time. What ended early (a capture
/// that is damaged) is told beside it.
///
/// # Errors
/// Why there is nothing to tell.
pub fn recall(
    plan: &ReportPlan,
    step: impl FnOnce(Span) -> Option<Step>,
) -> anyhow::Result<(Recalled, anyhow::Result<()>)> {
    let (mut recalled, outcome) = match &plan.source {
        ReportSource::History(path, span) => (of_history(path, *span, step)?, Ok(())),
        ReportSource::Capture(replayed) => {
            let (snapshot, outcome) = replay::replay(replayed)?;
            (Recalled::of(snapshot), outcome)
        }
    };
    if !plan.devices.is_empty() {
        choose(&mut recalled, &plan.devices)
            .map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    }
    Ok((recalled, outcome))
}

fn of_history(
    path: &Path,
    span: Span,
    step: impl FnOnce(Span) -> Option<Step>,
) -> anyhow::Result<Recalled> {
    let history = History::open(path).map_err(Failure::unreadable)?;
    let held = history.span().map_err(Failure::unreadable)?;
    let held = held.ok_or_else(|| RecallError::Empty(path.to_owned()))?;
    let nothing = || RecallError::Nothing {
        path: path.to_owned(),
        span,
        held,
    };
    if span.since >= held.until || span.until <= held.since {
        return Err(nothing().into());
    }
    let mut recalled = Recalled::of(history.snapshot(span).map_err(Failure::unreadable)?);
    if recalled.snapshot.devices.is_empty() {
        return Err(nothing().into());
    }
    if let Some(step) = step(recalled.span) {
        let series = history.series(recalled.span, step);
        recalled.series = series.map_err(Failure::unreadable)?;
    }
    Ok(recalled)
}

/// Leaves out every device but the chosen ones.
fn choose(recalled: &mut Recalled, choices: &[DeviceChoice]) -> Result<(), RecallError> {
    let Recalled {
        snapshot, series, ..
    } = recalled;
    let is = |choice: &DeviceChoice, it: &DeviceSummary| choice.is(&it.device, it.device_mac);
    for choice in choices {
        if !snapshot.devices.iter().any(|device| is(choice, device)) {
            let known = snapshot.devices.iter().map(|it| &*it.device);
            return Err(RecallError::Device {
                name: choice.to_string(),
                known: listed_devices(known),
            });
        }
    }
    snapshot
        .devices
        .retain(|device| choices.iter().any(|choice| is(choice, device)));
    let names: HashSet<_> = snapshot.devices.iter().map(|it| &*it.device).collect();
    snapshot.flows.retain(|it| names.contains(&*it.device.name));
    snapshot
        .unaccounted
        .retain(|it| names.contains(&*it.device));
    snapshot.resolving.retain(|it| names.contains(&*it.device));
    series.retain(|it| names.contains(&*it.device));
    Ok(())
}

#[cfg(test)]
mod tests;
