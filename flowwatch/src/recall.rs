//! What a report is about: from its plan to a snapshot of a history or of a capture.
//!
//! Says when there is nothing to tell; leaves out the devices that nobody asked for.

use std::path::{Path, PathBuf};

use crate::{
    exit::{ExitStatus, Failure},
    history::{Bucket, History, HistoryError, Span, Step},
    plan::{ReportPlan, ReportSource},
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
    /// Nothing is recorded of the span.
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
    #[error("report on `{name}`: there is no such device; there are {known}")]
    Device {
        /// What was asked for.
        name: String,
        /// The devices that there are, with commas.
        known: String,
    },
}

/// What was counted, and when.
#[derive(Debug)]
pub struct Recalled {
    /// What was counted.
    pub snapshot: Snapshot,
    /// The span that it is of; of a capture, its own.
    pub span: Span,
    /// What each device sent and received by time, in buckets of at least `step`; a capture has none.
    pub series: Vec<Bucket>,
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
            let span = Span {
                since: snapshot.meta.started_at,
                until: snapshot.meta.ended_at,
            };
            let series = Vec::new();
            (
                Recalled {
                    snapshot,
                    span,
                    series,
                },
                outcome,
            )
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
    let history = History::open(path)?;
    let held = history.span()?;
    let held = held.ok_or_else(|| RecallError::Empty(path.to_owned()))?;
    if span.since >= held.until || span.until <= held.since {
        let path = path.to_owned();
        return Err(RecallError::Nothing { path, span, held }.into());
    }
    let series = |step| -> Result<_, HistoryError> { history.series(span, step) };
    Ok(Recalled {
        snapshot: history.snapshot(span)?,
        series: step(span).map(series).transpose()?.unwrap_or_default(),
        span,
    })
}

/// Leaves out every device but those of these names or MAC addresses.
fn choose(recalled: &mut Recalled, wanted: &[String]) -> Result<(), RecallError> {
    let Recalled {
        snapshot, series, ..
    } = recalled;
    let is = |device: &DeviceSummary, name: &String| {
        device.device == *name
            || device
                .device_mac
                .is_some_and(|mac| mac.to_string() == *name)
    };
    for name in wanted {
        if !snapshot.devices.iter().any(|device| is(device, name)) {
            let known: Vec<_> = snapshot.devices.iter().map(|it| &*it.device).collect();
            return Err(RecallError::Device {
                name: name.clone(),
                known: known.join(", "),
            });
        }
    }
    snapshot
        .devices
        .retain(|device| wanted.iter().any(|name| is(device, name)));
    let names: Vec<_> = snapshot
        .devices
        .iter()
        .map(|it| it.device.clone())
        .collect();
    let is_chosen = |device: &str| names.iter().any(|name| name == device);
    snapshot.flows.retain(|it| is_chosen(&it.device.name));
    snapshot.unaccounted.retain(|it| is_chosen(&it.device));
    snapshot.resolving.retain(|it| is_chosen(&it.device));
    series.retain(|it| is_chosen(&it.device));
    Ok(())
}

#[cfg(test)]
mod tests;
