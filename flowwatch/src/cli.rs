//! The command line.
//!
//! From arguments to a [`Command`] with its settings; a wrong command line becomes one sentence.
//! Help for each option has an example. What settings mean together is `plan`'s.

#![expect(
    clippy::doc_markdown,
    reason = "help is shown as it is written, without Markdown"
)]

mod detach;
mod devices;
mod diff;
mod doctor;
mod export;
mod history;
mod persist;
mod replay;
mod report;
mod result;
mod top;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};

use crate::{
    format::{FORMATS, FormatEntry},
    kernel::attach::{AttachMode, TcHook},
    live::SocketOptions,
    model::{DeviceTag, FIELDS},
    plan::{
        ATTACH_MODES, Settings, TC_HOOKS, parse_duration, parse_flow_table_size, parse_format,
        parse_interval, parse_word,
    },
};

pub use self::detach::DetachArgs;
pub use self::devices::DevicesArgs;
pub use self::diff::DiffArgs;
pub use self::doctor::DoctorArgs;
pub use self::export::ExportArgs;
pub use self::history::HistoryArgs;
pub use self::persist::{PersistArgs, PlaceArgs};
pub use self::replay::ReplayArgs;
pub use self::report::ReportArgs;
pub use self::result::ResultArgs;
pub use self::top::TopArgs;

const EXAMPLES: &str = "\
Example:
  sudo flowwatch run --interface br-lan --device camera=2c:aa:8e:01:02:03
  flowwatch top
  flowwatch replay camera.pcap
  flowwatch report --since yesterday --format html --output report.html
  sudo flowwatch devices --interface br-lan
  sudo flowwatch doctor --interface br-lan --device camera=2c:aa:8e:01:02:03";

const RUN_USAGE: &str = "\
flowwatch run --interface <NAME> --device <NAME=MAC> [OPTIONS]
       flowwatch run --config <FILE> [OPTIONS]";

const RUN_EXAMPLES: &str = "\
Examples:
  Watch a camera until Ctrl-C, then print where it sent its data:
    sudo flowwatch run --interface br-lan --device camera=2c:aa:8e:01:02:03

  Two devices for an hour, into a spreadsheet:
    sudo flowwatch run --interface eth1 \\
        --device camera=2c:aa:8e:01:02:03 --device plug=50:c7:bf:0a:0b:0c \\
        --duration 1h --format csv --output devices.csv

  The same from a file:
    sudo flowwatch run --config /etc/flowwatch.toml

