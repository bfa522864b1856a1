//! What flowwatch may do while it counts, whoever starts it: looked up in `/proc` for every thread, and
//! tried by what it still has to be able to do.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::{Attach, Flowwatch, Run};
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::plain::lab;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{THREE, ensure_counted, make_anew, send};

const PATIENCE: Duration = Duration::from_mins(1);
/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;
/// `THREE`, and `CAP_CHOWN` (0), `CAP_DAC_OVERRIDE` (1) and `CAP_FOWNER` (3).
const WITH_FILES: &str = "000000c00000100b";

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch, Need::Program("setpriv")])
}

/// A folder with a configuration file, of this user's.
struct Place {
    folder: TempDir,
}

impl Place {
    fn of(user: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        chown(folder.path(), Some(user), Some(user))?;
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn configure(&self, lab: &Lab, devices: &[&Device]) -> Result<()> {
        let interfaces: Vec<&str> = lab.devices.iter().map(|it| &*it.port).collect();
        let head = format!("interfaces = {interfaces:?}\ninterval = '20ms'\nbuiltin_geo = false\n");
        let devices = devices.iter().map(|device| {
            let (name, mac) = (&device.name, device.mac);
            format!("[[device]]\nname = '{name}'\nmac = '{mac}'\n")
        });
        let devices: String = devices.collect();
        Ok(fs::write(self.path("fw.toml"), format!("{head}{devices}"))?)
    }

    fn run(&self) -> Result<Run> {
        let (config, socket) = (self.path("fw.toml"), self.path("live.sock"));
        let (history, journal) = (self.path("history.db"), self.path("journal"));
        let options = ["--config", &*config, "--socket", &*socket, "-v"];
        let records = [
            "--history",
            &*history,
            "--journal",
            &*journal,
            "--format",
            "json",
        ];
        Ok(Run::new()?.options(&options).options(&records))
    }
}

/// What a key of `/proc/PID/status` says for its threads.
fn of_threads(flowwatch: &Flowwatch, key: &str) -> Result<BTreeSet<String>> {
    let folder = format!("/proc/{}/task", flowwatch.process().pid());
    let mut found = BTreeSet::new();
    for thread in fs::read_dir(folder)? {
        // A thread may end meanwhile.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else {
            continue;
        };
        let value = status.lines().find_map(|line| line.strip_prefix(key));
        found.insert(
            value
                .with_context(|| format!("find {key}"))?
                .trim()
                .to_owned(),
        );
    }
    Ok(found)
}

fn ensure_limited(flowwatch: &Flowwatch, capabilities: &str) -> Result<()> {
    for (key, expected) in [
        ("CapEff:", capabilities),
        ("CapPrm:", capabilities),
        ("CapBnd:", capabilities),
        ("CapInh:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
    ] {
        let found = of_threads(flowwatch, key)?;
        ensure!(found == [expected.to_owned()].into(), "{key} {found:?}");
    }
    Ok(())
}

/// Counts, takes up another device, and counts on when an interface is back: what takes privileges.
fn check_work(place: &Place, run: &Run, capabilities: &str) -> Result<()> {
    let lab = lab(2)?;
    let [first, second] = &lab.devices[..] else {
        anyhow::bail!("two devices were asked for")
    };
    place.configure(&lab, &[first])?;
    let flowwatch = run.start(&lab.gateway)?;
    let await_told = |what: &str| {
        let is_it = |line: &str| line.contains(what);
        let process = flowwatch.process();
        process.wait_for_line(Stream::Stderr, PATIENCE, is_it)
    };
    ensure_limited(&flowwatch, capabilities)?;
    send(&lab, first)?;
    place.configure(&lab, &[first, second])?;
    flowwatch.process().signal(Signal::SIGHUP)?;
    await_told("took up the configuration: counts `d1`")?;
    send(&lab, second)?;
    lab.gateway.ip("link del lan0")?;
    await_told("the interface `lan0` is gone")?;
    make_anew(&lab, first)?;
    await_told("counting again on `lan0`")?;
    send(&lab, first)?;
    ensure_limited(&flowwatch, capabilities)?;
    let document = flowwatch.document()?;
    document.ensure_whole()?;
    ensure_counted(&document, "d0", 2)?;
    ensure_counted(&document, "d1", 1)
}

#[test]
fn root_goes_on_with_three_capabilities_and_does_all_the_same() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    for attach in [Attach::Xdp, Attach::Tc] {
        let place = Place::of(0)?;
        check_work(&place, &place.run()?.attach(attach), THREE)?;
    }
    let place = Place::of(0)?;
    let clsact = place.run()?.attach(Attach::Tc);
    check_work(&place, &clsact.options(&["--tc-hook", "clsact"]), THREE)
}

