//! The unit, as systemd's own reader sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::output_of;

/// What systemd gives for exposure, times ten, at most; 100 is a service without any limits.
const MOST_EXPOSED: &str = "20";

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../flowwatch/packaging/flowwatch.service")
}

fn analyze(arguments: &[&str], unit: &Path) -> Result<String> {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg(unit).env("LC_ALL", "C.UTF-8");
    output_of(command, "").with_context(|| format!("systemd-analyze {arguments:?}"))
}

#[test]
fn systemd_finds_the_service_little_exposed() -> Result<()> {
    if !granted(&[Need::Program("systemd-analyze")])? {
        return Ok(());
    }
    let threshold = format!("--threshold={MOST_EXPOSED}");
    let told = analyze(&["security", "--offline=true", &threshold], &unit())?;
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("CAP_")).collect();
    ensure!(!lines.is_empty(), "{told}");
    // Of all capabilities that it asks for, those of networks and of programs alone are there.
    let exposed: Vec<&str> = lines
        .into_iter()
        .filter(|line| line.contains('✗'))
        .collect();
    let is_known = |line: &&str| line.contains("CAP_NET_ADMIN") || line.contains("CAP_BPF");
    ensure!(exposed.iter().all(is_known), "{exposed:?}");
    Ok(())
}
