//! What a run is to do: the settings that users give, and the complete plan made of them.
//!
//! `cli` and `config` each read [`Settings`]; merged, they become a [`RunPlan`], after which nothing
//! about the wish is left to find out. Pure: whether interfaces and files exist is for others.

mod choice;
mod devices;
mod diff;
mod doctor;
mod export;
mod history;
mod hooks;
mod interfaces;
mod persist;
mod replay;
mod report;
mod top;
mod value;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use flowwatch_common::abi::MAX_DEVICES;
use flowwatch_common::prefix::MAX_PREFIX_RULES;

use crate::{
    export::{ExportOptions, ExportSettings, TargetError},
    format::{FORMATS, FormatEntry},
    history::RecorderOptions,
    kernel::attach::{AttachMode, TcHook},
    live::SocketOptions,
    model::{Device, MacAddress, PrefixTag},
    when::WhenError,
};

pub use self::choice::{DeviceChoice, listed_devices};
pub use self::devices::{CensusSource, DEFAULT_CENSUS, DevicesPlan};
pub use self::diff::DiffPlan;
pub use self::doctor::{DEFAULT_LISTENING, DoctorPlan, Listen};
pub use self::export::parse_export_interval;
pub use self::history::{DEFAULT_HISTORY, DEFAULT_RECORD_INTERVAL, HistorySettings, parse_kept};
pub use self::hooks::{ATTACH_MODES, TC_HOOKS};
pub use self::persist::{DEFAULT_RUN_DIRECTORY, DetachPlan, PersistOptions, PersistSettings};
pub use self::replay::{CaptureDevice, CaptureTag, ReplayPlan};
pub use self::report::{PAGE, ReportForm, ReportPlan, ReportSource, ReportWish, parse_form};
pub use self::top::{PlayPlan, TopPlan, WatchPlan, parse_speed};
use self::value::unknown_word;
pub use self::value::{
    ValueError, parse_duration, parse_flow_table_size, parse_format, parse_interval, parse_word,
};

/// Flows that the kernel's table of one epoch holds, unless the user says otherwise.
pub const DEFAULT_FLOW_TABLE_SIZE: u32 = 65_536;
/// The largest table of one epoch that can be asked for.
pub const MAX_FLOW_TABLE_SIZE: u32 = 16 << 20;
/// Time between two drains, unless the user says otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
/// The least time between two drains: a swap waits for the kernel, some milliseconds as
/// `cargo xtask bench` prints them, so a shorter one would not come true.
pub const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// What one place (command line or file) says; unset is not said.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Interfaces to count on.
    pub interfaces: Vec<String>,
    /// Tagged devices.
    pub devices: Vec<Device>,
    /// Tags for devices that appear.
    pub prefixes: Vec<PrefixTag>,
    /// Time between two drains.
    pub interval: Option<Duration>,
    /// Time after which to stop.
    pub duration: Option<Duration>,
    /// Databases of places, in order of precedence.
    pub geo: Vec<PathBuf>,
    /// Whether the built-in database of places is used.
    pub builtin_geo: Option<bool>,
    /// The output's format.
    pub format: Option<&'static FormatEntry>,
    /// The output's file.
    pub output: Option<PathBuf>,
    /// Which hook takes what devices send.
    pub attach: Option<AttachMode>,
    /// How tc programs are attached.
    pub tc_hook: Option<TcHook>,
    /// Entries of one epoch's flow table.
    pub flow_table_size: Option<u32>,
    /// What to record.
    pub history: HistorySettings,
    /// What to export.
    pub export: ExportSettings,
    /// Where views may ask what is counted.
    pub socket: SocketOptions,
    /// The user to go on as.
    pub user: Option<String>,
    /// Whether counting outlives the process.
    pub persist: PersistSettings,
}

impl Settings {
    /// Returns these settings over others: what is said here wins. Devices are united, and one that
    /// has the same name in both is the one said here.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        let devices = self.devices.iter().map(|device| device.name.clone());
        let prefixes = self.prefixes.iter().map(|tag| tag.name.clone());
        let names: HashSet<_> = devices.chain(prefixes).collect();
        let others = base
            .devices
            .into_iter()
            .filter(|device| !names.contains(&device.name));
        let other_prefixes = base
            .prefixes
            .into_iter()
            .filter(|tag| !names.contains(&tag.name));
        Self {
            devices: others.chain(self.devices).collect(),
            prefixes: other_prefixes.chain(self.prefixes).collect(),
            interfaces: non_empty(self.interfaces, base.interfaces),
            interval: self.interval.or(base.interval),
            duration: self.duration.or(base.duration),
            geo: non_empty(self.geo, base.geo),
            builtin_geo: self.builtin_geo.or(base.builtin_geo),
            format: self.format.or(base.format),
            output: self.output.or(base.output),
            attach: self.attach.or(base.attach),
            tc_hook: self.tc_hook.or(base.tc_hook),
            flow_table_size: self.flow_table_size.or(base.flow_table_size),
            history: self.history.over(base.history),
            export: self.export.over(base.export),
            socket: self.socket.over(base.socket),
            user: self.user.or(base.user),
            persist: self.persist.over(base.persist),
        }
    }
}

