//! Messages read by a reader of its own, which knows of a record what its template says; datagrams to
//! collectors that are there and that aren't.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Builder;

use super::datagrams::Datagrams;
use super::message::{Messages, Stream};
use super::statistics::Statistics;
use super::{ENTRY, domain_of};
use crate::export::tests::Chance;
use crate::export::{Batch, Given, Row};
use crate::format::sample;
use crate::model::Device;
use crate::observation::Traffic;
use crate::store::BothWays;

/// A record's values, by the elements' numbers.
type Record = BTreeMap<u16, Vec<u8>>;

/// A collector: it knows the templates that it was told.
#[derive(Default)]
struct Reader {
    /// The elements' numbers and lengths, and how many of them are scopes.
    templates: HashMap<u16, (Vec<(u16, u16)>, u16)>,
    sequence: u32,
    flows: Vec<Record>,
    options: Vec<Record>,
}

struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn number(&mut self, count: usize) -> u64 {
        number(self.take(count))
    }

    fn short(&mut self) -> u16 {
        self.number(2) as u16
    }
}

fn number(octets: &[u8]) -> u64 {
    octets
        .iter()
        .fold(0, |sum, octet| sum << 8 | u64::from(*octet))
}

impl Reader {
    /// Reads a message (RFC 7011 §3.1).
    fn read(&mut self, message: &[u8], domain: u32) {
        let mut octets = Octets(message);
        assert_eq!(octets.short(), 10, "the version");
        assert_eq!(usize::from(octets.short()), message.len(), "the length");
        octets.take(4);
        assert_eq!(octets.number(4) as u32, self.sequence, "the sequence");
        assert_eq!(octets.number(4) as u32, domain);
        while !octets.0.is_empty() {
            let (id, length) = (octets.short(), octets.short());
            let set = Octets(octets.take(usize::from(length) - 4));
            match id {
                2 | 3 => self.learn(set, id == 3),
                _ => self.read_data(set, id),
            }
        }
    }

    fn learn(&mut self, mut set: Octets<'_>, has_scopes: bool) {
        while !set.0.is_empty() {
            let (id, count) = (set.short(), set.short());
            assert!(id >= 256);
            let scopes = if has_scopes { set.short() } else { 0 };
            let fields = (0..count).map(|_| (set.short(), set.short()));
            let fields = (fields.collect(), scopes);
            let earlier = self.templates.insert(id, fields.clone());
            assert!(earlier.is_none_or(|earlier| earlier == fields));
        }
    }

    fn read_data(&mut self, mut set: Octets<'_>, id: u16) {
        let (fields, scopes) = self.templates[&id].clone();
        while !set.0.is_empty() {
            let mut record = Record::new();
            for &(element, length) in &fields {
                let length = match length {
                    0xffff => set.number(1),
                    length => length.into(),
                };
                assert!(length < 255, "no longer length is used here");
                let value = set.take(length as usize).to_vec();
                assert_eq!(record.insert(element, value), None, "{element} twice");
            }
            self.sequence += 1;
            if scopes == 0 {
                self.flows.push(record);
            } else {
                self.options.push(record);
            }
        }
    }
}

fn traffic(chance: &mut Chance) -> Traffic {
    let packets = chance.below(3);
    Traffic {
        packets,
        octets: packets << (chance.below(8) * 8),
    }
}

fn row(chance: &mut Chance) -> Row {
    let new = BothWays {
        up: traffic(chance),
        down: traffic(chance),
    };
    let mut record = sample::record();
    let name = "d".repeat(1 + chance.below(99) as usize);
    record.device = Device::new(&name, "2c:aa:8e:00:00:01".parse().unwrap()).unwrap();
    if chance.below(9) == 0 {
        return Row::of_rest(record.device, new, record.last_seen);
    }
    if chance.below(2) == 0 {
        record.remote_address = "2600:1f14::7".parse().unwrap();
    }
    let name = "é".repeat(chance.below(200) as usize);
    record.naming = sample::naming(&[&*name]);
    record.place.asn = Some(16_509);
    Row::of_flow(&record, new, record.last_seen)
}

fn batch(chance: &mut Chance, rows: usize) -> Batch {
    let since = sample::record().last_seen - SignedDuration::from_secs(9);
    let until = since + SignedDuration::from_mins(1);
    Batch::for_test((since, until), (0..rows).map(|_| row(chance)).collect())
}

fn sum<'a>(values: impl Iterator<Item = &'a Record>, element: u16) -> u64 {
    values.map(|record| number(&record[&element])).sum()
}

