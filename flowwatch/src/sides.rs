//! `flowwatch diff`: reads its two sides, whatever they are, and compares them.
//!
//! A capture is counted as `replay` does it; a history is read; a document is one that `run` or
//! `replay` wrote. Nothing imports this module but `main` and tests.

mod document;
mod error;
mod named;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use anyhow::Context as _;
use jiff::Timestamp;

pub use self::error::SideError;
use self::named::Named;
use crate::{
    diff::{Comparison, Kind, Side, SideDevice, compare},
    exit::{ExitStatus, Failure},
    history::{History, HistoryError, Span},
    model::MacAddress,
    plan::{DeviceChoice, DiffPlan, ReplayPlan},
    replay::replay,
};

/// Compares as planned. Beside the comparison is an error where a capture could not be read to its
/// end: what was read until then is compared.
///
/// # Errors
/// When a side can't be read, none of them has a chosen device, or nothing was counted on either.
pub fn compare_sides(
    plan: &DiffPlan,
    now: Timestamp,
) -> anyhow::Result<(Comparison, anyhow::Result<()>)> {
    let named = plan.sides.each_ref().map(|text| named::of(text, plan, now));
    let [before, after] = named;
    let (before, after) = (before.map_err(usage)?, after.map_err(usage)?);
    if let (Named::Stdin, Named::Stdin) = (&before, &after) {
        return Err(usage(SideError::StdinTwice).into());
    }
    let (before, whole_before) = read(&plan.sides[0], before, plan)?;
    let (after, whole_after) = read(&plan.sides[1], after, plan)?;
    let [before, after] = chosen([before, after], &plan.devices).map_err(usage)?;
    refuse_nothing([&before, &after])?;
    let comparison = compare(&before, &after, (&plan.kinds, plan.remotes));
    Ok((comparison, whole_before.and(whole_after)))
}

/// Returns what a user must know of a comparison beside what it shows.
#[must_use]
pub fn findings(comparison: &Comparison) -> Vec<String> {
    let sides = [&comparison.before, &comparison.after].into_iter();
    let empty = sides.filter(|side| side.is_empty);
    empty
        .map(|side| format!("nothing was counted in `{}`", side.label))
        .collect()
}

/// Returns what `--exit-code` tells of a comparison.
///
/// # Errors
/// `Differs`, where a value is gone or new for some device.
pub fn verdict(plan: &DiffPlan, comparison: &Comparison) -> anyhow::Result<()> {
    let differing = comparison.differing();
    if !plan.tells_by_status || differing.is_empty() {
        return Ok(());
    }
    let kinds: Vec<_> = differing.iter().map(|kind: &&Kind| kind.name).collect();
    let [before, after] = &plan.sides;
    let told = format!("`{before}` and `{after}` differ in {}", kinds.join(", "));
    Err(Failure::new(ExitStatus::Differs, anyhow::Error::msg(told)).into())
}

fn usage(error: SideError) -> Failure {
    Failure::new(error.status(), error)
}

/// Reads one side; beside it is why its end is missing.
fn read(label: &str, named: Named, plan: &DiffPlan) -> anyhow::Result<(Side, anyhow::Result<()>)> {
    match named {
        Named::Capture(path) => capture(label, path, plan),
        Named::Stdin => capture(label, "-".into(), plan),
        Named::Document(path) => Ok((document::read(label, &path).map_err(usage)?, Ok(()))),
        Named::History(path, span) => {
            let history = History::open(&path).map_err(Failure::unreadable)?;
            let side = recorded(label, &history, span).map_err(Failure::unreadable)?;
            let side = side.ok_or_else(|| usage(SideError::NothingRecorded(path)))?;
            Ok((side, Ok(())))
        }
    }
}

fn capture(
    label: &str,
    path: std::path::PathBuf,
    plan: &DiffPlan,
) -> anyhow::Result<(Side, anyhow::Result<()>)> {
    let plan = ReplayPlan::new(
        path,
        DeviceChoice::tags(&plan.devices),
        plan.counting.clone(),
    )?;
    let (snapshot, outcome) = replay(&plan)?;
    Ok((Side::of(label, "capture", &snapshot), outcome))
}

/// Reads a span of a history, or all of it; nothing where nothing was ever recorded.
fn recorded(
    label: &str,
    history: &History,
    asked: Option<Span>,
) -> Result<Option<Side>, HistoryError> {
    let Some(held) = history.span()? else {
        return Ok(None);
    };
    // An open end is the history's.
    let span = asked.map_or(held, |asked| Span {
        since: asked.since.max(held.since.min(asked.until)),
        until: asked.until.min(held.until.max(asked.since)),
    });
    let snapshot = history.snapshot(span)?;
    Ok(Some(Side::of(label, "history", &snapshot)))
}

/// Leaves the chosen devices on both sides. One that is chosen by its name on one side is the same on
/// the other by its MAC address.
fn chosen(sides: [Side; 2], choices: &[DeviceChoice]) -> Result<[Side; 2], SideError> {
    if choices.is_empty() {
        return Ok(sides);
    }
    let all = || sides.iter().flat_map(|side| &side.devices);
    for choice in choices {
        if !all().any(|device| choice.is(&device.name, device.mac)) {
            return Err(SideError::no_such_device(choice, all()));
        }
    }
    let is_chosen = |device: &SideDevice| {
        let mut choices = choices.iter();
        choices.any(|choice| choice.is(&device.name, device.mac))
    };
    let macs: HashSet<MacAddress> = all()
        .filter(|device| is_chosen(device))
        .filter_map(|device| device.mac)
        .collect();
    let is_same = |device: &SideDevice| device.mac.is_some_and(|mac| macs.contains(&mac));
    Ok(sides.map(|mut side| {
        side.devices
            .retain(|device| is_chosen(device) || is_same(device));
        side
    }))
}

/// Two sides without anything are equal, which would pass a test that compared nothing.
fn refuse_nothing(sides: [&Side; 2]) -> anyhow::Result<()> {
    if sides.into_iter().all(Side::is_empty) {
        return Err(SideError::Nothing).context("compare");
    }
    Ok(())
}
