//! The octets of an MMDB file: search tree, data section, metadata (format version 2.0).
//!
//! Made from `tree` and the places of its values; read by any reader of the format. Strings are
//! written once and pointed to, the most used ones first, where pointers are short.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, ensure};

use crate::tree::{Record, Tree};

/// Octets of zeros between the tree and the data.
const SEPARATOR: [u8; 16] = [0; 16];
const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

const TYPE_POINTER: u8 = 1;
const TYPE_STRING: u8 = 2;
const TYPE_UINT16: u8 = 5;
const TYPE_UINT32: u8 = 6;
const TYPE_MAP: u8 = 7;
const TYPE_UINT64: u8 = 9;
const TYPE_ARRAY: u8 = 11;

/// One value of the database, a flat map in the words that other flat databases use.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Entry<'a> {
    /// ISO 3166-1 alpha-2.
    pub(crate) country_code: Option<&'a str>,
    /// The autonomous system's number.
    pub(crate) number: Option<u32>,
    /// The autonomous system's organisation.
    pub(crate) organization: Option<&'a str>,
}

/// What the file says about itself.
#[derive(Debug)]
pub(crate) struct About<'a> {
    /// `database_type`.
    pub(crate) database_type: &'a str,
    /// `description.en`.
    pub(crate) description: &'a str,
    /// `build_epoch`: seconds since 1970.
    pub(crate) build_epoch: u64,
}

/// Returns the file's octets.
///
/// # Errors
///
/// When the tree and the data together are too large for records of 32 bits.
pub(crate) fn to_octets(tree: &Tree, entries: &[Entry<'_>], about: &About<'_>) -> Result<Vec<u8>> {
    let (data, offsets) = data_section(entries);
    let node_count = tree.nodes.len();
    let highest = node_count + SEPARATOR.len() + data.len();
    let record_bits = match highest {
        ..=0x00ff_ffff => 24,
        0x0100_0000..=0x0fff_ffff => 28,
        _ => 32,
    };
    ensure!(
        u32::try_from(highest).is_ok(),
        "write the database: more than 32-bit records can hold"
    );
    let mut octets = Vec::with_capacity(node_count * record_bits / 4 + data.len());
    for node in &tree.nodes {
        let numbers = node.map(|record| match record {
            Record::Empty => node_count as u32,
            Record::Node(number) => number,
            Record::Value(value) => (node_count + SEPARATOR.len()) as u32 + offsets[value as usize],
        });
        push_node(&mut octets, numbers, record_bits);
    }
    octets.extend(SEPARATOR);
    octets.extend(data);
    octets.extend(METADATA_MARKER);
    push_metadata(&mut octets, about, (node_count, record_bits));
    Ok(octets)
}

fn push_node(octets: &mut Vec<u8>, [left, right]: [u32; 2], record_bits: usize) {
    let (left_octets, right_octets) = (left.to_be_bytes(), right.to_be_bytes());
    let skipped = usize::from(record_bits < 32);
    octets.extend(&left_octets[skipped..]);
    if record_bits == 28 {
        octets.push(left_octets[0] << 4 | right_octets[0]);
    }
    octets.extend(&right_octets[skipped..]);
}

/// Returns the data section and, for each entry, the offset of its map in it.
fn data_section(entries: &[Entry<'_>]) -> (Vec<u8>, Vec<u32>) {
    let mut data = Vec::new();
    let mut strings = HashMap::new();
    for string in strings_by_use(entries) {
        strings.insert(string, data.len() as u32);
        push_string(&mut data, string);
    }
    let offsets = entries
        .iter()
        .map(|entry| {
            let offset = data.len() as u32;
            push_entry(&mut data, entry, &strings);
            offset
        })
        .collect();
    (data, offsets)
}

const KEY_COUNTRY: &str = "country_code";
const KEY_NUMBER: &str = "autonomous_system_number";
const KEY_ORGANIZATION: &str = "autonomous_system_organization";

/// Returns every string once: keys, countries, then organisations, each group most used first.
fn strings_by_use<'a>(entries: &[Entry<'a>]) -> Vec<&'a str> {
    let mut uses: BTreeMap<&str, (u8, usize)> = BTreeMap::new();
    for entry in entries {
        for (group, string) in [(1, entry.country_code), (2, entry.organization)] {
            if let Some(string) = string {
                let (first_group, count) = uses.entry(string).or_insert((group, 0));
                *first_group = group.min(*first_group);
                *count += 1;
            }
        }
    }
    for key in [KEY_COUNTRY, KEY_NUMBER, KEY_ORGANIZATION] {
        uses.insert(key, (0, 0));
    }
    let mut strings: Vec<_> = uses.into_iter().collect();
    strings.sort_by_key(|&(string, (group, count))| (group, std::cmp::Reverse(count), string));
    strings.into_iter().map(|(string, _)| string).collect()
}

fn push_entry(data: &mut Vec<u8>, entry: &Entry<'_>, strings: &HashMap<&str, u32>) {
    let fields = [
        entry.country_code.is_some(),
        entry.number.is_some(),
        entry.organization.is_some(),
    ];
    push_control(
        data,
        TYPE_MAP,
        fields.iter().filter(|&&is_known| is_known).count(),
    );
    for (key, string) in [
        (KEY_COUNTRY, entry.country_code),
        (KEY_ORGANIZATION, entry.organization),
    ] {
        if let Some(string) = string {
            push_pointer(data, strings[key]);
            push_pointer(data, strings[string]);
        }
    }
    if let Some(number) = entry.number {
        push_pointer(data, strings[KEY_NUMBER]);
        push_unsigned(data, TYPE_UINT32, number.into());
    }
}

