//! The list of the LAN's devices in every format.
//!
//! One writer a format, each over `DEVICE_FIELDS`, with the escapes that the format has for flows.
//! The table is for people and shows a part of the fields; under it is what tags a device.

use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};
use serde::{Serialize, Serializer, ser::SerializeMap};
use unicode_width::UnicodeWidthStr as _;

use super::csv::{cell, io_error};
use super::json::{write_list, write_value};
use super::markdown::escaped;
use super::{Surface, grouped};
use crate::census::{DEVICE_FIELDS, LanDevice, LanDevices};
use crate::model::Value;
use crate::text::printable;

/// The addresses of a device that the table shows; the other formats have all.
const ADDRESSES_SHOWN: usize = 2;
/// The columns that a name or a vendor takes in the table at most.
const WIDEST: usize = 32;

/// A device as an object with the names of `DEVICE_FIELDS`.
struct Row<'device>(&'device LanDevice);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(DEVICE_FIELDS.len()))?;
        for field in DEVICE_FIELDS {
            map.serialize_entry(field.name, &(field.value)(self.0))?;
        }
        map.end()
    }
}

/// Writes one document: `{"meta": …, "devices": […]}`.
pub(super) fn json(list: &LanDevices, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{\"meta\":")?;
    write_value(&list.meta, out)?;
    write_list("devices", list.devices.iter().map(Row), out)?;
    out.write_all(b"}\n")
}

/// Writes one object a device, each on its own line.
pub(super) fn json_lines(list: &LanDevices, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    for device in &list.devices {
        write_value(&Row(device), out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes a header and one device a line (RFC 4180).
pub(super) fn csv(list: &LanDevices, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(out);
    let names = DEVICE_FIELDS.iter().map(|field| field.name);
    writer.write_record(names).map_err(io_error)?;
    for device in &list.devices {
        let cells = DEVICE_FIELDS
            .iter()
            .map(|field| cell((field.value)(device)));
        writer.write_record(cells).map_err(io_error)?;
    }
    writer.flush()
}

/// Writes a table of Markdown.
pub(super) fn markdown(list: &LanDevices, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    let write_line = |out: &mut dyn Write, cells: &mut dyn Iterator<Item = String>| {
        for cell in cells {
            write!(out, "| {cell} ")?;
        }
        writeln!(out, "|")
    };
    writeln!(out, "# {}\n", escaped(&summary(list)))?;
    write_line(
        out,
        &mut DEVICE_FIELDS.iter().map(|field| escaped(field.name)),
    )?;
    write_line(out, &mut DEVICE_FIELDS.iter().map(|_| "---".to_owned()))?;
    for device in &list.devices {
        let cells = DEVICE_FIELDS
            .iter()
            .map(|field| match (field.value)(device) {
                Value::Text(text) => escaped(&text),
                Value::Addresses(addresses) => {
                    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                    texts.join(" ")
                }
                value => value.into_text().into_owned(),
            });
        write_line(out, &mut { cells })?;
    }
    let losses = losses(list);
    if !losses.is_empty() {
        writeln!(out)?;
    }
    for loss in losses {
        writeln!(out, "- {loss}")?;
    }
    Ok(())
}

/// A column of the table.
struct Column {
    title: &'static str,
    cell: fn(&LanDevice) -> Vec<String>,
    /// Whether it gives way on a narrow terminal.
    gives_way: bool,
}

const COLUMNS: &[Column] = &[
    Column {
        title: "TAG",
        cell: |device| one(device.tag.as_deref()),
        gives_way: false,
    },
    Column {
        title: "NAME",
        cell: |device| one(device.hostname.as_ref().map(|name| &*name.text)),
        gives_way: true,
    },
    Column {
        title: "VIA",
        cell: |device| one(device.hostname.as_ref().map(|name| name.source.name())),
        gives_way: false,
    },
    Column {
        title: "MAC",
        cell: |device| vec![device.mac.to_string()],
        gives_way: false,
    },
    Column {
        title: "VENDOR",
        cell: |device| match &device.vendor {
            None if device.is_randomized => vec!["(randomized)".to_owned()],
            vendor => one(vendor.as_deref()),
        },
        gives_way: true,
    },
    Column {
        title: "ADDRESS",
        cell: addresses,
        gives_way: false,
    },
    Column {
        title: "LAST SEEN (UTC)",
        cell: |device| match device.last_seen {
            Some(time) => vec![time.strftime("%Y-%m-%d %H:%M:%S").to_string()],
            None => vec!["(silent)".to_owned()],
        },
        gives_way: false,
    },
    Column {
        title: "FRAMES",
        cell: |device| vec![grouped(device.frames)],
        gives_way: false,
    },
    Column {
        title: "NOTE",
        cell: |device| one(device.note()),
        gives_way: false,
    },
];

fn one(text: Option<&str>) -> Vec<String> {
    vec![shortened(&printable(text.unwrap_or_default()), WIDEST)]
}

/// IPv4 first, as people know them; then what goes beyond the link.
fn addresses(device: &LanDevice) -> Vec<String> {
    let all = device.ipv4_addresses.iter().chain(&device.ipv6_addresses);
    let mut texts: Vec<_> = all.map(ToString::to_string).collect();
    let more = texts.len().saturating_sub(ADDRESSES_SHOWN);
    if more > 0 {
        texts.truncate(ADDRESSES_SHOWN);
        texts.push(format!("+{more} more"));
    }
    texts
}

/// Returns the text, or as much of it as fits with an ellipsis.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        short.push(character);
        if short.width() >= columns {
            short.pop();
            break;
        }
    }
    short + "…"
}

/// Writes the table for people, and what tags a device.
pub(super) fn table(list: &LanDevices, surface: Surface, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<Vec<Vec<String>>> = list.devices.iter().map(cells).collect();
    let widths = widths(&rows, surface);
    let titles: Vec<_> = COLUMNS.iter().map(|column| column.title).collect();
    if !rows.is_empty() {
        write_row(out, &widths, &titles)?;
    }
    for row in &rows {
        for line in 0..row.iter().map(Vec::len).max().unwrap_or(0) {
            let texts: Vec<_> = row
                .iter()
                .map(|cell| cell.get(line).map_or("", String::as_str))
                .collect();
            write_row(out, &widths, &texts)?;
        }
    }
    writeln!(out, "{}", printable(&summary(list)))?;
    for loss in losses(list) {
        writeln!(out, "{loss}")?;
    }
    let options: Vec<_> = list
        .devices
        .iter()
        .filter_map(|it| it.option.as_ref())
        .collect();
    if !options.is_empty() {
        writeln!(out, "\nTo count a device, give `flowwatch run` its option:")?;
    }
    for option in options {
        writeln!(out, "  {option}")?;
    }
    Ok(())
}

fn cells(device: &LanDevice) -> Vec<Vec<String>> {
    COLUMNS.iter().map(|column| (column.cell)(device)).collect()
}

/// Returns each column's width: what it needs, and where the surface is too narrow, less for those
/// that give way; none for a column that is empty.
fn widths(rows: &[Vec<Vec<String>>], surface: Surface) -> Vec<usize> {
    let needed = |(index, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.get(index)).flatten();
        let widest = cells.map(|text| text.width()).max().unwrap_or(0);
        if widest == 0 {
            0
        } else {
            widest.max(column.title.len())
        }
    };
    let mut widths: Vec<_> = COLUMNS.iter().enumerate().map(needed).collect();
    let total: usize = widths.iter().map(|width| width + 2).sum();
    let mut excess = total.saturating_sub(surface.columns.unwrap_or(total) + 2);
    for (width, column) in widths.iter_mut().zip(COLUMNS).rev() {
        if column.gives_way {
            let less = excess.min(width.saturating_sub(8));
            *width -= less;
            excess -= less;
        }
    }
    widths
}

