//! The history, live: what generators sent while several runs recorded is what the SQLite file says,
//! device by device and remote by remote, to whoever reads it with SQLite alone.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use flowwatch_tests::dns::{self, Question, Record};
use flowwatch_tests::flowwatch::{Attach, Document, Ended, FlowKey, Flowwatch, Run};
use flowwatch_tests::lab::{Addressing, Device, DeviceSpec, Lab, Resolver};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::process::Stream as Output;
use flowwatch_tests::specimen::{Ends, Specimen, Way};
use flowwatch_tests::traffic::{self, Exchange};
use flowwatch_tests::volley::{self, Fired, Stream};
use flowwatch_tests::witness::{Traffic, UpDown};
use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};

const DEVICES: [&str; 2] = ["camera", "plug"];
/// Remotes of each device and family.
const REMOTES: u16 = 50;
const PACKETS: u64 = 40_000;
const PATIENCE: Duration = Duration::from_secs(30);

fn lab() -> Result<Lab> {
    let lab = Lab::builder().resolver(Resolver::Nobody);
    let add = |lab: flowwatch_tests::lab::LabBuilder, name: &&str| {
        lab.device(DeviceSpec::new(name, Addressing::Bare))
    };
    let lab = DEVICES.iter().fold(lab, add).build()?;
    lab.gateway.silence()?;
    for device in &lab.devices {
        device.namespace.silence()?;
    }
    Ok(lab)
}

fn specimens(device: &Device, way: Way) -> Vec<Specimen> {
    let mut specimens = Vec::new();
    for number in 0..REMOTES {
        let [high, low] = number.to_be_bytes();
        let remotes = [
            Ipv4Addr::new(203, 0, high, low).into(),
            Ipv6Addr::new(0x2600, 0x1f14, 0, 0xab, 0, 0, 7, number).into(),
        ];
        for remote in remotes {
            let ends = Ends::of(device, remote, way);
            let packet = ends.udp(ends.ip(ends.link()), 1_000 + number);
            let packet = packet.payload(usize::from(number) * 20).pad_to(60);
            specimens.push(Specimen::in_flow(&packet, remote, "udp", 1_000 + number));
        }
    }
    specimens
}

fn fire(lab: &Lab) -> Result<Fired> {
    let of = |device| {
        Way::BOTH.map(|way| Stream {
            device,
            way,
            specimens: specimens(device, way),
            packets: PACKETS,
        })
    };
    let streams: Vec<_> = lab.devices.iter().flat_map(of).collect();
    volley::fire(lab, &streams)
}

/// Begins a run that records in the folder's history.
fn start(lab: &Lab, folder: &Path) -> Result<Flowwatch> {
    run(lab, folder)?.start(&lab.gateway)
}

fn run(lab: &Lab, folder: &Path) -> Result<Run> {
    run_with(lab, folder, &folder.join("history.db"), "100ms")
}

/// Prepares a run that records in that history so often; its journal is in the folder.
fn run_with(lab: &Lab, folder: &Path, history: &Path, record_interval: &str) -> Result<Run> {
    let path = |name: &str| folder.join(name).display().to_string();
    let (history, journal) = (history.display().to_string(), path("journal"));
    let mut run = Run::new()?.attach(Attach::Tc).options(&[
        "--no-builtin-geo",
        "--interval",
        "20ms",
        "--record-interval",
        record_interval,
        "--history",
        &history,
        "--journal",
        &journal,
    ]);
    for device in &lab.devices {
        run = run.interface(&device.port).device(&device.name, device.mac);
    }
    Ok(run)
}

fn end(flowwatch: &Flowwatch) -> Result<Ended> {
    flowwatch.process().signal(Signal::SIGTERM)?;
    let ended = flowwatch.wait()?;
    ensure!(
        ended.status == Some(0),
        "ended with {:?}: {}",
        ended.status,
        ended.errors
    );
    Ok(ended)
}

fn add(sums: &mut BTreeMap<FlowKey, UpDown>, fired: &Fired) {
    for (key, traffic) in fired.ledger.flows() {
        let sum = sums.entry(key.clone()).or_default();
        for (way, traffic) in [(Way::Up, traffic.up), (Way::Down, traffic.down)] {
            *sum.way(way) += traffic;
        }
    }
}

