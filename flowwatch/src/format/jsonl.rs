//! The `jsonl` format: one flow a line.
//!
//! Each line is the object that the `json` format has in `flows`.

use std::io::{self, Write};

use super::{
    Format,
    json::{Row, write_value},
};
use crate::store::Snapshot;

/// The format.
#[derive(Debug)]
pub(super) struct JsonLines;

impl Format for JsonLines {
    fn write(&self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        for record in &snapshot.flows {
            write_value(&Row(record), out)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    #[test]
    fn the_lines_are_as_written_by_hand() {
        let mut out = Vec::new();
        JsonLines.write(&sample::snapshot(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            include_str!("golden/snapshot.jsonl")
        );
    }
}
