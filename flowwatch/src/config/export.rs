//! The table `[export]` of the configuration file: a key for each sink and each of its settings.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::export::{ExportSettings, SINKS, Wish};
use crate::plan::parse_export_interval;

const INTERVAL: &str = "interval";

/// The table's keys.
pub(super) static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let sinks = SINKS.iter().flat_map(|sink| {
        let settings = sink.settings.iter().map(|setting| key_of(setting.name));
        std::iter::once(sink.name).chain(settings)
    });
    std::iter::once(INTERVAL).chain(sinks).collect()
});

/// Returns a setting's key: underscores for dashes.
fn key_of(name: &'static str) -> &'static str {
    if name.contains('-') {
        // Once for each setting there is, when the keys are listed.
        return name.replace('-', "_").leak();
    }
    name
}

/// The table, as the file has it: a text, or for sinks a list of them.
#[derive(Default)]
pub(super) struct ExportTable(ExportSettings);

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Number(i64),
    Several(Vec<String>),
}

impl ExportTable {
    /// Returns what the table says; paths are relative to the folder.
    pub(super) fn into_settings(self, folder: &Path) -> ExportSettings {
        let mut settings = self.0;
        for wish in &mut settings.sinks {
            folder.clone_into(&mut wish.folder);
        }
        settings
    }
}

impl<'de> Deserialize<'de> for ExportTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = BTreeMap::<String, Texts>::deserialize(deserializer)?;
        let mut settings = ExportSettings::default();
        for (key, texts) in table {
            take_up(&mut settings, &key, texts).map_err(D::Error::custom)?;
        }
        Ok(Self(settings))
    }
}

fn take_up(settings: &mut ExportSettings, key: &str, texts: Texts) -> Result<(), String> {
    let of_key = |error: &dyn Display| format!("{key}: {error}");
    let texts = match texts {
        Texts::One(text) => vec![text],
        Texts::Number(number) => vec![number.to_string()],
        Texts::Several(texts) => texts,
    };
    if let Some(sink) = SINKS.iter().find(|sink| sink.name == key) {
        for text in texts {
            let wish = Wish::new(sink, &text, Path::new("")).map_err(|error| of_key(&error))?;
            settings.sinks.push(wish);
        }
        return Ok(());
    }
    let [text] = &texts[..] else {
        return Err(of_key(&"one text, and no list"));
    };
    if key == INTERVAL {
        let interval = parse_export_interval(text).map_err(|error| of_key(&error))?;
        settings.interval = Some(interval);
    }
    let mut entries = SINKS.iter().flat_map(|sink| sink.settings);
    if let Some(setting) = entries.find(|setting| setting.name.replace('-', "_") == key) {
        (setting.check)(text).map_err(|error| of_key(&error))?;
        settings.settings.insert(setting.name, text.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::config::parse;

    fn read(text: &str) -> Result<ExportSettings, String> {
        let settings = parse(Path::new("/etc/fw/a.toml"), text);
        Ok(settings.map_err(|error| error.to_string())?.export)
    }

    #[test]
    fn a_sink_is_a_text_or_a_list_and_paths_are_the_files_folders() {
        let text = "[export]\ninterval = '5m'\njsonl = ['a.jsonl', '-']\ncsv = 'b.csv'\n\
                    jsonl_rotate = '1GiB'\njsonl_files = 9\n";
        let settings = read(text).unwrap();
        assert_eq!(settings.interval, Some(Duration::from_mins(5)));
        let sinks = settings.sinks.iter();
        let sinks = sinks.map(|wish| (wish.sink.name, &*wish.target, &*wish.folder));
        let folder = PathBuf::from("/etc/fw");
        let expected = [("csv", "b.csv"), ("jsonl", "a.jsonl"), ("jsonl", "-")];
        assert!(sinks.eq(expected.map(|(sink, target)| (sink, target, &*folder))));
        assert_eq!(settings.settings["jsonl-rotate"], "1GiB");
        assert_eq!(settings.settings["jsonl-files"], "9");
    }

    #[test]
    fn a_wrong_key_and_a_wrong_value_are_named_with_what_to_write() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(
            "[export]\njsnl = 'a'",
            "line 2: unknown key `jsnl`; did you mean `jsonl`?",
        );
        check(
            "[export]\njsonl = 'tcp://a'",
            "jsonl: `tcp://a` names no host and port; write ",
        );
        check(
            "[export]\ninterval = '1ms'",
            "interval: `1ms` is too short; the least is 1s",
        );
        check(
            "[export]\njsonl_rotate = '9'",
            "jsonl_rotate: `9` is no size; write ",
        );
        check(
            "[export]\ninterval = ['1s', '2s']",
            "interval: one text, and no list",
        );
    }
}
