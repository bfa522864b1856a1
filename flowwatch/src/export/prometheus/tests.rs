//! The sums of destinations over long random runs, pages read by another reader, and a server that is
//! asked by those who mean well and ill.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::accept::Syntax;
use super::destinations::{Destination, Destinations, Limits};
use super::metric::{Kind, Metric};
use super::scrape::Scraper;
use super::{ENTRY, address_of, metrics, server};
use crate::export::tests::{Chance, World};
use crate::export::{Given, Row, Wiring};
use crate::format::sample;
use crate::model::{Device, FlowRecord};
use crate::observation::Traffic;
use crate::store::BothWays;

const LIMITS: Limits = Limits {
    per_device: 4,
    expiry: Duration::from_mins(10),
};

fn mac(device: u64) -> String {
    format!("2c:aa:8e:00:00:0{device}")
}

/// Something new of one of nine destinations of two devices, or of a rest.
fn news(chance: &mut Chance) -> Row {
    let number = chance.below(2);
    let device: Device = format!("d{number}={}", mac(number)).parse().unwrap();
    let mut traffic = || {
        let packets = chance.below(3);
        let octets = packets * (40 + chance.below(900));
        Traffic { packets, octets }
    };
    let new = BothWays {
        up: traffic(),
        down: traffic(),
    };
    let record = sample::record();
    if chance.below(10) == 0 {
        return Row::of_rest(device, new, record.first_seen);
    }
    let mut record = FlowRecord { device, ..record };
    record.naming = match chance.below(4) {
        0 => sample::naming(&[]),
        1 => sample::naming(&["other"]),
        _ => sample::naming(&["a.test", "b.test"]),
    };
    record.place.country = (chance.below(3) > 0).then(|| "US".into());
    let organizations: [Option<Arc<str>>; 3] = [None, Some("Some".into()), Some("Other".into())];
    record.place.organization = organizations[chance.below(3) as usize].clone();
    let last_seen = record.last_seen;
    Row::of_flow(&record, new, last_seen)
}

type Seen = HashMap<Destination, BothWays>;

fn rose(now: BothWays, before: BothWays) -> bool {
    now.up.octets >= before.up.octets && now.down.octets >= before.down.octets
}

/// Checks one device at one scrape; returns how many destinations ended since the one before.
fn check_scrape(
    destinations: &Destinations,
    number: u64,
    counted: BothWays,
    before: &mut (Seen, BothWays, BothWays),
) -> usize {
    let Some(sums) = destinations.of(mac(number).parse().ok()) else {
        assert_eq!(counted, BothWays::default());
        return 0;
    };
    assert_eq!(sums.total, counted);
    let mut sum = sums.other;
    sum += sums.expired;
    let mut now = Seen::new();
    for (destination, traffic) in sums.destinations() {
        assert_ne!(
            *destination,
            Destination::other(),
            "it would be there twice"
        );
        sum += traffic;
        now.insert(destination.clone(), traffic);
        if let Some(earlier) = before.0.get(destination) {
            assert!(rose(traffic, *earlier), "{destination:?} fell");
        }
    }
    assert_eq!(sum, counted, "every octet is in one series");
    assert!(now.len() <= LIMITS.per_device);
    assert!(rose(sums.other, before.1) && rose(sums.expired, before.2));
    let ended = before.0.keys().filter(|it| !now.contains_key(it)).count();
    *before = (now, sums.other, sums.expired);
    ended
}

#[test]
fn every_series_rises_as_long_as_it_lives_and_all_sum_up_to_the_device() {
    let mut ended = 0;
    for seed in 1..40 {
        let mut chance = Chance(seed * 104_729);
        let mut destinations = Destinations::new(LIMITS);
        let mut counted = [BothWays::default(); 2];
        let mut before = [(); 2].map(|()| Default::default());
        let mut now = Instant::now();
        for _ in 0..300 {
            for _ in 0..chance.below(4) {
                let row = news(&mut chance);
                let number = usize::from(&*row.device().name == "d1");
                counted[number] += BothWays {
                    up: row.up(),
                    down: row.down(),
                };
                destinations.add(&row, now);
            }
            now += Duration::from_secs(chance.below(300));
            destinations.expire(now);
            for number in 0..2 {
                let (counted, before) = (counted[number], &mut before[number]);
                ended += check_scrape(&destinations, number as u64, counted, before);
            }
        }
    }
    assert!(ended > 1_000, "series ended often: {ended}");
}

