//! `doctor`, live: what hides traffic in the lab is found, and what is well is said to be.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::Ebpf;
use aya::programs::tc::{self, NlOptions, TcAttachOptions};
use aya::programs::xdp::XdpMode;
use aya::programs::{SchedClassifier, TcAttachType, Xdp};
use flowwatch::diagnosis::CHECKS;
use flowwatch_tests::dns::{self, Question};
use flowwatch_tests::flowwatch::{Attach, Ended, PROGRAM, Run};
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::link::Mac;
use flowwatch_tests::plain;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream;
use maxminddb_writer::Database;
use maxminddb_writer::paths::IpAddrWithMask;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Programs that are not flowwatch's, for places that others take.
static OTHERS: &[u8] = aya::include_bytes_aligned!("../bpf/yardstick.bpf.o");

const PATIENCE: Duration = Duration::from_mins(1);
/// Frames that a device sends.
const FRAMES: u64 = 50;
/// A device that is nowhere.
const NOBODY: Mac = Mac([0x2c, 0xaa, 0x8e, 0, 0, 0x99]);

/// A gateway with devices behind `lan0`, `lan1`, …, which forwards nothing.
fn lab(devices: usize, is_bridged: bool) -> Result<Option<Lab>> {
    if !granted(&[Need::Root, Need::Flowwatch])? {
        return Ok(None);
    }
    let lab = if is_bridged {
        plain::bridged_lab(devices)?
    } else {
        plain::lab(devices)?
    };
    Ok(Some(lab))
}

/// A command line of `doctor` with a document for its result.
fn doctor(options: &[&str]) -> Result<Run> {
    let run = Run::new()?.command_word("doctor");
    Ok(run.options(&["--format", "json"]).options(options))
}

/// Listens for a device at an interface until `work` is done; returns how that ended.
fn listened(lab: &Lab, run: &Run, work: impl FnOnce() -> Result<()>) -> Result<Ended> {
    let process = run
        .clone()
        .options(&["--listen", "1h"])
        .spawn(&lab.gateway)?;
    process.wait_for_line(Stream::Stderr, PATIENCE, |line| {
        line.contains("listening on")
    })?;
    work()?;
    process.signal(Signal::SIGINT)?;
    Ended::of(&process)
}

/// What was found, as a document tells it.
struct Findings(Vec<Value>);

impl Findings {
    fn of(ended: &Ended) -> Result<Self> {
        let document: Value = serde_json::from_str(&ended.output)
            .with_context(|| format!("read the document of {ended:?}"))?;
        let findings = document["findings"].as_array();
        let findings = findings.context("find the findings")?.clone();
        let known = |id: &str| CHECKS.iter().any(|check| check.id == id);
        for finding in &findings {
            let id = finding["check"].as_str().unwrap_or_default();
            ensure!(known(id), "{finding}");
        }
        let worst = document["meta"]["worst"].as_str().unwrap_or_default();
        let fails = ended.status == Some(1);
        ensure!(fails == (worst == "error"), "{worst}: {ended:?}");
        Ok(Self(findings))
    }

    /// Looks for a check's finding on a subject, and for a part of what it says.
    fn check(&self, id: &str, subject: &str, severity: &str, part: &str) -> Result<()> {
        let is_it = |finding: &&Value| {
            finding["check"] == id && finding["subject"].as_str().unwrap_or_default() == subject
        };
        let finding = self.0.iter().find(is_it);
        let finding = finding.with_context(|| format!("find {id} of `{subject}`"))?;
        let found = finding["found"].as_str().unwrap_or_default();
        ensure!(
            finding["severity"] == severity && found.contains(part),
            "{finding}"
        );
        let must_advise = matches!(severity, "warning" | "error");
        ensure!(!must_advise || finding["advice"].is_string(), "{finding}");
        Ok(())
    }

    fn of_severity(&self, severity: &str) -> Vec<&str> {
        let findings = self.0.iter().filter(|it| it["severity"] == severity);
        findings.filter_map(|it| it["check"].as_str()).collect()
    }
}

