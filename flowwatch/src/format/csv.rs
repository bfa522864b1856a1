//! The `csv` format: a header and one flow a line.
//!
//! RFC 4180: lines end in CR LF, texts are quoted where they must be. Unknown is empty. A text that
//! a spreadsheet would take for a formula has an apostrophe before it, and what does not print is
//! escaped.

use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};

use super::Format;
use crate::{
    model::{FIELDS, Value},
    store::Snapshot,
    text,
};

/// The format.
#[derive(Debug)]
pub(super) struct Csv;

impl Format for Csv {
    fn write(&self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        let mut writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .from_writer(out);
        writer
            .write_record(FIELDS.iter().map(|field| field.name))
            .map_err(io_error)?;
        for record in &snapshot.flows {
            for field in FIELDS {
                writer
                    .write_field(cell((field.value)(record)))
                    .map_err(io_error)?;
            }
            writer.write_record(None::<&[u8]>).map_err(io_error)?;
        }
        writer.flush()
    }
}

/// Texts can come from strangers; numbers, times and addresses can't begin a formula.
pub(crate) fn cell(value: Value<'_>) -> String {
    let Value::Text(raw) = value else {
        return value.into_text().into_owned();
    };
    let shown = text::printable(&raw);
    if raw.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
        return format!("'{shown}");
    }
    shown.into_owned()
}

/// Keeps the writer's own error, whose kind decides the exit status.
pub(super) fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    fn written(snapshot: &Snapshot) -> String {
        let mut out = Vec::new();
        Csv.write(snapshot, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_lines_are_as_written_by_hand() {
        let expected = include_str!("golden/snapshot.csv").replace('\n', "\r\n");
        assert_eq!(written(&sample::snapshot()), expected);
    }

    #[test]
    fn a_formula_is_not_one_any_more() {
        let check = |text: &str, expected| assert_eq!(cell(Value::Text(text.into())), expected);
        check("=1+1", "'=1+1");
        check("+1", "'+1");
        check("-1", "'-1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("\t=1", "'\\x09=1");
        check("\r=1", "'\\x0d=1");
        check("a=b", "a=b");
    }

    #[test]
    fn quotes_commas_and_line_ends_stay_in_their_cell() {
        let text = written(&sample::adversarial());
        assert_eq!(
            text.matches("\r\n").count(),
            1 + 1,
            "a header and a flow:\n{text}"
        );
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(record.len(), FIELDS.len());
        assert_eq!(&record[0], "'=cmd|'/C calc'!A0");
    }
}
