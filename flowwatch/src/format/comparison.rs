//! A comparison in every format.
//!
//! One writer a format, with the escapes that the format has for flows. The formats of rows go by
//! `COMPARISON_FIELDS`.

mod json;
mod markdown;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::io::{self, Write};

use ::csv::{Terminator, WriterBuilder};
use serde::{Serialize, Serializer, ser::SerializeMap};

pub(super) use self::{json::json, markdown::markdown, table::table};
use super::Surface;
use super::csv::{cell, io_error};
use super::json::write_value;
use crate::diff::{COMPARISON_FIELDS, Comparison, ComparisonRow};

/// A value of one device as an object with the names of `COMPARISON_FIELDS`.
struct Row<'a>(ComparisonRow<'a>);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COMPARISON_FIELDS.len()))?;
        for field in COMPARISON_FIELDS {
            map.serialize_entry(field.name, &(field.value)(self.0))?;
        }
        map.end()
    }
}

/// Writes one object a value of a device, each on its own line.
pub(super) fn json_lines(
    comparison: &Comparison,
    _: Surface,
    out: &mut dyn Write,
) -> io::Result<()> {
    for row in comparison.rows() {
        write_value(&Row(row), out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes a header and one value of a device a line (RFC 4180).
pub(super) fn csv(comparison: &Comparison, _: Surface, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(out);
    let names = COMPARISON_FIELDS.iter().map(|field| field.name);
    writer.write_record(names).map_err(io_error)?;
    for row in comparison.rows() {
        let cells = COMPARISON_FIELDS
            .iter()
            .map(|field| cell((field.value)(row)));
        writer.write_record(cells).map_err(io_error)?;
    }
    writer.flush()
}
