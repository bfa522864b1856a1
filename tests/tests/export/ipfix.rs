//! IPFIX, read by three collectors that share no code with flowwatch: nfdump's nfcapd, pmacct's
//! nfacctd, and tshark, which reads what went over the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::{IpAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc;
use std::{fs, thread};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use flowwatch_tests::capture::{Capture, Captured};
use flowwatch_tests::flowwatch::FlowKey;
use flowwatch_tests::lab::Lab;
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::privilege::Need;
use flowwatch_tests::process::{self, Process, Stream};
use flowwatch_tests::specimen::Way;
use flowwatch_tests::volley::Fired;
use flowwatch_tests::witness::{Traffic, UpDown};
use nix::sys::signal::Signal;
use roxmltree::{Document, Node};
use tempfile::TempDir;

use super::{DEVICES, PATIENCE, end, fire, is_possible, lab, start};

/// What a collector was told: by device and flow, and by device in no flow.
#[derive(Debug, Default, PartialEq, Eq)]
struct Collected {
    flows: BTreeMap<FlowKey, UpDown>,
    rests: BTreeMap<String, UpDown>,
}

/// A collector's record: of the two ends, one is the device's, of which the address isn't known.
#[derive(Debug)]
struct Record<'a> {
    /// MAC address, IP address and port, of the source and of the destination.
    ends: [[&'a str; 3]; 2],
    protocol: &'a str,
    packets: &'a str,
    octets: &'a str,
}

const NO_MAC: &str = "00:00:00:00:00:00";

impl Collected {
    fn add(&mut self, lab: &Lab, record: &Record<'_>) -> Result<()> {
        let what = || format!("{record:?}");
        let way = if [NO_MAC, ""].contains(&record.ends[1][0]) {
            Way::Up
        } else {
            Way::Down
        };
        let (device, remote) = match way {
            Way::Up => (record.ends[0][0], record.ends[1]),
            Way::Down => (record.ends[1][0], record.ends[0]),
        };
        let device = lab.devices.iter().find(|it| it.mac.to_string() == device);
        let device = device.with_context(what)?.name.clone();
        let traffic = Traffic {
            packets: record.packets.parse().with_context(what)?,
            octets: record.octets.parse().with_context(what)?,
        };
        let sum = if ["0.0.0.0", "::", ""].contains(&remote[1]) {
            self.rests.entry(device).or_default()
        } else {
            let remote_address: IpAddr = remote[1].parse().with_context(what)?;
            ensure!(
                ["17", "udp", "UDP"].contains(&record.protocol),
                "{record:?}"
            );
            let key = FlowKey {
                device,
                remote: remote_address,
                protocol: "udp".to_owned(),
                port: remote[2].parse().with_context(what)?,
            };
            self.flows.entry(key).or_default()
        };
        match way {
            Way::Up => sum.up += traffic,
            Way::Down => sum.down += traffic,
        }
        Ok(())
    }

    /// The sum of a device's records.
    fn device(&self, name: &str) -> UpDown {
        let mut sum = self.rests.get(name).copied().unwrap_or_default();
        for (_, traffic) in self.flows.iter().filter(|(key, _)| key.device == name) {
            sum += *traffic;
        }
        sum
    }
}

/// nfdump's collector in a namespace.
struct Nfcapd {
    folder: TempDir,
    process: Process,
}

impl Nfcapd {
    fn start(namespace: &Namespace) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = namespace.command("nfcapd");
        command.args(["-b", "127.0.0.1", "-p", "4739", "-t", "3600", "-w"]);
        command.arg(folder.path());
        let process = Process::spawn(command)?;
        process.wait_for_line(Stream::Stderr, PATIENCE, |line| line.contains("Startup"))?;
        Ok(Self { folder, process })
    }

    /// Ends it; returns what it was told.
    fn finish(self, lab: &Lab) -> Result<Collected> {
        self.process.signal(Signal::SIGTERM)?;
        let (status, _, said) = self.process.finish(PATIENCE)?;
        ensure!(status.success(), "{status}: {said}");
        ensure!(said.contains("Sequence Errors: 0"), "{said}");
        let mut nfdump = Command::new("nfdump");
        nfdump.arg("-R").arg(self.folder.path());
        let format = "fmt:%ismc,%sa,%sp,%idmc,%da,%dp,%pr,%pkt,%byt";
        nfdump.args(["-q", "-N", "-6", "-o", format]);
        let mut collected = Collected::default();
        for line in process::output_of(nfdump, "")?.lines() {
            let cells: Vec<_> = line.split(',').map(str::trim).collect();
            let &[
                mac,
                address,
                port,
                to_mac,
                to_address,
                to_port,
                protocol,
                packets,
                octets,
            ] = &cells[..]
            else {
                bail!("nfdump says: {line}")
            };
            collected.add(
                lab,
                &Record {
                    ends: [[mac, address, port], [to_mac, to_address, to_port]],
                    protocol,
                    packets,
                    octets,
                },
            )?;
        }
        Ok(collected)
    }
}