A configuration file, with every setting that it may hold (the command line wins over it):
  interfaces = [\"br-lan\"]
  interval = \"1s\"
  duration = \"1h\"
  geo = [\"GeoLite2-City.mmdb\"]
  builtin_geo = true
  format = \"csv\"
  output = \"devices.csv\"
  attach = \"auto\"
  flow_table_size = 65536
  socket = \"/run/flowwatch/live.sock\"
  socket_group = \"flowwatch\"
  user = \"flowwatch\"
  persist = true
  pin_directory = \"/sys/fs/bpf/flowwatch\"
  run_directory = \"/run/flowwatch\"
  [history]
  file = \"/var/lib/flowwatch/history.db\"
  record_interval = \"60s\"
  journal = \"/run/flowwatch\"
  minutes = \"2d\"
  hours = \"14d\"
  days = \"3y\"
  [export]
  [[device]]
  name = \"camera\"
  mac = \"2c:aa:8e:01:02:03\"

Exit status: 0 done, 1 failed, 2 wrong usage, 3 not permitted, 4 the kernel lacks something.";

/// Where each of your devices sends its data, how much, and since when.
///
/// flowwatch runs on the Linux gateway that the devices sit behind. It counts their traffic in the
/// kernel, to the octet, and it names and places every destination.
#[derive(Debug, Parser)]
#[command(name = "flowwatch", version, propagate_version = true, after_help = EXAMPLES)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What flowwatch can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Count on the gateway's interfaces; at the end, print who talked to whom
    ///
    /// Counts until a signal (Ctrl-C) or the end of --duration, then prints the table. Needs root
    /// or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
    #[command(override_usage = RUN_USAGE, after_help = run_examples())]
    #[command(after_long_help = format!("{}\n\n{}", run_examples(), described_fields()))]
    Run(Box<RunArgs>),

    /// Print who talked to whom in a capture file; needs no privileges
    ///
    /// Counts, names and places what a pcap or pcapng file holds (Ethernet, Linux cooked, raw IP) as
    /// `run` does what passes the gateway. Times are the capture's.
    #[command(override_usage = replay::USAGE, after_help = replay::EXAMPLES)]
    #[command(after_long_help = format!("{}\n\n{}", replay::EXAMPLES, described_fields()))]
    Replay(ReplayArgs),

    /// Tell what was recorded over a span of time: in tables, as a write-up, or as a page with a map
    ///
    /// Reads the history that `run --history` records; needs no privileges but to read that file.
    #[command(override_usage = report::USAGE, after_help = report::after_help())]
    #[command(after_long_help = format!("{}\n\n{}", report::after_help(), report::described_fields()))]
    Report(ReportArgs),

    /// Print who is on the LAN: vendor, name, addresses, and the option that tags each device
    ///
    /// Listens for a while at the interfaces (needs root or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON),
    /// or reads a capture. Sends nothing: a device that is silent is listed if the host knows it.
    #[command(override_usage = devices::USAGE, after_help = devices::EXAMPLES)]
    #[command(after_long_help = format!("{}\n\n{}", devices::EXAMPLES, devices::described_fields()))]
    Devices(DevicesArgs),

    /// Print what is gone, new and still there: names, addresses, organizations and countries
    ///
    /// Compares two captures, histories, parts of a history, or documents that `run` or `replay`
    /// wrote: before and after a firmware, this week and the last. An address that lives on under a
    /// new name is shown with both.
    #[command(override_usage = diff::USAGE, after_help = diff::after_help())]
    #[command(after_long_help = format!("{}\n\n{}", diff::after_help(), diff::described_fields()))]
    Diff(DiffArgs),

    /// Show devices and destinations as they are now, in the terminal
    ///
    /// Rates, names, places and what was missed, each second; filters, groups, details of each
    /// destination. Shows what a running `flowwatch run` counts, without root; where none runs, counts
    /// by itself, with root. Or plays a capture at its own pace or faster.
    #[command(override_usage = top::USAGE, after_help = top::EXAMPLES)]
    Top(TopArgs),

    /// Print whether this host can count, what would hide traffic from it, and what to do
    ///
    /// Tries what the kernel can do, looks at the interfaces and their offloads, at databases and the
    /// history, and listens for a while whether the devices are seen. Needs root or CAP_BPF,
    /// CAP_NET_ADMIN and CAP_PERFMON to tell everything.
    #[command(override_usage = doctor::USAGE, after_help = doctor::EXAMPLES)]
    #[command(after_long_help = format!("{}\n\n{}", doctor::EXAMPLES, doctor::described_fields()))]
    Doctor(DoctorArgs),

    /// End the counting that `run --persist` left, and remove what it pinned
    ///
    /// Takes the programs off the interfaces, drains what they counted last, and removes every map
    /// and link of flowwatch's from the BPF file system.
    #[command(after_help = detach::EXAMPLES)]
    Detach(DetachArgs),
}

/// Arguments of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// An interface that the devices are behind: the LAN's, where their MAC addresses can be seen.
    /// A bridge stands for its ports. Give it again for more [example: --interface br-lan]
    #[arg(short, long = "interface", value_name = "NAME")]
    interfaces: Vec<String>,

    /// A device to count, by a name of your choice and its MAC address, which `flowwatch devices`
    /// shows; or every device whose address begins so, as it appears. Give it again for more
    /// [example: --device 'cam=2c:aa:8e:*' --device camera=2c:aa:8e:01:02:03]
    #[arg(short, long = "device", value_name = "NAME=MAC")]
    devices: Vec<DeviceTag>,

    /// Read settings from a TOML file; the command line wins over it. SIGHUP has it read again: other
    /// devices, interfaces, databases and intervals are taken up without losing a count
    /// [example: --config /etc/flowwatch.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Time between two readings of the kernel's counters, at least 10ms [default: 1s]
    /// [example: --interval 500ms]
    #[arg(long, value_name = "DURATION", value_parser = parse_interval)]
    interval: Option<Duration>,

    /// Stop after this time; without it, a signal (Ctrl-C) does [example: --duration 5m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,

    #[command(flatten)]
    result: ResultArgs,

    #[command(flatten)]
    history: HistoryArgs,

    #[command(flatten)]
    export: ExportArgs,

    #[command(flatten)]
    persist: PersistArgs,

    /// What sees the frames that devices send [default: auto] [example: --attach tc]
    #[arg(long, value_name = "HOOK", value_parser = word_values(ATTACH_MODES))]
    attach: Option<AttachMode>,

    /// Flows that the kernel can count between two readings, 1 to 16777216; what exceeds them is
    /// counted without destination [default: 65536] [example: --flow-table-size 1000000]
    #[arg(long, value_name = "FLOWS", value_parser = parse_flow_table_size)]
    flow_table_size: Option<u32>,

    /// The socket at which views ask what is counted [default: /run/flowwatch/live.sock]
    /// [example: --socket /run/flowwatch/lan.sock]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,

    /// The group whose members may ask; without one, root alone may [default: flowwatch, where there is
    /// one] [example: --socket-group adm]
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,

    /// Go on as this user, who keeps nothing of root's but what counting takes; without it, root goes on
    /// with that alone [example: --user flowwatch]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Show what flowwatch and its kernel programs do; -vv shows more, -vvv all [example: -v]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// How tc programs are attached [default: auto] [example: --tc-hook clsact]
    #[arg(long, hide = true, value_name = "HOOK", value_parser = word_values(TC_HOOKS))]
    tc_hook: Option<TcHook>,
}

