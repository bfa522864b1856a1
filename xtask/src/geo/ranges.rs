//! Ranges of addresses with a value: sorted, without overlap, and joined where neighbours agree.
//!
//! Made by `sources`; two lists become one in [`overlay`], which `tree` turns into a search tree.

use std::net::IpAddr;

use anyhow::{Result, ensure};

/// Addresses from `first` to `last`, both included, and what is known of them.
///
/// Addresses are 128-bit numbers; IPv4 lies in `::/96`, where MMDB's IPv6 trees keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range<T> {
    /// The lowest address.
    pub(crate) first: u128,
    /// The highest address.
    pub(crate) last: u128,
    /// What is known of all of them.
    pub(crate) value: T,
}

/// What each of two lists says of the same addresses.
pub(crate) type Both<A, B> = (Option<A>, Option<B>);

/// Returns the number under which the tree keeps `address`.
pub(crate) fn position_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// Returns the union of both lists, cut wherever either changes and joined where both agree.
///
/// # Errors
///
/// When one of the lists isn't sorted or overlaps itself.
pub(crate) fn overlay<A: Copy + Eq, B: Copy + Eq>(
    left: &[Range<A>],
    right: &[Range<B>],
) -> Result<Vec<Range<Both<A, B>>>> {
    check_order(left)?;
    check_order(right)?;
    let mut merged: Vec<Range<Both<A, B>>> = Vec::new();
    let (mut left, mut right) = (left, right);
    let mut at = 0;
    while let Some(first) = next_start(left, right, at) {
        let last = left
            .first()
            .into_iter()
            .map(|range| edge_after(range, first))
            .chain(right.first().map(|range| edge_after(range, first)))
            .min()
            .unwrap_or(u128::MAX);
        push_joined(
            &mut merged,
            Range {
                first,
                last,
                value: (covering(left, first), covering(right, first)),
            },
        );
        left = &left[usize::from(left.first().is_some_and(|range| range.last == last))..];
        right = &right[usize::from(right.first().is_some_and(|range| range.last == last))..];
        let Some(next) = last.checked_add(1) else {
            break;
        };
        at = next;
    }
    Ok(merged)
}

fn check_order<T>(ranges: &[Range<T>]) -> Result<()> {
    ensure!(
        ranges.iter().all(|range| range.first <= range.last),
        "a range ends before it starts"
    );
    ensure!(
        ranges.windows(2).all(|pair| pair[0].last < pair[1].first),
        "ranges overlap or aren't sorted"
    );
    Ok(())
}

/// Returns the first address from `at` on that one of the lists knows.
fn next_start<A, B>(left: &[Range<A>], right: &[Range<B>], at: u128) -> Option<u128> {
    let left = left.first().map(|range| range.first.max(at));
    let right = right.first().map(|range| range.first.max(at));
    left.into_iter().chain(right).min()
}

/// Returns the last address up to which `range` says the same of all addresses from `first` on.
fn edge_after<T>(range: &Range<T>, first: u128) -> u128 {
    if range.first > first {
        range.first - 1
    } else {
        range.last
    }
}

fn covering<T: Copy>(ranges: &[Range<T>], address: u128) -> Option<T> {
    ranges
        .first()
        .filter(|range| range.first <= address)
        .map(|range| range.value)
}

fn push_joined<T: Eq>(merged: &mut Vec<Range<T>>, range: Range<T>) {
    match merged.last_mut() {
        Some(previous) if previous.value == range.value && previous.last + 1 == range.first => {
            previous.last = range.last;
        }
        _ => merged.push(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range<T>(first: u128, last: u128, value: T) -> Range<T> {
        Range { first, last, value }
    }

    #[test]
    fn overlay_cuts_where_either_list_changes() {
        let merged = overlay(&[range(10, 19, 'a')], &[range(5, 12, 1), range(15, 30, 2)]).unwrap();
        assert_eq!(
            merged,
            [
                range(5, 9, (None, Some(1))),
                range(10, 12, (Some('a'), Some(1))),
                range(13, 14, (Some('a'), None)),
                range(15, 19, (Some('a'), Some(2))),
                range(20, 30, (None, Some(2))),
            ]
        );
    }

    #[test]
    fn neighbours_with_the_same_value_are_joined() {
        let merged = overlay(
            &[range(0, 3, 'a'), range(4, 7, 'a')],
            &[range::<u8>(9, 9, 1)],
        )
        .unwrap();
        assert_eq!(
            merged,
            [range(0, 7, (Some('a'), None)), range(9, 9, (None, Some(1)))]
        );
    }

    #[test]
    fn the_highest_address_ends_the_list() {
        let merged = overlay(
            &[range(1, u128::MAX, 'a')],
            &[range(u128::MAX, u128::MAX, 1)],
        )
        .unwrap();
        assert_eq!(
            merged,
            [
                range(1, u128::MAX - 1, (Some('a'), None)),
                range(u128::MAX, u128::MAX, (Some('a'), Some(1)))
            ]
        );
    }

    #[test]
    fn overlapping_input_is_refused() {
        assert!(
            overlay(
                &[range(0, 5, 'a'), range(5, 6, 'b')],
                &[range::<u8>(9, 9, 1)]
            )
            .is_err()
        );
    }
}
