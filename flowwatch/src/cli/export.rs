//! The options that say what `run` exports: one for each sink and each of its settings.

use std::path::Path;

use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::export::{ExportSettings, SINKS, SettingEntry, SinkEntry, Wish};
use crate::plan::parse_export_interval;

/// The option that says how often.
const INTERVAL: &str = "export-interval";

/// Returns the part of a configuration file that says the same, with every key.
pub(super) fn configuration() -> String {
    let of_sink = |sink: &SinkEntry| {
        let settings = sink.settings.iter();
        let settings = settings.map(|it| (it.name.replace('-', "_"), it.example));
        let keys = std::iter::once((sink.name.to_owned(), sink.example)).chain(settings);
        keys.collect::<Vec<_>>()
    };
    let keys = SINKS.iter().flat_map(of_sink);
    let keys = std::iter::once(("interval".to_owned(), "60s")).chain(keys);
    let lines = keys.map(|(key, value)| format!("  {key} = \"{value}\"\n"));
    format!("  [export]\n{}", lines.collect::<String>())
}

/// What is exported, where to, and how often.
#[derive(Clone, Debug, Default)]
pub struct ExportArgs(Box<ExportSettings>);

impl ExportArgs {
    /// Returns what these options say.
    pub(super) fn settings(self) -> ExportSettings {
        *self.0
    }
}

impl Args for ExportArgs {
    fn augment_args(command: Command) -> Command {
        let interval = Arg::new(INTERVAL)
            .long(INTERVAL)
            .value_name("DURATION")
            .help(
                "Time between two deliveries of what was counted, at least 1s [default: 60s] \
                 [example: --export-interval 10s]",
            )
            .value_parser(parse_export_interval);
        let sinks = SINKS.iter().flat_map(|sink| {
            let settings = sink.settings.iter().map(setting_option);
            std::iter::once(sink_option(sink)).chain(settings)
        });
        sinks.chain([interval]).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn sink_option(sink: &'static SinkEntry) -> Arg {
    Arg::new(sink.name)
        .long(sink.name)
        .value_name(sink.value_name)
        .help(format!(
            "{}. Give it again for more [example: --{} {}]",
            sink.help, sink.name, sink.example
        ))
        .action(ArgAction::Append)
        .value_parser(move |text: &str| Wish::new(sink, text, Path::new("")))
}

fn setting_option(setting: &'static SettingEntry) -> Arg {
    Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.value_name)
        .help(format!(
            "{} [example: --{} {}]",
            setting.help, setting.name, setting.example
        ))
        .value_parser(move |text: &str| (setting.check)(text).map(|()| text.to_owned()))
}

impl FromArgMatches for ExportArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        let said = &mut self.0;
        said.interval = matches.get_one(INTERVAL).copied().or(said.interval);
        for sink in SINKS {
            let wishes = matches.get_many::<Wish>(sink.name);
            said.sinks.extend(wishes.into_iter().flatten().cloned());
            for setting in sink.settings {
                if let Some(value) = matches.get_one::<String>(setting.name) {
                    said.settings.insert(setting.name, value.clone());
                }
            }
        }
        Ok(())
    }
}