#[test]
fn the_bound_of_all_devices_holds_and_an_ended_series_makes_room() {
    let mut destinations = Destinations::new(Limits {
        per_device: Limits::MOST_IN_ALL,
        expiry: LIMITS.expiry,
    });
    let now = Instant::now();
    let row = |number: usize| {
        let mut record = sample::record();
        record.naming = sample::naming(&[&format!("n{number}.test")]);
        let new = BothWays {
            up: Traffic {
                packets: 1,
                octets: 7,
            },
            down: Traffic::default(),
        };
        Row::of_flow(&record, new, record.last_seen)
    };
    for number in 0..Limits::MOST_IN_ALL + 5 {
        destinations.add(&row(number), now);
    }
    let mac = sample::record().device.mac;
    let sums = destinations.of(mac).unwrap();
    assert_eq!((sums.len(), sums.other.up.octets), (10_000, 35));
    let later = now + LIMITS.expiry;
    destinations.add(&row(0), later);
    destinations.expire(later);
    destinations.add(&row(77_777), later);
    let sums = destinations.of(mac).unwrap();
    let series: Vec<_> = sums.destinations();
    let texts = series
        .iter()
        .map(|(it, traffic)| (&*it.name, traffic.up.octets));
    assert_eq!(
        texts.collect::<Vec<_>>(),
        [("n0.test", 14), ("n77777.test", 7)]
    );
    assert_eq!(sums.expired.up.octets, 9_999 * 7);
}

/// A page's samples, by name and labels as they stand there; and what is declared of each metric.
#[derive(Default)]
struct Page {
    samples: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
    helps: BTreeSet<String>,
    units: BTreeMap<String, String>,
}

/// Reads a page as its formats have it, and strictly.
fn read(text: &str, syntax: Syntax) -> Page {
    let mut page = Page::default();
    let body = match syntax {
        Syntax::OpenMetrics => text.strip_suffix("# EOF\n").expect("the end is told"),
        Syntax::Text => text,
    };
    let mut current = String::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
            assert!(page.helps.insert(name.to_owned()), "{name} is there twice");
            name.clone_into(&mut current);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            page.types.insert(name.to_owned(), kind.to_owned());
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert!(
                name == current && name.ends_with(&format!("_{unit}")),
                "{line}"
            );
            page.units.insert(name.to_owned(), unit.to_owned());
        } else {
            assert!(
                !line.starts_with('#') && line.starts_with(&current),
                "{line}"
            );
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value = value
                .parse()
                .unwrap_or_else(|_| panic!("no number: {line}"));
            let earlier = page.samples.insert(series.to_owned(), value);
            assert_eq!(earlier, None, "{series} is there twice");
        }
    }
    page
}

/// A world in which something happened, and what scrapes it.
fn scraped(seed: u64) -> (World, Wiring, Scraper) {
    let (wiring, teller) = Wiring::for_test(Duration::from_secs(1));
    std::mem::forget(teller);
    let scraper = Scraper::new(LIMITS, wiring.clone());
    let mut world = World::new(seed);
    for _ in 0..200 {
        world.step(&mut wiring.ledger_mut());
    }
    world.catch_up(&mut wiring.ledger_mut());
    (world, wiring, scraper)
}