fn examined(lab: &Lab, options: &[&str]) -> Result<Findings> {
    Findings::of(&doctor(options)?.to_end(&lab.gateway)?)
}

/// Puts somebody else's program in an interface's XDP slot; it goes with the value.
fn take_xdp_slot(lab: &Lab, interface: &str) -> Result<Ebpf> {
    let taken = lab.gateway.enter(|| -> Result<Ebpf> {
        let mut others = Ebpf::load(OTHERS)?;
        let program = others.program_mut("xdp_pass").context("find it")?;
        let xdp: &mut Xdp = program.try_into()?;
        xdp.load()?;
        xdp.attach(interface, XdpMode::Driver)?;
        Ok(others)
    });
    taken?.context("take the slot")
}

/// Adds somebody else's filter to an interface's clsact.
fn take_clsact(lab: &Lab, interface: &str) -> Result<Ebpf> {
    let taken = lab.gateway.enter(|| -> Result<Ebpf> {
        let mut others = Ebpf::load(OTHERS)?;
        let program = others.program_mut("tc_pass").context("find it")?;
        let classifier: &mut SchedClassifier = program.try_into()?;
        classifier.load()?;
        tc::qdisc_add_clsact(interface)?;
        let options = TcAttachOptions::Netlink(NlOptions::default());
        classifier.attach_with_options(interface, TcAttachType::Ingress, options)?;
        Ok(others)
    });
    taken?.context("add a filter")
}

#[test]
fn a_gateway_on_which_all_is_well_has_no_errors() -> Result<()> {
    let Some(lab) = lab(1, false)? else {
        return Ok(());
    };
    let findings = examined(&lab, &["--interface", "lan0"])?;
    ensure!(findings.of_severity("error").is_empty(), "{:?}", findings.0);
    ensure!(
        findings.of_severity("warning").is_empty(),
        "{:?}",
        findings.0
    );
    findings.check("host.privileges", "", "ok", "may load and attach")?;
    findings.check("kernel.programs", "", "ok", "takes all")?;
    findings.check("host.interfaces", "", "ok", "lan0")?;
    findings.check("interface.link", "lan0", "ok", "veth, MTU 1500")?;
    findings.check("interface.hook", "lan0", "ok", "native XDP is possible")?;
    findings.check("interface.xdp_slot", "lan0", "ok", "free")?;
    findings.check("interface.tc_programs", "lan0", "ok", "nobody")?;
    findings.check("interface.aggregates", "lan0", "ok", "GSO, TSO")?;
    // Nothing was named: all that carry MAC addresses.
    let findings = examined(&lab, &[])?;
    findings.check("host.interfaces", "", "info", "lan0")?;
    findings.check("interface.link", "wan0", "ok", "it is up")
}

#[test]
fn a_program_in_the_xdp_slot_is_told_of() -> Result<()> {
    let Some(lab) = lab(1, false)? else {
        return Ok(());
    };
    let _others = take_xdp_slot(&lab, "lan0")?;
    let findings = examined(&lab, &["--interface", "lan0"])?;
    let part = "the program xdp_pass (number";
    findings.check("interface.xdp_slot", "lan0", "warning", part)?;
    findings.check("interface.xdp_slot", "lan0", "warning", "(native)")?;
    findings.check("interface.hook", "lan0", "ok", "tc would take")?;
    let findings = examined(&lab, &["--interface", "lan0", "--attach", "xdp"])?;
    findings.check(
        "interface.hook",
        "lan0",
        "error",
        "another program has its XDP slot",
    )
}

#[test]
fn who_else_is_at_the_tc_hooks_is_told() -> Result<()> {
    let Some(lab) = lab(2, false)? else {
        return Ok(());
    };
    let _others = take_clsact(&lab, "lan0")?;
    let [first, second] = &lab.devices[..] else {
        unreachable!()
    };
    let run = Run::new()?.attach(Attach::Tc).interface(&second.port);
    let counting = run.device(&first.name, second.mac).start(&lab.gateway)?;
    let findings = examined(&lab, &["--interface", "lan0", "--interface", "lan1"])?;
    findings.check("interface.tc_programs", "lan0", "info", "bpf (clsact)")?;
    findings.check("interface.tc_programs", "lan1", "info", "another flowwatch")?;
    counting.stop().map(drop)
}

