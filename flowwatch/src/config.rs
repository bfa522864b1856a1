//! The configuration file.
//!
//! From TOML to [`Settings`]; keys have the command line's names. Every error says the file, the
//! line and what could have been meant. Paths in the file are relative to its folder.

#[cfg(test)]
mod example;
mod export;
mod history;

use std::{
    fmt::Display,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};
use toml::de::DeTable;

use crate::{
    format::FormatEntry,
    kernel::attach::AttachMode,
    live::SocketOptions,
    model::DeviceTag,
    plan::{
        ATTACH_MODES, PersistSettings, Settings, parse_duration, parse_flow_table_size,
        parse_format, parse_interval, parse_word,
    },
};

/// A file that is larger than this is not a configuration.
const MAX_FILE_OCTETS: u64 = 1 << 20;

const KEYS: &[&str] = &[
    "interfaces",
    "device",
    "interval",
    "duration",
    "geo",
    "builtin_geo",
    "format",
    "output",
    "attach",
    "flow_table_size",
    "history",
    "export",
    "socket",
    "socket_group",
    "user",
    "persist",
    "pin_directory",
    "run_directory",
];

const DEVICE_KEYS: &[&str] = &["name", "mac"];

/// Below this likeness (Jaro-Winkler, 0 to 1), a known key was hardly meant.
const LEAST_LIKENESS: f64 = 0.7;

/// Why a configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("read the configuration `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key that flowwatch does not know.
    #[error("`{}`, line {line}: unknown key `{key}`{hint}", .path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key's line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// Which key may have been meant.
        hint: String,
    },
    /// Not TOML, or a value that is not what its key takes.
    #[error("`{}`, line {line}: {message}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
}

