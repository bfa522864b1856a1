//! Minimum, median and maximum of a few measurements.

use std::fmt;

/// A figure's spread over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) minimum: f64,
    pub(crate) median: f64,
    pub(crate) maximum: f64,
}

impl Spread {
    /// Of at least one measurement.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            minimum: at(0),
            median: at(values.len() / 2),
            maximum: at(values.len().saturating_sub(1)),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let Self {
            minimum,
            median,
            maximum,
        } = self;
        write!(
            f,
            "{minimum:>7.digits$} {median:>7.digits$} {maximum:>7.digits$}"
        )
    }
}
