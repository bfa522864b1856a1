//! The example configuration that packages install: it can be read, names every setting, and what it
//! shows as in use without a line is.

use std::path::Path;

use super::{DEVICE_KEYS, KEYS, export, history, parse};
use crate::export::DEFAULT_EXPORT_INTERVAL;
use crate::history::Retention;
use crate::kernel::pins::DEFAULT_PIN_DIRECTORY;
use crate::live::SocketOptions;
use crate::plan::{
    DEFAULT_FLOW_TABLE_SIZE, DEFAULT_HISTORY, DEFAULT_INTERVAL, DEFAULT_RECORD_INTERVAL,
    DEFAULT_RUN_DIRECTORY, PlanError, RunPlan, Settings,
};

const EXAMPLE: &str = include_str!("../../packaging/flowwatch.toml");
const PATH: &str = "/etc/flowwatch.toml";

fn read(text: &str) -> Settings {
    parse(Path::new(PATH), text).unwrap()
}

/// The file with every setting in use.
fn with_all() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn as_it_is_installed_it_records_and_asks_for_a_device() {
    let settings = read(EXAMPLE);
    assert_eq!(
        settings.history.file.as_deref(),
        Some(Path::new(DEFAULT_HISTORY))
    );
    assert_eq!(settings.persist.persist, Some(true));
    assert_eq!(
        RunPlan::try_from(settings).unwrap_err(),
        PlanError::NoDevice
    );
}

#[test]
fn every_setting_is_in_it() {
    let text = with_all();
    let keys = KEYS.iter().chain(history::KEYS).chain(export::KEYS.iter());
    for key in keys.chain(DEVICE_KEYS) {
        let is_in_it = |line: &str| {
            let line = line.trim_matches(['[', ']']);
            line == *key || line.starts_with(&format!("{key} ="))
        };
        assert!(text.lines().any(is_in_it), "{key}");
    }
    assert!(RunPlan::try_from(read(&text)).is_ok());
}

#[test]
fn what_it_shows_as_in_use_is() {
    let settings = read(&with_all());
    assert_eq!(settings.interval, Some(DEFAULT_INTERVAL));
    assert_eq!(settings.flow_table_size, Some(DEFAULT_FLOW_TABLE_SIZE));
    assert_eq!(settings.builtin_geo, Some(true));
    assert_eq!(
        settings.attach,
        Some(crate::kernel::attach::AttachMode::default())
    );
    assert_eq!(settings.socket.path(), SocketOptions::default().path());
    assert_eq!(
        settings.history.record_interval,
        Some(DEFAULT_RECORD_INTERVAL)
    );
    assert_eq!(settings.export.interval, Some(DEFAULT_EXPORT_INTERVAL));
    let persist = settings.persist.options();
    assert_eq!(persist.pins, Path::new(DEFAULT_PIN_DIRECTORY));
    assert_eq!(persist.run_directory, Path::new(DEFAULT_RUN_DIRECTORY));
    let recorder = settings.history.into_options(&settings.persist).unwrap();
    assert_eq!(recorder.retention, Retention::default());
}
