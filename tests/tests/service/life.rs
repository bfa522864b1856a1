//! A service's life, under a service manager of its own: installed, started, counted, reloaded, its
//! interface gone and back, stuck and started again, stopped, removed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::flowwatch::Document;
use flowwatch_tests::lab::{Device, Lab};
use flowwatch_tests::machine::Machine;
use flowwatch_tests::plain::lab;
use flowwatch_tests::privilege::{Need, PACKAGE, granted};
use flowwatch_tests::process::{Process, Stream};

use super::{THREE, ensure_counted, make_anew, send};

const UNIT: &str = "flowwatch.service";
const CONFIGURATION: &str = "/etc/flowwatch.toml";
/// The package, in the machine.
const DEB: &str = "/var/tmp/flowwatch.deb";
const HISTORY: &str = "/var/lib/flowwatch/history.db";
/// What outlives the process.
const PINS: &str = "/sys/fs/bpf/flowwatch/v1";
const PATIENCE: Duration = Duration::from_mins(1);

/// A machine with the package installed, and the lab whose gateway it is.
struct Bench {
    lab: Lab,
    machine: Machine,
}

impl Bench {
    fn new(devices: usize) -> Result<Self> {
        let lab = lab(devices)?;
        let machine = Machine::start(&lab.gateway)?;
        machine.copy(&std::env::var(PACKAGE)?, DEB)?;
        machine.run("dpkg", &["--install", DEB])?;
        Ok(Self { lab, machine })
    }

    /// Puts interface and devices at the head and the end of the configuration that is installed.
    fn configure(&self, devices: &[&Device]) -> Result<()> {
        let installed = self.machine.run("cat", &[CONFIGURATION])?;
        let written = installed.split("\n# written").next().unwrap_or_default();
        let written = written.trim_start_matches(|line| line != '#');
        let interfaces: Vec<&str> = self.lab.devices.iter().map(|it| &*it.port).collect();
        let head = format!("interfaces = {interfaces:?}\ninterval = '50ms'\nbuiltin_geo = false\n");
        let devices = devices.iter().map(|device| {
            let (name, mac) = (&device.name, device.mac);
            format!("[[device]]\nname = '{name}'\nmac = '{mac}'\n")
        });
        let devices: String = devices.collect();
        let text = format!("{head}{written}\n# written by the test\n{devices}");
        self.machine.write(CONFIGURATION, &text)
    }

    fn systemctl(&self, verb: &str) -> Result<String> {
        self.machine.run("systemctl", &[verb, UNIT])
    }

    /// What the machine's threads of the service have in common under this key.
    fn of_every_thread(&self, key: &str) -> Result<String> {
        let pid = self.machine.property(UNIT, "MainPID")?;
        let ask = r#"grep -h "^$2:" "/proc/$1"/task/*/status | sort -u"#;
        let printed = self.machine.run("sh", &["-c", ask, "sh", &pid, key])?;
        Ok(printed.replace(&format!("{key}:"), "").trim().to_owned())
    }

    fn recorded(&self) -> Result<Document> {
        let options = ["report", "--history", HISTORY, "--format", "json"];
        Document::parse(&self.machine.run("flowwatch", &options)?)
    }
}

fn await_told(log: &Process, what: &str, nth: usize) -> Result<()> {
    let is_it = |line: &str| line.contains(what);
    log.wait_for_nth_line(Stream::Stdout, PATIENCE, nth, is_it)
        .map(drop)
}

