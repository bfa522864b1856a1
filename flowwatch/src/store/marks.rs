//! Marks on flows: one bit a flow, by its position in the window.
//!
//! Set by the window as it counts, and by those who follow it; a full window's take 128 KB.

/// A set of positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Positions 0 to 63 are the first word's bits, the lowest first.
    words: Vec<u64>,
}

impl Marks {
    /// Marks a position.
    #[inline]
    pub fn set(&mut self, at: usize) {
        let word = at / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (at % 64);
    }

    /// Takes a position's mark away.
    pub fn clear(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    /// Returns whether a position is marked.
    #[must_use]
    pub fn has(&self, at: usize) -> bool {
        let word = self.words.get(at / 64).copied().unwrap_or(0);
        word >> (at % 64) & 1 == 1
    }

    /// Marks every position below `end`.
    pub fn set_below(&mut self, end: usize) {
        let whole = end / 64;
        let rest = (1_u64 << (end % 64)) - 1;
        self.unite(&Self {
            words: std::iter::repeat_n(u64::MAX, whole)
                .chain((rest != 0).then_some(rest))
                .collect(),
        });
    }

    /// Marks what `other` has marked.
    pub fn unite(&mut self, other: &Self) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Returns whether nothing is marked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Iterates over the marked positions, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let rest = |word: &u64| (word & (word - 1) != 0).then_some(word & (word - 1));
            std::iter::successors((word != 0).then_some(word), rest)
                .map(move |word| index * 64 + word.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(positions: &[usize]) -> Marks {
        let mut marks = Marks::default();
        for &at in positions {
            marks.set(at);
        }
        marks
    }

    fn check(marks: &Marks, expected: &[usize]) {
        assert_eq!(marks.iter().collect::<Vec<_>>(), expected);
        assert_eq!(marks.is_empty(), expected.is_empty());
    }

    #[test]
    fn positions_come_back_in_order_once() {
        let mut marks = of(&[130, 0, 63, 64, 130]);
        check(&marks, &[0, 63, 64, 130]);
        marks.clear(63);
        marks.clear(9_999);
        check(&marks, &[0, 64, 130]);
        assert!(marks.has(64) && !marks.has(63) && !marks.has(9_999));
        check(&Marks::default(), &[]);
    }

    #[test]
    fn marks_of_two_are_united_whichever_reaches_further() {
        let (near, far) = (of(&[1]), of(&[200]));
        for (mut one, other) in [(near.clone(), &far), (far.clone(), &near)] {
            one.unite(other);
            check(&one, &[1, 200]);
        }
    }

    #[test]
    fn all_below_an_end_are_marked() {
        for end in [0, 1, 63, 64, 65, 128] {
            let mut marks = of(&[300]);
            marks.set_below(end);
            let expected: Vec<_> = (0..end).chain([300]).collect();
            check(&marks, &expected);
        }
    }
}