fn write_row(out: &mut dyn Write, widths: &[usize], texts: &[&str]) -> io::Result<()> {
    let mut line = String::new();
    for (text, width) in texts.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let text = shortened(text, *width);
        line += &text;
        line += &" ".repeat(width.saturating_sub(text.width()) + 2);
    }
    writeln!(out, "{}", line.trim_end())
}

fn summary(list: &LanDevices) -> String {
    let count = list.devices.len();
    let tagged = list.devices.iter().filter(|device| device.tag.is_some());
    let devices = if count == 1 { "device" } else { "devices" };
    let sources = list.meta.sources.join(", ");
    let (tagged, vendors) = (tagged.count(), &list.meta.vendors);
    format!("{count} {devices}, {tagged} tagged; from {sources}; vendors: {vendors}")
}

/// Returns one line for each kind of loss that occurred.
fn losses(list: &LanDevices) -> Vec<String> {
    let meta = &list.meta;
    let lines = [
        (
            meta.sightings_without_room,
            "frames of senders that the kernel had no room for: devices or addresses may be missing",
        ),
        (
            meta.frames_without_room,
            "frames that carry names did not arrive: names may be missing",
        ),
        (
            meta.devices_without_room,
            "frames or neighbours of devices that found no room",
        ),
        (
            meta.frames_without_mac,
            "packets without MAC addresses, which tell of no device",
        ),
    ];
    let occurred = lines.into_iter().filter(|(amount, _)| *amount > 0);
    occurred
        .map(|(amount, what)| format!("{} {what}.", grouped(amount)))
        .collect()
}

#[cfg(test)]
mod tests;
