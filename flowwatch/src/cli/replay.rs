//! Arguments and help of `flowwatch replay`.

use std::path::PathBuf;

use clap::Args;

use super::{ResultArgs, log_level};
use crate::plan::{CaptureTag, PlanError, ReplayPlan, Settings};

/// How it is called, for help.
pub(super) const USAGE: &str = "flowwatch replay <FILE|-> [OPTIONS]";

/// Examples, for help.
pub(super) const EXAMPLES: &str = "\
Examples:
  Where every device of a capture sent its data:
    flowwatch replay camera.pcap

  One device, by a name of your choice:
    flowwatch replay camera.pcapng --device camera=2c:aa:8e:01:02:03

  While tcpdump records, until Ctrl-C:
    sudo tcpdump -i br-lan -w - | flowwatch replay -

  On a gateway that has nothing but tcpdump:
    ssh root@gateway tcpdump -i br-lan -s 0 -w - | flowwatch replay -

  A compressed capture:
    zcat camera.pcap.gz | flowwatch replay -

A capture whose end is missing or that is damaged is counted up to there: the result is written, a
sentence says where reading ended, and the exit status is 1.

Exit status: 0 done, 1 failed or the capture could not be read to its end, 2 wrong usage or no
capture, 3 not permitted.";

/// Arguments of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The capture, in pcap or pcapng format; `-` is standard input
    /// [example: camera.pcap]
    #[arg(value_name = "FILE|-")]
    capture: PathBuf,

    /// A device to count, by a name of your choice and its MAC address, or how the addresses of such
    /// devices begin (2c:aa:8e:*); or its IP address, which is all that captures of raw IP have of
    /// it. Give it again for more. Without it, every device that sends is counted
    /// [example: --device camera=2c:aa:8e:01:02:03]
    #[arg(short = 'd', long = "device", value_name = "NAME=MAC|IP")]
    tags: Vec<CaptureTag>,

    /// Read tags and databases from a TOML file; the command line wins over it
    /// [example: --config /etc/flowwatch.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    result: ResultArgs,

    /// Show what flowwatch does; -vv shows more, -vvv all [example: -v]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl ReplayArgs {
    /// Makes the plan of the command line over a configuration file's tags and databases; the rest
    /// of the file is a run's.
    ///
    /// # Errors
    /// Those of the plan.
    pub fn plan(&self, file: Settings) -> Result<ReplayPlan, PlanError> {
        let args = self.clone();
        let file = file.of_captures();
        let settings = args.result.settings().over(file);
        ReplayPlan::new(args.capture, args.tags, settings)
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

    #[test]
    fn every_option_reaches_the_plan() {
        let arguments = "flowwatch replay - --device camera=2c:aa:8e:01:02:03 -d phone=192.0.2.1 \
                         --geo a.mmdb --no-builtin-geo --format csv --output out.csv -v";
        let cli = parse(arguments.split_whitespace()).unwrap();
        let Command::Replay(args) = cli.command else {
            panic!("not replay")
        };
        assert_eq!(args.log_level(), log::LevelFilter::Info);
        let file = Settings {
            geo: vec!["b.mmdb".into()],
            output: Some("run.csv".into()),
            ..Settings::default()
        };
        let plan = args.plan(file).unwrap();
        assert_eq!(plan.capture, PathBuf::from("-"));
        assert_eq!(plan.devices.len(), 2);
        assert_eq!(plan.geo, [PathBuf::from("a.mmdb")]);
        assert!(!plan.uses_builtin_geo);
        assert_eq!(plan.format.name, "csv");
        assert_eq!(plan.output, Some("out.csv".into()));
    }

    #[test]
    fn a_file_says_whom_to_count_and_not_where_to_write() {
        let cli = parse(["flowwatch", "replay", "-"]).unwrap();
        let Command::Replay(args) = cli.command else {
            panic!("not replay")
        };
        let file = Settings {
            devices: vec!["camera=2c:aa:8e:01:02:03".parse().unwrap()],
            output: Some("run.csv".into()),
            ..Settings::default()
        };
        let plan = args.plan(file).unwrap();
        assert_eq!((plan.devices.len(), plan.output), (1, None));
    }

    #[test]
    fn a_capture_must_be_named() {
        let error = parse(["flowwatch", "replay"]).unwrap_err();
        assert!(error.to_string().contains("<FILE|->"), "{error}");
    }
}
