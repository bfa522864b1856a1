//! Arguments and help of `flowwatch diff`.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};

use super::{ResultArgs, described, log_level};
use crate::{
    diff::{COMPARISON_FIELDS, KINDS, Kind, Remotes, kind_of},
    plan::{DeviceChoice, DiffPlan, HistorySettings, Settings},
    when::MOMENTS,
};

/// How it is called, for help.
pub(super) const USAGE: &str = "flowwatch diff <BEFORE> <AFTER> [OPTIONS]";

/// Examples, for help.
const EXAMPLES: &str = "\
Examples:
  Two captures, before and after a firmware:
    flowwatch diff old.pcap fixed.pcap

  The camera in the week before the update, and since:
    flowwatch diff 2026-01-01..2026-01-08 2026-01-08.. --device camera

  Yesterday and today, of another history:
    flowwatch diff gateway.sqlite@yesterday..today gateway.sqlite@today..

  A firmware test, which fails on a new name or organization:
    flowwatch diff good.json new.pcap --device camera=2c:aa:8e:01:02:03 \\
        --only names,organizations --exit-code

A side is one of
  a capture (pcap or pcapng); `-` is one from standard input
  a history: all that the file holds
  HISTORY@SINCE..UNTIL: a part of it; SINCE..UNTIL: a part of the one that --history names
  a document that `run` or `replay` wrote with --format json
SINCE and UNTIL are moments; without SINCE, a part begins as the history does, without UNTIL, it ends
as that does.";

/// What is compared and how it ends, for help.
const RULES: &str = "\
Devices are the same on both sides by MAC address, else by name.

Exit status: 0 done, 1 failed or a capture could not be read to its end, 2 wrong usage or a side that
can't be read, 3 not permitted, 5 with --exit-code where they differ.";

/// Arguments of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// What was [example: old.pcap]
    #[arg(value_name = "BEFORE", allow_hyphen_values = true)]
    before: String,

    /// What is [example: 2026-01-08..]
    #[arg(value_name = "AFTER", allow_hyphen_values = true)]
    after: String,

    /// A device to compare: its name, its MAC address, or a tag to count captures with: NAME=MAC,
    /// NAME=PREFIX or NAME=IP. Give it again for more; without it, all are
    /// [example: --device camera]
    #[arg(short, long = "device", value_name = "NAME|MAC|NAME=MAC")]
    devices: Vec<DeviceChoice>,

    /// Compare in these alone, with commas between them [example: --only names,organizations]
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind_values())]
    only: Vec<&'static Kind>,

    /// Compare remotes that are not on the internet too: those of the local network, multicast and
    /// so on [example: --local]
    #[arg(long)]
    local: bool,

    /// End with status 5 when a value is gone or new for a device [example: --exit-code]
    #[arg(long)]
    exit_code: bool,

    /// The history that spans are of [default: /var/lib/flowwatch/history.db]
    /// [example: --history gateway.sqlite]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Read tags, databases and the history's file from a TOML file; the command line wins over it
    /// [example: --config /etc/flowwatch.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    result: ResultArgs,

    /// Show what flowwatch does; -vv shows more, -vvv all [example: -v]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl DiffArgs {
    /// Makes the plan of the command line over a configuration file's tags, databases and history;
    /// the rest of the file is a run's.
    #[must_use]
    pub fn plan(&self, file: Settings) -> DiffPlan {
        let args = self.clone();
        let file = Settings {
            history: HistorySettings {
                file: file.history.file.clone(),
                ..HistorySettings::default()
            },
            ..file.of_captures()
        };
        let settings = Settings {
            history: HistorySettings {
                file: args.history,
                ..HistorySettings::default()
            },
            ..args.result.settings()
        };
        let all = DiffPlan::new([args.before, args.after], args.devices, settings.over(file));
        let is_asked = |kind: &&Kind| {
            args.only.is_empty() || args.only.iter().any(|asked| asked.name == kind.name)
        };
        DiffPlan {
            kinds: KINDS.iter().filter(is_asked).collect(),
            remotes: if args.local {
                Remotes::All
            } else {
                Remotes::Internet
            },
            tells_by_status: args.exit_code,
            ..all
        }
    }

    /// Returns how much of the log to show.
    #[must_use]
    pub const fn log_level(&self) -> log::LevelFilter {
        log_level(self.verbose)
    }
}

