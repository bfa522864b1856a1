//! What a user gets to read, live: the same flows in every format, whatever the names in them hold,
//! and the document in a second place where the first refuses it.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use flowwatch::format::FORMATS;
use flowwatch::model::FIELDS;
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::dns::{PORT, ScriptedServer};
use flowwatch_tests::flowwatch::{Attach, Document, Ended, Flowwatch, Run};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{Lab, OUTSIDE_NAME_SERVER, Resolver};
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::traffic::{self, Exchange};

const EXCHANGE: Exchange = Exchange { up: 40, down: 30 };
const RENDEZVOUS: u16 = 10_240;
/// What the device is called: a formula, markup and a separator at once.
const DEVICE: &str = "=HYPERLINK(\"x\")|<b>";

/// Labels from strangers, the addresses that they stand for, and the names' text in JSON.
const NAMES: [(&[u8], [u8; 4], &str); 5] = [
    (
        b"\x1b[31mred\x1b[2J",
        [52, 79, 197, 188],
        r"\027[31mred\027[2j.test",
    ),
    (
        b"=cmd|'/C calc'!A0",
        [50, 7, 98, 242],
        r"=cmd\x7c'/c\032calc'!a0.test",
    ),
    (
        b"<script>alert(1)</script>",
        [198, 16, 70, 58],
        "<script>alert(1)</script>.test",
    ),
    (
        b"a\r\nb,\"c\"",
        [120, 24, 59, 150],
        r#"a\013\010b,"c".test"#,
    ),
    (
        b"|`*_[x](y)&amp;\xe2\x80\xae",
        [50, 19, 254, 134],
        r"\x7c`*_[x](y)&amp;\226\128\174.test",
    ),
];

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Flowwatch])
}

fn run(lab: &Lab) -> Result<Run> {
    let run = Run::new()?.interface(&lab.camera().port);
    Ok(run.attach(Attach::Tc).options(&["--no-builtin-geo"]))
}

/// Has one flowwatch a format watch the camera ask for strangers' names and talk to them.
fn documents() -> Result<Vec<String>> {
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let device = lab.camera();
    let server = SocketAddr::new(OUTSIDE_NAME_SERVER.into(), PORT);
    let mut addresses = NAMES.iter().map(|(_, address, _)| IpAddr::from(*address));
    let _server = ScriptedServer::start(&lab.internet, server, move |question| {
        let address = answer::address(&QUESTION_NAME, addresses.next()?);
        Some(answer::response(question, &[address]))
    })?;
    let start = |format: &str| -> Result<Flowwatch> {
        let run = run(&lab)?.device(DEVICE, device.mac);
        run.options(&["--format", format]).start(&lab.gateway)
    };
    let formats = FORMATS.iter().map(|format| start(format.name));
    let flowwatches: Vec<_> = formats.collect::<Result<_>>()?;
    for (label, address, _) in NAMES {
        let question = answer::question(&answer::name(&[label, b"test"]));
        answer::ask_octets(&device.namespace, server.ip(), &question)?;
        let remote = SocketAddr::new(IpAddr::from(address), RENDEZVOUS);
        traffic::udp(&device.namespace, remote, EXCHANGE)?;
    }
    flowwatches.into_iter().map(Flowwatch::stop).collect()
}

/// Splits a CSV document into records (RFC 4180).
fn records_of(csv: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    for character in csv.replace("\r\n", "\n").chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut cell)),
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            other => cell.push(other),
        }
    }
    records
}

fn check_csv(csv: &str) -> Result<()> {
    let records = records_of(csv);
    let header: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    ensure!(records[0] == header, "{:?}", records[0]);
    // The five, and the name server.
    ensure!(records.len() == 1 + NAMES.len() + 1, "{csv}");
    for record in &records {
        ensure!(record.len() == header.len(), "{record:?}");
        let is_formula = |cell: &&String| cell.starts_with(['=', '+', '-', '@']);
        ensure!(record.iter().find(is_formula).is_none(), "{record:?}");
    }
    Ok(())
}

fn check_markdown(markdown: &str) -> Result<()> {
    let rows: Vec<_> = markdown
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    ensure!(rows.len() == 2 + NAMES.len() + 1, "{markdown}");
    let unescaped = |line: &str, mark: char| {
        let plain = line.replace("\\\\", "").replace(&format!("\\{mark}"), "");
        plain.matches(mark).count()
    };
    for row in rows {
        // All but the device's own two fields, a bar before each and one behind the last.
        ensure!(unescaped(row, '|') == FIELDS.len() - 1, "{row}");
    }
    for mark in ['<', '`', '[', '&'] {
        ensure!(unescaped(markdown, mark) == 0, "{mark} in {markdown}");
    }
    Ok(())
}

fn check_lines(lines: &str) -> Result<()> {
    ensure!(lines.lines().count() == NAMES.len() + 1, "{lines}");
    for line in lines.lines() {
        let _: serde_json::Value = serde_json::from_str(line).context("read a line")?;
        let mut rest = line;
        for field in FIELDS {
            let key = format!("\"{}\":", field.name);
            let at = rest
                .find(&key)
                .with_context(|| format!("{key} is missing or late: {line}"))?;
            rest = &rest[at..];
        }
    }
    Ok(())
}