/// Returns what the file says of each flow, as a user would ask for it.
fn recorded(folder: &Path) -> Result<BTreeMap<FlowKey, UpDown>> {
    let path = folder.join("history.db");
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare(
        "SELECT device, remote_address, protocol, remote_port,
             sum(up_packets), sum(up_octets), sum(down_packets), sum(down_octets)
         FROM minute JOIN destinations USING (destination) GROUP BY destination",
    )?;
    let mut rows = statement.query([])?;
    let mut sums = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let count = |column| -> Result<u64> { Ok(u64::try_from(row.get::<_, i64>(column)?)?) };
        let protocol: u8 = row.get(2)?;
        ensure!(protocol == 17, "protocol {protocol}");
        let address: String = row.get(1)?;
        let key = FlowKey {
            device: row.get(0)?,
            remote: address.parse().context(address)?,
            protocol: "udp".to_owned(),
            port: row.get(3)?,
        };
        let traffic = UpDown {
            up: Traffic {
                packets: count(4)?,
                octets: count(5)?,
            },
            down: Traffic {
                packets: count(6)?,
                octets: count(7)?,
            },
        };
        sums.insert(key, traffic);
    }
    Ok(sums)
}

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch])
}

#[test]
fn what_two_runs_recorded_is_what_was_sent_flow_by_flow() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let mut sent = BTreeMap::new();
    for _ in 0..2 {
        let flowwatch = start(&lab, folder.path())?;
        add(&mut sent, &fire(&lab)?);
        end(&flowwatch)?;
        ensure!(recorded(folder.path())? == sent, "not what was sent");
    }
    let octets: u64 = sent.values().map(|it| it.up.octets + it.down.octets).sum();
    eprintln!("{} flows, {octets} octets in two runs", sent.len());
    Ok(())
}

#[test]
fn a_file_that_goes_away_under_a_run_is_made_again_and_nothing_pending_is_lost() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let history = folder.path().join("history.db");
    let flowwatch = start(&lab, folder.path())?;
    // A folder in its place: nothing can be written from here on.
    fs::remove_file(&history)?;
    for name in ["history.db-wal", "history.db-shm"] {
        fs::remove_file(folder.path().join(name))?;
    }
    fs::create_dir(&history)?;
    let fired = fire(&lab)?;
    let process = flowwatch.process();
    let told = process.wait_for_line(Output::Stderr, PATIENCE, |line| {
        line.contains("counting goes on")
    });
    ensure!(told.is_ok(), "no warning");
    fs::remove_dir(&history)?;
    end(&flowwatch)?;
    let mut sent = BTreeMap::new();
    add(&mut sent, &fired);
    ensure!(recorded(folder.path())? == sent, "not what was sent");
    Ok(())
}

#[test]
fn a_history_that_can_t_be_written_ends_the_run_before_it_counts() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    fs::write(folder.path().join("history.db"), [b'x'; 5_000])?;
    let ended = run(&lab, folder.path())?.to_end(&lab.gateway)?;
    ensure!(ended.status == Some(1), "{:?}", ended.status);
    ensure!(
        ended
            .errors
            .contains("it is not an SQLite file; name another file"),
        "{}",
        ended.errors
    );
    ensure!(!ended.errors.contains("counting on"), "{}", ended.errors);
    Ok(())
}

/// One address of the cameras' rendezvous servers, and their port.
const RENDEZVOUS: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(50, 7, 98, 242)), 10_240);

/// Has the camera ask for a name.
fn ask(lab: &Lab, name: &str) -> Result<()> {
    let camera = lab.camera();
    dns::ask(
        &camera.namespace,
        lab.resolver_of(camera),
        name,
        Question::A,
    )?;
    Ok(())
}

/// Has the camera talk to the rendezvous server.
fn talk(lab: &Lab) -> Result<()> {
    let (address, port) = RENDEZVOUS;
    traffic::udp(
        &lab.camera().namespace,
        SocketAddr::new(address, port),
        Exchange { up: 40, down: 30 },
    )
}

/// Returns the names of the camera's flow to the rendezvous server, with their sources.
fn names_of(document: &Document) -> Result<Vec<(&str, &str)>> {
    let (address, port) = RENDEZVOUS;
    let mut flows = document.flows.values();
    let flow = flows.find(|it| (it.remote_address, it.remote_port) == (address, port));
    let names = &flow.context("find the flow")?.names;
    let names = names.iter();
    Ok(names
        .map(|it| (it.name.as_str(), it.source.as_str()))
        .collect())
}

