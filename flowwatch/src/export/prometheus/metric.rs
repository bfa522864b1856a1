//! A metric as data: its name, what it counts, and how its samples are found.

use super::page::Samples;
use super::scrape::Scrape;

/// What a metric's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It rises as long as its series lives; samples are named with `_total`.
    Counter,
    /// It rises and falls.
    Gauge,
    /// It is 1, and its labels tell something; samples are named with `_info`.
    Info,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    /// The name less what its kind adds; the unit is its last part.
    pub(super) name: &'static str,
    /// What its values are.
    pub(super) kind: Kind,
    /// The unit, where there is one: `bytes` or `seconds`.
    pub(super) unit: &'static str,
    /// One sentence.
    pub(super) help: &'static str,
    /// The labels, in order.
    pub(super) labels: &'static [&'static str],
    /// Finds the samples.
    pub(super) samples: fn(&Scrape<'_>, &mut Samples<'_>),
}

impl Metric {
    /// Returns what samples are called.
    pub(super) fn sample_name(&self) -> String {
        format!("{}{}", self.name, self.kind.suffix())
    }
}

impl Kind {
    /// Returns what samples' names have behind the metric's.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Gauge => "",
            Self::Info => "_info",
        }
    }

    /// Returns OpenMetrics' word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Info => "info",
        }
    }
}
