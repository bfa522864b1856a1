//! The `json` document of a comparison.
//!
//! `{"meta": …, "names": {"gone": […], "new": […], "kept": […]}, "addresses": …, "organizations": …,
//! "countries": …, "devices": […]}`: all devices together, then each with the same four. Every entry
//! has its value under the kind's singular, and its octets.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::super::Surface;
use super::super::json::{write_list, write_value};
use crate::{
    diff::{
        Change, Comparison, DeviceComparison, Difference, Entry, Kind, Octets, Remotes, SideSummary,
    },
    model::Value,
};

/// Writes the document, an entry a line so that two documents can be compared by lines.
pub(in crate::format) fn json(
    comparison: &Comparison,
    _: Surface,
    out: &mut dyn Write,
) -> io::Result<()> {
    out.write_all(b"{\"meta\":")?;
    write_value(&Meta::of(comparison), out)?;
    for difference in &comparison.together {
        write!(out, ",\n\"{}\":{{", difference.kind.name)?;
        for (position, change) in Change::ALL.into_iter().enumerate() {
            let separator = if position == 0 { "" } else { ",\n" };
            write!(out, "{separator}\"{}\":[", change.name())?;
            for (position, entry) in difference.with(change).enumerate() {
                out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
                write_value(&Item(difference.kind, entry), out)?;
            }
            out.write_all(b"]")?;
        }
        out.write_all(b"}")?;
    }
    write_list("devices", comparison.devices.iter().map(Device), out)?;
    out.write_all(b"}\n")
}

/// The circumstances.
#[derive(Serialize)]
struct Meta<'a> {
    version: &'static str,
    before: Summary<'a>,
    after: Summary<'a>,
    /// `internet` or `all`.
    remotes: &'static str,
    /// The kinds in which a value is gone or new for some device.
    differing: Vec<&'static str>,
}

#[derive(Serialize)]
struct Summary<'a> {
    side: &'a str,
    source: &'static str,
    started_at: Value<'static>,
    ended_at: Value<'static>,
    devices: usize,
    #[serde(flatten)]
    octets: Octets,
    /// Octets to and from remotes for which no name was seen.
    nameless: Octets,
}

impl<'a> Meta<'a> {
    fn of(comparison: &'a Comparison) -> Self {
        let differing = comparison.differing();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            before: Summary::of(&comparison.before),
            after: Summary::of(&comparison.after),
            remotes: match comparison.remotes {
                Remotes::Internet => "internet",
                Remotes::All => "all",
            },
            differing: differing.iter().map(|kind| kind.name).collect(),
        }
    }
}

impl<'a> Summary<'a> {
    fn of(side: &'a SideSummary) -> Self {
        let time = |at: Timestamp| Value::Time(at);
        Self {
            side: &side.label,
            source: side.source,
            started_at: time(side.started_at),
            ended_at: time(side.ended_at),
            devices: side.devices,
            octets: side.octets,
            nameless: side.nameless,
        }
    }
}

/// A device, with the four that the document has of all.
struct Device<'a>(&'a DeviceComparison);

impl Serialize for Device<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("device", &self.0.name)?;
        map.serialize_entry("device_mac", &self.0.mac)?;
        let [before, after] = self.0.is_on;
        map.serialize_entry("is_before", &before)?;
        map.serialize_entry("is_after", &after)?;
        for difference in &self.0.differences {
            map.serialize_entry(difference.kind.name, &Lists(difference))?;
        }
        map.end()
    }
}

/// A difference as its three lists.
struct Lists<'a>(&'a Difference);

impl Serialize for Lists<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Change::ALL.len()))?;
        for change in Change::ALL {
            let items = self.0.with(change);
            let items: Vec<_> = items.map(|entry| Item(self.0.kind, entry)).collect();
            map.serialize_entry(change.name(), &items)?;
        }
        map.end()
    }
}

/// An entry.
struct Item<'a>(&'static Kind, &'a Entry);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(kind, entry) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(kind.singular, &*entry.value)?;
        if let Some(title) = &entry.title {
            map.serialize_entry(&format!("{}_name", kind.singular), &**title)?;
        }
        map.serialize_entry("up_octets", &entry.octets().up)?;
        map.serialize_entry("down_octets", &entry.octets().down)?;
        if let (Some(before), Some(_)) = (entry.before, entry.after) {
            map.serialize_entry("up_octets_before", &before.up)?;
            map.serialize_entry("down_octets_before", &before.down)?;
        }
        if kind.has_names {
            map.serialize_entry("names_before", &texts(&entry.names_before))?;
            map.serialize_entry("names_after", &texts(&entry.names_after))?;
        }
        map.end()
    }
}

fn texts(texts: &BTreeSet<Arc<str>>) -> Vec<&str> {
    texts.iter().map(|text| &**text).collect()
}