#[test]
fn a_port_that_is_named_alone_is_warned_of_and_a_bridge_stands_for_its_ports() -> Result<()> {
    let Some(lab) = lab(2, true)? else {
        return Ok(());
    };
    let findings = examined(&lab, &["--interface", "lan0"])?;
    findings.check(
        "interface.bridge",
        "lan0",
        "warning",
        "not counted on: lan1",
    )?;
    let findings = examined(&lab, &["--interface", "br0"])?;
    findings.check("interface.bridge", "lan0", "ok", "br0")?;
    findings.check("interface.bridge", "lan1", "ok", "br0")?;
    let findings = examined(&lab, &["--interface", "br0", "--interface", "eth9"])?;
    findings.check("host.interfaces", "", "error", "`eth9`")?;
    findings.check("interface.link", "lan0", "ok", "it is up")
}

#[test]
fn a_flowtable_is_told_of() -> Result<()> {
    let Some(lab) = lab(1, false)? else {
        return Ok(());
    };
    if !granted(&[Need::Program("nft"), Need::Flowtables])? {
        return Ok(());
    }
    let rules = "add table inet fw { flowtable fast { hook ingress priority 0; devices = { lan0, wan0 }; } }";
    lab.gateway.run("nft", &[rules])?;
    let findings = examined(&lab, &["--interface", "lan0"])?;
    findings.check("flowtable.offload", "fw fast", "info", "lan0, wan0")
}

#[test]
fn a_device_that_sends_is_seen_and_one_that_does_not_is_warned_of() -> Result<()> {
    let Some(lab) = lab(2, false)? else {
        return Ok(());
    };
    let camera = lab.camera();
    let options = ["--interface", "lan0", "--interface", "lan1"];
    let run = doctor(&options)?
        .device("camera", camera.mac)
        .device("plug", NOBODY);
    let run = run.options(&["--device", "any=2c:aa:8e:00:00:00/40"]);
    let ended = listened(&lab, &run, || plain::send(camera, FRAMES))?;
    let findings = Findings::of(&ended)?;
    let seen = format!("lan0 ({FRAMES} frames from it, 0 to it)");
    // Nobody answers in this lab: that is strange, and told.
    findings.check("device.seen", "camera", "warning", &seen)?;
    findings.check(
        "device.seen",
        "plug",
        "warning",
        "no frame of 2c:aa:8e:00:00:99",
    )?;
    findings.check(
        "interface.programs_run",
        "lan0",
        "ok",
        &format!("received {FRAMES} "),
    )?;
    findings.check("interface.programs_run", "lan1", "info", "no packet")?;
    // Tagged by itself, it is none of the prefix's.
    findings.check("device.seen", "any", "warning", "no frame")?;
    let by_prefix = doctor(&options)?.options(&["--device", "any=2c:aa:8e:*"]);
    let findings = Findings::of(&listened(&lab, &by_prefix, || plain::send(camera, FRAMES))?)?;
    findings.check("device.seen", "any", "warning", &seen)?;
    // Nothing of it stays.
    let findings = examined(&lab, &options)?;
    findings.check("interface.tc_programs", "lan0", "ok", "nobody")
}

#[test]
fn a_device_behind_an_interface_that_is_not_counted_on_is_an_error() -> Result<()> {
    let Some(lab) = lab(2, false)? else {
        return Ok(());
    };
    let camera = lab.camera();
    let run = doctor(&["--interface", "lan1"])?.device("camera", camera.mac);
    let findings = Findings::of(&listened(&lab, &run, || plain::send(camera, FRAMES))?)?;
    findings.check(
        "device.seen",
        "camera",
        "error",
        "the host knows it at lan0",
    )?;
    let quiet = run.options(&["--no-listen"]).to_end(&lab.gateway)?;
    let findings = Findings::of(&quiet)?;
    findings.check("device.seen", "camera", "warning", "last known at lan0")
}