fn non_empty<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    if first.is_empty() { second } else { first }
}

/// What a run is to do, complete and valid.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// Interfaces to count on: at least one, each once.
    pub interfaces: Vec<String>,
    /// Tagged devices: at most `MAX_DEVICES`, names and addresses unique. A device's number is its
    /// position.
    pub devices: Vec<Device>,
    /// Tags for devices that appear: at most `MAX_PREFIX_RULES`, names and prefixes unique; at least
    /// one, where there is no device.
    pub prefixes: Vec<PrefixTag>,
    /// Time between two drains, at least `MIN_INTERVAL`.
    pub interval: Duration,
    /// Time after which to stop; without it, a signal does.
    pub duration: Option<Duration>,
    /// Databases of places, in order of precedence.
    pub geo: Vec<PathBuf>,
    /// Whether the built-in database of places follows them.
    pub uses_builtin_geo: bool,
    /// The output's format.
    pub format: &'static FormatEntry,
    /// The output's file; without it, standard output.
    pub output: Option<PathBuf>,
    /// Which hook takes what devices send.
    pub attach: AttachMode,
    /// How tc programs are attached.
    pub tc_hook: TcHook,
    /// Entries of one epoch's flow table, 1 to `MAX_FLOW_TABLE_SIZE`.
    pub flow_table_size: u32,
    /// How to record what is counted; nothing when it isn't.
    pub history: Option<RecorderOptions>,
    /// What to export, and where to.
    pub export: ExportOptions,
    /// Where views may ask what is counted; nowhere, where it is counted for one alone.
    pub socket: Option<SocketOptions>,
    /// The user to go on as, once nothing takes root any more; without one, it stays the same.
    pub user: Option<String>,
    /// Whether counting outlives the process.
    pub persist: PersistOptions,
}

/// Why settings are no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No interface.
    #[error(
        "no interface to count on; name the one that the devices are behind: --interface br-lan"
    )]
    NoInterface,
    /// Not a name that Linux gives to an interface.
    #[error("`{0}` is not an interface's name; `ip link` lists them")]
    Interface(String),
    /// Counting is to outlive the process, and there is nowhere to record what it counts.
    #[error(
        "nowhere to record what is counted while nothing runs: --persist needs a history; name its \
         file with --history"
    )]
    PersistsNowhere,
    /// No device.
    #[error("no device to count; tag at least one: --device camera=2c:aa:8e:01:02:03")]
    NoDevice,
    /// Too many devices.
    #[error("{0} devices are tagged, and at most {MAX_DEVICES} can be; tag fewer")]
    TooManyDevices(usize),
    /// Too many prefixes.
    #[error("{0} prefixes are tagged, and at most {MAX_PREFIX_RULES} can be; tag fewer")]
    TooManyPrefixes(usize),
    /// Two devices of one name.
    #[error("the device `{0}` is tagged twice; give each device its own name")]
    SameName(String),
    /// Two tags for one prefix.
    #[error("`{first}` and `{second}` are for the same prefix; tag it once")]
    SamePrefix {
        /// The tag that is for it.
        first: String,
        /// The tag that is for it, too.
        second: String,
    },
    /// Two devices of one address.
    #[error("`{first}` and `{second}` have the same MAC address {mac}; tag it once")]
    SameMac {
        /// The address.
        mac: MacAddress,
        /// The device that has it.
        first: String,
        /// The device that has it, too.
        second: String,
    },
    /// Two devices of one IP address.
    #[error("`{first}` and `{second}` have the same IP address {address}; tag it once")]
    SameAddress {
        /// The address.
        address: IpAddr,
        /// The device that has it.
        first: String,
        /// The device that has it, too.
        second: String,
    },
    /// A device by its IP address, where a MAC address is needed.
    #[error(
        "`{0}` is tagged by its IP address, which only a capture's devices can be; write its MAC \
         address: --device camera=2c:aa:8e:01:02:03"
    )]
    ByAddress(String),
    /// No target of an export.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No moment, or no span.
    #[error(transparent)]
    When(#[from] WhenError),
}

