//! Arguments and help of `flowwatch report`.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use jiff::Timestamp;

use super::{described, log_level};
use crate::format::FORMATS;
use crate::grouping::{GROUP_FIELDS, GROUPINGS, Grouping, grouping_of};
use crate::plan::{
    DeviceChoice, PAGE, PlanError, ReportForm, ReportPlan, ReportWish, Settings, parse_form,
};
use crate::when::MOMENTS;

/// How it is called, for help.
pub(super) const USAGE: &str = "\
flowwatch report [--since <WHEN>] [--until <WHEN>] [--by <FIELD>] [OPTIONS]
       flowwatch report --capture <FILE> [--by <FIELD>] [OPTIONS]";

/// Examples, for help.
const EXAMPLES: &str = "\
Examples:
  The last day, flow by flow:
    flowwatch report

  Which countries the camera sent to in the last week:
    flowwatch report --since 7d --device camera --by country

  Yesterday, as a page with a map; and as a report to paste into an issue:
    flowwatch report --since yesterday --until today --format html --output yesterday.html
    flowwatch report --since yesterday --until today --format markdown

  The same of a capture, without a history:
    flowwatch report --capture camera.pcap --format html --output camera.html";

/// What its exit status says, for help.
const STATUS: &str = "\
Exit status: 0 done, 1 failed or nothing is recorded of the span, 2 wrong usage or a history or a
capture that can't be read, 3 not permitted.";

/// Arguments of `report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// The history that `flowwatch run --history` records; without it, the configuration file's,
    /// else the service's, /var/lib/flowwatch/history.db [example: --history history.db]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Report on a capture (pcap or pcapng; `-` is standard input) instead of a history; its devices
    /// are tagged by --device and the configuration file, or go by their MAC addresses
    /// [example: --capture camera.pcap]
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["history", "since", "until"])]
    capture: Option<PathBuf>,

    /// When the report begins [default: 24h before its end] [example: --since 7d]
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,

    /// When it ends; that moment is not in it [default: now] [example: --until 2026-11-25]
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,

    /// Put flows together, and tell what each group amounts to [example: --by country]
    #[arg(long, value_name = "FIELD", value_parser = grouping_values())]
    by: Option<&'static Grouping>,

    /// Tell of this device alone: its name, its MAC address, or a tag to count a capture with:
    /// NAME=MAC, NAME=PREFIX or NAME=IP. Give it again for more [example: --device camera]
    #[arg(short, long = "device", value_name = "NAME|MAC|NAME=MAC")]
    devices: Vec<DeviceChoice>,

    /// A database of places for the capture; a history has places as they were known. Give it again
    /// for more [example: --geo GeoLite2-City.mmdb]
    #[arg(long, value_name = "FILE", requires = "capture")]
    geo: Vec<PathBuf>,

    /// Leave out the built-in database of places for the capture [example: --no-builtin-geo]
    #[arg(long, requires = "capture")]
    no_builtin_geo: bool,

    /// Read where the history is, and a capture's tags and databases, from a TOML file; the command
    /// line wins over it [example: --config /etc/flowwatch.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How to write the report [default: table] [example: --format html]
    #[arg(short, long, value_name = "FORMAT", value_parser = form_values())]
    format: Option<ReportForm>,

    /// Write the report to this file instead of standard output; it is replaced only when the new one
    /// is complete [example: --output report.html]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show what flowwatch does; -vv shows more, -vvv all [example: -v]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl ReportArgs {
    /// Makes the plan of the command line over a configuration file's history, tags and databases;
    /// the rest of the file is a run's.
    ///
    /// # Errors
    /// Those of the plan.
    pub fn plan(&self, file: Settings, now: Timestamp) -> Result<ReportPlan, PlanError> {
        let args = self.clone();
        let file = Settings {
            history: file.history.clone(),
            ..file.of_captures()
        };
        let settings = Settings {
            geo: args.geo,
            builtin_geo: args.no_builtin_geo.then_some(false),
            output: args.output,
            ..Settings::default()
        };
        let wish = ReportWish {
            history: args.history,
            capture: args.capture,
            since: args.since,
            until: args.until,
            by: args.by,
            devices: args.devices,
            form: args.format,
        };
        ReportPlan::new(wish, settings.over(file), now)
    }

    /// Returns how much of the log to show.
    #[must_use]
    pub const fn log_level(&self) -> log::LevelFilter {
        log_level(self.verbose)
    }
}

