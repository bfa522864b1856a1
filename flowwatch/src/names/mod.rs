//! Names of remotes: what each device was told that an address is called.
//!
//! Made of `PayloadSample`s by the sources in `SOURCES`; read by the join with flows. Pure: time is
//! an argument, and no look-up is ever sent.
//!
//! A name is a claim with a source. It is believed of the device that was told, and of no other:
//! one address stands for many names. What it can't tell is whether the device had asked: an answer
//! that someone slips to the device, and that the device then ignores, names an address all the same.

mod bindings;
mod dns;
mod finding;
mod host_name;
mod http;
mod quic;
mod stream;
mod stream_table;
mod tcp;
mod tls;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::observation::{DeviceId, PayloadSample};
use bindings::Bindings;
pub use bindings::{Binding, NameLimits};
use stream_table::StreamLimits;

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameSource {
    /// The `server_name` of a TLS `ClientHello` that the device sent.
    Sni,
    /// The same in a QUIC Initial packet.
    Quic,
    /// The `Host` of an HTTP/1 request that the device sent.
    Http,
    /// A DNS answer that the device received.
    Dns,
    /// The `server_name` of a `ClientHello` that offers Encrypted Client Hello: the outer name,
    /// under which the true one may be hidden.
    Ech,
    /// What a neighbour announces of itself by multicast DNS.
    Mdns,
}

impl NameSource {
    /// Every source, the one that says most of a connection first.
    pub const ALL: &[Self] = &[
        Self::Sni,
        Self::Quic,
        Self::Http,
        Self::Dns,
        Self::Ech,
        Self::Mdns,
    ];

    /// Returns the source's name in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sni => "sni",
            Self::Quic => "quic",
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Ech => "ech",
            Self::Mdns => "mdns",
        }
    }
}

/// The readers of samples, in the order in which they are asked. A new one is a file beside this
/// one, and a line here.
static READERS: &[fn() -> Box<dyn NameReader>] = &[
    || Box::new(dns::DnsAnswers),
    || Box::new(tcp::StreamStarts::new(StreamLimits::default())),
    || Box::new(quic::QuicInitials::new(StreamLimits::default())),
];

/// A way to get names out of samples. A reader that puts streams together holds what it waits for,
/// within bounds of its own.
trait NameReader: fmt::Debug + Send {
    /// Returns what the sample says, or nothing when it isn't this reader's to read.
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading>;

    /// Returns how many streams the reader dropped while it waited for more of them.
    fn abandoned(&self) -> u64 {
        0
    }
}

/// What a reader got out of one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    outcome: Outcome,
    claims: Vec<Claim>,
    /// Addresses that a blocker put in the place of the true ones.
    blocked: u64,
}

/// How far a reader came with one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// To its end.
    Understood,
    /// To its end, which is not that of what it is a part of: the rest is waited for.
    Pending,
    /// To where the sample, or what the sender had room for, ends.
    Cut,
    /// To where it contradicts itself.
    Malformed,
    /// As far as that it has nothing to say: an error, another class.
    Nameless,
}

/// That a name stands for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    address: IpAddr,
    name: Arc<str>,
    source: NameSource,
    /// Of a name that the device sent as it connected: what it connected to. It says nothing of
    /// other connections to the address.
    service: Option<Service>,
    chain: Arc<[Arc<str>]>,
    /// Seconds; of no weight where there is a service.
    ttl: u32,
}

/// What a device connects to at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// IANA protocol number.
    pub protocol: u8,
    /// The remote's transport port.
    pub port: u16,
}

/// A flow, as far as its names go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The device.
    pub device: DeviceId,
    /// The address at the other end.
    pub remote: IpAddr,
    /// What the device connected to there.
    pub service: Service,
    /// The flow's first packet.
    pub first_seen: Timestamp,
    /// The flow's last packet.
    pub last_seen: Timestamp,
}

/// A flow's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The names that it may go under, newest first; none when its device was told none.
    pub names: Vec<Arc<str>>,
    /// The first name's source.
    pub source: Option<NameSource>,
}

