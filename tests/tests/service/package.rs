//! The Debian package, as Debian's own reader and others see what is in it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::Run;
use flowwatch_tests::privilege::{Need, PACKAGE, granted};
use flowwatch_tests::process::output_of;
use tempfile::TempDir;

fn package() -> Result<String> {
    std::env::var(PACKAGE).with_context(|| format!("read {PACKAGE}"))
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C.UTF-8");
    output_of(command, "").with_context(|| format!("{program} {arguments:?}"))
}

/// The package's files, unpacked.
fn unpacked() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_string_lossy();
    run("dpkg-deb", &["--extract", &package()?, &path])?;
    Ok(folder)
}

fn is_possible() -> Result<bool> {
    granted(&[Need::Package, Need::Flowwatch, Need::Program("dpkg-deb")])
}

#[test]
fn lintian_finds_nothing_wrong() -> Result<()> {
    if !is_possible()? || !granted(&[Need::Program("lintian")])? {
        return Ok(());
    }
    // That no bug of Debian's asked for it is no fault of the package's.
    let known = "--suppress-tags=initial-upload-closes-no-bugs";
    let told = run(
        "lintian",
        &[
            "--fail-on=error,warning",
            "--allow-root",
            known,
            &package()?,
        ],
    )?;
    ensure!(told.trim().is_empty(), "{told}");
    Ok(())
}

#[test]
fn every_command_has_a_manual_page_that_groff_takes_without_a_word() -> Result<()> {
    if !is_possible()? || !granted(&[Need::Program("groff")])? {
        return Ok(());
    }
    let folder = unpacked()?;
    let help = Run::new()?
        .command_word("help")
        .end_with(Vec::new())?
        .output;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    // What goes on from the line before is further in.
    let names = lines.filter_map(|line| line.strip_prefix("  "));
    let names = names.filter(|line| !line.starts_with(' '));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let mut pages = vec!["flowwatch".to_owned()];
    pages.extend(
        names
            .filter(|name| *name != "help")
            .map(|name| format!("flowwatch-{name}")),
    );
    ensure!(pages.len() > 5, "{help}");
    for page in pages {
        let path = folder
            .path()
            .join(format!("usr/share/man/man1/{page}.1.gz"));
        let mut command = Command::new("sh");
        let render = r#"gunzip -c "$1" | groff -Kutf8 -Tutf8 -man -ww 2>&1 >/dev/null"#;
        command.args(["-c", render, "sh"]).arg(&path);
        let warnings = output_of(command, "")?;
        ensure!(path.is_file() && warnings.is_empty(), "{page}: {warnings}");
    }
    Ok(())
}

#[test]
fn bash_completes_a_command_by_what_the_package_brings() -> Result<()> {
    if !is_possible()? || !granted(&[Need::Program("bash")])? {
        return Ok(());
    }
    let folder = unpacked()?;
    let script = folder
        .path()
        .join("usr/share/bash-completion/completions/flowwatch");
    let ask = r#". "$1"; COMP_WORDS=(flowwatch run --inter); COMP_CWORD=2
        _flowwatch flowwatch --inter run; echo "${COMPREPLY[*]}""#;
    let told = run("bash", &["-c", ask, "bash", &script.to_string_lossy()])?;
    ensure!(told.trim() == "--interface --interval", "{told}");
    Ok(())
}

#[test]
fn what_is_installed_belongs_to_root_and_the_program_is_the_one_under_test() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let listed = run("dpkg-deb", &["--contents", &package()?])?;
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (Some(mode), Some(owner)) = (words.next(), words.next()) else {
            anyhow::bail!("{line}")
        };
        ensure!(owner == "0/0" || owner == "root/root", "{line}");
        // Neither set-user-ID nor writable for others than root.
        ensure!(
            !mode.contains('s') && mode.matches('w').count() == 1,
            "{line}"
        );
    }
    let folder = unpacked()?;
    let version = |program: &Path| -> Result<String> {
        let mut command = Command::new(program);
        command.arg("--version");
        output_of(command, "")
    };
    let installed = version(&folder.path().join("usr/bin/flowwatch"))?;
    ensure!(installed.starts_with("flowwatch "), "{installed}");
    let unit = fs::read_to_string(
        folder
            .path()
            .join("usr/lib/systemd/system/flowwatch.service"),
    )?;
    ensure!(unit.contains("ExecStart=/usr/bin/flowwatch run "), "{unit}");
    Ok(())
}
