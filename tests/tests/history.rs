//! The history, live: what generators sent while several runs recorded is what the SQLite file says,
//! device by device and remote by remote, to whoever reads it with SQLite alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

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
    let path = |name: &str| folder.join(name).display().to_string();
    let (history, journal) = (path("history.db"), path("journal"));
    let mut run = Run::new()?.attach(Attach::Tc).options(&[
        "--no-builtin-geo",
        "--interval",
        "20ms",
        "--record-interval",
        "100ms",
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
    std::fs::remove_file(&history)?;
    for name in ["history.db-wal", "history.db-shm"] {
        std::fs::remove_file(folder.path().join(name))?;
    }
    std::fs::create_dir(&history)?;
    let fired = fire(&lab)?;
    let process = flowwatch.process();
    let told = process.wait_for_line(Output::Stderr, PATIENCE, |line| {
        line.contains("counting goes on")
    });
    ensure!(told.is_ok(), "no warning");
    std::fs::remove_dir(&history)?;
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
    std::fs::write(folder.path().join("history.db"), [b'x'; 5_000])?;
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