/// pmacct's collector in a namespace.
struct Nfacctd {
    folder: TempDir,
    process: Process,
}

impl Nfacctd {
    fn start(namespace: &Namespace) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("nfacctd.conf");
        let output = folder.path().join("records.csv");
        let settings = format!(
            "nfacctd_ip: 127.0.0.1\nnfacctd_port: 9995\nplugins: print\nprint_output: csv\n\
             print_output_file: {}\nprint_refresh_time: 3600\nprint_history: 1h\n\
             nfacctd_time_new: true\nnfacctd_disable_checks: false\nlogfile: /dev/stderr\n\
             aggregate: src_mac, src_host, src_port, dst_mac, dst_host, dst_port, proto\n",
            output.display()
        );
        fs::write(&config, settings)?;
        let mut command = namespace.command("nfacctd");
        command.arg("-f").arg(&config);
        let process = Process::spawn(command)?;
        let waits = |line: &str| line.contains("waiting for NetFlow");
        process.wait_for_line(Stream::Stderr, PATIENCE, waits)?;
        Ok(Self { folder, process })
    }

    /// Ends it; returns what it was told.
    fn finish(self, lab: &Lab) -> Result<Collected> {
        self.process.signal(Signal::SIGINT)?;
        let (_, _, said) = self.process.finish(PATIENCE)?;
        let path = self.folder.path().join("records.csv");
        let text = fs::read_to_string(path).with_context(|| said)?;
        let mut lines = text.lines();
        let head: Vec<_> = lines.next().context("find the head")?.split(',').collect();
        let mut collected = Collected::default();
        for line in lines {
            let cells: BTreeMap<_, _> = head.iter().copied().zip(line.split(',')).collect();
            let cell = |name: &str| cells.get(name).copied().with_context(|| text.clone());
            collected.add(
                lab,
                &Record {
                    ends: [
                        [cell("SRC_MAC")?, cell("SRC_IP")?, cell("SRC_PORT")?],
                        [cell("DST_MAC")?, cell("DST_IP")?, cell("DST_PORT")?],
                    ],
                    protocol: cell("PROTOCOL")?,
                    packets: cell("PACKETS")?,
                    octets: cell("BYTES")?,
                },
            )?;
        }
        Ok(collected)
    }
}

/// What tshark reads in a capture.
#[derive(Debug, Default)]
struct Dissected {
    collected: Collected,
    /// Devices' names, as records have them.
    devices: BTreeSet<String>,
    /// Records of flows.
    records: u64,
    /// The exporter's own counts of those, each at its place.
    counts: usize,
}