/// What became of the samples since the table was made.
///
/// `samples` = `understood` + `pending` + `cut` + `malformed` + `nameless`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct NameCounters {
    /// Samples that a reader took as its own.
    pub samples: u64,
    /// Of those, the ones read to their end.
    pub understood: u64,
    /// Of those, the parts of something that was not complete with them.
    pub pending: u64,
    /// Of those, the ones read to where the sample ends or the sender left off.
    pub cut: u64,
    /// Of those, the ones that contradict themselves; what came before that was kept.
    pub malformed: u64,
    /// Of those, the ones with nothing to say: errors, other classes.
    pub nameless: u64,
    /// Addresses that a blocker put in the place of the true ones, and that were ignored.
    pub blocked: u64,
    /// Streams that were dropped before they had told a name: what was missing didn't come, or a limit
    /// was reached.
    pub abandoned: u64,
    /// Bindings that gave way to newer ones because a limit was reached.
    pub turned_away: u64,
    /// Bindings held now.
    pub bindings: u64,
}

impl NameCounters {
    fn add(&mut self, reading: &Reading) {
        self.samples += 1;
        self.blocked += reading.blocked;
        *match reading.outcome {
            Outcome::Understood => &mut self.understood,
            Outcome::Pending => &mut self.pending,
            Outcome::Cut => &mut self.cut,
            Outcome::Malformed => &mut self.malformed,
            Outcome::Nameless => &mut self.nameless,
        } += 1;
    }
}

/// Which names each device was told for which addresses.
#[derive(Debug)]
pub struct NameTable {
    readers: Vec<Box<dyn NameReader>>,
    bindings: Bindings,
    counters: NameCounters,
}

impl Default for NameTable {
    fn default() -> Self {
        Self::new(NameLimits::default())
    }
}

impl NameTable {
    /// Makes an empty table that holds no more than `limits` say.
    #[must_use]
    pub fn new(limits: NameLimits) -> Self {
        Self {
            readers: READERS.iter().map(|reader| reader()).collect(),
            bindings: Bindings::new(limits),
            counters: NameCounters::default(),
        }
    }

    /// Takes in what a sample says, if any reader can read it.
    pub fn observe(&mut self, sample: &PayloadSample) {
        for reader in &mut self.readers {
            if let Some(reading) = reader.read(sample) {
                self.counters.add(&reading);
                for claim in reading.claims {
                    self.bindings.hold(sample.device, claim, sample.at);
                }
            }
        }
    }

    /// Returns the names under which the device may have reached the remote in the flow's time.
    ///
    /// These are the ones that it was told in that time, that were still to be kept when it began,
    /// and, however old, the newest before it: a binding lives as long as its flows do.
    #[must_use]
    pub fn naming_of(&self, contact: &Contact) -> Naming {
        let candidates = self.bindings.candidates(contact);
        let mut naming = Naming {
            source: candidates.first().map(|binding| binding.source),
            names: Vec::with_capacity(candidates.len()),
        };
        for binding in candidates {
            if !naming.names.contains(&binding.name) {
                naming.names.push(Arc::clone(&binding.name));
            }
        }
        naming
    }

    /// Returns what the device was told of the remote, in no order.
    #[must_use]
    pub fn bindings_of(&self, device: DeviceId, remote: IpAddr) -> &[Binding] {
        self.bindings.of(device, remote)
    }

