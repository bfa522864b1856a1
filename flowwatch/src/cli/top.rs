//! Arguments and help of `flowwatch top`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{log_level, word_values};
use crate::kernel::attach::{AttachMode, TcHook};
use crate::live::{SocketOptions, Speed};
use crate::plan::{
    ATTACH_MODES, CaptureTag, PlanError, PlayPlan, Settings, TC_HOOKS, TopPlan, WatchPlan,
    parse_flow_table_size, parse_interval, parse_speed,
};

/// The options that a capture has no use for.
const LIVE_OPTIONS: [&str; 5] = [
    "socket",
    "interfaces",
    "attach",
    "flow_table_size",
    "tc_hook",
];

/// How it is called, for help.
pub(super) const USAGE: &str = "\
flowwatch top [--socket <FILE>] [OPTIONS]
       flowwatch top --interface <NAME> --device <NAME=MAC> [OPTIONS]
       flowwatch top --replay <FILE|-> [OPTIONS]";

/// Examples, for help.
pub(super) const EXAMPLES: &str = "\
Examples:
  What a running `flowwatch run` counts; needs no root, but to be in the group `flowwatch`:
    flowwatch top

  Where none runs, counted by itself, until it is left:
    sudo flowwatch top --interface br-lan --device camera=2c:aa:8e:01:02:03

  A capture, as it happened:
    flowwatch top --replay camera.pcap

  One device of it, sixty times as fast:
    flowwatch top --replay camera.pcapng --device camera=2c:aa:8e:01:02:03 --speed 60

  While tcpdump records on a gateway that has nothing else:
    ssh root@gateway tcpdump -i br-lan -U -s 0 -w - | flowwatch top --replay -

`?` shows the keys. Colours: NO_COLOR=1 leaves them out.

Exit status: 0 done, 1 failed, 2 wrong usage, no capture or no terminal, 3 not permitted,
4 the kernel lacks something.";

