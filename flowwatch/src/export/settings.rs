//! What the user wants exported: what each place says, and the options made of both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Given, SinkEntry, Target, TargetError};

/// Time between two deliveries of what is new, unless the user says otherwise: that of a home's
/// history, too.
pub const DEFAULT_EXPORT_INTERVAL: Duration = Duration::from_mins(1);

/// One sink that the user wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Its kind.
    pub sink: &'static SinkEntry,
    /// Where it is to deliver, as the user wrote it.
    pub target: String,
    /// What relative paths are relative to.
    pub folder: PathBuf,
}

impl Wish {
    /// Returns a wish, if the target is one.
    ///
    /// # Errors
    /// The sink's.
    pub fn new(sink: &'static SinkEntry, target: &str, folder: &Path) -> Result<Self, TargetError> {
        let wish = Self {
            sink,
            target: target.to_owned(),
            folder: folder.to_owned(),
        };
        wish.parse(&BTreeMap::new())?;
        Ok(wish)
    }

    fn parse(
        &self,
        settings: &BTreeMap<&'static str, String>,
    ) -> Result<Arc<dyn Target>, TargetError> {
        (self.sink.parse)(&Given {
            target: &self.target,
            folder: &self.folder,
            settings,
        })
    }
}

impl PartialEq for Wish {
    fn eq(&self, other: &Self) -> bool {
        let of = |wish: &Self| (wish.sink.name, wish.folder.join(&wish.target));
        of(self) == of(other)
    }
}

impl Eq for Wish {}

/// What one place says of exports; unset is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportSettings {
    /// Time between two deliveries.
    pub interval: Option<Duration>,
    /// The sinks.
    pub sinks: Vec<Wish>,
    /// Values of sinks' own options, checked, by name.
    pub settings: BTreeMap<&'static str, String>,
}

impl ExportSettings {
    /// Returns these settings over others: what is said here wins; of one kind of sink, all that is
    /// said there is left out where something is said here.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        let is_said = |wish: &Wish| self.sinks.iter().any(|own| own.sink.name == wish.sink.name);
        let mut sinks: Vec<_> = base.sinks.into_iter().filter(|it| !is_said(it)).collect();
        sinks.extend(self.sinks);
        let mut settings = base.settings;
        settings.extend(self.settings);
        Self {
            interval: self.interval.or(base.interval),
            sinks,
            settings,
        }
    }

    /// Returns what to export, beside a result that goes to `output`, or to standard output.
    ///
    /// # Errors
    /// Those of targets that don't go with the settings, or with the result.
    pub fn into_options(self, output: Option<&Path>) -> Result<ExportOptions, TargetError> {
        let mut targets = Vec::new();
        let mut is_stdout_taken = output.is_none_or(|output| output == Path::new("-"));
        for wish in &self.sinks {
            let target = wish.parse(&self.settings)?;
            if target.takes_stdout() && std::mem::replace(&mut is_stdout_taken, true) {
                return Err(TargetError::new(
                    &wish.target,
                    "is standard output, where something else goes, too; write the result elsewhere: \
                     --output FILE",
                ));
            }
            targets.push(target);
        }
        Ok(ExportOptions {
            targets,
            settings: self,
        })
    }
}

/// What to export.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    settings: ExportSettings,
    /// As the settings' sinks.
    targets: Vec<Arc<dyn Target>>,
}

impl ExportOptions {
    /// Returns the time between two deliveries.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.settings.interval.unwrap_or(DEFAULT_EXPORT_INTERVAL)
    }

    /// Returns each sink as the user wants it, and where it delivers.
    pub fn sinks(&self) -> impl Iterator<Item = (&Wish, &Arc<dyn Target>)> {
        self.settings.sinks.iter().zip(&self.targets)
    }
}

impl PartialEq for ExportOptions {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::SINKS;

    fn settings(targets: &[(&str, &str)]) -> ExportSettings {
        let sink = |name: &str| SINKS.iter().find(|sink| sink.name == name).unwrap();
        let wishes = targets.iter();
        let wishes = wishes.map(|(name, text)| Wish::new(sink(name), text, Path::new("")).unwrap());
        ExportSettings {
            sinks: wishes.collect(),
            ..ExportSettings::default()
        }
    }

    #[test]
    fn one_kind_of_sink_on_the_command_line_takes_the_place_of_all_of_that_kind() {
        let file = settings(&[("jsonl", "a"), ("jsonl", "b"), ("csv", "c")]);
        let both = settings(&[("jsonl", "d")]).over(file);
        let targets: Vec<_> = both.sinks.iter().map(|wish| &*wish.target).collect();
        assert_eq!(targets, ["c", "d"]);
    }

    #[test]
    fn standard_output_is_one_things() {
        let check = |targets: &[(&str, &str)], output: Option<&str>, is_one: bool| {
            let options = settings(targets).into_options(output.map(Path::new));
            assert_eq!(options.is_ok(), is_one, "{targets:?} {output:?}");
        };
        check(&[("jsonl", "-")], Some("a.txt"), true);
        check(&[("jsonl", "-")], None, false);
        check(&[("jsonl", "-")], Some("-"), false);
        check(&[("jsonl", "-"), ("csv", "-")], Some("a.txt"), false);
        check(&[("jsonl", "a"), ("csv", "b")], None, true);
    }

    #[test]
    fn plans_that_say_the_same_are_equal() {
        let options = |targets| settings(targets).into_options(None).unwrap();
        assert_eq!(options(&[("jsonl", "a")]), options(&[("jsonl", "a")]));
        assert_ne!(options(&[("jsonl", "a")]), options(&[("jsonl", "b")]));
        assert_ne!(options(&[("jsonl", "a")]), options(&[("csv", "a")]));
    }
}