/// Writes a type and a size; types above 7 have an octet of their own.
fn push_control(octets: &mut Vec<u8>, kind: u8, size: usize) {
    let (high, extension) = if kind > 7 {
        (0, Some(kind - 7))
    } else {
        (kind << 5, None)
    };
    let (low, more): (u8, Vec<u8>) = match size {
        ..=28 => (size as u8, vec![]),
        29..=284 => (29, vec![(size - 29) as u8]),
        _ => (30, ((size - 285) as u16).to_be_bytes().to_vec()),
    };
    octets.push(high | low);
    octets.extend(extension);
    octets.extend(more);
}

fn push_string(octets: &mut Vec<u8>, string: &str) {
    push_control(octets, TYPE_STRING, string.len());
    octets.extend(string.as_bytes());
}

fn push_unsigned(octets: &mut Vec<u8>, kind: u8, value: u64) {
    let skipped = value.leading_zeros() as usize / 8;
    push_control(octets, kind, 8 - skipped);
    octets.extend(&value.to_be_bytes()[skipped..]);
}

/// Writes a pointer in the shortest of its forms; each form counts from where the last one ends.
fn push_pointer(octets: &mut Vec<u8>, target: u32) {
    const FORM_1_START: u32 = 1 << 11;
    const FORM_2_START: u32 = FORM_1_START + (1 << 19);
    let (form, value, length) = match target {
        0..FORM_1_START => (0, target, 1),
        FORM_1_START..FORM_2_START => (1, target - FORM_1_START, 2),
        _ => (2, target - FORM_2_START, 3),
    };
    let value = value.to_be_bytes();
    octets.push(TYPE_POINTER << 5 | form << 3 | value[3 - length]);
    octets.extend(&value[4 - length..]);
}

fn push_metadata(
    octets: &mut Vec<u8>,
    about: &About<'_>,
    (node_count, record_bits): (usize, usize),
) {
    push_control(octets, TYPE_MAP, 9);
    for (key, kind, value) in [
        ("binary_format_major_version", TYPE_UINT16, 2),
        ("binary_format_minor_version", TYPE_UINT16, 0),
        ("build_epoch", TYPE_UINT64, about.build_epoch),
        ("ip_version", TYPE_UINT16, 6),
        ("node_count", TYPE_UINT32, node_count as u64),
        ("record_size", TYPE_UINT16, record_bits as u64),
    ] {
        push_string(octets, key);
        push_unsigned(octets, kind, value);
    }
    push_string(octets, "database_type");
    push_string(octets, about.database_type);
    push_string(octets, "description");
    push_control(octets, TYPE_MAP, 1);
    push_string(octets, "en");
    push_string(octets, about.description);
    push_string(octets, "languages");
    push_control(octets, TYPE_ARRAY, 1);
    push_string(octets, "en");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranges::Range;
    use crate::tree::build_tree;

    const ABOUT: About<'_> = About {
        database_type: "test",
        description: "for a test",
        build_epoch: 1_780_272_000,
    };

    #[test]
    fn a_foreign_reader_reads_what_was_written() {
        let long = "n".repeat(300);
        let entries = [
            Entry {
                country_code: Some("KR"),
                number: Some(16_509),
                organization: Some("Amazon.com, Inc."),
            },
            Entry {
                country_code: None,
                number: Some(4_200_000_000),
                organization: Some(&long),
            },
        ];
        let (v4, v6) = (0x34_4f_c5_00, 0x2001_0db8 << 96);
        let tree = build_tree(&[
            Range {
                first: v4,
                last: v4 + 0xff,
                value: 0,
            },
            Range {
                first: v6,
                last: v6 + 5,
                value: 1,
            },
        ])
        .unwrap();
        let reader =
            maxminddb::Reader::from_source(to_octets(&tree, &entries, &ABOUT).unwrap()).unwrap();
        reader.verify().unwrap();
        assert_eq!(reader.metadata().build_epoch, 1_780_272_000);
        for (address, expected) in [
            (
                "52.79.197.188",
                serde_json::json!({"country_code": "KR", "autonomous_system_number": 16509, "autonomous_system_organization": "Amazon.com, Inc."}),
            ),
            (
                "2001:db8::5",
                serde_json::json!({"autonomous_system_number": 4_200_000_000_u32, "autonomous_system_organization": long}),
            ),
        ] {
            let record: serde_json::Value = reader
                .lookup(address.parse().unwrap())
                .unwrap()
                .decode()
                .unwrap()
                .unwrap();
            assert_eq!(record, expected, "at {address}");
        }
        assert!(
            !reader
                .lookup("2001:db8::6".parse().unwrap())
                .unwrap()
                .has_data()
        );
    }

    #[test]
    fn pointers_have_the_documented_forms() {
        // The format's text: 11 bits from 0, 19 bits from 2048, 27 bits from 526336.
        for (target, expected) in [
            (0, vec![0x20, 0x00]),
            (2047, vec![0x27, 0xff]),
            (2048, vec![0x28, 0x00, 0x00]),
            (526_335, vec![0x2f, 0xff, 0xff]),
            (526_336, vec![0x30, 0x00, 0x00, 0x00]),
        ] {
            let mut octets = Vec::new();
            push_pointer(&mut octets, target);
            assert_eq!(octets, expected, "for {target}");
        }
    }

    #[test]
    fn nodes_of_28_bits_share_their_middle_octet() {
        let mut octets = Vec::new();
        push_node(&mut octets, [0x0123_4567, 0x089a_bcde], 28);
        assert_eq!(octets, [0x23, 0x45, 0x67, 0x18, 0x9a, 0xbc, 0xde]);
    }
}
