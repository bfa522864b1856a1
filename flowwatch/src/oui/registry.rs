//! The registry as look-ups see it: packed octets, searched where they lie.

use jiff::Timestamp;

use super::error::OuiError;
use super::pack::{MAGIC, SIZES};
use super::{builtin, files};

/// Octets of a packed registry before the first prefix.
const HEADER_LENGTH: usize = 8 + 8 + 4 * SIZES.len() + 4;
/// Who holds a large block that was divided: whoever has the part is in another registry, or in
/// none that is published.
const DIVIDED: &str = "IEEE Registration Authority";

/// The organizations that MAC addresses belong to.
#[derive(Clone, Debug)]
pub struct VendorRegistry {
    /// Where it is from, for people.
    source: String,
    date: Timestamp,
    packed: Vec<u8>,
    /// Of each size, where its prefixes begin and how many there are; those of most bits last.
    blocks: [Blocks; SIZES.len()],
    /// Where each name begins, and where the last ends.
    name_starts: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Blocks {
    start: usize,
    count: usize,
}

impl VendorRegistry {
    /// Opens the built-in registry, or the system's where that is fresher; and returns what to tell
    /// the user: a registry that can't be used is no reason to stop.
    #[must_use]
    pub fn open() -> (Self, Vec<OuiError>) {
        let mut errors = Vec::new();
        let mut best = builtin::open().unwrap_or_else(|error| {
            errors.push(error);
            Some(Self::empty())
        });
        for folder in files::FOLDERS {
            let newer_than = best.as_ref().map(|registry| registry.date);
            match files::read_newer(folder.as_ref(), newer_than) {
                Ok(Some(registry)) => best = Some(registry),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        (best.unwrap_or_else(Self::empty), errors)
    }

    /// Returns a registry that knows no vendor.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            source: "none".to_owned(),
            date: Timestamp::UNIX_EPOCH,
            packed: Vec::new(),
            blocks: [Blocks::default(); SIZES.len()],
            name_starts: Vec::new(),
        }
    }

    /// Takes up a packed registry; nothing when it isn't one.
    pub(super) fn from_packed(packed: Vec<u8>, source: &str) -> Option<Self> {
        let (magic, header) = packed.get(..HEADER_LENGTH)?.split_first_chunk::<8>()?;
        let (date, counts) = header.split_first_chunk::<8>()?;
        if *magic != MAGIC {
            return None;
        }
        let (counts, _) = counts.as_chunks::<4>();
        let counts: Vec<_> = counts
            .iter()
            .map(|count| u32::from_le_bytes(*count) as usize)
            .collect();
        let (names, block_counts) = counts.split_last()?;
        let mut at = HEADER_LENGTH;
        let mut blocks = [Blocks::default(); SIZES.len()];
        for ((blocks, (_, octets)), &count) in blocks.iter_mut().zip(SIZES).zip(block_counts) {
            *blocks = Blocks { start: at, count };
            at = at.checked_add(count.checked_mul(octets + 2)?)?;
        }
        let text = at.checked_add(*names)?;
        let mut end = text;
        let mut name_starts = vec![end as u32];
        for length in packed.get(at..text)? {
            end += usize::from(*length);
            name_starts.push(end as u32);
        }
        str::from_utf8(packed.get(text..end)?).ok()?;
        Some(Self {
            source: source.to_owned(),
            date: Timestamp::from_second(i64::from_le_bytes(*date)).ok()?,
            packed,
            blocks,
            name_starts,
        })
    }

    /// Returns where the registry is from: `built-in`, a folder, or `none`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the date of its data.
    #[must_use]
    pub const fn date(&self) -> Timestamp {
        self.date
    }

    /// Returns the organization that a MAC address's block was given to: that of the smallest block
    /// that it lies in. Nothing where there is none, or where only a divided block is known.
    #[must_use]
    pub fn vendor_of(&self, mac: [u8; 6]) -> Option<&str> {
        let [a, b, c, d, e, f] = mac;
        let number = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let mut sizes = SIZES.iter().zip(&self.blocks).rev();
        let found = sizes.find_map(|(size, blocks)| self.find(*size, *blocks, number));
        found.filter(|name| *name != DIVIDED)
    }

