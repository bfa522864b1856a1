//! JSON lines: a line for each flow of which something was counted in the interval.

use std::io;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::lines::LINE_FIELDS;
use super::place::{Encoding, LineTarget, check_files, check_size};
use super::{Batch, Row, SettingEntry, SinkEntry};
use crate::format::write_json;
use crate::model::{FIELDS, NAME_DETAILS_KEY};

/// The sink.
pub(super) const ENTRY: SinkEntry = SinkEntry {
    name: "jsonl",
    value_name: "PLACE",
    help: "Write what is counted as JSON lines, each interval's: to a file, to standard output (-), \
           or to a socket (tcp://HOST:PORT, unix:PATH)",
    example: "/var/log/flowwatch/flows.jsonl",
    settings: &[ROTATE, FILES],
    parse: |given| LineTarget::parse(given, ENCODING, [ROTATE.name, FILES.name]),
};

const ROTATE: SettingEntry = SettingEntry {
    name: "jsonl-rotate",
    value_name: "SIZE",
    help: "The size at which a file of JSON lines is moved away and a new one begun, or never \
           [default: 100MiB]",
    example: "1GiB",
    check: check_size,
};

const FILES: SettingEntry = SettingEntry {
    name: "jsonl-files",
    value_name: "NUMBER",
    help: "How many of those that were moved away are kept, 0 to 999 [default: 5]",
    example: "20",
    check: check_files,
};

const ENCODING: Encoding = Encoding {
    head: Vec::new,
    line,
};

fn line(row: &Row, batch: &Batch, lines: &mut Vec<u8>) -> io::Result<()> {
    write_json(&Line { row, batch }, lines)?;
    lines.push(b'\n');
    Ok(())
}

/// A row as an object: as the `jsonl` format has a flow, and behind it what is an export's own.
struct Line<'a> {
    row: &'a Row,
    batch: &'a Batch,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in FIELDS {
            map.serialize_entry(field.name, &self.row.value(field))?;
        }
        let names = self.row.flow().map(|flow| flow.name_details());
        map.serialize_entry(NAME_DETAILS_KEY, &names)?;
        for field in LINE_FIELDS {
            map.serialize_entry(field.name, &(field.value)(self.row, self.batch))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::batch;
    use crate::format::sample;

    #[test]
    fn a_line_is_the_formats_with_the_interval_behind_it() {
        let batch = batch();
        let mut lines = Vec::new();
        for row in &batch.rows {
            line(row, &batch, &mut lines).unwrap();
        }
        let lines = String::from_utf8(lines).unwrap();
        let [flow, rest] = lines.lines().collect::<Vec<_>>()[..] else {
            panic!("{lines}")
        };
        let mut format = Vec::new();
        let mut snapshot = sample::snapshot();
        snapshot.flows.truncate(1);
        let jsonl = crate::format::format_of("jsonl").unwrap();
        let jsonl = (jsonl.open)(crate::format::Surface::PLAIN);
        jsonl.write(&snapshot, &mut format).unwrap();
        let format = String::from_utf8(format).unwrap();
        let own = r#","row":"flow","interval_start":"2026-01-02T03:04:00.000Z","interval_end":"2026-01-02T03:09:30.000Z"}"#;
        assert_eq!(flow, format.strip_suffix("}\n").unwrap().to_owned() + own);
        let value: serde_json::Value = serde_json::from_str(rest).unwrap();
        assert!(value["remote_address"].is_null() && value["names"].is_null());
        assert_eq!(
            (&value["row"], &value["down_octets"]),
            (&"rest".into(), &7.into())
        );
    }
}