#[test]
fn what_messages_hold_sums_up_to_the_rows_whatever_their_size() {
    for (seed, most) in (1..=30).zip([512, 1232, 1400, 16 << 10].into_iter().cycle()) {
        let mut chance = Chance(seed * 7_919);
        let (mut reader, mut stream) = (Reader::default(), Stream::new(7));
        let mut counted = BothWays::default();
        let (mut records, mut flows) = (0, 0);
        for round in 0..4 {
            let batch = batch(&mut chance, 200);
            let mut messages = Messages::new(stream, most, Timestamp::now());
            if round == 0 {
                messages.describe_flows();
                messages.describe_statistics();
            }
            messages.add_statistics(9, &Statistics::default());
            for row in &batch.rows {
                messages.add_row(row, &batch);
                counted.up += row.up();
                counted.down += row.down();
                records += usize::from(row.up().packets > 0);
                records += usize::from(row.down().packets > 0);
            }
            let (messages, end, new) = messages.end();
            for message in messages {
                assert!(message.len() <= most, "{} of {most}", message.len());
                reader.read(&message, 7);
            }
            stream = end;
            flows += new;
        }
        let ways = |direction: u8| {
            let is_way = move |record: &&Record| record[&61] == [direction];
            reader.flows.iter().filter(is_way)
        };
        let [up, down] = [0, 1].map(|way| Traffic {
            packets: sum(ways(way), 2),
            octets: sum(ways(way), 1),
        });
        assert_eq!(BothWays { up, down }, counted, "seed {seed}");
        assert_eq!((reader.flows.len(), flows), (records, records as u64));
        assert_eq!(reader.options.len(), 8);
    }
}

/// Returns the records of one row.
fn records_of(row: Row, since: Timestamp, until: Timestamp) -> Vec<Record> {
    let batch = Batch::for_test((since, until), vec![row]);
    let mut messages = Messages::new(Stream::new(1), 1400, until);
    messages.describe_flows();
    messages.add_row(&batch.rows[0], &batch);
    let mut reader = Reader::default();
    for message in messages.end().0 {
        reader.read(&message, 1);
    }
    reader.flows
}

const ONE: Traffic = Traffic {
    packets: 1,
    octets: 99,
};

#[test]
fn a_record_says_who_where_when_and_how_much() {
    let mut record = sample::record();
    record.naming = sample::naming(&["us-master.iotcplatform.com", "second.test"]);
    record.place.asn = Some(30_058);
    let (address, port) = (record.remote_address, record.remote_port);
    let IpAddr::V4(address) = address else {
        panic!("the sample's is IPv4")
    };
    let since = record.first_seen - SignedDuration::from_secs(5);
    let both = BothWays { up: ONE, down: ONE };
    let row = Row::of_flow(&record, both, record.last_seen);
    let [up, down] = &records_of(row, since, record.last_seen)[..] else {
        panic!("one for each direction")
    };
    let mac = record.device.mac.unwrap().octets();
    assert_eq!((&up[&56][..], &down[&80][..]), (&mac[..], &mac[..]));
    let address = address.octets();
    assert_eq!((&up[&12][..], &down[&8][..]), (&address[..], &address[..]));
    let port = u64::from(port);
    assert_eq!((number(&up[&11]), number(&down[&7])), (port, port));
    assert_eq!((number(&up[&17]), number(&down[&16])), (30_058, 30_058));
    for record_read in [up, down] {
        assert_eq!(record_read[&4], [record.protocol]);
        assert_eq!(record_read[&96], b"us-master.iotcplatform.com");
        assert_eq!(record_read[&371], record.device.name.as_bytes());
        let times = [152, 153].map(|element| number(&record_read[&element]).cast_signed());
        let expected = [record.first_seen, record.last_seen].map(Timestamp::as_millisecond);
        assert_eq!(times, expected);
        assert_eq!(
            (number(&record_read[&1]), number(&record_read[&2])),
            (99, 1)
        );
    }
    assert!(up.len() == down.len() && !up.contains_key(&80) && !down.contains_key(&56));
}

#[test]
fn what_is_in_no_flow_is_of_its_device_and_an_unspecified_remote() {
    let record = sample::record();
    let both = BothWays { up: ONE, down: ONE };
    let row = Row::of_rest(record.device.clone(), both, record.last_seen);
    let records = records_of(row, record.first_seen, record.last_seen);
    let mac = record.device.mac.unwrap().octets();
    assert_eq!(
        (&records[0][&56][..], &records[1][&80][..]),
        (&mac[..], &mac[..])
    );
    assert_eq!(
        (&records[0][&12][..], &records[1][&8][..]),
        (&[0; 4][..], &[0; 4][..])
    );
    for record in records {
        assert_eq!((number(&record[&4]), number(&record[&1])), (0, 99));
        assert!(record[&96].is_empty());
    }
}

