//! CSV: what the JSON lines have, for spreadsheets and databases.

use std::io;

use csv::{Terminator, Writer, WriterBuilder};

use super::lines::LINE_FIELDS;
use super::place::{Encoding, LineTarget, check_files, check_size};
use super::{Batch, Row, SettingEntry, SinkEntry};
use crate::format::csv_cell;
use crate::model::FIELDS;

/// The sink.
pub(super) const ENTRY: SinkEntry = SinkEntry {
    name: "csv",
    value_name: "PLACE",
    help: "Write what is counted as CSV, each interval's, under one header: to a file, to standard \
           output (-), or to a socket (tcp://HOST:PORT, unix:PATH)",
    example: "/var/log/flowwatch/flows.csv",
    settings: &[ROTATE, FILES],
    parse: |given| LineTarget::parse(given, ENCODING, [ROTATE.name, FILES.name]),
};

const ROTATE: SettingEntry = SettingEntry {
    name: "csv-rotate",
    value_name: "SIZE",
    help: "The size at which a file of CSV is moved away and a new one begun, or never \
           [default: 100MiB]",
    example: "1GiB",
    check: check_size,
};

const FILES: SettingEntry = SettingEntry {
    name: "csv-files",
    value_name: "NUMBER",
    help: "How many of those that were moved away are kept, 0 to 999 [default: 5]",
    example: "20",
    check: check_files,
};

const ENCODING: Encoding = Encoding { head, line };

fn head() -> Vec<u8> {
    let names = FIELDS.iter().map(|field| field.name);
    let names = names.chain(LINE_FIELDS.iter().map(|field| field.name));
    let mut line: Vec<_> = names.collect::<Vec<_>>().join(",").into();
    line.extend(b"\r\n");
    line
}

fn line(row: &Row, batch: &Batch, lines: &mut Vec<u8>) -> io::Result<()> {
    let fields = FIELDS.iter().map(|field| row.value(field));
    let own = LINE_FIELDS.iter().map(|field| (field.value)(row, batch));
    let mut writer: Writer<_> = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(lines);
    let cells = fields.chain(own).map(csv_cell);
    writer.write_record(cells.map(String::into_bytes))?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::batch;

    #[test]
    fn a_line_has_a_cell_for_each_name_in_the_head() {
        let batch = batch();
        let mut lines = head();
        for row in &batch.rows {
            line(row, &batch, &mut lines).unwrap();
        }
        let mut reader = csv::Reader::from_reader(&lines[..]);
        let names = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        let cell = |row: usize, name: &str| {
            let at = names.iter().position(|it| it == name).unwrap();
            rows[row][at].to_owned()
        };
        assert_eq!(cell(0, "name"), "us-master.iotcplatform.com");
        assert_eq!(cell(0, "up_octets"), "1234567");
        assert_eq!(cell(0, "interval_start"), "2026-01-02T03:04:00.000Z");
        assert_eq!(cell(0, "row") + &cell(1, "row"), "flowrest");
        assert_eq!(
            (cell(1, "remote_address"), cell(1, "down_octets")),
            (String::new(), "7".into())
        );
        assert!(lines.ends_with(b"\r\n"));
    }
}
