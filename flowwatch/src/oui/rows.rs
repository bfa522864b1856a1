//! The IEEE's registries as it publishes them: CSV files of assignments.
//!
//! Read from a file's octets into [`Row`]s, by `files` for what the system keeps and by
//! `cargo xtask oui` for what is built in.

use std::io;

/// Names longer than this are cut: their length is one octet in the packed registry.
const MAX_NAME_OCTETS: usize = 255;

/// One assignment: a block of addresses, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The block's upper bits, as a number: 24 (MA-L, CID), 28 (MA-M) or 36 (MA-S, IAB) of them.
    pub(super) prefix: u64,
    /// How many bits that are.
    pub(super) bits: u32,
    /// The organization, with single spaces.
    pub(super) organization: String,
}

/// Reads a file's rows: `Registry,Assignment,Organization Name,Organization Address`.
///
/// # Errors
/// What is wrong, with the row, as the CSV reader says it.
pub(super) fn read(file: impl io::Read) -> Result<Vec<Row>, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let mut rows = Vec::new();
    for (row, record) in (1..).zip(reader.byte_records()) {
        let record = record?;
        rows.push(row_of(&record).ok_or_else(|| {
            csv::Error::from(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("row {row} is no assignment of the IEEE's"),
            ))
        })?);
    }
    Ok(rows)
}

fn row_of(record: &csv::ByteRecord) -> Option<Row> {
    let assignment = str::from_utf8(record.get(1)?).ok()?;
    let bits = match assignment.len() {
        digits @ (6 | 7 | 9) => digits as u32 * 4,
        _ => return None,
    };
    let is_hexadecimal = assignment.bytes().all(|digit| digit.is_ascii_hexdigit());
    let prefix = is_hexadecimal.then(|| u64::from_str_radix(assignment, 16).ok())??;
    let name = String::from_utf8_lossy(record.get(2)?);
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let organization = name[..name.floor_char_boundary(MAX_NAME_OCTETS)].to_owned();
    Some(Row {
        prefix,
        bits,
        organization,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Registry,Assignment,Organization Name,Organization Address\r\n";

    fn read_text(rows: &str) -> Result<Vec<Row>, csv::Error> {
        read(format!("{HEADER}{rows}").as_bytes())
    }

    #[test]
    fn an_assignment_of_each_size_is_read() {
        let rows = read_text(
            "MA-L,2CAA8E,Wyze Labs Inc,22522 29th Dr SE\r\n\
             MA-M,8C1F64F,\"Two  Spaces,  Inc \",\r\n\
             MA-S,70B3D5F2F,TELEPLATFORMS,\"Polbina st., 3/1\"\r\n",
        )
        .unwrap();
        let read: Vec<_> = rows
            .iter()
            .map(|row| (row.prefix, row.bits, row.organization.as_str()))
            .collect();
        let expected = [
            (0x2c_aa8e, 24, "Wyze Labs Inc"),
            (0x8c1_f64f, 28, "Two Spaces, Inc"),
            (0x7_0b3d_5f2f, 36, "TELEPLATFORMS"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_assignment_is_refused_with_its_row() {
        for row in ["MA-L,2CAA8,x,", "MA-L,+CAA8E,x,", "MA-L,2CAA8G,x,", "MA-L"] {
            let error = read_text(&format!("MA-L,000000,XEROX,\r\n{row}\r\n")).unwrap_err();
            assert!(error.to_string().contains("row 2"), "{row}: {error}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_cut_between_characters() {
        let rows = read_text(&format!("MA-L,000000,{},\r\n", "é".repeat(200))).unwrap();
        assert_eq!(rows[0].organization, "é".repeat(127));
    }
}