#[test]
fn a_run_that_begins_anew_knows_the_names_of_the_one_before_until_the_device_is_told_others()
-> Result<()> {
    if !granted(&[Need::Root, Need::Program("dnsmasq"), Need::Flowwatch])? {
        return Ok(());
    }
    let address = |name: &str| Record::Address(name.to_owned(), RENDEZVOUS.0);
    let lab = Lab::builder()
        .records(vec![address("first.example"), address("second.example")])
        .build()?;
    let folder = tempfile::tempdir()?;
    let run = run(&lab, folder.path())?.options(&["--format", "json"]);
    let check = |act: &dyn Fn() -> Result<()>, expected: &[(&str, &str)]| -> Result<()> {
        let flowwatch = run.start(&lab.gateway)?;
        act()?;
        let document = flowwatch.document()?;
        let names = names_of(&document)?;
        ensure!(names == expected, "{names:?}, not {expected:?}");
        Ok(())
    };
    let asked = || {
        ask(&lab, "first.example")?;
        ask(&lab, "second.example")?;
        talk(&lab)
    };
    let told = [("second.example", "dns"), ("first.example", "dns")];
    check(&asked, &told)?;
    // Both may be meant: which of them the device went by is not known.
    let remembered = [("second.example", "history"), ("first.example", "history")];
    check(&|| talk(&lab), &remembered)?;
    check(&|| talk(&lab), &remembered)?;
    let asked_again = || {
        talk(&lab)?;
        ask(&lab, "first.example")?;
        talk(&lab)
    };
    check(&asked_again, &[("first.example", "dns")])
}

/// Returns the journal's last segment's number and length: what is taken makes them more.
fn journaled(folder: &Path) -> Result<(u64, u64)> {
    let mut last = (0, 0);
    for entry in fs::read_dir(folder.join("journal"))? {
        let entry = entry?;
        let name = entry.file_name().display().to_string();
        let number = name
            .rsplit_once('-')
            .and_then(|(_, number)| number.parse().ok());
        // Between the two, the writer may have removed it.
        if let (Some(number), Ok(metadata)) = (number, entry.metadata()) {
            last = last.max((number, metadata.len()));
        }
    }
    Ok(last)
}

/// Waits until all that passed before is taken: of two epochs, the second began when the first was over.
fn wait_until_taken(folder: &Path) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    let (mut last, mut epochs) = (journaled(folder)?, 0);
    while epochs < 2 {
        ensure!(Instant::now() < until, "nothing is taken any more");
        let now = journaled(folder)?;
        epochs += u8::from(now > last);
        last = last.max(now);
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn what_was_taken_before_a_kill_is_recorded_once_by_the_next_run() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let history = folder.path().join("history.db");
    let mut sent = BTreeMap::new();
    // Killed with all of it in the journal, and amid one transaction after the other.
    for record_interval in ["1h", "20ms", "20ms", "20ms", "1h"] {
        let run = run_with(&lab, folder.path(), &history, record_interval)?;
        let flowwatch = run.start(&lab.gateway)?;
        add(&mut sent, &fire(&lab)?);
        wait_until_taken(folder.path())?;
        flowwatch.process().signal(Signal::SIGKILL)?;
        ensure!(flowwatch.wait()?.status.is_none(), "not killed");
    }
    ensure!(
        recorded(folder.path())? != sent,
        "nothing was left to record"
    );
    end(&start(&lab, folder.path())?)?;
    ensure!(recorded(folder.path())? == sent, "not what was sent");
    Ok(())
}

/// Waits until the run has told that it can't record, for this reason.
fn wait_until_told(flowwatch: &Flowwatch, reason: &str) -> Result<()> {
    let process = flowwatch.process();
    let is_told = |line: &str| line.contains(reason) && line.contains("counting goes on");
    let told = process.wait_for_line(Output::Stderr, PATIENCE, is_told);
    told.map(drop)
        .with_context(|| process.output(Output::Stderr))
}

