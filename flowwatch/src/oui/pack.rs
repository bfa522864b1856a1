//! The packed registry: what is built in, compressed, and what look-ups read, as it is.
//!
//! Made of [`Row`]s; read by `registry`. Numbers are little-endian, but for prefixes, which are
//! compared:
//!
//! | octets | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 8 | the date of the data, seconds since 1970 |
//! | 3 × 4 | blocks of each of [`SIZES`] |
//! | 4 | names |
//! | for each size | the blocks' prefixes, sorted, then the number of each one's name in 2 octets |
//! | names × 1 | the names' lengths |
//! | the rest | the names, sorted, in UTF-8 |

use std::collections::{BTreeMap, BTreeSet};

use super::rows::Row;

/// How a packed registry begins.
pub(super) const MAGIC: [u8; 8] = *b"fw-oui-1";
/// The sizes of blocks, in bits, and the octets that a prefix takes.
pub(super) const SIZES: [(u32, usize); 3] = [(24, 3), (28, 4), (36, 5)];

/// Packs assignments, whose data are of `date`. Where a block is there twice, the first row counts.
///
/// # Errors
/// The number of names, when their numbers don't fit in two octets.
pub(super) fn pack(rows: &[Row], date: i64) -> Result<Vec<u8>, usize> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.organization.as_str()).collect();
    let numbers: BTreeMap<&str, u16> = names.iter().copied().zip(0..=u16::MAX).collect();
    if numbers.len() < names.len() {
        return Err(names.len());
    }
    let blocks = SIZES.map(|(bits, _)| {
        let mut blocks = BTreeMap::new();
        for row in rows.iter().filter(|row| row.bits == bits) {
            let number = numbers.get(row.organization.as_str()).copied();
            blocks
                .entry(row.prefix)
                .or_insert(number.unwrap_or_default());
        }
        blocks
    });
    let mut packed = [&MAGIC[..], &date.to_le_bytes()].concat();
    for count in blocks.iter().map(BTreeMap::len).chain([names.len()]) {
        packed.extend((count as u32).to_le_bytes());
    }
    for ((_, octets), blocks) in SIZES.iter().zip(&blocks) {
        for prefix in blocks.keys() {
            packed.extend(&prefix.to_be_bytes()[8 - octets..]);
        }
        packed.extend(blocks.values().flat_map(|number| number.to_le_bytes()));
    }
    packed.extend(names.iter().map(|name| name.len() as u8));
    packed.extend(names.iter().flat_map(|name| name.bytes()));
    Ok(packed)
}
