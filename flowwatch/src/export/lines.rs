//! A row as text: the fields of every format, and behind them what is an export's own.

use super::{Batch, Row};
use crate::model::Value;

/// A field that only exports have, behind `FIELDS`.
#[derive(Clone, Copy, Debug)]
pub struct LineField {
    /// The name.
    pub name: &'static str,
    /// One sentence for documentation.
    pub description: &'static str,
    /// Returns the field of a batch's row.
    pub value: for<'row> fn(&'row Row, &Batch) -> Value<'row>,
}

/// The fields that only exports have, in order.
pub const LINE_FIELDS: &[LineField] = &[
    LineField {
        name: "row",
        description: "`flow`, or `rest`: what the device has in no flow, as the tables had no room \
                      for it; the remote is unknown then.",
        value: |row, _| {
            let word = if row.flow().is_some() { "flow" } else { "rest" };
            Value::of_text(Some(word))
        },
    },
    LineField {
        name: "interval_start",
        description: "Since when the row's packets were counted: the end of the interval before, or \
                      the counting's start.",
        value: |_, batch| Value::Time(batch.since),
    },
    LineField {
        name: "interval_end",
        description: "Until when.",
        value: |_, batch| Value::Time(batch.until),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_exports_has_each_field() {
        let row = |field: &LineField| format!("| `{}` | {} |\n", field.name, field.description);
        let table: String = LINE_FIELDS.iter().map(row).collect();
        let page = include_str!("../../../docs/exports.md");
        assert!(page.contains(&table), "docs/exports.md lacks:\n{table}");
    }
}