impl Dissected {
    /// Has tshark read the messages of a port, such as `udp.port==4739`.
    fn of(lab: &Lab, captured: &Captured, port: &str) -> Result<Self> {
        // The loopback's frames are seen as they leave and as they arrive.
        let once = captured.path().with_extension("once");
        let mut editcap = Command::new("editcap");
        editcap.args(["-D", "100"]).arg(captured.path()).arg(&once);
        process::output_of(editcap, "")?;
        let mut tshark = Command::new("tshark");
        tshark.args(["-n", "-r"]).arg(&once);
        tshark.args(["-d", &format!("{port},cflow"), "-Y", "cflow", "-T", "pdml"]);
        let xml = process::output_of(tshark, "").context("have tshark read IPFIX")?;
        let document = Document::parse(&xml)?;
        let mut dissected = Self::default();
        for field in document.descendants() {
            let name = field.attribute("name").unwrap_or_default();
            ensure!(!name.starts_with("_ws."), "tshark complains: {field:?}");
            let is_record = field
                .attribute("show")
                .is_some_and(|it| it.starts_with("Flow "));
            if name.is_empty() && is_record {
                dissected.add(lab, field)?;
            }
        }
        Ok(dissected)
    }

    fn add(&mut self, lab: &Lab, record: Node<'_, '_>) -> Result<()> {
        let fields = record
            .children()
            .filter_map(|field| Some((field.attribute("name")?, field.attribute("show")?)));
        let fields: BTreeMap<_, _> = fields.collect();
        if let Some(exported) = fields.get("cflow.flowsexp") {
            let exported: u64 = exported.parse()?;
            ensure!(exported == self.records, "{exported} of {}", self.records);
            self.counts += 1;
        }
        if let Some(ignored) = fields.get("cflow.ignore_packets") {
            ensure!(*ignored == "0", "{ignored} packets were not counted");
        }
        if !fields.contains_key("cflow.octets") {
            return Ok(());
        }
        self.records += 1;
        let cell = |names: [&str; 2]| names.iter().find_map(|name| fields.get(name).copied());
        let cell = |name: &str| {
            let name = format!("cflow.{name}");
            cell([&name, &format!("{name}v6")]).unwrap_or_default()
        };
        let way = if cell("direction") == "0" {
            "srcmac"
        } else {
            "dstmac"
        };
        ensure!(
            !cell(way).is_empty(),
            "the device is at the end that sends: {fields:?}"
        );
        self.devices.insert(cell("user_name").to_owned());
        self.collected.add(
            lab,
            &Record {
                ends: ["src", "dst"]
                    .map(|end| ["mac", "addr", "port"].map(|what| cell(&format!("{end}{what}")))),
                protocol: cell("protocol"),
                packets: cell("packets"),
                octets: cell("octets"),
            },
        )
    }
}

const NEEDS: &[Need] = &[
    Need::Program("nfcapd"),
    Need::Program("nfacctd"),
    Need::Program("tshark"),
];

fn ensure_sent(collected: &Collected, fired: &Fired) -> Result<()> {
    let is_sent = collected.flows == *fired.ledger.flows();
    ensure!(is_sent, "not what was sent: {:?}", collected.flows);
    ensure!(collected.rests.is_empty(), "{:?}", collected.rests);
    Ok(())
}

#[test]
fn two_collectors_and_tshark_have_every_flow_over_udp() -> Result<()> {
    if !is_possible(NEEDS)? {
        return Ok(());
    }
    let lab = lab()?;
    let nfcapd = Nfcapd::start(&lab.gateway)?;
    let nfacctd = Nfacctd::start(&lab.gateway)?;
    let capture = Capture::start(&lab.gateway, "lo")?;
    let targets = ["udp://127.0.0.1", "udp://127.0.0.1:9995"];
    let options = ["--ipfix", targets[0], "--ipfix", targets[1]];
    let flowwatch = start(&lab, &options)?;
    let fired = fire(&lab)?;
    end(&flowwatch)?;
    let dissected = Dissected::of(&lab, &capture.finish()?, "udp.port==4739")?;
    ensure_sent(&dissected.collected, &fired).context("tshark")?;
    ensure!(
        dissected.devices.iter().eq(DEVICES),
        "{:?}",
        dissected.devices
    );
    ensure_sent(&nfcapd.finish(&lab)?, &fired).context("nfcapd")?;
    ensure_sent(&nfacctd.finish(&lab)?, &fired).context("nfacctd")
}

