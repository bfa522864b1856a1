//! The file's tables, as `docs/history.md` describes them.
//!
//! Written by `writer` and what it uses, read by `reader`; changed by `migrations` alone.
//!
//! A flow table's key is its bucket's number (minutes, hours or days since 1970) above 32 bits of
//! the destination's: one integer, so that a row of a day takes about 21 octets and a bucket is one
//! range of the table.

/// What the file says that it is (`file` and `PRAGMA application_id` show it): "`FlWa`".
pub(super) const APPLICATION_ID: i32 = 0x466c_5761;

/// The tables of version 1.
pub(super) const TABLES: &str = include_str!("schema.sql");

/// Bits of a flow table's key that are the destination's number.
pub(super) const DESTINATION_BITS: u32 = 32;

/// Returns a flow table's key.
pub(super) const fn flow_key(bucket: i64, destination: u32) -> i64 {
    bucket << DESTINATION_BITS | destination as i64
}

/// Returns the bucket and the destination of a flow table's key.
pub(super) const fn parts_of_key(key: i64) -> (i64, u32) {
    (key >> DESTINATION_BITS, key.cast_unsigned() as u32)
}