#[test]
fn root_becomes_a_user_who_owns_what_is_made() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let place = Place::of(NOBODY)?;
    let run = place.run()?.options(&["--user", "nobody"]);
    check_work(&place, &run, THREE)?;
    let owner = fs::metadata(place.path("history.db"))?.uid();
    ensure!(owner == NOBODY, "the history is {owner}'s");
    let unknown = place.run()?.options(&["--user", "no-such-user"]);
    let ended = unknown.to_end(&lab(1)?.gateway)?;
    ensure!(ended.status == Some(2), "{ended:?}");
    ensure!(ended.errors.contains("there is no such user"), "{ended:?}");
    Ok(())
}

#[test]
fn files_of_others_keep_what_they_need_and_are_written() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let place = Place::of(NOBODY)?;
    let output = place.path("devices.json");
    fs::write(&output, "old")?;
    chown(&output, Some(NOBODY), Some(NOBODY))?;
    let lab = lab(1)?;
    place.configure(&lab, &[lab.camera()])?;
    let run = place.run()?.options(&["--output", &output]);
    let flowwatch = run.start(&lab.gateway)?;
    ensure_limited(&flowwatch, WITH_FILES)?;
    send(&lab, lab.camera())?;
    flowwatch.stop()?;
    ensure!(fs::read_to_string(&output)?.contains("9.9.9.9"));
    ensure!(fs::metadata(&output)?.uid() == NOBODY, "it changed hands");
    Ok(())
}

/// Starts it as nobody with these capabilities, for a moment.
fn ended_with(lab: &Lab, place: &Place, capabilities: &[&str]) -> Result<(Option<i32>, String)> {
    let list = capabilities.join(",+");
    let [inherited, ambient, bounding] =
        ["inh-caps", "ambient-caps", "bounding-set"].map(|set| format!("--{set}=-all,+{list}"));
    let nobody = NOBODY.to_string();
    let starter = [
        "setpriv",
        "--reuid",
        &nobody,
        "--regid",
        &nobody,
        "--clear-groups",
        &inherited,
        &ambient,
        &bounding,
    ];
    let ended = place
        .run()?
        .options(&["--duration", "100ms"])
        .through(&starter)
        .to_end(&lab.gateway)?;
    Ok((ended.status, ended.errors))
}

#[test]
fn nobody_needs_three_capabilities_and_each_of_them() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(1)?;
    let place = Place::of(NOBODY)?;
    place.configure(&lab, &[lab.camera()])?;
    let three = ["bpf", "net_admin", "perfmon"];
    let (status, errors) = ended_with(&lab, &place, &three)?;
    ensure!(status == Some(0), "{errors}");
    ensure!(Path::new(&place.path("history.db")).is_file());
    for missing in three {
        let two: Vec<&str> = three.into_iter().filter(|it| *it != missing).collect();
        let (status, errors) = ended_with(&lab, &place, &two)?;
        ensure!(status == Some(3), "without {missing}: {status:?}, {errors}");
        ensure!(errors.contains("not permitted"), "{errors}");
    }
    Ok(())
}