    fn find(&self, (bits, octets): (u32, usize), blocks: Blocks, mac: u64) -> Option<&str> {
        let prefix = (mac >> (48 - bits)).to_be_bytes();
        let wanted = prefix.get(8 - octets..)?;
        let Blocks { start, count } = blocks;
        let numbers = start + count * octets;
        let prefix_at = |index: usize| {
            let at = start + index * octets;
            self.packed.get(at..at + octets).unwrap_or_default()
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = usize::midpoint(low, high);
            if prefix_at(middle) < wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == count || prefix_at(low) != wanted {
            return None;
        }
        let number = self.packed.get(numbers + low * 2..)?.first_chunk()?;
        self.name(usize::from(u16::from_le_bytes(*number)))
    }

    fn name(&self, number: usize) -> Option<&str> {
        let start = *self.name_starts.get(number)? as usize;
        let end = *self.name_starts.get(number + 1)? as usize;
        let name = str::from_utf8(self.packed.get(start..end)?).ok()?;
        Some(name).filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pack::pack;
    use super::super::rows::{self, Row};
    use super::*;

    /// Real rows of all sizes, among them blocks inside blocks (IEEE's files of 2026).
    const ROWS: &str = "Registry,Assignment,Organization Name,Organization Address\n\
        MA-L,2CAA8E,Wyze Labs Inc,\n\
        MA-L,0050C2,IEEE Registration Authority,\n\
        IAB,0050C27D5,DEUTA-WERKE GmbH,\n\
        MA-L,70B3D5,IEEE Registration Authority,\n\
        MA-S,70B3D5F2F,TELEPLATFORMS,\n\
        MA-L,741AE0,IEEE Registration Authority,\n\
        MA-M,741AE09,Private,\n\
        MA-L,208593,IEEE Registration Authority,\n\
        MA-M,208593B,IOG Products LLC,\n\
        CID,EA2701,ACCE Technology Corp.,\n\
        MA-L,080030,NETWORK RESEARCH CORPORATION,\n\
        MA-L,080030,CERN,\n";

    fn registry() -> VendorRegistry {
        let rows = rows::read(ROWS.as_bytes()).unwrap();
        VendorRegistry::from_packed(pack(&rows, 86_400).unwrap(), "test").unwrap()
    }

    fn check(mac: [u8; 6], vendor: Option<&str>) {
        assert_eq!(registry().vendor_of(mac), vendor, "{mac:02x?}");
    }

    #[test]
    fn a_vendor_is_found_by_blocks_of_every_size() {
        check([0x2c, 0xaa, 0x8e, 0, 0, 0], Some("Wyze Labs Inc"));
        check([0x2c, 0xaa, 0x8e, 0xff, 0xff, 0xff], Some("Wyze Labs Inc"));
        check([0x20, 0x85, 0x93, 0xb0, 0, 0], Some("IOG Products LLC"));
        check([0x74, 0x1a, 0xe0, 0x9f, 0xff, 0xff], Some("Private"));
        check([0x70, 0xb3, 0xd5, 0xf2, 0xf0, 0], Some("TELEPLATFORMS"));
        check([0, 0x50, 0xc2, 0x7d, 0x5f, 1], Some("DEUTA-WERKE GmbH"));
        check([0xea, 0x27, 1, 9, 9, 9], Some("ACCE Technology Corp."));
    }

    #[test]
    fn the_smallest_block_wins_and_a_divided_one_names_nobody() {
        check([0x70, 0xb3, 0xd5, 0xf2, 0xe0, 0], None);
        check([0x20, 0x85, 0x93, 0xa0, 0, 0], None);
        check([0x2c, 0xaa, 0x8d, 0xff, 0xff, 0xff], None);
        check([0xff; 6], None);
        check([0; 6], None);
    }

    #[test]
    fn of_a_block_that_is_there_twice_the_first_row_counts() {
        check([8, 0, 0x30, 1, 2, 3], Some("NETWORK RESEARCH CORPORATION"));
    }

    #[test]
    fn more_names_than_numbers_are_refused() {
        let row = |number: u32| Row {
            prefix: number.into(),
            bits: 24,
            organization: number.to_string(),
        };
        let rows: Vec<_> = (0..=0x1_0000).map(row).collect();
        assert_eq!(pack(&rows, 0), Err(0x1_0001));
        let packed = pack(&rows[1..], 0).unwrap();
        let registry = VendorRegistry::from_packed(packed, "test").unwrap();
        assert_eq!(registry.vendor_of([0, 0xff, 0xff, 0, 0, 0]), Some("65535"));
    }

    #[test]
    fn what_is_no_packed_registry_is_refused() {
        let rows = rows::read(ROWS.as_bytes()).unwrap();
        let packed = pack(&rows, 86_400).unwrap();
        let take = |octets: &[u8]| VendorRegistry::from_packed(octets.to_vec(), "test");
        assert_eq!(take(&packed).unwrap().date().as_second(), 86_400);
        for cut in 0..packed.len() {
            assert!(take(&packed[..cut]).is_none(), "cut to {cut}");
        }
        let mut other = packed.clone();
        other[16..20].fill(0xff);
        assert!(take(&other).is_none(), "too many blocks");
        let mut other = packed;
        *other.last_mut().unwrap() = 0xff;
        assert!(take(&other).is_none(), "not UTF-8");
    }
}