/// Returns what help tells behind the options.
pub(super) fn after_help() -> String {
    format!("{EXAMPLES}\n\n{MOMENTS}\n\n{STATUS}")
}

/// Returns the list of a group's fields, from the one that every format goes by.
pub(super) fn described_fields() -> String {
    let fields = GROUP_FIELDS.iter();
    let fields = fields.map(|field| (field.name, field.description));
    described(
        "Fields of a group (--by) in json, jsonl, csv and markdown:",
        fields,
    )
}

fn grouping_values() -> impl TypedValueParser<Value = &'static Grouping> {
    let values = GROUPINGS
        .iter()
        .map(|it| PossibleValue::new(it.name).help(it.description));
    PossibleValuesParser::new(values).try_map(|word| grouping_of(&word).ok_or("not known"))
}

fn form_values() -> impl TypedValueParser<Value = ReportForm> {
    let values = FORMATS
        .iter()
        .map(|it| PossibleValue::new(it.name).help(it.description));
    let page = PossibleValue::new(PAGE.0).help(PAGE.1);
    PossibleValuesParser::new(values.chain([page])).try_map(|word| parse_form(&word))
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;
    use crate::plan::ReportSource;

    fn plan(text: &str, file: Settings) -> Result<ReportPlan, String> {
        let arguments = ["flowwatch", "report"].into_iter();
        let cli = parse(arguments.chain(text.split_whitespace()));
        let cli = cli.map_err(|error| error.to_string())?;
        let Command::Report(args) = cli.command else {
            panic!("not report")
        };
        let now = "2026-11-25T08:30:00Z".parse().unwrap();
        args.plan(file, now).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let told = plan(
            "--history h.db --since 2026-11-01 --until today --by country --device camera \
             -d plug --format html --output out.html -v",
            Settings::default(),
        )
        .unwrap();
        let ReportSource::History(path, span) = told.source else {
            panic!("not a history")
        };
        assert_eq!(path, PathBuf::from("h.db"));
        assert_eq!(span.since.to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(span.until.to_string(), "2026-11-25T00:00:00Z");
        assert_eq!(told.by.unwrap().name, "country");
        let devices: Vec<_> = told.devices.iter().map(ToString::to_string).collect();
        assert_eq!(devices, ["camera", "plug"]);
        assert!(matches!(told.form, ReportForm::Page));
        assert_eq!(told.output, Some("out.html".into()));
    }

    #[test]
    fn a_capture_takes_the_historys_place_with_tags_and_databases_of_the_file() {
        let file = || Settings {
            devices: vec!["camera=2c:aa:8e:01:02:03".parse().unwrap()],
            geo: vec!["b.mmdb".into()],
            output: Some("run.csv".into()),
            ..Settings::default()
        };
        let told = plan("--capture c.pcap --no-builtin-geo", file()).unwrap();
        let ReportSource::Capture(replay) = told.source else {
            panic!("not a capture")
        };
        assert_eq!((replay.devices.len(), replay.geo.len()), (1, 1));
        assert!(!replay.uses_builtin_geo);
        assert_eq!(told.output, None, "the file's is a run's");
        for other in ["--history h", "--since 1d", "--until now"] {
            let error = plan(&format!("--capture c {other}"), file()).unwrap_err();
            assert!(error.contains("cannot be used with"), "{error}");
        }
        assert!(
            plan("--geo a.mmdb", file())
                .unwrap_err()
                .contains("--capture")
        );
    }

    #[test]
    fn a_wrong_moment_or_field_is_told_in_one_sentence() {
        let error = plan("--since someday", Settings::default()).unwrap_err();
        assert!(error.starts_with("`someday` is not a moment"), "{error}");
        let error = plan("--by colour", Settings::default()).unwrap_err();
        assert!(
            error.contains("country") && !error.contains('\n'),
            "{error}"
        );
    }
}