fn kind_values() -> impl TypedValueParser<Value = &'static Kind> {
    let values = KINDS.iter().map(|kind| PossibleValue::new(kind.name));
    PossibleValuesParser::new(values)
        .try_map(|word| kind_of(&word).ok_or_else(|| format!("`{word}` is no kind")))
}

/// Returns what help tells behind the options.
pub(super) fn after_help() -> String {
    format!("{EXAMPLES}\n\n{MOMENTS}\n\n{RULES}")
}

/// Returns the list of a row's fields, from the one that every format goes by.
pub(super) fn described_fields() -> String {
    let fields = COMPARISON_FIELDS.iter();
    let fields = fields.map(|field| (field.name, field.description));
    described("Fields of a row in jsonl and csv:", fields)
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;
    use crate::plan::DEFAULT_HISTORY;

    fn plan(text: &str, file: Settings) -> Result<DiffPlan, String> {
        let arguments = ["flowwatch", "diff"].into_iter();
        let cli = parse(arguments.chain(text.split_whitespace()));
        match cli.map_err(|error| error.to_string())?.command {
            Command::Diff(args) => Ok(args.plan(file)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let told = plan(
            "- 7d.. --device camera -d plug=50:c7:bf:00:00:02 --only countries,names --local \
             --exit-code --history h.sqlite --geo a.mmdb --no-builtin-geo --format csv --output o.csv",
            Settings::default(),
        )
        .unwrap();
        assert_eq!(told.sides, ["-", "7d.."]);
        assert_eq!(told.devices.len(), 2);
        assert_eq!(DeviceChoice::tags(&told.devices).len(), 1);
        let kinds: Vec<_> = told.kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(kinds, ["names", "countries"]);
        assert_eq!((told.remotes, told.tells_by_status), (Remotes::All, true));
        assert_eq!(told.history, PathBuf::from("h.sqlite"));
        assert_eq!(told.counting.geo, [PathBuf::from("a.mmdb")]);
        assert_eq!(told.counting.builtin_geo, Some(false));
        assert_eq!(told.format.name, "csv");
        assert_eq!(told.output, Some("o.csv".into()));
    }

    #[test]
    fn without_options_all_kinds_of_the_internet_are_compared() {
        let told = plan("a b", Settings::default()).unwrap();
        assert_eq!(told.kinds.len(), KINDS.len());
        assert_eq!(
            (told.remotes, told.tells_by_status),
            (Remotes::Internet, false)
        );
        assert_eq!(told.history, PathBuf::from(DEFAULT_HISTORY));
    }

    #[test]
    fn of_a_configuration_the_tags_and_the_history_count() {
        let file = Settings {
            devices: vec!["camera=2c:aa:8e:01:02:03".parse().unwrap()],
            output: Some("run.csv".into()),
            history: HistorySettings {
                file: Some("run.sqlite".into()),
                ..HistorySettings::default()
            },
            ..Settings::default()
        };
        let told = plan("a b", file).unwrap();
        assert_eq!(told.history, PathBuf::from("run.sqlite"));
        assert_eq!((told.counting.devices.len(), told.output), (1, None));
        assert!(told.devices.is_empty());
    }

    #[test]
    fn a_wrong_command_line_is_refused() {
        let check = |text: &str, part: &str| {
            let error = plan(text, Settings::default()).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("a", "<AFTER>");
        check(
            "a b --only name",
            "names, addresses, organizations, countries",
        );
        check("a b --device camera=x", "not a MAC address");
    }
}