/// Returns what a configuration file says.
///
/// # Errors
/// All of [`ConfigError`].
pub fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text = read_text(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut octets = Vec::new();
    // A device or a pipe has no size to look at before.
    let mut file = std::fs::File::open(path)?.take(MAX_FILE_OCTETS + 1);
    file.read_to_end(&mut octets)?;
    if octets.len() as u64 > MAX_FILE_OCTETS {
        let message = "it is too large for a configuration; name the right file";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(octets).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("octet {at} is not UTF-8 text; save it as UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Returns what a configuration's text says; `path` is for messages and for relative paths.
///
/// # Errors
/// `UnknownKey` and `Content`.
pub fn parse(path: &Path, text: &str) -> Result<Settings, ConfigError> {
    let content = |error: toml::de::Error| {
        let message = error.message().replace('\n', ", ");
        ConfigError::Content {
            path: path.to_owned(),
            line: line_of(text, error.span()),
            message,
        }
    };
    let table = DeTable::parse(text).map_err(content)?;
    if let Some(span) = single_device(table.get_ref()) {
        return Err(ConfigError::Content {
            path: path.to_owned(),
            line: line_of(text, Some(span)),
            message: "a device is one of a list; write [[device]] for each".to_owned(),
        });
    }
    if let Some((key, span, known)) = unknown_key(table.get_ref()) {
        return Err(ConfigError::UnknownKey {
            path: path.to_owned(),
            line: line_of(text, Some(span)),
            hint: hint(&key, known),
            key,
        });
    }
    let file: File = toml::from_str(text).map_err(content)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(file.into_settings(folder))
}

/// Returns where `device` is a table, as one bracket too few makes it.
fn single_device(table: &DeTable<'_>) -> Option<Range<usize>> {
    let device = table.get("device")?;
    device.get_ref().is_table().then(|| device.span())
}

fn unknown_key(table: &DeTable<'_>) -> Option<(String, Range<usize>, &'static [&'static str])> {
    let devices = table
        .get("device")
        .and_then(|value| value.get_ref().as_array());
    let devices = devices.into_iter().flat_map(|devices| devices.iter());
    let devices = devices.filter_map(|device| device.get_ref().as_table());
    let history = table
        .get("history")
        .and_then(|value| value.get_ref().as_table())
        .map(|history| (history, history::KEYS));
    let export = table
        .get("export")
        .and_then(|value| value.get_ref().as_table())
        .map(|export| (export, export::KEYS.as_slice()));
    let tables = std::iter::once((table, KEYS))
        .chain(history)
        .chain(export)
        .chain(devices.map(|device| (device, DEVICE_KEYS)));
    let mut unknown: Vec<_> = tables
        .flat_map(|(table, known)| table.keys().map(move |key| (key, known)))
        .filter(|(key, known)| !known.contains(&key.get_ref().as_ref()))
        .map(|(key, known)| (key.get_ref().to_string(), key.span(), known))
        .collect();
    // The table is sorted by name; the first in the file is told.
    unknown.sort_by_key(|(_, span, _)| span.start);
    unknown.into_iter().next()
}

fn hint(key: &str, known: &[&str]) -> String {
    let likeness = |candidate: &str| strsim::jaro_winkler(key, candidate);
    let nearest = known
        .iter()
        .copied()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|nearest| likeness(nearest) >= LEAST_LIKENESS) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => format!("; known are {}", known.join(", ")),
    }
}

fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let start = span.map_or(0, |span| span.start).min(text.len());
    1 + text
        .get(..start)
        .map_or(0, |before| before.matches('\n').count())
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    interfaces: Vec<String>,
    #[serde(default, rename = "device")]
    devices: Vec<DeviceEntry>,
    #[serde(default, deserialize_with = "interval")]
    interval: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    duration: Option<Duration>,
    #[serde(default)]
    geo: Vec<PathBuf>,
    builtin_geo: Option<bool>,
    #[serde(default, deserialize_with = "format")]
    format: Option<&'static FormatEntry>,
    output: Option<PathBuf>,
    #[serde(default, deserialize_with = "attach")]
    attach: Option<AttachMode>,
    #[serde(default, deserialize_with = "flow_table_size")]
    flow_table_size: Option<u32>,
    #[serde(default)]
    history: history::HistoryTable,
    #[serde(default)]
    export: export::ExportTable,
    socket: Option<PathBuf>,
    socket_group: Option<String>,
    user: Option<String>,
    persist: Option<bool>,
    pin_directory: Option<PathBuf>,
    run_directory: Option<PathBuf>,
}

impl File {
    fn into_settings(self, folder: &Path) -> Settings {
        let (devices, prefixes) =
            DeviceTag::split(self.devices.into_iter().map(|entry| entry.0).collect());
        Settings {
            interfaces: self.interfaces,
            devices,
            prefixes,
            interval: self.interval,
            duration: self.duration,
            geo: self.geo.into_iter().map(|path| folder.join(path)).collect(),
            builtin_geo: self.builtin_geo,
            format: self.format,
            output: self.output.map(|path| output_in(folder, path)),
            attach: self.attach,
            tc_hook: None,
            flow_table_size: self.flow_table_size,
            history: self.history.into_settings(folder),
            export: self.export.into_settings(folder),
            socket: SocketOptions {
                path: self.socket.map(|path| folder.join(path)),
                group: self.socket_group,
            },
            user: self.user,
            persist: PersistSettings {
                persist: self.persist,
                pin_directory: self.pin_directory.map(|path| folder.join(path)),
                run_directory: self.run_directory.map(|path| folder.join(path)),
            },
        }
    }
}

/// Returns the output's path: relative to the folder, but for `-`, which is no file's name.
fn output_in(folder: &Path, path: PathBuf) -> PathBuf {
    if path == Path::new("-") {
        return path;
    }
    folder.join(path)
}

struct DeviceEntry(DeviceTag);

impl<'de> Deserialize<'de> for DeviceEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Entry {
            name: String,
            mac: String,
        }
        let entry = Entry::deserialize(deserializer)?;
        DeviceTag::new(&entry.name, &entry.mac)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    parsed(deserializer, parse_interval)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    parsed(deserializer, parse_duration)
}

fn format<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'static FormatEntry>, D::Error> {
    parsed(deserializer, parse_format)
}

fn attach<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AttachMode>, D::Error> {
    parsed(deserializer, |word| parse_word(word, ATTACH_MODES))
}

fn flow_table_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let size = i64::deserialize(deserializer)?;
    parse_flow_table_size(&size.to_string())
        .map(Some)
        .map_err(D::Error::custom)
}