#[test]
fn what_has_no_room_is_of_its_device_for_all_collectors() -> Result<()> {
    if !is_possible(NEEDS)? {
        return Ok(());
    }
    let lab = lab()?;
    let nfcapd = Nfcapd::start(&lab.gateway)?;
    let nfacctd = Nfacctd::start(&lab.gateway)?;
    let capture = Capture::start(&lab.gateway, "lo")?;
    let options = ["--flow-table-size", "9", "--ipfix-domain", "42"];
    let targets = [
        "--ipfix",
        "udp://127.0.0.1",
        "--ipfix",
        "udp://127.0.0.1:9995",
    ];
    let flowwatch = start(&lab, &[&options[..], &targets].concat())?;
    let fired = fire(&lab)?;
    end(&flowwatch)?;
    let dissected = Dissected::of(&lab, &capture.finish()?, "udp.port==4739")?;
    let collected = [
        ("tshark", dissected.collected),
        ("nfcapd", nfcapd.finish(&lab)?),
        ("nfacctd", nfacctd.finish(&lab)?),
    ];
    for (collector, collected) in collected {
        for name in DEVICES {
            let of = |way| fired.ledger.sum(name, way).traffic;
            let sent = UpDown {
                up: of(Way::Up),
                down: of(Way::Down),
            };
            let told = collected.device(name);
            ensure!(told == sent, "{collector}, {name}: {told:?}, sent {sent:?}");
            ensure!(collected.rests.contains_key(name), "{name} had room");
        }
    }
    Ok(())
}

#[test]
fn tshark_has_every_flow_over_tcp_and_what_the_exporter_did() -> Result<()> {
    if !is_possible(NEEDS)? {
        return Ok(());
    }
    let lab = lab()?;
    let listener = lab
        .gateway
        .enter(|| TcpListener::bind("127.0.0.1:4739"))??;
    let (sender, chunks) = mpsc::channel();
    let collector = thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut chunk = vec![0; 64 << 10];
        loop {
            let length = stream.read(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            sender.send(length)?;
        }
    });
    let capture = Capture::start(&lab.gateway, "lo")?;
    let flowwatch = start(&lab, &["--ipfix", "tcp://127.0.0.1"])?;
    let mut sent = fire(&lab)?.ledger.flows().clone();
    // The next is in another delivery.
    chunks.recv_timeout(PATIENCE)?;
    for (key, traffic) in fire(&lab)?.ledger.flows() {
        *sent.entry(key.clone()).or_default() += *traffic;
    }
    end(&flowwatch)?;
    collector.join().map_err(|_| anyhow!("it died"))??;
    let dissected = Dissected::of(&lab, &capture.finish()?, "tcp.port==4739")?;
    ensure!(dissected.collected.flows == sent, "not what was sent");
    ensure!(dissected.counts > 1, "there were several deliveries");
    Ok(())
}

#[test]
fn a_collector_that_restarts_loses_no_octet() -> Result<()> {
    if !is_possible(NEEDS)? {
        return Ok(());
    }
    let lab = lab()?;
    let flowwatch = start(&lab, &["--ipfix", "udp://127.0.0.1"])?;
    let process = flowwatch.process();
    let mut sent = fire(&lab)?.ledger.flows().clone();
    let is_told = |line: &str| line.contains("export to ipfix") && line.contains("refused");
    process.wait_for_line(Stream::Stderr, PATIENCE, is_told)?;
    let nfcapd = Nfcapd::start(&lab.gateway)?;
    let again = |line: &str| line.contains("delivers again after ");
    process.wait_for_line(Stream::Stderr, PATIENCE, again)?;
    for (key, traffic) in fire(&lab)?.ledger.flows() {
        *sent.entry(key.clone()).or_default() += *traffic;
    }
    end(&flowwatch)?;
    let collected = nfcapd.finish(&lab)?;
    ensure!(collected.flows == sent, "not what was sent");
    Ok(())
}