#[test]
fn whom_a_device_asks_for_names_is_told() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("dnsmasq")])? {
        return Ok(());
    }
    let lab = Lab::builder().resolver(Resolver::Gateway).build()?;
    let camera = lab.camera();
    let run = doctor(&["--interface", "lan0"])?.device("camera", camera.mac);
    let ask = || {
        let server = lab.resolver_of(camera);
        dns::ask(
            &camera.namespace,
            server,
            "cm.iotcplatform.com",
            Question::A,
        )
        .map(drop)
    };
    let findings = Findings::of(&listened(&lab, &run, ask)?)?;
    findings.check(
        "device.seen",
        "camera",
        "ok",
        "lan0 (1 frames from it, 1 to it)",
    )?;
    findings.check("device.dns", "camera", "ok", "asks 192.168.8.1")
}

/// Writes a database of one network, built at a time.
fn database(folder: &TempDir, name: &str, built: u64) -> Result<PathBuf> {
    let mut database = Database::default();
    database.metadata.binary_format_major_version = 2;
    "test".clone_into(&mut database.metadata.database_type);
    database.metadata.build_epoch = built;
    let record = database.insert_value(json!({ "country_code": "KR" }))?;
    database.insert_node("52.0.0.0/8".parse::<IpAddrWithMask>()?, record);
    let path = folder.path().join(name);
    fs::write(&path, database.write_to(Vec::new())?)?;
    Ok(path)
}

/// 2024-02-29.
const STALE: u64 = 1_709_208_000;

#[test]
fn databases_and_histories_are_looked_at() -> Result<()> {
    let Some(lab) = lab(1, false)? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let now = std::time::UNIX_EPOCH.elapsed()?.as_secs();
    let (stale, fresh) = (
        database(&folder, "old.mmdb", STALE)?,
        database(&folder, "new.mmdb", now)?,
    );
    let broken = folder.path().join("broken.mmdb");
    fs::write(&broken, "no database")?;
    let path = |path: &PathBuf| path.display().to_string();
    let (stale, fresh, broken) = (path(&stale), path(&fresh), path(&broken));
    let history = path(&folder.path().join("h.db"));
    let findings = examined(
        &lab,
        &["--geo", &stale, "--geo", &fresh, "--history", &history],
    )?;
    findings.check("database.age", &stale, "warning", "2024-02-29")?;
    findings.check("database.age", &fresh, "ok", "0 days ago")?;
    findings.check("database.usable", "built-in", "ok", "flowwatch-builtin")?;
    findings.check("history.file", "", "info", "no history")?;
    let nowhere = path(&folder.path().join("none/h.db"));
    let findings = examined(&lab, &["--geo", &broken, "--history", &nowhere])?;
    findings.check("database.usable", &broken, "error", "broken.mmdb")?;
    findings.check("history.file", "", "error", "no such folder")
}

#[test]
fn a_history_that_a_run_recorded_is_told_with_its_span() -> Result<()> {
    let Some(lab) = lab(1, false)? else {
        return Ok(());
    };
    let (folder, camera) = (tempfile::tempdir()?, lab.camera());
    let (history, journal) = (folder.path().join("h.db"), folder.path().join("journal"));
    let (history, journal) = (history.display().to_string(), journal.display().to_string());
    fs::create_dir(&journal)?;
    let run = Run::new()?.interface("lan0").device("camera", camera.mac);
    let run = run.options(&["--history", &history, "--journal", &journal]);
    let counting = run.start(&lab.gateway)?;
    plain::send(camera, FRAMES)?;
    counting.stop()?;
    let findings = examined(&lab, &["--history", &history])?;
    findings.check("history.file", "", "ok", "holds 20")?;
    findings.check("history.space", "", "ok", "MiB")
}