impl TryFrom<Settings> for RunPlan {
    type Error = PlanError;

    fn try_from(settings: Settings) -> Result<Self, PlanError> {
        check_devices(&settings.devices, &settings.prefixes)?;
        let persist = settings.persist.options();
        let history = settings.history.into_options(&settings.persist);
        if persist.is_wanted && history.is_none() {
            return Err(PlanError::PersistsNowhere);
        }
        Ok(Self {
            interfaces: interfaces::checked(settings.interfaces)?,
            devices: settings.devices,
            prefixes: settings.prefixes,
            interval: settings.interval.unwrap_or(DEFAULT_INTERVAL),
            duration: settings.duration,
            geo: settings.geo,
            uses_builtin_geo: settings.builtin_geo.unwrap_or(true),
            format: settings.format.unwrap_or(&FORMATS[0]),
            export: settings.export.into_options(settings.output.as_deref())?,
            output: settings.output,
            attach: settings.attach.unwrap_or_default(),
            tc_hook: settings.tc_hook.unwrap_or_default(),
            flow_table_size: settings.flow_table_size.unwrap_or(DEFAULT_FLOW_TABLE_SIZE),
            socket: Some(settings.socket),
            user: settings.user,
            persist,
            history,
        })
    }
}

fn check_devices(devices: &[Device], prefixes: &[PrefixTag]) -> Result<(), PlanError> {
    match (devices.len(), prefixes.len()) {
        (0, 0) => return Err(PlanError::NoDevice),
        (..=MAX_DEVICES, ..=MAX_PREFIX_RULES) => {}
        (..=MAX_DEVICES, count) => return Err(PlanError::TooManyPrefixes(count)),
        (count, _) => return Err(PlanError::TooManyDevices(count)),
    }
    let mut names = HashSet::new();
    let mut macs = HashMap::new();
    for device in devices {
        if !names.insert(&device.name) {
            return Err(PlanError::SameName(device.name.to_string()));
        }
        let Some(mac) = device.mac else { continue };
        if let Some(first) = macs.insert(mac, &device.name) {
            return Err(PlanError::SameMac {
                mac,
                first: first.to_string(),
                second: device.name.to_string(),
            });
        }
    }
    let mut known = HashMap::new();
    for tag in prefixes {
        if !names.insert(&tag.name) {
            return Err(PlanError::SameName(tag.name.to_string()));
        }
        if let Some(first) = known.insert(tag.prefix, &tag.name) {
            return Err(PlanError::SamePrefix {
                first: first.to_string(),
                second: tag.name.to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(interfaces: &[&str], devices: &[&str]) -> Settings {
        Settings {
            interfaces: interfaces.iter().map(ToString::to_string).collect(),
            devices: devices.iter().map(|text| text.parse().unwrap()).collect(),
            ..Settings::default()
        }
    }

    fn refusal(interfaces: &[&str], devices: &[&str]) -> String {
        RunPlan::try_from(settings(interfaces, devices))
            .unwrap_err()
            .to_string()
    }

    const CAMERA: &str = "camera=2c:aa:8e:00:00:01";

    #[test]
    fn what_is_unset_has_its_default() {
        let plan = RunPlan::try_from(settings(&["br-lan", "br-lan"], &[CAMERA])).unwrap();
        assert_eq!(plan.interfaces, ["br-lan"]);
        assert_eq!(
            (plan.interval, plan.duration),
            (Duration::from_secs(1), None)
        );
        assert_eq!((plan.format.name, plan.flow_table_size), ("table", 65_536));
        assert!(plan.uses_builtin_geo && plan.output.is_none() && plan.geo.is_empty());
    }

    #[test]
    fn an_incomplete_or_ambiguous_wish_is_refused_with_advice() {
        assert!(refusal(&[], &[CAMERA]).contains("--interface br-lan"));
        assert!(refusal(&["eth0"], &[]).contains("--device camera="));
        assert!(refusal(&["a name too long for linux"], &[CAMERA]).contains("`ip link`"));
        assert!(refusal(&["eth0"], &[CAMERA, CAMERA]).contains("tagged twice"));
        let same_mac = refusal(&["eth0"], &[CAMERA, "tv=2C-AA-8E-00-00-01"]);
        assert_eq!(
            same_mac,
            "`camera` and `tv` have the same MAC address 2c:aa:8e:00:00:01; tag it once"
        );
    }

    #[test]
    fn what_outlives_the_process_needs_a_history() {
        let persisting = |history: Option<&str>| Settings {
            persist: PersistSettings {
                persist: Some(true),
                ..PersistSettings::default()
            },
            history: HistorySettings {
                file: history.map(Into::into),
                ..HistorySettings::default()
            },
            ..settings(&["eth0"], &[CAMERA])
        };
        let refused = RunPlan::try_from(persisting(None));
        assert_eq!(refused.unwrap_err(), PlanError::PersistsNowhere);
        let plan = RunPlan::try_from(persisting(Some("h.db"))).unwrap();
        assert!(plan.persist.is_wanted && plan.history.is_some());
    }

    #[test]
    fn the_number_of_devices_is_bounded() {
        let device = |number: usize| {
            let octets = [2, 0, 0, 0, (number >> 8) as u8, number as u8];
            Device::new(&format!("d{number}"), MacAddress::new(octets).unwrap()).unwrap()
        };
        let devices: Vec<_> = (0..=MAX_DEVICES).map(device).collect();
        assert_eq!(
            check_devices(&devices, &[]),
            Err(PlanError::TooManyDevices(4097))
        );
        assert_eq!(check_devices(&devices[1..], &[]), Ok(()));
    }

    #[test]
    fn prefixes_are_tagged_once_and_under_names_of_their_own() {
        let refusal = |tags: &[&str]| {
            let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
            let (devices, prefixes) = crate::model::DeviceTag::split(tags);
            check_devices(&devices, &prefixes).err()
        };
        assert_eq!(refusal(&["cam=2c:aa:8e:*"]), None, "no device is needed");
        let same_name = Some(PlanError::SameName("cam".into()));
        assert_eq!(refusal(&["cam=2c:aa:8e:*", "cam=74:*"]), same_name);
        assert_eq!(
            refusal(&["cam=2c:aa:8e:*", "cam=02:00:00:00:00:01"]),
            same_name
        );
        let same_prefix = PlanError::SamePrefix {
            first: "a".into(),
            second: "b".into(),
        };
        let refused = refusal(&["a=2c:aa:8e:*", "b=2c:aa:8e:00:00:00/24"]);
        assert_eq!(refused, Some(same_prefix));
        let many: Vec<_> = (0..=MAX_PREFIX_RULES)
            .map(|n| format!("n{n}=02:{n:02x}:*"))
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(refusal(&many[1..]), None);
        let too_many = PlanError::TooManyPrefixes(MAX_PREFIX_RULES + 1);
        assert_eq!(refusal(&many), Some(too_many));
    }

    #[test]
    fn what_is_said_last_wins_and_devices_are_united() {
        let mut base = settings(&["eth0"], &[CAMERA, "tv=2c:aa:8e:00:00:02"]);
        base.interval = Some(MIN_INTERVAL);
        base.flow_table_size = Some(9);
        let mut said = settings(&["eth1"], &["camera=2c:aa:8e:00:00:03"]);
        said.flow_table_size = Some(10);
        let merged = said.over(base);
        assert_eq!(merged.interfaces, ["eth1"]);
        assert_eq!(
            (merged.interval, merged.flow_table_size),
            (Some(MIN_INTERVAL), Some(10))
        );
        let devices: Vec<_> = merged
            .devices
            .iter()
            .map(|device| format!("{} {}", device.name, device.mac.unwrap()))
            .collect();
        assert_eq!(
            devices,
            ["tv 2c:aa:8e:00:00:02", "camera 2c:aa:8e:00:00:03"]
        );
    }

    #[test]
    fn lengths_of_time_need_a_unit() {
        let check = |text, milliseconds| {
            assert_eq!(
                parse_duration(text).unwrap(),
                Duration::from_millis(milliseconds)
            );
        };
        check("500ms", 500);
        check("1s", 1_000);
        check("5m", 300_000);
        check("1h", 3_600_000);
        check("1h 30m", 5_400_000);
        for text in ["", "5", "-1s", "0s", "1x", "1s ago"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(
            parse_interval("9ms")
                .unwrap_err()
                .to_string()
                .contains("the least is 10ms")
        );
        assert!(parse_interval("10ms").is_ok());
    }

    #[test]
    fn sizes_and_words_are_checked() {
        assert_eq!(parse_flow_table_size("16777216"), Ok(MAX_FLOW_TABLE_SIZE));
        for text in ["0", "16777217", "-1", "many"] {
            assert!(parse_flow_table_size(text).is_err(), "{text}");
        }
        let error = parse_format("xml").unwrap_err().to_string();
        assert_eq!(error, "`xml` is none of table, json, jsonl, csv, markdown");
        assert_eq!(parse_word("tc", ATTACH_MODES), Ok(AttachMode::Tc));
    }
}
