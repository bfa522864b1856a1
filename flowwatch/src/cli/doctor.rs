//! Arguments and help of `flowwatch doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{ResultArgs, log_level, word_values};
use crate::{
    diagnosis::FINDING_FIELDS,
    kernel::attach::AttachMode,
    model::DeviceTag,
    plan::{
        ATTACH_MODES, DoctorPlan, HistorySettings, Listen, PlanError, Settings, parse_duration,
    },
};

/// How it is called, for help.
pub(super) const USAGE: &str = "\
flowwatch doctor [--interface <NAME>] [--device <NAME=MAC>] [OPTIONS]
       flowwatch doctor --config <FILE> [OPTIONS]";

/// Examples, for help.
pub(super) const EXAMPLES: &str = "\
Examples:
  Can this host count at all?
    sudo flowwatch doctor

  Would it see the camera, and all of its traffic? Listens for five seconds:
    sudo flowwatch doctor --interface br-lan --device camera=2c:aa:8e:01:02:03

  What a service would meet, for a script:
    sudo flowwatch doctor --config /etc/flowwatch.toml --strict --format json

Exit status: 0 nothing keeps flowwatch from counting rightly (there may be warnings), 1 an error was
found (with --strict, also a warning), or looking failed, 2 wrong usage.";

/// Arguments of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// An interface to look at, as `run` would count on it: a bridge stands for its ports. Give it
    /// again for more [default: all that carry MAC addresses] [example: --interface br-lan]
    #[arg(short, long = "interface", value_name = "NAME")]
    interfaces: Vec<String>,

    /// A device to listen for, or a prefix, at the interfaces that are named. Give it again for more
    /// [example: --device camera=2c:aa:8e:01:02:03]
    #[arg(short, long = "device", value_name = "NAME=MAC")]
    devices: Vec<DeviceTag>,

    /// Look at what this TOML file would have `run` do; the command line wins over it
    /// [example: --config /etc/flowwatch.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// For how long to listen for the devices [default: 5s] [example: --listen 1m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    listen: Option<Duration>,

    /// Don't listen: nothing is attached to any interface [example: --no-listen]
    #[arg(long, conflicts_with = "listen")]
    no_listen: bool,

    /// Fail where something is to be warned of, too [example: --strict]
    #[arg(long)]
    strict: bool,

    /// The history that `run` would record in [example: --history /var/lib/flowwatch/history.db]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// The hook that `run` would be asked for [default: auto] [example: --attach xdp]
    #[arg(long, value_name = "HOOK", value_parser = word_values(ATTACH_MODES))]
    attach: Option<AttachMode>,

    #[command(flatten)]
    result: ResultArgs,

    /// Show what flowwatch does; -vv shows more, -vvv all [example: -v]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl DoctorArgs {
    /// Makes the plan of the command line over a configuration file's settings, whose output is a
    /// run's.
    ///
    /// # Errors
    /// Those of the plan.
    pub fn plan(&self, file: Settings) -> Result<DoctorPlan, PlanError> {
        let args = self.clone();
        let (devices, prefixes) = DeviceTag::split(args.devices);
        let settings = Settings {
            interfaces: args.interfaces,
            devices,
            prefixes,
            attach: args.attach,
            history: HistorySettings {
                file: args.history,
                ..HistorySettings::default()
            },
            ..args.result.settings()
        };
        let file = Settings {
            format: None,
            output: None,
            ..file
        };
        let listen = args.listen.map(Listen::For);
        let listen = listen.or(args.no_listen.then_some(Listen::Never));
        Ok(DoctorPlan {
            is_strict: args.strict,
            ..DoctorPlan::new(settings.over(file), listen)?
        })
    }

    /// Returns how much of the log to show.
    #[must_use]
    pub const fn log_level(&self) -> log::LevelFilter {
        log_level(self.verbose)
    }
}

/// Returns the list of a finding's fields, from the one that every format goes by.
pub(super) fn described_fields() -> String {
    let lines = FINDING_FIELDS
        .iter()
        .map(|field| format!("\n  {}: {}", field.name, field.description));
    format!(
        "Fields of a finding in json, jsonl, csv and markdown:{}",
        lines.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;

    fn plan(text: &str, file: Settings) -> Result<DoctorPlan, String> {
        let arguments = ["flowwatch", "doctor"].into_iter();
        let cli = parse(arguments.chain(text.split_whitespace()));
        let cli = cli.map_err(|error| error.to_string())?;
        let Command::Doctor(args) = cli.command else {
            panic!("not doctor")
        };
        args.plan(file).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let told = plan(
            "--interface br-lan -i eth1 --device cam=2c:aa:8e:* -d tv=2c:aa:8e:00:00:02 \
             --listen 1m --strict --history h.db --attach xdp --geo a.mmdb --no-builtin-geo \
             --format json --output out.json",
            Settings::default(),
        )
        .unwrap();
        assert_eq!(told.interfaces, ["br-lan", "eth1"]);
        assert_eq!((told.devices.len(), told.prefixes.len()), (1, 1));
        assert_eq!(told.listen, Some(Duration::from_mins(1)));
        assert!(told.is_strict && !told.uses_builtin_geo);
        assert_eq!(told.history, Some("h.db".into()));
        assert_eq!(told.attach, AttachMode::Xdp);
        assert_eq!(told.geo, [PathBuf::from("a.mmdb")]);
        assert_eq!(told.format.name, "json");
        assert_eq!(told.output, Some("out.json".into()));
    }

    #[test]
    fn nothing_has_to_be_said_and_listening_is_said_once() {
        let told = plan("", Settings::default()).unwrap();
        assert!(told.interfaces.is_empty() && told.listen.is_none() && !told.is_strict);
        let error = plan("--listen 1s --no-listen", Settings::default()).unwrap_err();
        assert!(error.contains("cannot be used with"), "{error}");
    }

    #[test]
    fn of_a_configuration_all_counts_but_where_a_runs_output_goes() {
        let file = Settings {
            interfaces: vec!["br-lan".to_owned()],
            devices: vec!["cam=2c:aa:8e:01:02:03".parse().unwrap()],
            output: Some("devices.csv".into()),
            format: crate::format::format_of("csv"),
            geo: vec!["a.mmdb".into()],
            history: HistorySettings {
                file: Some("h.db".into()),
                ..HistorySettings::default()
            },
            ..Settings::default()
        };
        let told = plan("--history other.db", file).unwrap();
        assert_eq!(told.interfaces, ["br-lan"]);
        assert_eq!(told.devices.len(), 1);
        assert_eq!(told.geo, [PathBuf::from("a.mmdb")]);
        assert_eq!(told.history, Some("other.db".into()));
        assert_eq!((told.format.name, told.output), ("table", None));
    }
}
