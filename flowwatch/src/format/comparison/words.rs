//! What the formats for people say of a comparison, in plain, unwrapped and printable lines.

use std::{collections::BTreeSet, sync::Arc};

use super::super::{
    grouped,
    statement::{NO_NAME, count},
};
use crate::{
    diff::{Change, Comparison, DeviceComparison, Difference, Entry, Octets, SideSummary},
    text::printable,
};

/// What stands between the first side and the second.
const TO: &str = " → ";

/// Returns what a side is: `before: old.pcap (capture) · 2026-01-02 03:04:05 to … UTC · 2 devices …`.
pub(super) fn side(word: &str, side: &SideSummary) -> String {
    let time = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let (label, source) = (printable(&side.label), side.source);
    let (start, end) = (time(side.started_at), time(side.ended_at));
    let devices = count(side.devices as u64, "device");
    format!("{word} {label} ({source}) · {start} to {end} UTC · {devices}")
}

/// Returns which remotes were compared.
pub(super) const fn remotes(comparison: &Comparison) -> &'static str {
    match comparison.remotes {
        crate::diff::Remotes::Internet => "Compared: what went to the internet.",
        crate::diff::Remotes::All => "Compared: what went anywhere, the local network included.",
    }
}

/// Returns what a device is called, and on which side it is alone.
pub(super) fn heading(device: &DeviceComparison) -> String {
    let name = printable(&device.name);
    let mut heading = match device.mac {
        Some(mac) if mac.to_string() != name => format!("{name}  {mac}"),
        _ => name.into_owned(),
    };
    match device.is_on {
        [true, false] => heading += "  (before only)",
        [false, true] => heading += "  (after only)",
        _ => {}
    }
    heading
}

/// Returns how many values are gone, new and kept: `2 gone, 4 new, none kept`.
pub(super) fn counts(difference: &Difference) -> String {
    let counts = Change::ALL.map(|change| match difference.with(change).count() {
        0 => format!("none {}", change.name()),
        number => format!("{} {}", grouped(number as u64), change.name()),
    });
    counts.join(", ")
}

/// Returns what is said of a device of which nothing is gone or new: `Nothing is gone or new. Kept: names
/// 2, addresses 3.`.
pub(super) fn unchanged(device: &DeviceComparison) -> String {
    let kept = device.differences.iter().map(|difference| {
        let number = grouped(difference.entries.len() as u64);
        format!("{} {number}", difference.kind.name)
    });
    let kept: Vec<_> = kept.collect();
    format!("Nothing is gone or new. Kept: {}.", kept.join(", "))
}

/// Returns the value as people read it: of a country the name too, of an address what it went by:
/// `50.7.98.242: gm.iotcplatform.com → us-master.iotcplatform.com`.
pub(super) fn value(difference: &Difference, entry: &Entry) -> String {
    let value = printable(&entry.value);
    if let Some(title) = &entry.title {
        return format!("{} ({value})", printable(title));
    }
    if !difference.kind.has_names {
        return value.into_owned();
    }
    let names = if entry.is_renamed() {
        let [before, after] = [&entry.names_before, &entry.names_after].map(names);
        format!("{before}{TO}{after}")
    } else {
        names(match entry.change() {
            Change::Gone => &entry.names_before,
            Change::New | Change::Kept => &entry.names_after,
        })
    };
    format!("{value}: {names}")
}

fn names(names: &BTreeSet<Arc<str>>) -> String {
    if names.is_empty() {
        return NO_NAME.to_owned();
    }
    let names: Vec<_> = names.iter().map(|name| printable(name)).collect();
    names.join(", ")
}

/// Returns octets up and down: of the side that there are any of, or `before → after`.
pub(super) fn octets(before: Option<Octets>, after: Option<Octets>) -> [String; 2] {
    [|octets: Octets| octets.up, |octets: Octets| octets.down].map(|of: fn(Octets) -> u64| {
        let numbers = [before, after].into_iter().flatten();
        let numbers: Vec<_> = numbers.map(|octets| grouped(of(octets))).collect();
        numbers.join(TO)
    })
}