/// Spoils the page with which a table begins; returns where it is, and what it was.
fn spoil(history: &Path, table: &str) -> Result<(u64, Vec<u8>)> {
    let connection = Connection::open(history)?;
    let size: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
    let number: u32 = connection.query_row(sql, [table], |row| row.get(0))?;
    drop(connection);
    let file = OpenOptions::new().read(true).write(true).open(history)?;
    let at = u64::from(number - 1) * u64::from(size);
    let mut page = vec![0; usize::try_from(size)?];
    file.read_exact_at(&mut page, at)?;
    file.write_all_at(&vec![0xa5; page.len()], at)?;
    Ok((at, page))
}

#[test]
fn what_a_damaged_file_does_not_take_is_written_when_it_is_put_right() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let history = folder.path().join("history.db");
    let mut sent = BTreeMap::new();
    let flowwatch = start(&lab, folder.path())?;
    add(&mut sent, &fire(&lab)?);
    end(&flowwatch)?;
    let (at, page) = spoil(&history, "minute")?;
    let flowwatch = start(&lab, folder.path())?;
    add(&mut sent, &fire(&lab)?);
    wait_until_told(&flowwatch, "it is damaged; move it away")?;
    add(&mut sent, &fire(&lab)?);
    let file = OpenOptions::new().write(true).open(&history)?;
    file.write_all_at(&page, at)?;
    end(&flowwatch)?;
    ensure!(recorded(folder.path())? == sent, "not what was sent");
    Ok(())
}

/// Makes a small disk at its first word, which ends with the program that the others start.
const WITH_A_SMALL_DISK: &str = r#"mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@""#;

/// Fills a disk to its last octet.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    Ok(())
}

#[test]
fn what_a_full_disk_does_not_take_is_written_when_there_is_room() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("unshare")])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let disk = folder.path().join("disk");
    fs::create_dir(&disk)?;
    let words = ["unshare", "--mount", "sh", "-c", WITH_A_SMALL_DISK];
    let disk_word = disk.display().to_string();
    let words: Vec<_> = words.into_iter().chain([&*disk_word]).collect();
    let run = run_with(&lab, folder.path(), &disk.join("history.db"), "100ms")?;
    let flowwatch = run.through(&words).start(&lab.gateway)?;
    // The disk is the process's own: it is seen through it, and kept by whoever has it open.
    let process = flowwatch.process();
    let root = PathBuf::from(format!("/proc/{}/root", process.pid()));
    let open = File::open(root.join(disk.strip_prefix("/")?))?;
    let disk = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
    let mut sent = BTreeMap::new();
    fill(&disk.join("filling"))?;
    add(&mut sent, &fire(&lab)?);
    wait_until_told(&flowwatch, "the disk is full; free space there")?;
    add(&mut sent, &fire(&lab)?);
    fs::remove_file(disk.join("filling"))?;
    process.wait_for_line(Output::Stderr, PATIENCE, |line| {
        line.contains("is written again")
    })?;
    end(&flowwatch)?;
    fs::copy(disk.join("history.db"), folder.path().join("history.db"))?;
    ensure!(recorded(folder.path())? == sent, "not what was sent");
    Ok(())
}

#[test]
fn a_history_that_may_only_be_read_ends_the_run_before_it_counts() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch, Need::Program("setpriv")])? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let kept = folder.path().join("kept");
    fs::create_dir(&kept)?;
    let history = kept.join("history.db");
    let run = run_with(&lab, folder.path(), &history, "100ms")?;
    end(&run.start(&lab.gateway)?)?;
    // Root, but for what lets root write where it may not.
    let words = [
        "setpriv",
        "--bounding-set=-dac_override",
        "--inh-caps=-dac_override",
    ];
    let run = run.through(&words);
    let check = |path: &Path, mode: u32, expected: &str| -> Result<()> {
        let before = fs::metadata(path)?.permissions();
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let ended = run.to_end(&lab.gateway)?;
        fs::set_permissions(path, before)?;
        ensure!(ended.status == Some(1), "{:?}", ended.status);
        ensure!(ended.errors.contains(expected), "{}", ended.errors);
        ensure!(!ended.errors.contains("counting on"), "{}", ended.errors);
        Ok(())
    };
    check(
        &history,
        0o400,
        "let flowwatch write to the file and to its folder",
    )?;
    check(
        &kept,
        0o500,
        "let flowwatch write to the file and to its folder",
    )?;
    end(&run.start(&lab.gateway)?)?;
    Ok(())
}
