//! Arguments and help of `flowwatch devices`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{described, format_values, log_level};
use crate::{
    census::DEVICE_FIELDS,
    format::FormatEntry,
    model::DeviceTag,
    plan::{DevicesPlan, PlanError, Settings, parse_duration},
};

/// How it is called, for help.
pub(super) const USAGE: &str = "\
flowwatch devices --interface <NAME> [OPTIONS]
       flowwatch devices --replay <FILE> [OPTIONS]";

/// Examples, for help.
pub(super) const EXAMPLES: &str = "\
Examples:
  Who is on the LAN, by ten seconds of listening:
    sudo flowwatch devices --interface br-lan

  A minute of it, as a spreadsheet:
    sudo flowwatch devices --interface br-lan --duration 1m --format csv --output lan.csv

  Who is in a capture (needs no privileges):
    flowwatch devices --replay lan.pcap

Exit status: 0 done, 1 failed, 2 wrong usage, 3 not permitted, 4 the kernel lacks something.";

/// Arguments of `devices`.
#[derive(Args, Clone, Debug)]
pub struct DevicesArgs {
    /// An interface that the devices are behind: the LAN's, where their MAC addresses can be seen.
    /// A bridge stands for its ports. Give it again for more [example: --interface br-lan]
    #[arg(
        short,
        long = "interface",
        value_name = "NAME",
        conflicts_with = "replay"
    )]
    interfaces: Vec<String>,

    /// Look into a capture (pcap or pcapng; `-` is standard input) instead of listening
    /// [example: --replay lan.pcap]
    #[arg(long, value_name = "FILE|-")]
    replay: Option<PathBuf>,

    /// How long to listen [default: 10s]; a signal (Ctrl-C) shows who is there at once
    /// [example: --duration 1m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    #[arg(conflicts_with = "replay")]
    duration: Option<Duration>,

    /// A device that is tagged, or a prefix, to be shown under its name. Give it again for more
    /// [example: --device camera=2c:aa:8e:01:02:03]
    #[arg(short, long = "device", value_name = "NAME=MAC")]
    devices: Vec<DeviceTag>,

    /// Read tags, interfaces and output from a TOML file; the command line wins over it
    /// [example: --config /etc/flowwatch.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A file of leases, of dnsmasq or odhcpd, beside those where these have them. Give it again
    /// for more [example: --leases /srv/dnsmasq.leases]
    #[arg(long, value_name = "FILE")]
    leases: Vec<PathBuf>,

    /// How to write the list [default: table] [example: --format csv]
    #[arg(short, long, value_name = "FORMAT", value_parser = format_values())]
    format: Option<&'static FormatEntry>,

    /// Write the list to this file instead of standard output; it is replaced only when the new one
    /// is complete [example: --output lan.csv]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show what flowwatch does; -vv shows more, -vvv all [example: -v]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl DevicesArgs {
    /// Makes the plan of the command line over a configuration file's settings, whose duration and
    /// output are a run's.
    ///
    /// # Errors
    /// Those of the plan.
    pub fn plan(&self, file: Settings) -> Result<DevicesPlan, PlanError> {
        let args = self.clone();
        let (devices, prefixes) = DeviceTag::split(args.devices);
        let settings = Settings {
            interfaces: args.interfaces,
            devices,
            prefixes,
            duration: args.duration,
            format: args.format,
            output: args.output,
            ..Settings::default()
        };
        let file = Settings {
            interfaces: file.interfaces,
            devices: file.devices,
            prefixes: file.prefixes,
            ..Settings::default()
        };
        DevicesPlan::new(settings.over(file), args.replay, args.leases)
    }

    /// Returns how much of the log to show.
    #[must_use]
    pub const fn log_level(&self) -> log::LevelFilter {
        log_level(self.verbose)
    }
}

/// Returns the list of a device's fields, from the one that every format goes by.
pub(super) fn described_fields() -> String {
    let fields = DEVICE_FIELDS.iter();
    let fields = fields.map(|field| (field.name, field.description));
    described(
        "Fields of a device in json, jsonl, csv and markdown:",
        fields,
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;
    use crate::plan::{CensusSource, DEFAULT_CENSUS};

    fn plan(text: &str, file: Settings) -> Result<DevicesPlan, String> {
        let arguments = ["flowwatch", "devices"].into_iter();
        let cli = parse(arguments.chain(text.split_whitespace()));
        let cli = cli.map_err(|error| error.to_string())?;
        let Command::Devices(args) = cli.command else {
            panic!("not devices")
        };
        args.plan(file).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let told = plan(
            "--interface br-lan -i eth1 --duration 1m --device cam=2c:aa:8e:* \
             --leases a --leases b --format csv --output out.csv",
            Settings::default(),
        )
        .unwrap();
        let interfaces = vec!["br-lan".to_owned(), "eth1".to_owned()];
        let source = CensusSource::Interfaces(interfaces, Duration::from_mins(1));
        assert_eq!(told.source, source);
        let mac = "2c:aa:8e:01:02:03".parse().unwrap();
        assert_eq!(told.tags.tag_of(mac).unwrap().name_of(mac), "cam-01:02:03");
        assert_eq!(told.leases, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(told.format.name, "csv");
        assert_eq!(told.output, Some("out.csv".into()));
    }

    #[test]
    fn a_capture_takes_the_interfaces_place() {
        let told = plan("--replay lan.pcap", Settings::default()).unwrap();
        assert_eq!(told.source, CensusSource::Capture("lan.pcap".into()));
        let error = plan("--replay x -i br-lan", Settings::default()).unwrap_err();
        assert!(error.contains("cannot be used with"), "{error}");
        let error = plan("", Settings::default()).unwrap_err();
        assert!(error.contains("no interface"), "{error}");
    }

    #[test]
    fn of_a_configuration_the_interfaces_and_tags_count() {
        let file = Settings {
            interfaces: vec!["br-lan".to_owned()],
            devices: vec!["cam=2c:aa:8e:01:02:03".parse().unwrap()],
            duration: Some(Duration::from_hours(1)),
            output: Some("flows.csv".into()),
            ..Settings::default()
        };
        let told = plan("", file).unwrap();
        let interfaces = vec!["br-lan".to_owned()];
        let source = CensusSource::Interfaces(interfaces, DEFAULT_CENSUS);
        assert_eq!((told.source, told.output), (source, None));
        assert_eq!(told.tags.devices().len(), 1);
    }
}
