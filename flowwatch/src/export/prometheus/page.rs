//! A page of metrics, in one of two formats: Prometheus' text (0.0.4) and OpenMetrics (1.0.0).
//!
//! Label values come from strangers: what does not print is escaped as everywhere, what is too long is
//! cut, and what is left is quoted as both formats have it.

use std::fmt::{self, Display, Write as _};

use super::accept::Syntax;
use super::metric::{Kind, Metric};
use super::scrape::Scrape;
use crate::text;

/// Characters of a label's value: a DNS name has no more.
const MOST_CHARACTERS: usize = 255;

/// Returns the page.
pub(super) fn page_of<'m>(
    metrics: impl Iterator<Item = &'m Metric>,
    scrape: &Scrape<'_>,
    syntax: Syntax,
) -> String {
    let mut page = String::new();
    for metric in metrics {
        let start = page.len();
        head(metric, syntax, &mut page);
        let after_head = page.len();
        let mut samples = Samples {
            metric,
            page: &mut page,
        };
        (metric.samples)(scrape, &mut samples);
        if page.len() == after_head {
            page.truncate(start);
        }
    }
    if syntax == Syntax::OpenMetrics {
        page += "# EOF\n";
    }
    page
}

fn head(metric: &Metric, syntax: Syntax, page: &mut String) {
    let Metric {
        name, unit, help, ..
    } = metric;
    let (name, word) = match (syntax, metric.kind) {
        (Syntax::OpenMetrics, kind) => ((*name).to_owned(), kind.word()),
        // Text has no word for it.
        (Syntax::Text, Kind::Info) => (metric.sample_name(), Kind::Gauge.word()),
        (Syntax::Text, kind) => (metric.sample_name(), kind.word()),
    };
    // Into a string, nothing can fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {word}");
    if syntax == Syntax::OpenMetrics && !unit.is_empty() {
        let _ = writeln!(page, "# UNIT {name} {unit}");
    }
}

/// Takes a metric's samples.
pub(super) struct Samples<'page> {
    metric: &'page Metric,
    page: &'page mut String,
}

impl Samples<'_> {
    /// Adds a sample; its labels' values are in the order of the metric's labels.
    pub(super) fn add(&mut self, labels: &[&str], value: impl Display) {
        debug_assert_eq!(labels.len(), self.metric.labels.len());
        let Metric { name, kind, .. } = self.metric;
        let _ = write!(self.page, "{name}{}", kind.suffix());
        for (at, (label, value)) in self.metric.labels.iter().zip(labels).enumerate() {
            let separator = if at == 0 { '{' } else { ',' };
            let _ = write!(self.page, "{separator}{label}=\"{}\"", Quoted(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.page, "{end} {value}");
    }
}

/// A label's value between quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printable = text::printable(self.0);
        for character in printable.chars().take(MOST_CHARACTERS) {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                character => f.write_char(character)?,
            }
        }
        Ok(())
    }
}