fn check_page(syntax: Syntax, kinds: [(&str, &str); 3]) {
    let (world, _wiring, mut scraper) = scraped(42);
    let text = scraper.scrape(syntax, Instant::now());
    let page = read(&text, syntax);
    for (name, kind) in kinds {
        assert_eq!(page.types[name], kind, "{name}");
    }
    let warned = |subject: &str| {
        let series = format!(r#"flowwatch_warning{{check="interface.lro",subject="{subject}"}}"#);
        page.samples.get(&series).copied()
    };
    assert_eq!((warned(r#"lan\"0"#), warned("")), (Some(1.0), Some(1.0)));
    let sum_of = |prefix: &str| -> f64 {
        let of = page.samples.iter();
        of.filter(|(series, _)| series.starts_with(prefix))
            .map(|(_, value)| value)
            .sum()
    };
    let counted: u64 = world
        .counted
        .values()
        .map(|it| it.up.octets + it.down.octets)
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "thousands of octets")]
    let counted = counted as f64;
    for metric in [
        "flowwatch_device_bytes_total",
        "flowwatch_destination_bytes_total",
    ] {
        assert_eq!(
            sum_of(&format!("{metric}{{")).to_bits(),
            counted.to_bits(),
            "{metric}"
        );
    }
}

#[test]
fn a_page_of_text_is_one() {
    check_page(
        Syntax::Text,
        [
            ("flowwatch_device_bytes_total", "counter"),
            ("flowwatch_build_info", "gauge"),
            ("process_open_fds", "gauge"),
        ],
    );
}

#[test]
fn a_page_of_open_metrics_is_one() {
    check_page(
        Syntax::OpenMetrics,
        [
            ("flowwatch_device_bytes", "counter"),
            ("flowwatch_build", "info"),
            ("process_open_fds", "gauge"),
        ],
    );
    let (_, _wiring, mut scraper) = scraped(7);
    let page = read(
        &scraper.scrape(Syntax::OpenMetrics, Instant::now()),
        Syntax::OpenMetrics,
    );
    assert_eq!(page.units["flowwatch_device_bytes"], "bytes");
    assert_eq!(page.units["process_cpu_seconds"], "seconds");
}

#[test]
fn nothing_was_counted_before_the_first_drain_and_the_page_says_so() {
    let (wiring, _teller) = Wiring::for_test(Duration::from_secs(1));
    let mut scraper = Scraper::new(LIMITS, wiring);
    let page = read(&scraper.scrape(Syntax::Text, Instant::now()), Syntax::Text);
    assert!(page.samples.contains_key("flowwatch_window_flows"));
    assert!(!page.types.contains_key("flowwatch_device_bytes_total"));
}

#[test]
fn a_strangers_text_stays_within_its_quotes() {
    let (wiring, _teller) = Wiring::for_test(Duration::from_secs(1));
    let mut scraper = Scraper::new(LIMITS, wiring);
    let mut record = sample::record();
    record.naming = sample::naming(&["a\"} 1\nb\\c\u{202e}"]);
    record.place.organization = Some("é".repeat(999).into());
    let new = BothWays {
        up: record.up,
        down: record.down,
    };
    let row = Row::of_flow(&record, new, record.last_seen);
    let page = scraper.scrape_rows(&[row], Syntax::Text, Instant::now());
    let name = r#"name="a\"} 1\\x0ab\\c\\u{202e}""#;
    let line = page
        .lines()
        .find(|line| line.contains("direction=\"up\",name=\"a"));
    let line = line.unwrap();
    assert!(line.contains(name), "{line}");
    assert_eq!(line.matches('é').count(), 255, "cut");
    read(&page, Syntax::Text);
}

#[test]
fn names_follow_the_conventions() {
    let mut names = BTreeSet::new();
    for metric in metrics() {
        let name = metric.name;
        assert!(names.insert(name), "{name} is there twice");
        let is_word = |it: &str| it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
        assert!(is_word(name) && !name.ends_with("_total"), "{name}");
        assert!(metric.unit.is_empty() || name.ends_with(&format!("_{}", metric.unit)));
        assert!(!name.ends_with("_octets") && metric.help.ends_with('.'));
        assert!(metric.kind != Kind::Info || metric.unit.is_empty());
        assert!(metric.labels.iter().all(|label| is_word(label)));
    }
}

#[test]
fn the_page_on_exports_has_each_metric() {
    let page = include_str!("../../../../docs/exports.md");
    let rows = metrics().map(|metric| {
        let labels = metric.labels.iter().map(|label| format!("`{label}`"));
        format!(
            "| `{}` | {} | {} |\n",
            metric.sample_name(),
            labels.collect::<Vec<_>>().join(", "),
            metric.help
        )
    });
    let table: String = rows.collect();
    assert!(page.contains(&table), "docs/exports.md lacks:\n{table}");
}

/// Returns every text under this key, wherever it is.
fn texts_under<'v>(value: &'v serde_json::Value, key: &str, texts: &mut Vec<&'v str>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                match value {
                    serde_json::Value::String(text) if name == key => texts.push(text),
                    value => texts_under(value, key, texts),
                }
            }
        }
        serde_json::Value::Array(values) => {
            for value in values {
                texts_under(value, key, texts);
            }
        }
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let text = include_str!("../../../../dashboards/flowwatch.json");
    let dashboard: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut asked = Vec::new();
    for key in ["expr", "query", "definition"] {
        texts_under(&dashboard, key, &mut asked);
    }
    let known: BTreeSet<_> = metrics().map(Metric::sample_name).collect();
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let words = asked.iter().flat_map(|text| text.split(|it| !is_name(it)));
    let used: BTreeSet<_> = words
        .filter(|word| word.starts_with("flowwatch_") || word.starts_with("process_"))
        .collect();
    let unknown: Vec<_> = used.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(used.len() > 15, "{used:?}");
    let sources = text.matches("${datasource}").count();
    assert!(sources > 10, "every panel asks the chosen source");
}

#[test]
fn an_address_is_this_hosts_own_unless_it_says_otherwise() {
    let check = |text: &str, expected: Option<&str>| {
        let address = address_of(text).ok().map(|it| it.to_string());
        assert_eq!(address.as_deref(), expected, "{text}");
    };
    check("9617", Some("127.0.0.1:9617"));
    check("localhost:9617", Some("127.0.0.1:9617"));
    check("0.0.0.0:9617", Some("0.0.0.0:9617"));
    check("[::]:9617", Some("[::]:9617"));
    check("0", None);
    check("127.0.0.1", None);
    check("127.0.0.1:0", None);
    check("gateway.lan:9617", None);
    check("http://127.0.0.1:9617", None);
    check("", None);
}

