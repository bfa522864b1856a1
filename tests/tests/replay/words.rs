//! What is said: in every format of a capture, and of what is no capture.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Result, ensure};
use flowwatch_tests::capture_file::{ETHERNET, FileFormat, RAW};
use flowwatch_tests::flowwatch::{Ended, Run};
use flowwatch_tests::privilege::{Need, granted};

use crate::{CAMERA, conversation, has_program};

const USAGE: i32 = 2;
const NOT_PERMITTED: i32 = 3;

#[test]
fn every_format_can_be_had_of_a_capture() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let device = format!("camera={CAMERA}");
    let cases = [
        (
            "table",
            "from the capture standard input: 2 packets, 2019-06-01",
        ),
        (
            "json",
            "\"capture\":{\"file\":\"standard input\",\"format\":\"pcap\"",
        ),
        ("jsonl", "\"up_octets\":78"),
        ("csv", "camera,2c:aa:8e:00:00:01,"),
        ("markdown", "## camera (2c:aa:8e:00:00:01)"),
    ];
    for (format, part) in cases {
        let run = Run::replay("-")?.options(&["--format", format, "--device", &device]);
        let ended = run.end_with(FileFormat::Pcap.write(ETHERNET, &conversation()))?;
        ensure!(
            ended.status == Some(0) && ended.errors.is_empty(),
            "{ended:?}"
        );
        ensure!(ended.output.contains(part), "{}", ended.output);
    }
    Ok(())
}

#[test]
fn a_device_that_is_not_in_the_capture_is_told() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let part = "No frame of this device is in the capture";
    for (format, is_in_output) in [("table", true), ("csv", false)] {
        let run = Run::replay("-")?.options(&["-f", format, "-d", "plug=50:c7:bf:0a:0b:0c"]);
        let ended = run.end_with(FileFormat::Pcap.write(ETHERNET, &conversation()))?;
        ensure!(ended.status == Some(0), "{ended:?}");
        let told = if is_in_output {
            &ended.output
        } else {
            &ended.errors
        };
        ensure!(told.contains(part), "{ended:?}");
    }
    Ok(())
}

/// Fails unless the end has this status, and one sentence on standard error with all `parts`.
fn ensure_refused(ended: &Ended, status: i32, parts: &[&str]) -> Result<()> {
    ensure!(ended.status == Some(status), "not {status}: {ended:?}");
    ensure!(ended.output.is_empty(), "{ended:?}");
    ensure!(ended.errors.lines().count() == 1, "{}", ended.errors);
    for part in parts {
        let errors = &ended.errors;
        ensure!(errors.contains(part), "`{part}` is missing: {errors}");
    }
    Ok(())
}

#[test]
fn what_is_no_capture_is_told_in_one_sentence_with_what_to_do() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let check = |input: &[u8], parts: &[&str]| {
        let ended = Run::replay("-")?.end_with(input.to_vec())?;
        ensure_refused(&ended, USAGE, parts)
    };
    check(b"", &["standard input", "it is empty"])?;
    check(
        b"neither this nor that, at any length",
        &["neither pcap nor pcapng"],
    )?;
    check(
        &[0x1f, 0x8b, 8, 0, 1, 2, 3],
        &["zcat FILE | flowwatch replay -"],
    )?;
    check(&[0xd4, 0xc3, 0xb2], &["neither pcap nor pcapng"])?;
    check(
        &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0],
        &["ends within its header"],
    )?;
    let usb = FileFormat::Pcap.write(220, &[]);
    check(&usb, &["USB", "it carries no IP"])?;
    let raw = FileFormat::Pcap.write(RAW, &[]);
    check(&raw, &["raw IP", "--device camera=192.168.8.214"])
}

#[test]
fn a_file_that_cannot_be_read_is_told() -> Result<()> {
    if !has_program()? {
        return Ok(());
    }
    let of = |path: &str| Run::replay(path)?.end_with(Vec::new());
    let missing = of("/nowhere/x.pcap")?;
    ensure_refused(&missing, USAGE, &["`/nowhere/x.pcap`", "No such file"])?;
    ensure_refused(&of("/")?, USAGE, &["`/`", "name a file in it"])?;
    let no_file = Run::replay("--format")?.options(&["csv"]);
    let no_file = no_file.end_with(Vec::new())?;
    ensure_refused(&no_file, USAGE, &["<FILE|->"])
}

#[test]
fn a_file_that_may_not_be_read_is_told() -> Result<()> {
    if !has_program()? || !granted(&[Need::Root, Need::Program("setpriv")])? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let file = folder.path().join("secret.pcap");
    fs::write(&file, FileFormat::Pcap.write(ETHERNET, &conversation()))?;
    fs::set_permissions(&file, Permissions::from_mode(0o600))?;
    let program = folder.path().join("flowwatch");
    fs::copy(std::env::var("FLOWWATCH_BIN")?, &program)?;
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let run = |file: &Path| {
        let program = program.display().to_string();
        let words = ["--", &program, "replay", &file.display().to_string()].map(str::to_owned);
        let mut command = std::process::Command::new(nobody[0]);
        command.args(&nobody[1..]).args(words);
        Ended::of(&flowwatch_tests::process::Process::spawn(command)?)
    };
    let ended = run(&file)?;
    ensure_refused(&ended, NOT_PERMITTED, &["secret.pcap", "ermission denied"])?;
    // Nobody needs no privilege.
    fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    let ended = run(&file)?;
    ensure!(ended.status == Some(0), "{ended:?}");
    Ok(())
}