impl RunArgs {
    /// Returns what the command line says, less the configuration file.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let args = self.clone();
        let (devices, prefixes) = DeviceTag::split(args.devices);
        Settings {
            interfaces: args.interfaces,
            devices,
            prefixes,
            interval: args.interval,
            duration: args.duration,
            attach: args.attach,
            tc_hook: args.tc_hook,
            flow_table_size: args.flow_table_size,
            history: args.history.settings(),
            export: args.export.settings(),
            socket: SocketOptions {
                path: args.socket,
                group: args.socket_group,
            },
            user: args.user,
            persist: args.persist.settings(),
            ..args.result.settings()
        }
    }

    /// Returns how much of the log to show, of flowwatch and of its kernel programs.
    #[must_use]
    pub const fn log_level(&self) -> log::LevelFilter {
        log_level(self.verbose)
    }
}

/// Returns how much of the log to show for so many `-v`.
const fn log_level(verbose: u8) -> log::LevelFilter {
    match verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        2 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    }
}

/// Returns the examples, with every key of exports, which their one list has.
fn run_examples() -> String {
    RUN_EXAMPLES.replace("  [export]\n", &export::configuration())
}

/// Returns the list of a row's fields, from the one that every format goes by.
fn described_fields() -> String {
    let fields = FIELDS.iter();
    let fields = fields.map(|field| (field.name, field.description));
    described("Fields of a row in json, jsonl, csv and markdown:", fields)
}

/// Returns names with what each means, under a heading.
fn described<'a>(heading: &str, all: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let lines = all.map(|(name, description)| format!("\n  {name}: {description}"));
    format!("{heading}{}", lines.collect::<String>())
}

fn format_values() -> impl TypedValueParser<Value = &'static FormatEntry> {
    let values = FORMATS
        .iter()
        .map(|it| PossibleValue::new(it.name).help(it.description));
    PossibleValuesParser::new(values).try_map(|word| parse_format(&word))
}

fn word_values<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T, &'static str)],
) -> impl TypedValueParser<Value = T> {
    let values = words
        .iter()
        .map(|&(name, _, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(values).try_map(|word| parse_word(&word, words))
}

/// Why a command line is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CliError {
    /// It asks for help or the version, which is this text, for standard output.
    #[error("{0}")]
    Help(String),
    /// It is wrong; one sentence says how.
    #[error("{0}")]
    Usage(String),
}

/// Returns what a command line asks for.
///
/// # Errors
/// `Help` where it asks for text only; `Usage` where it is wrong.
pub fn parse<I>(arguments: I) -> Result<Cli, CliError>
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            CliError::Help(error.render().to_string())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            CliError::Usage("no command; `flowwatch --help` lists them".to_owned())
        }
        _ => CliError::Usage(sentence(&error.render().to_string())),
    })
}