#[test]
fn an_unprivileged_user_is_told_once_what_is_missing() -> Result<()> {
    let Some(lab) = lab(1, false)? else {
        return Ok(());
    };
    if !granted(&[Need::Program("setpriv")])? {
        return Ok(());
    }
    // Where nobody may read it.
    let folder = tempfile::Builder::new()
        .permissions(open_to_all())
        .tempdir()?;
    let program = folder.path().join("flowwatch");
    fs::copy(std::env::var(PROGRAM)?, &program)?;
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let options = ["--format", "json", "--interface", "lan0"];
    let run = Run::of(&program.display().to_string()).command_word("doctor");
    let run = run
        .options(&options)
        .device("camera", lab.camera().mac)
        .through(&nobody);
    let ended = run.to_end(&lab.gateway)?;
    ensure!(!ended.errors.contains("listening"), "{ended:?}");
    let findings = Findings::of(&ended)?;
    ensure!(
        findings.of_severity("error") == ["host.privileges"],
        "{:?}",
        findings.0
    );
    let missing = "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON missing; not looked at";
    findings.check("host.privileges", "", "error", missing)?;
    findings.check("host.privileges", "", "error", "device.seen")?;
    findings.check("interface.link", "lan0", "ok", "it is up")?;
    findings.check("interface.lro", "lan0", "ok", "off")
}

fn open_to_all() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

/// A document's lines, but for the one that tells the time.
fn untimed(ended: &Ended) -> Vec<&str> {
    let lines = ended.output.lines();
    lines.filter(|line| !line.contains("host.clock")).collect()
}

#[test]
fn a_warning_fails_where_the_user_is_strict() -> Result<()> {
    let Some(lab) = lab(2, true)? else {
        return Ok(());
    };
    let run = |options: &[&str]| -> Result<Ended> {
        let run = Run::new()?.command_word("doctor").interface("lan0");
        run.options(options).to_end(&lab.gateway)
    };
    let lenient = run(&[])?;
    ensure!(
        lenient.status == Some(0) && lenient.errors.is_empty(),
        "{lenient:?}"
    );
    ensure!(
        lenient.output.contains("\nINTERFACE lan0\n"),
        "{}",
        lenient.output
    );
    ensure!(
        lenient.output.contains("  warning  interface.bridge: "),
        "{}",
        lenient.output
    );
    let strict = run(&["--strict"])?;
    ensure!(
        strict.status == Some(1) && untimed(&strict) == untimed(&lenient),
        "{strict:?}"
    );
    ensure!(strict.errors.lines().count() == 1, "{strict:?}");
    Ok(())
}

#[test]
fn a_run_tells_once_what_would_hide_traffic_from_it() -> Result<()> {
    let Some(lab) = lab(2, true)? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let stale = database(&folder, "old.mmdb", STALE)?.display().to_string();
    let camera = lab.camera();
    let run = |interface: &str, options: &[&str]| -> Result<(Vec<String>, Value)> {
        let run = Run::new()?
            .interface(interface)
            .device("camera", camera.mac)
            .options(&["--format", "json"]);
        let ended = run.options(options).start(&lab.gateway)?.interrupt()?;
        let warnings = ended.errors.lines().filter(|line| line.contains("warn"));
        let document: Value = serde_json::from_str(&ended.output)?;
        let told = document["meta"]["warnings"].clone();
        Ok((warnings.map(str::to_owned).collect(), told))
    };
    let (warnings, told) = run("lan0", &["--geo", &stale])?;
    let [bridge, age] = &warnings[..] else {
        anyhow::bail!("two warnings were expected: {warnings:?}")
    };
    ensure!(
        bridge.contains("interface `lan0`: ") && bridge.contains("lan1"),
        "{bridge}"
    );
    ensure!(
        age.contains("old.mmdb") && age.contains("2024-02-29"),
        "{age}"
    );
    let [first, second] = &told.as_array().context("find the warnings")?[..] else {
        anyhow::bail!("the document has others: {told}")
    };
    ensure!(
        first["check"] == "interface.bridge" && first["subject"] == "lan0",
        "{first}"
    );
    ensure!(second["check"] == "database.age", "{second}");
    for (logged, told) in [(bridge, first), (age, second)] {
        let text = told["text"].as_str().context("find the text")?;
        ensure!(logged.ends_with(text), "{logged}: {text}");
    }
    let (warnings, told) = run("br0", &[])?;
    ensure!(warnings.is_empty() && told.is_null(), "{warnings:?} {told}");
    Ok(())
}