fn parsed<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Settings, ConfigError> {
        parse(Path::new("/etc/fw.toml"), text)
    }

    fn check_refusal(text: &str, expected: &str) {
        assert_eq!(parse_text(text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn every_key_is_read() {
        let settings = parse_text(
            "interfaces = ['br-lan']\ninterval = '500ms'\nduration = '1h'\n\
             geo = ['city.mmdb', '/srv/asn.mmdb']\nbuiltin_geo = false\nformat = 'csv'\n\
             output = 'out.csv'\nattach = 'xdp'\nflow_table_size = 1000\n\
             persist = true\npin_directory = 'pins'\nrun_directory = '/run/lab'\n\
             [history]\nfile = 'h.db'\nrecord_interval = '5m'\njournal = 'j'\n\
             minutes = '1h'\nhours = '2d'\ndays = '3y'\n\
             [[device]]\nname = 'camera'\nmac = '2c:aa:8e:01:02:03'\n\
             [[device]]\nname = 'plug'\nmac = '50-C7-BF-0A-0B-0C'\n",
        )
        .unwrap();
        assert_eq!(settings.interfaces, ["br-lan"]);
        assert_eq!(settings.interval, Some(Duration::from_millis(500)));
        assert_eq!(settings.duration, Some(Duration::from_hours(1)));
        assert_eq!(
            settings.geo,
            [Path::new("/etc/city.mmdb"), Path::new("/srv/asn.mmdb")]
        );
        assert_eq!(settings.builtin_geo, Some(false));
        assert_eq!(settings.format.map(|format| format.name), Some("csv"));
        assert_eq!(settings.output, Some("/etc/out.csv".into()));
        assert_eq!(settings.attach, Some(AttachMode::Xdp));
        assert_eq!(settings.flow_table_size, Some(1000));
        assert_eq!(settings.devices.len(), 2);
        let history = settings.history.into_options(&settings.persist).unwrap();
        assert_eq!(history.history, Path::new("/etc/h.db"));
        assert_eq!(history.journal, Path::new("/etc/j"));
        assert_eq!(history.interval, Duration::from_mins(5));
        assert_eq!(history.retention.hours, Duration::from_hours(48));
        assert_eq!(settings.persist.persist, Some(true));
        let persist = settings.persist.options();
        assert_eq!(persist.pins, Path::new("/etc/pins"));
        assert_eq!(persist.run_directory, Path::new("/run/lab"));
        assert_eq!(settings.devices[1].mac, "50:c7:bf:0a:0b:0c".parse().ok());
    }

    #[test]
    fn a_dash_is_standard_output_and_no_file_of_the_folder() {
        let settings = parse_text("output = '-'").unwrap();
        assert_eq!(settings.output, Some("-".into()));
    }

    #[test]
    fn what_is_no_text_or_has_no_end_is_refused() {
        let check = |path: &Path, expected: &str| {
            let ConfigError::Read { source, .. } = read(path).unwrap_err() else {
                panic!("it was read")
            };
            assert_eq!(source.to_string(), expected);
        };
        check(
            Path::new("/dev/zero"),
            "it is too large for a configuration; name the right file",
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latin-1.toml");
        std::fs::write(&path, b"format = '\xe9'").unwrap();
        check(&path, "octet 10 is not UTF-8 text; save it as UTF-8");
    }

    #[test]
    fn an_empty_file_says_nothing() {
        let settings = parse_text("# nothing\n").unwrap();
        assert!(settings.devices.is_empty() && settings.interval.is_none());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_what_was_meant() {
        check_refusal(
            "# mine\nintervall = '1s'\n",
            "`/etc/fw.toml`, line 2: unknown key `intervall`; did you mean `interval`?",
        );
        check_refusal(
            "[[device]]\nname = 'a'\nmac = '2c:aa:8e:01:02:03'\nmacc = 1\n",
            "`/etc/fw.toml`, line 4: unknown key `macc`; did you mean `mac`?",
        );
        check_refusal(
            "[history]\nfiel = 'h.db'\n",
            "`/etc/fw.toml`, line 2: unknown key `fiel`; did you mean `file`?",
        );
        check_refusal(
            "zzz = 1\n[[device]]\nq = 1",
            "`/etc/fw.toml`, line 1: unknown key `zzz`; known are interfaces, device, interval, \
             duration, geo, builtin_geo, format, output, attach, flow_table_size, history, \
             export, socket, socket_group, user, persist, pin_directory, run_directory",
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line() {
        check_refusal(
            "\ninterval = '5'",
            "`/etc/fw.toml`, line 2: `5` is not a length of time; write a number with a unit: \
             500ms, 1s, 5m or 1h",
        );
        check_refusal(
            "flow_table_size = 0",
            "`/etc/fw.toml`, line 1: `0` is not a number of flows from 1 to 16777216",
        );
        check_refusal(
            "[[device]]\nname = 'a'\nmac = '00:00:00:00:00:00'\n",
            "`/etc/fw.toml`, line 1: `00:00:00:00:00:00` is the all-zero address, which is not a \
             device's own",
        );
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_line() {
        let error = parse_text("interfaces = ['a']\ninterval 1s\n")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`/etc/fw.toml`, line 2: "), "{error}");
        check_refusal(
            "[device]\nname = 'a'\nmac = '2c:aa:8e:01:02:03'\n",
            "`/etc/fw.toml`, line 1: a device is one of a list; write [[device]] for each",
        );
        let error = parse_text("[[device]]\nname = 'a'\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("missing field `mac`"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("/nonexistent/fw.toml"))
            .unwrap_err()
            .to_string();
        assert_eq!(error, "read the configuration `/nonexistent/fw.toml`");
    }
}