/// Arguments of `top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Play a capture (pcap or pcapng; `-` is standard input); needs no privileges
    /// [example: --replay camera.pcap]
    #[arg(long, value_name = "FILE|-", conflicts_with_all = LIVE_OPTIONS)]
    replay: Option<PathBuf>,

    /// How fast to play it: a number, 1 being as it happened, or `max` [default: 1]
    /// [example: --speed 60]
    #[arg(long, value_name = "TIMES", value_parser = parse_speed, requires = "replay")]
    speed: Option<Speed>,

    /// The socket of the flowwatch whose counting to show [default: /run/flowwatch/live.sock]
    /// [example: --socket /run/flowwatch/lan.sock]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,

    /// An interface to count on where no flowwatch runs, as `run` has it. Give it again for more
    /// [example: --interface br-lan]
    #[arg(short, long = "interface", value_name = "NAME")]
    interfaces: Vec<String>,

    /// A device to show, by a name of your choice and its MAC address, or how the addresses of such
    /// devices begin (2c:aa:8e:*); in a capture, also its IP address. Give it again for more.
    /// Without it, every device that a capture's frames are from is shown; a running flowwatch knows its
    /// own
    /// [example: --device camera=2c:aa:8e:01:02:03]
    #[arg(short = 'd', long = "device", value_name = "NAME=MAC|IP")]
    tags: Vec<CaptureTag>,

    /// Read interfaces, tags and databases from `run`'s TOML file; the command line wins over it
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

    /// What sees the frames that devices send, where no flowwatch runs [default: auto]
    /// [example: --attach tc]
    #[arg(long, value_name = "HOOK", value_parser = word_values(ATTACH_MODES))]
    attach: Option<AttachMode>,

    /// Flows that the kernel can count between two readings, where no flowwatch runs, 1 to 16777216
    /// [default: 65536] [example: --flow-table-size 1000000]
    #[arg(long, value_name = "FLOWS", value_parser = parse_flow_table_size)]
    flow_table_size: Option<u32>,

    /// How tc programs are attached [default: auto] [example: --tc-hook clsact]
    #[arg(long, hide = true, value_name = "HOOK", value_parser = word_values(TC_HOOKS))]
    tc_hook: Option<TcHook>,

    /// Show what flowwatch does, on standard error; -vv shows more, -vvv all
    /// [example: -v 2> top.log]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl TopArgs {
    /// Makes the plan: to play the capture that the command line names, or to watch a counting.
    ///
    /// # Errors
    /// Those of the plan.
    pub fn plan(&self, file: Settings) -> Result<TopPlan, PlanError> {
        let args = self.clone();
        let settings = Settings {
            interfaces: args.interfaces,
            interval: args.interval,
            geo: args.geo,
            builtin_geo: args.no_builtin_geo.then_some(false),
            attach: args.attach,
            tc_hook: args.tc_hook,
            flow_table_size: args.flow_table_size,
            socket: SocketOptions {
                path: args.socket,
                group: None,
            },
            ..Settings::default()
        };
        let Some(capture) = args.replay else {
            let plan = WatchPlan::new(args.tags, settings, file)?;
            return Ok(TopPlan::Counting(Box::new(plan)));
        };
        let file = file.of_captures();
        PlayPlan::new(capture, args.tags, args.speed, settings.over(file)).map(TopPlan::Capture)
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

    fn any_plan(text: &str, file: Settings) -> Result<TopPlan, String> {
        let arguments = ["flowwatch", "top"].into_iter();
        let cli = parse(arguments.chain(text.split_whitespace()));
        let cli = cli.map_err(|error| error.to_string())?;
        let Command::Top(args) = cli.command else {
            panic!("not top")
        };
        args.plan(file).map_err(|error| error.to_string())
    }

    fn plan(text: &str, file: Settings) -> Result<PlayPlan, String> {
        match any_plan(text, file)? {
            TopPlan::Capture(plan) => Ok(plan),
            TopPlan::Counting(_) => panic!("no capture"),
        }
    }

    fn watch_plan(text: &str, file: Settings) -> Result<WatchPlan, String> {
        match any_plan(text, file)? {
            TopPlan::Counting(plan) => Ok(*plan),
            TopPlan::Capture(_) => panic!("a capture"),
        }
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
        assert!(refused("--replay x --interface lan0").contains("cannot be used with"));
        assert!(refused("--speed 2").contains("--replay"));
    }

    #[test]
    fn without_a_capture_a_daemon_is_asked_and_else_it_is_counted_here() {
        let told = watch_plan("", Settings::default()).unwrap();
        assert_eq!(told.socket, PathBuf::from("/run/flowwatch/live.sock"));
        assert_eq!(told.own.unwrap_err(), PlanError::NoDevice);
        assert!(!told.says_what_to_count);
        let told = watch_plan(
            "--interface lan0 -d camera=2c:aa:8e:01:02:03 -d cam=2c:aa:8e:* --attach tc --tc-hook \
             clsact --flow-table-size 7 --interval 2s --socket s.sock --geo a.mmdb --no-builtin-geo",
            Settings::default(),
        )
        .unwrap();
        assert!(told.says_what_to_count);
        assert_eq!(told.socket, PathBuf::from("s.sock"));
        let own = told.own.unwrap();
        assert_eq!(
            (told.interval, own.interval),
            (Duration::from_secs(2), told.interval)
        );
        assert_eq!(own.interfaces, ["lan0"]);
        assert_eq!((own.devices.len(), own.prefixes.len()), (1, 1));
        assert_eq!((own.attach, own.tc_hook), (AttachMode::Tc, TcHook::Clsact));
        assert_eq!(own.flow_table_size, 7);
        assert_eq!(own.geo, [PathBuf::from("a.mmdb")]);
        assert!(!own.uses_builtin_geo);
    }

    #[test]
    fn a_daemons_file_has_it_counted_here_without_a_socket_and_a_record() {
        let text = "interfaces = ['lan0']\ninterval = '1h'\nduration = '1h'\nsocket = 's'\n\
                    [history]\nfile = 'h.db'\n[[device]]\nname = 'd'\nmac = '2c:aa:8e:01:02:03'\n";
        let file = crate::config::parse(std::path::Path::new("/etc/fw.toml"), text).unwrap();
        let told = watch_plan("", file).unwrap();
        assert_eq!(told.socket, PathBuf::from("/etc/s"));
        assert!(!told.says_what_to_count);
        let own = told.own.unwrap();
        assert_eq!((own.interval, own.duration), (Duration::from_secs(1), None));
        assert!(own.socket.is_none() && own.history.is_none());
    }

    #[test]
    fn a_device_on_the_lan_goes_by_its_mac_address() {
        let error = watch_plan("-d camera=192.168.8.214", Settings::default()).unwrap_err();
        assert!(
            error.contains("`camera` is tagged by its IP address"),
            "{error}"
        );
    }
}
