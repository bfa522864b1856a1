//! The search tree of an MMDB: from ranges of addresses to nodes of two records, each subtree once.
//!
//! Made from `ranges`; written out by `mmdb`. Equal subtrees are one node with several parents, which
//! the format allows and every reader follows; it makes the tree about a third smaller.

use std::collections::HashMap;

use anyhow::{Result, bail};

use crate::ranges::Range;

/// Bits in an IPv6 address, and so the tree's greatest depth.
const ADDRESS_BITS: u8 = 128;

/// What one record of a node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Record {
    /// Nothing is known of these addresses.
    Empty,
    /// The value of this number.
    Value(u32),
    /// The next bit decides, at this node.
    Node(u32),
}

/// The nodes in the order in which they are written; the root is the first.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// For each node, the records for bit 0 and bit 1.
    pub(crate) nodes: Vec<[Record; 2]>,
}

/// Builds the tree over `ranges` (sorted, without overlap), whose values are numbers.
///
/// # Errors
///
/// When one value covers all addresses, or there is none: there would be no node to start at.
pub(crate) fn build_tree(ranges: &[Range<u32>]) -> Result<Tree> {
    let mut builder = Builder::default();
    let Record::Node(root) = builder.record_of(ranges, 0, 0) else {
        bail!("build the search tree: the ranges need no tree; check the inputs");
    };
    Ok(builder.in_depth_first_order(root))
}

#[derive(Default)]
struct Builder {
    nodes: Vec<[Record; 2]>,
    numbers: HashMap<[Record; 2], u32>,
}

impl Builder {
    /// Returns the record for the addresses that share their first `depth` bits with `first`.
    fn record_of(&mut self, ranges: &[Range<u32>], first: u128, depth: u8) -> Record {
        let last = first | u128::MAX.checked_shr(u32::from(depth)).unwrap_or(0);
        match ranges {
            [] => return Record::Empty,
            [only] if only.first <= first && last <= only.last => return Record::Value(only.value),
            _ => {}
        }
        debug_assert!(depth < ADDRESS_BITS, "one address has one value");
        let middle = first | (1 << (ADDRESS_BITS - 1 - depth));
        let left = &ranges[..ranges.partition_point(|range| range.first < middle)];
        let right = &ranges[ranges.partition_point(|range| range.last < middle)..];
        let records = [
            self.record_of(left, first, depth + 1),
            self.record_of(right, middle, depth + 1),
        ];
        self.joined(records)
    }

    fn joined(&mut self, records: [Record; 2]) -> Record {
        if records[0] == records[1] && !matches!(records[0], Record::Node(_)) {
            return records[0];
        }
        let next = self.nodes.len() as u32;
        let number = *self.numbers.entry(records).or_insert(next);
        if number == next {
            self.nodes.push(records);
        }
        Record::Node(number)
    }

    /// Numbers the nodes from the root down, so that a look-up mostly steps to the next node.
    fn in_depth_first_order(&self, root: u32) -> Tree {
        let mut new_numbers: Vec<Option<u32>> = vec![None; self.nodes.len()];
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut stack = vec![root];
        while let Some(old) = stack.pop() {
            if new_numbers[old as usize].is_some() {
                continue;
            }
            new_numbers[old as usize] = Some(order.len() as u32);
            order.push(old);
            for record in self.nodes[old as usize].iter().rev() {
                if let Record::Node(child) = record {
                    stack.push(*child);
                }
            }
        }
        let renumber = |record: Record| match record {
            Record::Node(old) => new_numbers[old as usize].map_or(Record::Empty, Record::Node),
            other => other,
        };
        Tree {
            nodes: order
                .iter()
                .map(|&old| self.nodes[old as usize].map(renumber))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_at(tree: &Tree, address: u128) -> Option<u32> {
        let mut record = Record::Node(0);
        for bit in (0..128).rev() {
            let Record::Node(node) = record else { break };
            record = tree.nodes[node as usize][(address >> bit & 1) as usize];
        }
        match record {
            Record::Value(value) => Some(value),
            _ => None,
        }
    }

    #[test]
    fn every_edge_of_every_range_is_found() {
        let ranges = [
            Range {
                first: 3,
                last: 9,
                value: 1,
            },
            Range {
                first: 10,
                last: 10,
                value: 2,
            },
            Range {
                first: 1 << 100,
                last: u128::MAX,
                value: 3,
            },
        ];
        let tree = build_tree(&ranges).unwrap();
        for (address, expected) in [
            (2, None),
            (3, Some(1)),
            (9, Some(1)),
            (10, Some(2)),
            (11, None),
            ((1 << 100) - 1, None),
            (1 << 100, Some(3)),
            (u128::MAX, Some(3)),
        ] {
            assert_eq!(value_at(&tree, address), expected, "at {address}");
        }
    }

    #[test]
    fn equal_subtrees_are_one_node() {
        let twice: Vec<_> = [0u128, 1 << 127]
            .map(|base| Range {
                first: base + 5,
                last: base + 5,
                value: 7,
            })
            .into();
        let once = build_tree(&twice[..1]).unwrap();
        assert_eq!(build_tree(&twice).unwrap().nodes.len(), once.nodes.len());
    }

    #[test]
    fn a_value_for_all_addresses_is_refused() {
        assert!(
            build_tree(&[Range {
                first: 0,
                last: u128::MAX,
                value: 1
            }])
            .is_err()
        );
    }
}
