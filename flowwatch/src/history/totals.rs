//! A device's totals as a row of numbers: so they are subtracted, kept in the file and written to the
//! journal.

use flowwatch_common::abi::REASON_COUNT;

use crate::observation::{DeviceTotals, DirectionTotals, Frames, Traffic};

/// Numbers of one direction: six pairs' worth before the reasons, of which each has two.
const DIRECTION_WORDS: usize = 8 + 2 * REASON_COUNT;

/// Numbers of a device's totals.
pub(super) const WORDS: usize = 2 * DIRECTION_WORDS;

/// Returns the totals' numbers.
pub(super) fn words_of(totals: &DeviceTotals) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let (up, down) = words.split_at_mut(DIRECTION_WORDS);
    for (words, totals) in [(up, &totals.up), (down, &totals.down)] {
        let pairs = [totals.seen, totals.in_flows]
            .map(|it| [it.frames, it.l2_octets])
            .into_iter()
            .chain([totals.flow_traffic, totals.overflow].map(|it| [it.packets, it.octets]))
            .chain(totals.unaccounted.map(|it| [it.frames, it.l2_octets]));
        for (word, value) in words.iter_mut().zip(pairs.flatten()) {
            *word = value;
        }
    }
    words
}

/// Returns the totals of these numbers. Those that are missing, as an older flowwatch knew fewer
/// reasons, are zero.
pub(super) fn totals_of(words: &[u64]) -> DeviceTotals {
    let half = words.len() / 2;
    let (up, down) = words.split_at(half);
    DeviceTotals {
        up: direction_of(up),
        down: direction_of(down),
    }
}

fn direction_of(words: &[u64]) -> DirectionTotals {
    let word = |index: usize| words.get(index).copied().unwrap_or_default();
    let frames = |index| Frames {
        frames: word(index),
        l2_octets: word(index + 1),
    };
    let traffic = |index| Traffic {
        packets: word(index),
        octets: word(index + 1),
    };
    DirectionTotals {
        seen: frames(0),
        in_flows: frames(2),
        flow_traffic: traffic(4),
        overflow: traffic(6),
        unaccounted: std::array::from_fn(|reason| frames(8 + 2 * reason)),
    }
}

/// Returns by how much totals have grown. Less than before is none: totals of one generation only
/// grow.
#[must_use]
pub fn growth(before: &DeviceTotals, now: &DeviceTotals) -> DeviceTotals {
    let (before, mut now) = (words_of(before), words_of(now));
    for (now, before) in now.iter_mut().zip(before) {
        *now = now.saturating_sub(before);
    }
    totals_of(&now)
}

/// Returns the sum of two totals.
pub(super) fn sum(one: &DeviceTotals, other: &DeviceTotals) -> DeviceTotals {
    let (mut sum, other) = (words_of(one), words_of(other));
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum = sum.saturating_add(other);
    }
    totals_of(&sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_place() {
        let words: [u64; WORDS] = std::array::from_fn(|index| index as u64 + 1);
        let totals = totals_of(&words);
        assert_eq!(words_of(&totals), words);
        assert_eq!(totals.up.seen.frames, 1);
        assert_eq!(totals.down.seen.frames, DIRECTION_WORDS as u64 + 1);
        let doubled = sum(&totals, &totals);
        assert_eq!(growth(&totals, &doubled), totals);
        assert_eq!(growth(&doubled, &totals), DeviceTotals::default());
    }
}
