//! The one list of sinks: command line, configuration, help, documentation and tests go by it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use super::{ExportError, Wiring, csv, ipfix, jsonl, mqtt, prometheus};

/// A kind of sink.
#[derive(Debug)]
pub struct SinkEntry {
    /// The option on the command line, less its dashes, and the key in the configuration.
    pub name: &'static str,
    /// What its value is called in help.
    pub value_name: &'static str,
    /// What it does, for help: a sentence without its end.
    pub help: &'static str,
    /// A value, for help and documentation.
    pub example: &'static str,
    /// Options that are this sink's alone.
    pub settings: &'static [SettingEntry],
    /// Reads what the user wants.
    pub parse: fn(&Given<'_>) -> Result<Arc<dyn Target>, TargetError>,
}

/// An option of one kind of sink.
#[derive(Debug)]
pub struct SettingEntry {
    /// The option on the command line, less its dashes: the sink's name and a word. In the
    /// configuration, with underscores.
    pub name: &'static str,
    /// What its value is called in help.
    pub value_name: &'static str,
    /// What it says, with its default: a sentence without its end.
    pub help: &'static str,
    /// A value, for help and documentation.
    pub example: &'static str,
    /// Checks a value.
    pub check: fn(&str) -> Result<(), TargetError>,
}

/// What the user gave for one sink.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The option's value.
    pub target: &'a str,
    /// What relative paths are relative to.
    pub folder: &'a Path,
    /// The values of sinks' own options that were given, each checked, by name.
    pub settings: &'a BTreeMap<&'static str, String>,
}

/// Where one sink is to deliver, as the user wants it.
pub trait Target: fmt::Debug + Send + Sync {
    /// Opens what can be opened before counting begins: a file, a port to listen on. A peer that is
    /// away is no error: it may come.
    ///
    /// # Errors
    /// What the user asked for and can't be.
    fn open(&self) -> Result<Box<dyn Sink>, ExportError>;

    /// Returns whether standard output is this sink's.
    fn takes_stdout(&self) -> bool {
        false
    }
}

/// A sink's work, to its end.
pub type Work = Pin<Box<dyn Future<Output = ()>>>;

/// One sink.
pub trait Sink: Send {
    /// Works until the counting has ended and everything was delivered. It has a thread of its own,
    /// and may block it.
    fn work(self: Box<Self>, wiring: Wiring) -> Work;
}

/// Why a value is no target, or no setting, of a sink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` {why}")]
pub struct TargetError {
    /// The value.
    pub value: String,
    /// What is wrong with it, and what to write: the rest of the sentence.
    pub why: String,
}

impl TargetError {
    /// Returns why a value can't be taken: the rest of a sentence that begins with the value.
    #[must_use]
    pub fn new(value: &str, why: &str) -> Self {
        Self {
            value: value.to_owned(),
            why: why.to_owned(),
        }
    }
}

/// The sinks; a new one is one file and one line.
pub static SINKS: &[SinkEntry] = &[
    jsonl::ENTRY,
    csv::ENTRY,
    prometheus::ENTRY,
    ipfix::ENTRY,
    mqtt::ENTRY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_exports_has_each_option_with_what_it_does() {
        let row = |name: &str, value_name: &str, help: &str, example: &str| {
            format!("| `--{name} {value_name}` | {help}. | `{example}` |\n")
        };
        let rows = SINKS.iter().flat_map(|sink| {
            let own = row(sink.name, sink.value_name, sink.help, sink.example);
            let settings = sink.settings.iter();
            let settings = settings.map(|it| row(it.name, it.value_name, it.help, it.example));
            std::iter::once(own).chain(settings)
        });
        let table: String = rows.collect();
        let page = include_str!("../../../docs/exports.md");
        assert!(page.contains(&table), "docs/exports.md lacks:\n{table}");
    }

    #[test]
    fn examples_are_what_their_options_take() {
        for sink in SINKS {
            let settings = sink.settings.iter();
            let settings = settings.map(|setting| {
                (setting.check)(setting.example).unwrap();
                assert!(setting.name.starts_with(&format!("{}-", sink.name)));
                (setting.name, setting.example.to_owned())
            });
            let given = Given {
                target: sink.example,
                folder: Path::new(""),
                settings: &settings.collect(),
            };
            (sink.parse)(&given).unwrap();
        }
    }
}