/// clap's errors have several lines: the error, tips, usage. The first two are kept.
fn sentence(rendered: &str) -> String {
    let lines = rendered.lines().map(str::trim);
    let told =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let mut text = String::new();
    for line in told.filter(|line| !line.is_empty()) {
        let separator = match (text.is_empty(), line.starts_with("tip:")) {
            (true, _) => "",
            (false, true) => "; ",
            (false, false) => " ",
        };
        text += separator;
        text += line
            .trim_start_matches("error: ")
            .trim_start_matches("tip: ");
    }
    text + "; see --help"
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;
    use crate::export::SINKS;
    use crate::plan::RunPlan;

    fn run(arguments: &str) -> Result<RunArgs, CliError> {
        let arguments = ["flowwatch", "run"]
            .into_iter()
            .chain(arguments.split_whitespace());
        parse(arguments).map(|cli| match cli.command {
            Command::Run(args) => *args,
            _ => panic!("not run"),
        })
    }

    fn refusal(arguments: &str) -> String {
        match run(arguments) {
            Err(CliError::Usage(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let args = run(
            "--interface br-lan --interface eth1 --device camera=2c:aa:8e:01:02:03 \
             --device plug=50:c7:bf:0a:0b:0c --interval 500ms --duration 5m --geo a.mmdb \
             --geo b.mmdb --no-builtin-geo --format csv --output out.csv --attach tc \
             --flow-table-size 7 --tc-hook clsact -vv --history h.db --record-interval 5s \
             --socket s.sock --socket-group wheel \
             --journal j --keep-minutes 1h --keep-hours 2d --keep-days 3y --persist \
             --pin-directory p --run-directory r",
        )
        .unwrap();
        assert_eq!(args.log_level(), log::LevelFilter::Debug);
        let plan = RunPlan::try_from(args.settings()).unwrap();
        assert_eq!(plan.interfaces, ["br-lan", "eth1"]);
        assert_eq!(plan.devices.len(), 2);
        assert_eq!(plan.interval, Duration::from_millis(500));
        assert_eq!(plan.duration, Some(Duration::from_mins(5)));
        assert_eq!(plan.geo, [PathBuf::from("a.mmdb"), PathBuf::from("b.mmdb")]);
        assert!(!plan.uses_builtin_geo);
        assert_eq!(plan.format.name, "csv");
        assert_eq!(plan.output, Some("out.csv".into()));
        assert_eq!(
            (plan.attach, plan.tc_hook),
            (AttachMode::Tc, TcHook::Clsact)
        );
        assert_eq!(plan.flow_table_size, 7);
        let socket = plan.socket.unwrap();
        assert_eq!(socket.path, Some("s.sock".into()));
        assert_eq!(socket.group.as_deref(), Some("wheel"));
        let history = plan.history.unwrap();
        assert_eq!(history.history, PathBuf::from("h.db"));
        assert_eq!(history.journal, PathBuf::from("j"));
        assert!(plan.persist.is_wanted);
        assert_eq!(plan.persist.pins, PathBuf::from("p"));
        assert_eq!(plan.persist.run_directory, PathBuf::from("r"));
        assert_eq!(history.interval, Duration::from_secs(5));
        let kept = history.retention;
        let kept = [kept.minutes, kept.hours, kept.days].map(|kept| kept.as_secs() / 3_600);
        assert_eq!(kept, [1, 48, 3 * 365 * 24]);
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_sentence() {
        let check = |arguments: &str, part: &str| {
            let text = refusal(arguments);
            assert!(text.contains(part), "`{text}` lacks `{part}`");
            assert!(!text.contains('\n') && !text.starts_with("error"), "{text}");
        };
        check(
            "--interval 5",
            "`5` is not a length of time; write a number with a unit: 500ms",
        );
        check("--interval 1ms", "the least is 10ms");
        check("--device camera", "write NAME=MAC");
        check(
            "--device camera=2c:aa:8e:0:*",
            "not the beginning of a MAC address; write it as 2c:aa:8e:*",
        );
        check(
            "--device camera=ff:ff:ff:ff:ff:ff",
            "multicast or broadcast",
        );
        check(
            "--format xml",
            "[possible values: table, json, jsonl, csv, markdown]",
        );
        check("--flow-table-size 0", "from 1 to 16777216");
        check("--intrface eth0", "--interface");
        check("--attach skb", "[possible values: auto, xdp, tc]");
    }

    #[test]
    fn every_option_of_every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let after = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(after.contains("Example"), "{}", command.get_name());
            for argument in command.get_arguments() {
                let help = argument
                    .get_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(help.contains("[example: "), "{argument}: {help}");
            }
        }
    }

    #[test]
    fn the_configuration_file_of_the_help_holds_every_setting() {
        let help = run_examples();
        let (_, example) = help
            .split_once("(the command line wins over it):\n")
            .unwrap();
        let (example, _) = example.split_once("\n\n").unwrap();
        let settings = crate::config::parse(Path::new("fw.toml"), example).unwrap();
        assert_eq!(settings.interfaces.len() * settings.devices.len(), 1);
        assert_eq!(settings.geo.len(), 1);
        let text = format!("{settings:?}");
        let mut exported: Vec<_> = settings
            .export
            .sinks
            .iter()
            .map(|it| it.sink.name)
            .collect();
        exported.sort_unstable_by_key(|name| SINKS.iter().position(|it| it.name == *name));
        assert!(exported.into_iter().eq(SINKS.iter().map(|sink| sink.name)));
        let missing: Vec<_> = text.match_indices(": None").collect();
        // tc_hook is for developers, and no setting of the file.
        assert_eq!(missing.len(), 1, "{text}");
        assert_eq!(settings.tc_hook, None);
    }

    #[test]
    fn help_lists_the_formats_and_hides_what_is_for_developers() {
        let Err(CliError::Help(text)) = run("--help") else {
            panic!("no help")
        };
        assert!(
            FORMATS
                .iter()
                .all(|format| text.contains(format.description)),
            "{text}"
        );
        assert!(!text.contains("--tc-hook"));
        let fields = FIELDS.iter().map(|field| field.name);
        let is_listed = |name| text.contains(&format!("\n  {name}: "));
        assert!(fields.into_iter().all(is_listed), "{text}");
        let Err(CliError::Usage(text)) = parse(["flowwatch"]) else {
            panic!("no error")
        };
        assert!(text.contains("flowwatch --help"));
    }
}