fn check_json(json: &str) -> Result<()> {
    let document = Document::parse(json)?;
    for (_, address, expected) in NAMES {
        let mut flows = document.flows.values();
        let flow = flows.find(|flow| flow.remote_address == IpAddr::from(address));
        let flow = flow.context("find the flow")?;
        ensure!(flow.name.as_deref() == Some(expected), "{flow:?}");
        ensure!(flow.device == DEVICE, "{flow:?}");
        ensure!(flow.country.is_none() && flow.city.is_none(), "{flow:?}");
        let times = [&flow.first_seen, &flow.last_seen];
        let is_utc = |time: &&String| time.len() == "2026-01-02T03:04:05.678Z".len();
        ensure!(
            times.iter().all(|time| is_utc(time) && time.ends_with('Z')),
            "{times:?}"
        );
    }
    Ok(())
}

fn check_table(table: &str) -> Result<()> {
    for (_, address, name) in NAMES {
        let address = IpAddr::from(address).to_string();
        // A name's own separator is escaped in the fields alone: a cell holds one name.
        let name = name.replace(r"\x7c", "|");
        let is_shown = |line: &str| line.contains(&address) && line.contains(&name);
        ensure!(table.lines().any(is_shown), "{name} in {table}");
    }
    Ok(())
}

#[test]
fn strangers_names_stay_names_in_every_format() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    for (format, document) in FORMATS.iter().zip(documents()?) {
        let is_bad =
            |c: &char| c.is_control() && !(*c == '\n' || *c == '\r' && format.name == "csv");
        ensure!(
            document.chars().find(is_bad).is_none(),
            "{}: {document:?}",
            format.name
        );
        ensure!(document.is_ascii() || document.contains('·'), "{document}");
        match format.name {
            "csv" => check_csv(&document),
            "markdown" => check_markdown(&document),
            "json" => check_json(&document),
            "jsonl" => check_lines(&document),
            _ => check_table(&document),
        }
        .with_context(|| format.name)?;
    }
    Ok(())
}

/// Counts 64 flows of one packet each, and writes them as `options` say, by way of `starter`.
fn written(starter: &[&str], options: &[&str]) -> Result<Ended> {
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let device = lab.camera();
    let run = run(&lab)?.device("camera", device.mac).options(options);
    let flowwatch = run.through(starter).start(&lab.gateway)?;
    let frames: Vec<_> = (0..64)
        .map(|last| {
            let remote = [9, 9, 9, last].into();
            let packet = Packet::ethernet(device.mac, device.gateway_mac);
            packet
                .ipv4(device.ipv4, remote)
                .udp(1, 2)
                .payload(100)
                .build()
        })
        .collect();
    lab.gateway.silence()?;
    Generator::new(&device.namespace, "eth0")?.send(&frames, 64)?;
    flowwatch.interrupt()
}

/// Starts a program by a shell, in whose own view of the file system `script` made something.
fn after(script: &str) -> [String; 4] {
    let script = format!("{script} && exec \"$@\"");
    ["sh", "-c", &script, "sh"].map(str::to_owned)
}

#[test]
fn a_full_disk_sends_the_document_to_standard_output() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let small = after("mount -t tmpfs -o size=4k none /mnt");
    let small: Vec<_> = small.iter().map(String::as_str).collect();
    for (starter, path) in [(&small[..], "/mnt/out.json"), (&[], "/dev/full")] {
        let ended = written(starter, &["--format", "json", "--output", path])?;
        ensure!(
            ended.status == Some(1),
            "{:?}: {}",
            ended.status,
            ended.errors
        );
        let expected = format!("flowwatch: write `{path}` (the result went to standard output");
        let told: Vec<_> = ended
            .errors
            .lines()
            .filter(|line| line.contains(path))
            .collect();
        ensure!(
            told.len() == 1 && told[0].starts_with(&expected),
            "{told:?}"
        );
        let flows = Document::parse(&ended.output)?.flows.len();
        ensure!(flows == 64, "{path}: {flows} flows");
    }
    Ok(())
}

#[test]
fn a_reader_that_leaves_is_no_failure_and_a_deaf_standard_error_no_panic() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let check = |script: &str, format: &str| -> Result<Ended> {
        let run = run(&lab)?.device("camera", lab.camera().mac);
        let run = run.through(&["bash", "-c", script, "bash"]);
        let run = run.options(&["--duration", "50ms", "--format", format]);
        let ended = run.to_end(&lab.gateway)?;
        ensure!(ended.status == Some(0), "{format}: {ended:?}");
        ensure!(!ended.errors.contains("panicked"), "{format}: {ended:?}");
        Ok(ended)
    };
    for format in FORMATS {
        check("\"$@\" | true; exit ${PIPESTATUS[0]}", format.name)?;
    }
    let ended = check("exec \"$@\" 2>/dev/full", "json")?;
    Document::parse(&ended.output).map(drop)
}

#[test]
fn whoever_wants_to_know_more_is_told_more_and_gets_the_same_document() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let ended = written(&[], &["--format", "json", "-vvv"])?;
    ensure!(ended.status == Some(0), "{}", ended.errors);
    let flows = Document::parse(&ended.output)?.flows.len();
    ensure!(flows == 64, "{flows} flows");
    Ok(())
}

#[test]
fn flows_alone_come_with_what_was_missed_beside_them() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    for format in ["csv", "jsonl"] {
        let ended = written(&[], &["--format", format, "--flow-table-size", "16"])?;
        ensure!(ended.status == Some(0), "{}", ended.errors);
        let is_told =
            |line: &str| line.starts_with("flowwatch: camera: ") && line.contains("in no flow");
        ensure!(ended.errors.lines().any(is_told), "{}", ended.errors);
    }
    let ended = written(&[], &["--format", "table", "--flow-table-size", "16"])?;
    ensure!(ended.output.contains("flow_table_full"), "{}", ended.output);
    ensure!(!ended.errors.contains("in no flow"), "{}", ended.errors);
    Ok(())
}
