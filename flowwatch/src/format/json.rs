//! The `json` format: one document.
//!
//! `{"meta": …, "devices": […], "flows": […], "unaccounted": […], "resolving": […]}`, one element a
//! line so that two documents can be compared by lines. Texts are exact; what a terminal must not see is escaped as
//! JSON has it.

use std::io::{self, Write};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::ser::Formatter;

use super::Format;
use crate::{
    model::{FIELDS, FlowRecord, NAME_DETAILS_KEY},
    store::Snapshot,
    text,
};

/// The format.
#[derive(Debug)]
pub(super) struct Json;

impl Format for Json {
    fn write(&self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"meta\":")?;
        write_value(&snapshot.meta, out)?;
        write_list("devices", &snapshot.devices, out)?;
        write_list("flows", snapshot.flows.iter().map(Row), out)?;
        write_list("unaccounted", &snapshot.unaccounted, out)?;
        write_list("resolving", &snapshot.resolving, out)?;
        out.write_all(b"}\n")
    }
}

/// Writes a list under a key of the document, one element a line.
pub(super) fn write_list<T: Serialize>(
    key: &str,
    items: impl IntoIterator<Item = T>,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, ",\n\"{key}\":[")?;
    for (position, item) in items.into_iter().enumerate() {
        out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
        write_value(&item, out)?;
    }
    out.write_all(b"]")
}

/// Writes one value on one line.
pub(crate) fn write_value(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, TerminalSafe);
    // serde_json hands the writer's own error back.
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// A record as an object with the names of `FIELDS`, and what is known of its names behind them.
pub(super) struct Row<'record>(pub(super) &'record FlowRecord);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(FIELDS.len() + 1))?;
        for field in FIELDS {
            map.serialize_entry(field.name, &(field.value)(self.0))?;
        }
        map.serialize_entry(NAME_DETAILS_KEY, &self.0.name_details())?;
        map.end()
    }
}

/// Escapes C1 controls, bidirectional and invisible characters too, which JSON leaves alone.
struct TerminalSafe;

impl Formatter for TerminalSafe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if text::is_plain(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(|character| !text::is_printable(character)) {
            let (printable, from_bad) = rest.split_at(at);
            writer.write_all(printable.as_bytes())?;
            let mut characters = from_bad.chars();
            if let Some(bad) = characters.next() {
                for unit in bad.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    fn written(snapshot: &Snapshot) -> String {
        let mut out = Vec::new();
        Json.write(snapshot, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_document_is_as_written_by_hand() {
        let mut snapshot = sample::snapshot();
        snapshot.flows.truncate(1);
        assert_eq!(written(&snapshot), include_str!("golden/snapshot.json"));
    }

    #[test]
    fn a_strangers_name_is_escaped_and_read_back_exactly() {
        let snapshot = sample::adversarial();
        let text = written(&snapshot);
        assert!(
            text.contains("\\u202e") && text.contains("\\udb40\\udc41"),
            "{text}"
        );
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            document["flows"][0]["organization"],
            sample::EVIL_ORGANIZATION
        );
        assert_eq!(document["devices"][0]["device"], "=cmd|'/C calc'!A0");
    }

    #[test]
    fn unknown_is_null() {
        let document: serde_json::Value =
            serde_json::from_str(&written(&sample::snapshot())).unwrap();
        assert!(document["flows"][1]["name"].is_null());
        assert!(document["flows"][2]["country"].is_null());
        assert_eq!(document["flows"][2]["remote_port"], 0);
    }
}