#[test]
fn a_record_begins_where_the_one_before_ended_and_never_after_its_own_end() {
    let record = sample::record();
    let new = BothWays {
        up: ONE,
        down: Traffic::default(),
    };
    let check = |since: Timestamp, last_seen: Timestamp, expected: Timestamp| {
        let row = Row::of_flow(&record, new, last_seen);
        let records = records_of(row, since, last_seen);
        assert_eq!(records.len(), 1, "nothing came down");
        assert_eq!(
            number(&records[0][&152]).cast_signed(),
            expected.as_millisecond()
        );
    };
    let later = record.first_seen + SignedDuration::from_secs(5);
    check(later, later + SignedDuration::from_secs(1), later);
    // The clock was set back meanwhile.
    check(later, record.first_seen, record.first_seen);
}

#[test]
fn a_strangers_name_is_escaped_and_cut() {
    let mut record = sample::record();
    let name = format!("a\n\u{202e}{}", "é".repeat(400));
    record.naming = sample::naming(&[&*name]);
    let both = BothWays { up: ONE, down: ONE };
    let row = Row::of_flow(&record, both, record.last_seen);
    let records = records_of(row, record.first_seen, record.last_seen);
    let name = std::str::from_utf8(&records[0][&96]).unwrap();
    assert!(name.starts_with("a\\x0a\\u{202e}é"), "{name}");
    assert!((252..=253).contains(&name.len()), "{}", name.len());
}

#[test]
fn a_target_is_a_transport_and_an_address() {
    let check = |text: &str, expected: Option<&str>| {
        let settings = [("ipfix-domain", "42".to_owned())].into();
        let given = Given {
            target: text,
            folder: Path::new(""),
            settings: &settings,
        };
        let target = (ENTRY.parse)(&given).ok().map(|it| format!("{it:?}"));
        let expected = expected.map(|it| format!("Collector {{ {it}, domain: 42 }}"));
        assert_eq!(target, expected, "{text}");
    };
    let udp = r#"address: "a:9995", is_stream: false"#;
    check("udp://a:9995", Some(udp));
    let with_port = r#"address: "[2001:db8::1]:4739", is_stream: true"#;
    check("tcp://[2001:db8::1]", Some(with_port));
    for text in ["a:9995", "udp://", "udp://a:0", "sctp://a:1", "udp://a:b"] {
        check(text, None);
    }
    assert_eq!(domain_of("4294967295").ok(), Some(u32::MAX));
    assert!(domain_of("4294967296").is_err() && domain_of("-1").is_err());
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_an_error_until_it_is() {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = collector.local_addr().unwrap();
    let mut datagrams = Datagrams::new(address.to_string());
    assert_eq!(datagrams.ready().await.unwrap(), 1400);
    datagrams.send(&[vec![1; 1400], vec![2]]).await.unwrap();
    let mut received = [0; 2000];
    assert_eq!(collector.recv(&mut received).unwrap(), 1400);
    drop(collector);
    datagrams.ready().await.unwrap();
    let error = datagrams.send(&[vec![3]]).await.unwrap_err().to_string();
    assert!(error.starts_with("send: Connection refused"), "{error}");
    let collector = UdpSocket::bind(address).unwrap();
    datagrams.ready().await.unwrap();
    datagrams.send(&[vec![4]]).await.unwrap();
    let timeout = Some(Duration::from_secs(9));
    collector.set_read_timeout(timeout).unwrap();
    assert_eq!(collector.recv(&mut received).unwrap(), 1);
    assert_eq!(received[0], 4);
}

#[test]
fn a_collector_that_talks_without_end_holds_nothing_up() {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = collector.local_addr().unwrap().to_string();
    let (sender, sent) = mpsc::channel();
    let exporting = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut datagrams = Datagrams::new(address);
            for number in 0..3 {
                datagrams.ready().await.unwrap();
                datagrams.send(&[vec![number]]).await.unwrap();
            }
        });
        sender.send(()).unwrap();
    });
    let (_, exporter) = collector.recv_from(&mut [0; 9]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while sent.try_recv().is_err() {
        assert!(Instant::now() < deadline, "it is still listening");
        // Nobody is there at the end.
        let _ = collector.send_to(b"nonsense", exporter);
    }
    exporting.join().unwrap();
}

#[tokio::test]
async fn what_a_collector_says_is_no_reason_to_leave_it() {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut datagrams = Datagrams::new(collector.local_addr().unwrap().to_string());
    datagrams.ready().await.unwrap();
    datagrams.send(&[vec![1]]).await.unwrap();
    let (_, exporter) = collector.recv_from(&mut [0; 9]).unwrap();
    for _ in 0..200 {
        collector.send_to(b"nonsense", exporter).unwrap();
    }
    datagrams.ready().await.unwrap();
    datagrams.send(&[vec![2]]).await.unwrap();
    let (_, again) = collector.recv_from(&mut [0; 9]).unwrap();
    assert_eq!(again, exporter, "it is the same socket");
}