fn ensure_limited(bench: &Bench) -> Result<()> {
    let machine = &bench.machine;
    let pid = machine.property(UNIT, "MainPID")?;
    let user = machine.run("stat", &["--format=%U:%G", &format!("/proc/{pid}")])?;
    ensure!(user.trim() == "flowwatch:flowwatch", "runs as {user}");
    for (key, expected) in [
        ("CapEff", THREE),
        ("CapPrm", THREE),
        ("CapBnd", THREE),
        ("CapInh", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
        // Filtered.
        ("Seccomp", "2"),
    ] {
        let found = bench.of_every_thread(key)?;
        ensure!(found == expected, "{key} of its threads: {found}");
    }
    Ok(())
}

#[test]
fn it_is_installed_counts_is_reloaded_stopped_and_removed() -> Result<()> {
    if !granted(&[Need::Root, Need::Package, Need::Systemd])? {
        return Ok(());
    }
    let bench = Bench::new(2)?;
    let (machine, lab) = (&bench.machine, &bench.lab);
    let [first, second] = &lab.devices[..] else {
        anyhow::bail!("two devices were asked for")
    };
    ensure!(machine.property(UNIT, "UnitFileState")? == "disabled");
    ensure!(machine.property(UNIT, "ActiveState")? == "inactive");
    let verified = machine.run("systemd-analyze", &["verify", UNIT])?;
    ensure!(verified.is_empty(), "{verified}");

    bench.configure(&[first])?;
    let log = machine.log_of(UNIT)?;
    bench
        .systemctl("start")
        .with_context(|| log.output(Stream::Stdout))?;
    // Ready means that it counts: what is sent from now on is counted.
    send(lab, first)?;
    ensure_limited(&bench)?;

    bench.configure(&[first, second])?;
    bench.systemctl("reload")?;
    await_told(&log, "took up the configuration: counts `d1`", 1)?;
    send(lab, second)?;
    lab.gateway.ip("link del lan0")?;
    await_told(&log, "the interface `lan0` is gone", 1)?;
    make_anew(lab, first)?;
    await_told(&log, "counting again on `lan0`", 1)?;
    send(lab, first)?;
    // After a load in another thread and an attachment, too.
    ensure_limited(&bench)?;
    let status = machine.property(UNIT, "StatusText")?;
    ensure!(status.contains("unaccounted 0"), "{status}");

    bench.systemctl("stop")?;
    ensure!(machine.property(UNIT, "Result")? == "success");
    let told = log.output(Stream::Stdout);
    ensure!(
        !told.contains("9.9.9.9"),
        "the journal has destinations: {told}"
    );
    // The kernel counts on, and the next one takes that over.
    send(lab, first)?;
    bench.systemctl("start")?;
    bench.systemctl("stop")?;
    let recorded = bench.recorded()?;
    ensure_counted(&recorded, "d0", 3)?;
    ensure_counted(&recorded, "d1", 1)?;
    ensure!(machine.has(PINS)?, "nothing is pinned");

    machine.run("dpkg", &["--remove", "flowwatch"])?;
    ensure!(machine.has(HISTORY)? && machine.has(CONFIGURATION)?);
    ensure!(!machine.has("/usr/bin/flowwatch")? && !machine.has(PINS)?);
    machine.run("dpkg", &["--purge", "flowwatch"])?;
    ensure!(!machine.has(CONFIGURATION)? && !machine.has("/var/lib/flowwatch")?);
    Ok(())
}

#[test]
fn one_that_is_stuck_or_killed_is_started_again_and_one_that_is_wrong_says_why() -> Result<()> {
    if !granted(&[Need::Root, Need::Package, Need::Systemd])? {
        return Ok(());
    }
    let bench = Bench::new(1)?;
    let (machine, lab) = (&bench.machine, &bench.lab);
    // Less patient than a real one, and at once.
    let sooner = "[Service]\nWatchdogSec=3s\nRestartSec=10ms\n";
    machine.run("mkdir", &["-p", "/etc/systemd/system/flowwatch.service.d"])?;
    machine.write(
        "/etc/systemd/system/flowwatch.service.d/sooner.conf",
        sooner,
    )?;
    machine.run("systemctl", &["daemon-reload"])?;
    let log = machine.log_of(UNIT)?;
    let wrong = bench.systemctl("start");
    ensure!(wrong.is_err(), "it started without anything to count");
    await_told(&log, "no device to count", 1)?;
    bench.systemctl("stop")?;

    bench.configure(&[lab.camera()])?;
    bench.systemctl("start")?;
    send(lab, lab.camera())?;
    let counting = "counting on `lan0`";
    machine.run("systemctl", &["kill", "--signal=STOP", UNIT])?;
    send(lab, lab.camera())?;
    await_told(&log, "Watchdog timeout", 1)?;
    await_told(&log, counting, 2)?;
    machine.run("systemctl", &["kill", "--signal=KILL", UNIT])?;
    await_told(&log, counting, 3)?;
    send(lab, lab.camera())?;
    bench.systemctl("stop")?;
    // Nothing of what was sent before, meanwhile and afterwards is lost or there twice.
    ensure_counted(&bench.recorded()?, "d0", 3)?;
    Ok(())
}
