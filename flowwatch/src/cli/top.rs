//! Arguments and help of `flowwatch top`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::log_level;
use crate::live::Speed;
use crate::plan::{CaptureTag, PlanError, PlayPlan, Settings, parse_interval, parse_speed};

/// How it is called, for help.
pub(super) const USAGE: &str = "\
flowwatch top --replay <FILE|-> [OPTIONS]";

/// Examples, for help.
pub(super) const EXAMPLES: &str = "\
Examples:
  A capture, as it happened:
    flowwatch top --replay camera.pcap

  One device of it, sixty times as fast:
    flowwatch top --replay camera.pcapng --device camera=2c:aa:8e:01:02:03 --speed 60

  While tcpdump records on a gateway that has nothing else:
    ssh root@gateway tcpdump -i br-lan -U -s 0 -w - | flowwatch top --replay -

`?` shows the keys. Colours: NO_COLOR=1 leaves them out.

Exit status: 0 done, 1 failed, 2 wrong usage, no capture or no terminal, 3 not permitted.";

/// Arguments of `top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Play a capture (pcap or pcapng; `-` is standard input); needs no privileges
    /// [example: --replay camera.pcap]
    #[arg(long, value_name = "FILE|-", required = true)]
    replay: Option<PathBuf>,

    /// How fast to play it: a number, 1 being as it happened, or `max` [default: 1]
    /// [example: --speed 60]
    #[arg(long, value_name = "TIMES", value_parser = parse_speed, requires = "replay")]
    speed: Option<Speed>,

    /// A device to show, by a name of your choice and its MAC address, or how the addresses of such
    /// devices begin (2c:aa:8e:*); in a capture, also its IP address. Give it again for more.
    /// Without it, every device that sends is shown
    /// [example: --device camera=2c:aa:8e:01:02:03]
    #[arg(short = 'd', long = "device", value_name = "NAME=MAC|IP")]
    tags: Vec<CaptureTag>,

    /// Read tags and databases from a TOML file; the command line wins over it
    /// [example: --config /etc/flowwatch.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Time between two refreshes, at least 10ms [default: 1s] [example: --interval 500ms]
    #[arg(long, value_name = "DURATION", value_parser = parse_interval)]
    interval: Option<Duration>,

    /// A database of places in MaxMind's format (GeoLite2, DB-IP, IPinfo, …). Give it again for
    /// more; the first that knows a field wins [example: --geo GeoLite2-City.mmdb]
    #[arg(long, value_name = "FILE")]
    geo: Vec<PathBuf>,

    /// Leave out the built-in database of countries and organizations
    /// [example: --no-builtin-geo --geo GeoLite2-City.mmdb]
    #[arg(long)]
    no_builtin_geo: bool,

    /// Show what flowwatch does, on standard error; -vv shows more, -vvv all
    /// [example: -v 2> top.log]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl TopArgs {
    /// Makes the plan to play the capture that the command line names, if it names one.
    ///
    /// # Errors
    /// Those of the plan.
    pub fn play_plan(&self, file: Settings) -> Result<Option<PlayPlan>, PlanError> {
        let args = self.clone();
        let Some(capture) = args.replay else {
            return Ok(None);
        };
        let settings = Settings {
            interval: args.interval,
            geo: args.geo,
            builtin_geo: args.no_builtin_geo.then_some(false),
            ..Settings::default()
        };
        let file = Settings {
            devices: file.devices,
            prefixes: file.prefixes,
            geo: file.geo,
            builtin_geo: file.builtin_geo,
            ..Settings::default()
        };
        PlayPlan::new(capture, args.tags, args.speed, settings.over(file)).map(Some)
    }

    /// Returns how much of the log to show.
    #[must_use]
    pub const fn log_level(&self) -> log::LevelFilter {
        log_level(self.verbose)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;

    fn plan(text: &str, file: Settings) -> Result<PlayPlan, String> {
        let arguments = ["flowwatch", "top"].into_iter();
        let cli = parse(arguments.chain(text.split_whitespace()));
        let cli = cli.map_err(|error| error.to_string())?;
        let Command::Top(args) = cli.command else {
            panic!("not top")
        };
        let plan = args.play_plan(file).map_err(|error| error.to_string())?;
        plan.ok_or_else(|| "no capture".to_owned())
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let told = plan(
            "--replay - --speed 60 -d camera=2c:aa:8e:01:02:03 --interval 500ms --geo a.mmdb \
             --no-builtin-geo",
            Settings::default(),
        )
        .unwrap();
        assert_eq!(told.speed, Speed::Times(60.0));
        assert_eq!(told.interval, Duration::from_millis(500));
        assert_eq!(told.replay.capture, PathBuf::from("-"));
        assert_eq!(told.replay.devices.len(), 1);
        assert_eq!(told.replay.geo, [PathBuf::from("a.mmdb")]);
        assert!(!told.replay.uses_builtin_geo);
    }

    #[test]
    fn a_file_says_whom_to_show_and_not_how_often() {
        let file = Settings {
            devices: vec!["camera=2c:aa:8e:01:02:03".parse().unwrap()],
            interval: Some(Duration::from_hours(1)),
            ..Settings::default()
        };
        let told = plan("--replay x", file).unwrap();
        assert_eq!(told.interval, Duration::from_secs(1));
        assert_eq!(told.replay.devices.len(), 1);
        assert_eq!(told.speed, Speed::Times(1.0));
    }

    #[test]
    fn a_wrong_command_line_is_told() {
        let refused = |text| plan(text, Settings::default()).unwrap_err();
        assert!(refused("--replay x --speed fast").contains("write a number"));
    }
}
