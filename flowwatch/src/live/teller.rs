//! What one view has been told, and what it has not been told yet.
//!
//! Three bits a flow, whatever happens while a view is slow: what it misses is merged, and told once.

use std::ops::Range;

use super::FlowNumber;
use super::feed::News;
use crate::store::Marks;

/// One view's state.
#[derive(Debug, Default)]
pub struct Teller {
    /// The number of the window's first flow.
    first: FlowNumber,
    /// Flows that were told: those at the positions below.
    told: usize,
    /// Flows whose counts changed since.
    counted: Marks,
    /// Flows that are to be told as a whole again.
    renamed: Marks,
    /// Flows of a window that is no more.
    forgotten: Range<FlowNumber>,
}

impl Teller {
    /// Returns the state of a view that was told nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what is new.
    pub fn hear(&mut self, news: &News) {
        if news.is_new_window {
            self.forget();
        }
        self.counted.unite(&news.counted);
        self.renamed.unite(&news.renamed);
    }

    /// Returns whether there is more to tell of a window with so many flows.
    #[must_use]
    pub fn is_behind(&self, flows: usize) -> bool {
        self.told < flows
            || !self.renamed.is_empty()
            || !self.counted.is_empty()
            || !self.forgotten.is_empty()
    }

    /// Takes up to `most` flows that are to be told as a whole, of a window with so many flows: those
    /// that were told otherwise, then those that were never told.
    pub(super) fn take_told(&mut self, flows: usize, most: usize) -> Vec<usize> {
        let renamed = self.renamed.iter().take_while(|at| *at < self.told);
        let mut told: Vec<_> = renamed.take(most).collect();
        let end = flows.min(self.told + (most - told.len()));
        told.extend(self.told..end);
        self.told = self.told.max(end);
        for &at in &told {
            self.renamed.clear(at);
            self.counted.clear(at);
        }
        told
    }

    /// Puts back the last of those that were taken to be told as a whole.
    pub(super) fn put_back(&mut self, positions: &[usize]) {
        for &at in positions {
            self.renamed.set(at);
        }
    }

    /// Takes up to `most` flows of which the counts are to be told.
    pub(super) fn take_counted(&mut self, most: usize) -> Vec<usize> {
        let counted = self.counted.iter().take_while(|at| *at < self.told);
        let is_counted_alone = |at: &usize| !self.renamed.has(*at);
        let counted: Vec<_> = counted.filter(is_counted_alone).take(most).collect();
        for &at in &counted {
            self.counted.clear(at);
        }
        counted
    }

    /// Takes the flows that are no more.
    pub(super) fn take_forgotten(&mut self) -> Vec<FlowNumber> {
        std::mem::take(&mut self.forgotten).collect()
    }

    /// Returns the number of the flow at a position.
    pub(super) fn number(&self, at: usize) -> FlowNumber {
        self.first.wrapping_add(at as FlowNumber)
    }

    fn forget(&mut self) {
        let next = self.number(self.told);
        let first = if self.forgotten.is_empty() {
            self.first
        } else {
            self.forgotten.start
        };
        *self = Self {
            first: next,
            forgotten: first..next,
            ..Self::default()
        };
    }
}