    /// Returns what became of the samples.
    #[must_use]
    pub fn counters(&self) -> NameCounters {
        NameCounters {
            abandoned: self.readers.iter().map(|reader| reader.abandoned()).sum(),
            turned_away: self.bindings.turned_away(),
            bindings: self.bindings.held(),
            ..self.counters
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::dns::tests::answer;
    use super::*;

    const A: u16 = 1;
    const CNAME: u16 = 5;
    const CDN: &str = "50.7.98.242";

    fn at(seconds: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn told(table: &mut NameTable, device: DeviceId, question: &str, seconds: u64) {
        let sample = answer(
            question,
            &[(question, CNAME, "cdn.test"), ("cdn.test", A, CDN)],
        );
        table.observe(&PayloadSample {
            device,
            at: at(seconds),
            ..sample
        });
    }

    fn names(table: &NameTable, device: DeviceId, seconds: u64) -> Vec<String> {
        let naming = table.naming_of(&Contact {
            device,
            remote: CDN.parse().unwrap(),
            service: Service {
                protocol: 6,
                port: 443,
            },
            first_seen: at(seconds),
            last_seen: at(seconds),
        });
        assert_eq!(naming.source, naming.names.first().map(|_| NameSource::Dns));
        naming.names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn devices_have_their_own_names_for_one_address() {
        let mut table = NameTable::default();
        told(&mut table, 0, "gm.iotcplatform.com", 0);
        told(&mut table, 1, "us-master.iotcplatform.com", 0);
        assert_eq!(names(&table, 0, 1), ["gm.iotcplatform.com"]);
        assert_eq!(names(&table, 1, 1), ["us-master.iotcplatform.com"]);
        assert_eq!(names(&table, 2, 1), [""; 0]);
    }

    #[test]
    fn names_of_one_address_come_newest_first() {
        let mut table = NameTable::default();
        told(&mut table, 0, "older.test", 0);
        told(&mut table, 0, "newer.test", 5);
        assert_eq!(names(&table, 0, 10), ["newer.test", "older.test"]);
        told(&mut table, 0, "older.test", 10);
        assert_eq!(names(&table, 0, 10), ["older.test", "newer.test"]);
    }

    #[test]
    fn chain_is_kept() {
        let mut table = NameTable::default();
        told(&mut table, 0, "a.test", 0);
        let [binding] = table.bindings_of(0, CDN.parse().unwrap()) else {
            panic!("one binding")
        };
        assert_eq!(
            (&*binding.name, binding.source),
            ("a.test", NameSource::Dns)
        );
        assert_eq!(*binding.chain, [Arc::from("cdn.test")]);
        assert_eq!(binding.ttl, 300);
    }

    #[test]
    fn every_sample_is_counted_once() {
        let mut table = NameTable::new(NameLimits {
            names_per_address: 1,
            ..NameLimits::default()
        });
        told(&mut table, 0, "a.test", 0);
        told(&mut table, 0, "b.test", 1);
        let whole = answer("c.test", &[("c.test", A, CDN), ("c.test", A, "0.0.0.0")]);
        table.observe(&whole);
        let cut = whole.payload.slice(..whole.payload.len() - 1);
        table.observe(&PayloadSample {
            payload: cut,
            ..whole.clone()
        });
        table.observe(&PayloadSample {
            payload: Bytes::new(),
            wire_length: 0,
            ..whole.clone()
        });
        let mut error = whole.payload.to_vec();
        error[3] |= 3;
        table.observe(&PayloadSample {
            payload: error.into(),
            ..whole.clone()
        });
        table.observe(&PayloadSample {
            remote_port: 443,
            ..whole
        });
        let expected = NameCounters {
            samples: 6,
            understood: 3,
            pending: 0,
            cut: 1,
            malformed: 1,
            nameless: 1,
            blocked: 1,
            abandoned: 0,
            turned_away: 2,
            bindings: 1,
        };
        assert_eq!(table.counters(), expected);
    }

    #[test]
    fn mutated_answers_name_nothing_that_is_not_visible() {
        let fixture = answer(
            "gm.test",
            &[("gm.test", CNAME, "cdn.test"), ("cdn.test", A, CDN)],
        );
        let mut table = NameTable::default();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % below
        };
        for _ in 0..100_000 {
            let mut payload = fixture.payload.to_vec();
            for _ in 0..=next(3) {
                let octet = next(payload.len());
                payload[octet] = next(256) as u8;
            }
            table.observe(&PayloadSample {
                payload: payload.into(),
                ..fixture.clone()
            });
        }
        for name in names(&table, 0, 0) {
            assert!(
                name.chars().all(|letter| letter.is_ascii_graphic()),
                "{name}"
            );
        }
        let counters = table.counters();
        let outcomes = counters.understood + counters.cut + counters.malformed + counters.nameless;
        assert_eq!((counters.samples, outcomes), (100_000, 100_000));
        assert!(
            counters.understood > 1000 && counters.malformed > 1000,
            "{counters:?}"
        );
    }
}
