//! `flowwatch replay`: the same as `run` from a capture, without root and without a kernel program.
//!
//! The frames go through the parser, the sampling and the name table that the kernel's go through;
//! `counting` is the native counterpart of the BPF programs' accounting. Nothing imports this module
//! but `main` and tests.

mod counting;
mod devices;
mod input;
mod ledger;
mod link;
mod play;
mod progress;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::Read;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use jiff::Timestamp;

use self::counting::{Counting, advice};
use self::input::Input;
use self::progress::Progress;
use crate::capture::{Capture, ReadError};
use crate::console;
use crate::exit::{ExitStatus, Failure};
use crate::geo::Databases;
use crate::join::{Sources, join};
use crate::plan::ReplayPlan;
use crate::store::{CaptureMeta, Meta, Snapshot};

pub use self::play::Playing;

/// Counts a capture as planned and returns what was counted.
///
/// # Errors
/// What kept reading from starting. Once it has started, a capture that can't be read to its end is
/// an error beside what was counted until then.
pub fn replay(plan: &ReplayPlan) -> anyhow::Result<(Snapshot, anyhow::Result<()>)> {
    let databases = Databases::open(&plan.geo, plan.uses_builtin_geo)?;
    let name = input::name_of(&plan.capture);
    let input = Input::open(&plan.capture).map_err(usage)?;
    let (size, stopped) = (input.size, input.stopped());
    let capture = Capture::open(input).map_err(usage);
    let mut capture = capture.with_context(|| format!("read the capture `{name}`"))?;
    let mut counting = Counting::new(&plan.devices, &plan.prefixes);
    refuse_unsupported(&capture, &counting).with_context(|| format!("read `{name}`"))?;
    let mut progress = Progress::new(size);
    let ended = count_all(&mut capture, &mut counting, &mut progress);
    console::show_status("");
    // Where a signal ended it, the last packet may well be cut.
    let ended = if stopped.load(Ordering::Relaxed) {
        Ok(())
    } else {
        ended
    };
    let meta = CaptureMeta {
        file: name.clone(),
        format: capture.format(),
        ended_early: ended.as_ref().err().map(ToString::to_string),
        ..counting.meta()
    };
    let outcome = ended.with_context(|| format!("read `{name}`"));
    Ok((snapshot(counting, &databases, meta), outcome))
}

/// A capture that can't be read is a wrong wish, unless it is privileges that lack.
fn usage(error: impl Into<anyhow::Error>) -> Failure {
    let error = error.into();
    let denied = error.chain().any(|cause| {
        let cause = cause.downcast_ref::<std::io::Error>();
        cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied)
    });
    let status = if denied {
        ExitStatus::NotPermitted
    } else {
        ExitStatus::Usage
    };
    Failure::new(status, error)
}

/// Refuses a capture in which there can't be a packet that counts.
fn refuse_unsupported<R: Read>(capture: &Capture<R>, counting: &Counting) -> Result<(), Failure> {
    match capture.only_link_type() {
        Some(link_type) if !counting.can_tell(link_type) => {
            let advice = advice(link_type);
            let what = format!("no device can be told from packets of {link_type}: {advice}");
            Err(usage(anyhow::Error::msg(what)))
        }
        _ => Ok(()),
    }
}

fn count_all<R: Read>(
    capture: &mut Capture<R>,
    counting: &mut Counting,
    progress: &mut Progress,
) -> Result<(), ReadError> {
    loop {
        let Some(frame) = capture.next_frame()? else {
            return Ok(());
        };
        counting.count(&frame);
        progress.show(counting.packets(), capture.position());
    }
}

/// Returns the times of a capture's first and last packet.
fn span_of(capture: &CaptureMeta) -> (Timestamp, Timestamp) {
    let span = capture.first_packet.zip(capture.last_packet);
    span.unwrap_or((Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH))
}

/// Joins what was counted with names and places.
fn snapshot(counting: Counting, databases: &Databases, capture: CaptureMeta) -> Snapshot {
    let span = span_of(&capture);
    let meta = Meta {
        capture: Some(capture),
        ..Meta::new(span, 1, Vec::new(), counting.samples_dropped())
    };
    let Counting {
        devices,
        ledger,
        names,
        ..
    } = counting;
    let sources = Sources {
        devices: devices.list(),
        flows: &ledger.into_flows(),
        names: &names,
        databases,
    };
    let mut snapshot = join(sources, meta);
    if devices.are_adopted() {
        leave_out_silent(&mut snapshot);
    }
    snapshot
}

/// Leaves out what only received: that an address was sent something does not make it a device.
fn leave_out_silent(snapshot: &mut Snapshot) {
    let silent: HashSet<String> = snapshot
        .devices
        .extract_if(.., |device| device.up.frames_seen == 0)
        .map(|device| device.device)
        .collect();
    if silent.is_empty() {
        return;
    }
    let flows = &mut snapshot.flows;
    flows.retain(|record| !silent.contains(&*record.device.name));
    let unaccounted = &mut snapshot.unaccounted;
    unaccounted.retain(|row| !silent.contains(&row.device));
}
