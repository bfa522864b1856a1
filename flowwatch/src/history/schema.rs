//! The file's tables, as `docs/history.md` describes them.
//!
//! Written by `writer` and what it uses, read by `reader`; changed by `migrations` alone.
//!
//! A flow table's key is its bucket's number (minutes, hours or days since 2025) above 30 bits of the
//! destination's: one integer, so that a row of a day takes about 21 octets and a bucket is one range
//! of the table.

use super::Step;

/// What the file says that it is (`file` and `PRAGMA application_id` show it): "`FlWa`".
pub(super) const APPLICATION_ID: i32 = 0x466c_5761;

/// The tables of version 1.
pub(super) const TABLES: &str = include_str!("schema.sql");

/// Bits of a flow table's key that are the destination's number: a thousand million.
const DESTINATION_BITS: u32 = 30;

/// The destinations' bits.
const DESTINATIONS: i64 = (1 << DESTINATION_BITS) - 1;

/// The second from which a flow table's buckets are numbered, 2025-01-01: so the key of a day takes an
/// octet less for eleven years. What is before it has negative numbers.
const BEGINNING: i64 = 1_735_689_600;

/// Returns a flow table's key.
pub(super) const fn flow_key(step: Step, bucket: i64, destination: u32) -> i64 {
    (bucket - BEGINNING / step.seconds()) << DESTINATION_BITS | destination as i64
}

/// Returns the bucket and the destination of a flow table's key.
pub(super) const fn parts_of_key(step: Step, key: i64) -> (i64, u32) {
    let destination = (key & DESTINATIONS).cast_unsigned();
    let bucket = (key >> DESTINATION_BITS) + BEGINNING / step.seconds();
    (bucket, destination as u32)
}

/// Returns a destination's number, if it is one that a key has room for.
pub(super) fn destination_number(id: i64) -> Option<u32> {
    (0..=DESTINATIONS)
        .contains(&id)
        .then_some(id.cast_unsigned() as u32)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_key_holds_any_bucket_and_destination_in_order() {
        let beginning = Timestamp::from_second(BEGINNING).unwrap();
        assert_eq!(beginning.to_string(), "2025-01-01T00:00:00Z");
        for step in Step::ALL {
            for bucket in [0, 1, 20_089, 20_090, step.bucket_of(beginning), 99_999_999] {
                for destination in [0, 1, 0x3fff_ffff] {
                    let key = flow_key(step, bucket, destination);
                    assert_eq!(parts_of_key(step, key), (bucket, destination));
                    assert!(key < flow_key(step, bucket + 1, 0));
                }
            }
        }
        // Six octets of SQLite's integers with seven bits each.
        assert!(flow_key(Step::Day, Step::Day.bucket_of(beginning) + 4_095, 0) < 1 << 42);
    }
}