#[test]
fn what_is_set_is_checked() {
    let check = |name: &str, text: &str, expected: bool| {
        let setting = ENTRY.settings.iter().find(|it| it.name == name).unwrap();
        assert_eq!((setting.check)(text).is_ok(), expected, "{name} {text}");
    };
    check("prometheus-destinations", "0", true);
    check("prometheus-destinations", "10001", false);
    check("prometheus-expiry", "90s", true);
    check("prometheus-expiry", "59s", false);
    check("prometheus-expiry", "soon", false);
    let settings = [("prometheus-destinations", "7".to_owned())].into();
    let given = Given {
        target: "9617",
        folder: std::path::Path::new(""),
        settings: &settings,
    };
    let target = format!("{:?}", (ENTRY.parse)(&given).unwrap());
    assert!(
        target.contains("per_device: 7") && target.contains("3600s"),
        "{target}"
    );
}

/// A server in a thread of its own, until it is dropped.
struct Serving {
    address: SocketAddr,
    wiring: Wiring,
    teller: Option<tokio::sync::watch::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Serving {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (wiring, teller) = Wiring::for_test(Duration::from_secs(1));
        let mut world = World::new(42);
        for _ in 0..200 {
            world.step(&mut wiring.ledger_mut());
        }
        let given = wiring.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .unwrap()
                .block_on(server::serve(listener, LIMITS, given));
        });
        Self {
            address,
            wiring,
            teller: Some(teller),
            thread: Some(thread),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Returns what is answered to these octets.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // One that has seen enough closes before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn check(&self, request: &str, status: &str) -> String {
        let answer = self.ask(request.as_bytes());
        assert!(answer.starts_with(status), "{request:?}: {answer}");
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.teller.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn who_asks_is_answered_in_the_format_that_was_asked_for() {
    let serving = Serving::begin();
    let page = serving.check("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200");
    assert!(page.contains("text/plain; version=0.0.4") && page.contains("connection: close"));
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    read(body, Syntax::Text);
    let asked = "GET /metrics HTTP/1.1\r\nHost: a\r\n\
                 Accept: application/openmetrics-text;version=1.0.0\r\n\r\n";
    let page = serving.check(asked, "HTTP/1.1 200");
    assert!(page.contains("application/openmetrics-text; version=1.0.0"));
    assert!(page.ends_with("# EOF\n"));
    assert_eq!(serving.wiring.figures.records(), 2);
}

#[test]
fn old_clients_and_those_who_ask_for_something_else_are_answered() {
    let serving = Serving::begin();
    let page = serving.check("GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.0 200");
    assert!(page.contains("flowwatch_build_info"));
    let head = serving.check("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200");
    assert!(!head.contains("flowwatch_build_info"));
    let index = serving.check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200");
    assert!(index.contains("href=\"/metrics\""));
    serving.check("GET /metric HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404");
    let refusal = serving.check("POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405");
    assert!(refusal.contains("allow: GET, HEAD"));
}

#[test]
fn garbage_and_oversize_are_refused_and_counted() {
    let serving = Serving::begin();
    let garbage: Vec<u8> = (0..4_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    serving.ask(&garbage);
    serving.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    let long = format!(
        "GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n",
        "a".repeat(99_999)
    );
    let answer = serving.ask(long.as_bytes());
    assert!(!answer.contains(" 200 "), "{answer}");
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(999));
    let answer = serving.ask(many.as_bytes());
    assert!(!answer.contains(" 200 "), "{answer}");
    // A connection that says nothing, and one that leaves amid a request.
    drop(serving.connect());
    serving.connect().write_all(b"GET /met").unwrap();
    serving.check("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200");
    assert!(serving.wiring.figures.failures() >= 3);
}

#[test]
fn a_thousand_who_ask_at_once_are_answered_one_after_the_other() {
    let serving = Serving::begin();
    let ask = |_| {
        let mut stream = serving.connect();
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).unwrap();
        stream
    };
    let streams: Vec<_> = (0..1_000).map(ask).collect();
    for mut stream in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(serving.wiring.figures.records(), 1_000);
}

#[test]
fn those_who_say_nothing_do_not_keep_others_from_being_answered() {
    let serving = Serving::begin();
    let silent: Vec<_> = (0..300).map(|_| serving.connect()).collect();
    serving.check("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200");
    drop(silent);
}

#[test]
fn the_counting_does_not_wait_for_one_who_reads_slowly() {
    let serving = Serving::begin();
    let mut slow = serving.connect();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut first = [0];
    slow.read_exact(&mut first).unwrap();
    // The ledger is free, and others are answered.
    drop(serving.wiring.ledger_mut());
    serving.check("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200");
}
