//! Bad input: each kind ends in one clear sentence and the right exit status, before anything is
//! counted.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::{Ended, Run};
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::privilege::{Need, granted};
use tempfile::TempDir;

const USAGE: i32 = 2;
const NOT_PERMITTED: i32 = 3;
const DEVICE: &str = "camera=2c:aa:8e:00:00:01";
/// What a run needs, and what keeps it short.
const RIGHT: &[&str] = &["-i", "lan0", "-d", DEVICE, "--duration", "50ms"];

fn lab() -> Result<Option<Lab>> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("setpriv")])? {
        return Ok(None);
    }
    Lab::builder().resolver(Resolver::Nobody).build().map(Some)
}

/// Runs to the end with these options and by way of these words.
fn ended(lab: &Lab, starter: &[&str], options: &[&str]) -> Result<Ended> {
    let run = Run::new()?.through(starter).options(options);
    run.to_end(&lab.gateway)
}

/// Fails unless the end has this status, and one sentence on standard error with all `parts`.
fn ensure_refused(ended: &Ended, status: i32, parts: &[&str]) -> Result<()> {
    ensure!(ended.status == Some(status), "not {status}: {ended:?}");
    ensure!(ended.output.is_empty(), "{ended:?}");
    ensure!(ended.errors.lines().count() == 1, "{}", ended.errors);
    ensure!(ended.errors.starts_with("flowwatch: "), "{}", ended.errors);
    for part in parts {
        ensure!(
            ended.errors.contains(part),
            "`{part}` is missing: {}",
            ended.errors
        );
    }
    Ok(())
}

#[test]
fn a_wish_that_cannot_be_met_is_told_with_what_to_do() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let check = |options: &[&str], parts: &[&str]| -> Result<()> {
        ensure_refused(&ended(&lab, &[], options)?, USAGE, parts)
    };
    check(
        &["-i", "nope", "-d", DEVICE],
        &["`nope`", "no such interface", "lan0"],
    )?;
    check(&["-i", "lo", "-d", DEVICE], &["`lo`", "no MAC addresses"])?;
    check(
        &["-i", "lan0", "-d", "camera=2c:aa"],
        &["`2c:aa` is not a MAC address"],
    )?;
    check(&["-i", "lan0", "-d", "camera"], &["write NAME=MAC"])?;
    check(&["-i", "lan0"], &["no device", "--device camera="])?;
    check(&["-d", DEVICE], &["no interface", "--interface br-lan"])?;
    check(&["--attach", "skb"], &["auto, xdp, tc"])?;
    check(&["--interval", "0s"], &["`0s` is not a length of time"])?;
    check(&["--colour"], &["--colour"])?;
    let output = |path| [RIGHT, &["--output", path]].concat();
    check(&output("/tmp"), &["`/tmp`", "name a file in it"])?;
    check(
        &output("/nowhere/out"),
        &["`/nowhere/out`", "`/nowhere` can't be written to"],
    )?;
    let geo = [RIGHT, &["--geo", "/nowhere/x.mmdb"]].concat();
    check(&geo, &["`/nowhere/x.mmdb`", "no such file"])
}

#[test]
fn a_read_only_folder_is_found_out_before_counting() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let read_only = "mount -t tmpfs -o ro none /mnt && exec \"$@\"";
    let options = [RIGHT, &["--output", "/mnt/out.json"]].concat();
    let ended = ended(&lab, &["sh", "-c", read_only, "sh"], &options)?;
    ensure_refused(
        &ended,
        USAGE,
        &["/mnt/out.json", "can't be written to", "Read-only"],
    )
}

#[test]
fn missing_privileges_are_named() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let by = |capabilities: &str| {
        let bound = format!("--bounding-set={capabilities}");
        ended(&lab, &["setpriv", &bound], RIGHT)
    };
    let words = &["not permitted; run flowwatch as root or with CAP_BPF, CAP_NET_ADMIN"];
    // Each of the three alone is missed, and so are all.
    for capabilities in [
        "-all",
        "-all,+net_admin,+perfmon",
        "-all,+bpf,+perfmon",
        "-all,+bpf,+net_admin",
    ] {
        ensure_refused(&by(capabilities)?, NOT_PERMITTED, words)?;
    }
    let ended = by("-all,+bpf,+net_admin,+perfmon")?;
    ensure!(ended.status == Some(0), "the three suffice: {ended:?}");
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let folder = TempDir::new()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let copy = folder.path().join("flowwatch");
    fs::copy(std::env::var("FLOWWATCH_BIN")?, &copy)?;
    let run = Run::of(&copy.to_string_lossy())
        .through(&nobody)
        .options(RIGHT);
    ensure_refused(&run.to_end(&lab.gateway)?, NOT_PERMITTED, words)
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_with_its_place() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let folder = TempDir::new()?;
    let path = folder.path().join("fw.toml");
    let of = |path: &Path, starter: &[&str], parts: &[&str]| -> Result<()> {
        let path = path.to_string_lossy();
        let ended = ended(&lab, starter, &["--config", &path])?;
        ensure_refused(&ended, USAGE, &[parts, &[&*path]].concat())
    };
    for (text, parts) in [
        (
            "\nintervall = '1s'",
            &["line 2", "did you mean `interval`?"][..],
        ),
        (
            "interface = 'lan0'",
            &["line 1", "did you mean `interfaces`?"],
        ),
        (
            "interval = 1",
            &["line 1", "invalid type: integer", "string"],
        ),
        ("interfaces = 'lan0'", &["line 1", "expected a sequence"]),
        ("[device]\nname = 'a'", &["line 1", "write [[device]]"]),
        ("[[device]]\nname = 'a'", &["missing field `mac`"]),
        ("interval = '1s", &["line 1"]),
        ("a\u{1b}[2J = 1", &["line 1"]),
    ] {
        fs::write(&path, text)?;
        of(&path, &[], parts)?;
    }
    fs::write(&path, b"format = '\xe9'")?;
    of(&path, &[], &["not UTF-8"])?;
    fs::write(&path, vec![b'#'; 2 << 20])?;
    of(&path, &[], &["too large"])?;
    of(folder.path(), &[], &["directory"])?;
    of(Path::new("/dev/zero"), &[], &["too large"])?;
    of(Path::new("/nowhere/fw.toml"), &[], &["No such file"])?;
    // Who may read every file has to give that right away first.
    fs::set_permissions(&path, Permissions::from_mode(0o000))?;
    let nobody = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    of(&path, &nobody, &["Permission denied"])
}

#[test]
fn what_is_no_text_is_shown_escaped() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let folder = TempDir::new()?;
    let name = std::ffi::OsStr::from_bytes(b"geo\x1b[31m\xff\n.mmdb");
    symlink("/dev/null", folder.path().join(name))?;
    let mut command = Run::new()?.options(RIGHT).command(&lab.gateway);
    command.arg("--geo").arg(folder.path().join(name));
    let process = flowwatch_tests::process::Process::spawn(command)?;
    let (status, _, errors) = process.finish(std::time::Duration::from_secs(30))?;
    ensure!(status.code() == Some(USAGE), "{status}: {errors}");
    ensure!(
        errors.lines().count() == 1 && !errors.contains('\u{1b}'),
        "{errors:?}"
    );
    ensure!(errors.contains("neither a file nor a folder"), "{errors:?}");
    Ok(())
}
