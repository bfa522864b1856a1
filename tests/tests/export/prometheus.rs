//! A real Prometheus scrapes flowwatch: its sums are the generators', destination by destination they
//! add up, and its own linter has nothing to say.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use flowwatch_tests::lab::Lab;
use flowwatch_tests::namespace::Namespace;
use flowwatch_tests::privilege::Need;
use flowwatch_tests::process::{self, Process};
use flowwatch_tests::specimen::Way;
use serde_json::Value;

use super::{DEVICES, PATIENCE, end, fire, is_possible, lab, start};

const NEEDS: &[Need] = &[Need::Program("prometheus"), Need::Program("promtool")];

/// A Prometheus in the gateway's namespace, which scrapes flowwatch there; killed when dropped.
struct Prometheus<'a> {
    gateway: &'a Namespace,
    _process: Process,
}

impl<'a> Prometheus<'a> {
    fn start(gateway: &'a Namespace, folder: &Path) -> Result<Self> {
        let config = folder.join("prometheus.yml");
        fs::write(
            &config,
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n  \
             - job_name: flowwatch\n    static_configs:\n      - targets: [\"127.0.0.1:9617\"]\n",
        )?;
        let mut command = gateway.command("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:9090")
            .arg("--log.level=warn");
        Ok(Self {
            gateway,
            _process: Process::spawn(command)?,
        })
    }

    /// Returns the series that a query has, with their values.
    fn query(&self, query: &str) -> Result<Vec<(Value, f64)>> {
        let path = format!("/api/v1/query?query={}", encoded(query));
        let answer = get(self.gateway, "127.0.0.1:9090", &path, "*/*")?;
        let answer: Value = serde_json::from_str(&answer).context(answer)?;
        ensure!(answer["status"] == "success", "{answer}");
        let series = answer["data"]["result"].as_array().context("no result")?;
        let of = |series: &Value| -> Result<(Value, f64)> {
            let value = series["value"][1].as_str().context("no value")?;
            Ok((series["metric"].clone(), value.parse()?))
        };
        series.iter().map(of).collect()
    }

    /// Waits until a query has this one value: Prometheus tells nobody when it has scraped.
    fn await_value(&self, query: &str, expected: u64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let result = self.query(query);
            #[expect(clippy::cast_precision_loss, reason = "some millions")]
            if let Ok([(_, value)]) = result.as_deref()
                && value.to_bits() == (expected as f64).to_bits()
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{query} is {result:?}, and {expected} was sent");
            }
            sleep(Duration::from_millis(100));
        }
    }
}

fn encoded(query: &str) -> String {
    let octets: Vec<_> = query.bytes().map(|octet| format!("%{octet:02x}")).collect();
    octets.concat()
}

/// Returns what a server in a namespace answers.
fn get(namespace: &Namespace, address: &str, path: &str, accept: &str) -> Result<String> {
    let mut stream = namespace.enter(|| TcpStream::connect(address))??;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        return unchunked(body);
    }
    Ok(body.to_owned())
}

fn unchunked(mut body: &str) -> Result<String> {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16)?;
        if length == 0 {
            break;
        }
        whole += rest.get(..length).context("a chunk is cut")?;
        body = rest.get(length + 2..).unwrap_or_default();
    }
    Ok(whole)
}

fn check_device(
    prometheus: &Prometheus<'_>,
    lab: &Lab,
    name: &str,
    way: Way,
    sent: u64,
) -> Result<()> {
    let labels = format!("{{device=\"{name}\",direction=\"{}\"}}", way.name());
    prometheus.await_value(&format!("flowwatch_device_bytes_total{labels}"), sent)?;
    let sum = format!("sum(flowwatch_destination_bytes_total{labels})");
    prometheus.await_value(&sum, sent)?;
    let series = prometheus.query(&format!("flowwatch_destination_bytes_total{labels}"))?;
    let named = series
        .iter()
        .filter(|(labels, _)| labels["name"] != "other");
    ensure!(
        named.count() <= 2,
        "two destinations have series: {series:?}"
    );
    ensure!(series.len() >= 2, "and the others: {series:?}");
    ensure!(lab.devices.iter().any(|device| device.name == name));
    Ok(())
}

#[test]
fn a_real_prometheus_has_the_sums_of_what_was_sent() -> Result<()> {
    if !is_possible(NEEDS)? {
        return Ok(());
    }
    let (lab, folder) = (lab()?, tempfile::tempdir()?);
    let options = ["--prometheus", "9617", "--prometheus-destinations", "2"];
    let flowwatch = start(&lab, &options)?;
    let prometheus = Prometheus::start(&lab.gateway, folder.path())?;
    prometheus.await_value("up", 1)?;
    let fired = fire(&lab)?;
    for name in DEVICES {
        for way in Way::BOTH {
            let sent = fired.ledger.sum(name, way).traffic;
            check_device(&prometheus, &lab, name, way, sent.octets)?;
            let labels = format!("{{device=\"{name}\",direction=\"{}\"}}", way.name());
            prometheus.await_value(
                &format!("flowwatch_device_packets_total{labels}"),
                sent.packets,
            )?;
        }
    }
    prometheus.await_value("min(flowwatch_device_conserved)", 1)?;
    prometheus.await_value("sum(flowwatch_interface_attached)", 2)?;
    prometheus.await_value("flowwatch_export_failures_total{sink=\"prometheus\"}", 0)?;
    end(&flowwatch)?;
    Ok(())
}

#[test]
fn prometheus_own_linter_has_nothing_to_say() -> Result<()> {
    if !is_possible(NEEDS)? {
        return Ok(());
    }
    let lab = lab()?;
    let flowwatch = start(&lab, &["--prometheus", "127.0.0.1:9617"])?;
    fire(&lab)?;
    let text = get(&lab.gateway, "127.0.0.1:9617", "/metrics", "text/plain")?;
    let mut promtool = std::process::Command::new("promtool");
    promtool.args(["check", "metrics"]);
    let said = process::output_of(promtool, &text)?;
    ensure!(said.trim().is_empty(), "{said}");
    let text = get(
        &lab.gateway,
        "127.0.0.1:9617",
        "/metrics",
        "application/openmetrics-text",
    )?;
    ensure!(text.ends_with("# EOF\n"), "{text}");
    end(&flowwatch)?;
    Ok(())
}
