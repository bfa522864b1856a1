//! Names of remotes: what each device was told that an address is called, and what it said itself.
//!
//! Made of `PayloadSample`s by the readers in `READERS`; read by the join with flows. Pure: time is
//! an argument, and no look-up is ever sent.
//!
//! A name is a claim with a source. It is believed of the device that was told, and of no other:
//! one address stands for many names. What it can't tell is whether the device had asked: an answer
//! that someone slips to the device, and that the device then ignores, names an address all the same.

mod bindings;
mod changes;
mod dns;
mod dns_stream;
mod finding;
mod host_name;
mod http;
mod lookups;
mod mdns;
mod naming;
mod offers;
mod quic;
mod reading;
mod remembered;
mod resolvers;
mod resolving;
mod stream;
mod stream_table;
mod tcp;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;

use crate::observation::{DeviceId, PayloadSample};
use bindings::Bindings;
pub use bindings::{Binding, NameLimits};
use changes::ChangedNames;
pub use changes::NameChanges;
use jiff::SignedDuration;
pub use lookups::Answers;
use lookups::Lookups;
use mdns::Announcements;
pub use mdns::{Announced, announced};
pub use naming::{Candidate, Contact, Naming, Service};
pub use reading::ServiceOffer;
use reading::{Claim, Fact, NameReader, Outcome, Reading};
use remembered::Remembered;
pub use remembered::RememberedName;
pub use resolving::{Resolver, Resolving, Transport, Use, Uses};
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
    /// What an earlier run recorded that the device was told of the address, or said on such a
    /// connection; only where nothing else names the flow.
    History,
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
        Self::History,
    ];

    /// Returns whether the device said the name itself, as that of what it connected to.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Sni | Self::Quic | Self::Http)
    }

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
            Self::History => "history",
        }
    }
}

/// The readers of samples, in the order in which they are asked: those that know theirs by its port
/// before those that look for theirs on any. A new one is a file beside this one, and a line here.
static READERS: &[fn() -> Box<dyn NameReader>] = &[
    || Box::new(dns::DnsAnswers),
    || Box::new(dns_stream::DnsStreams::new()),
    || Box::new(mdns::MdnsAnnouncements),
    || Box::new(offers::DhcpOffers),
    || Box::new(tcp::StreamStarts::new(StreamLimits::default())),
    || Box::new(quic::QuicInitials::new(StreamLimits::default())),
];

/// What became of the samples since the table was made.
///
/// `samples` = `understood` + `pending` + `cut` + `malformed` + `nameless`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// Bindings and announcements that gave way to others because a limit was reached, and names of
    /// an earlier run that found no room.
    pub turned_away: u64,
    /// Names asked for that were forgotten, and resolvers not counted, because a limit was reached.
    pub lookups_turned_away: u64,
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
    announcements: Announcements,
    remembered: Remembered,
    lookups: Lookups,
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
            announcements: Announcements::default(),
            remembered: Remembered::default(),
            lookups: Lookups::default(),
            counters: NameCounters::default(),
        }
    }

    /// Takes in what a sample says, as the first reader that takes it for its own reads it.
    pub fn observe(&mut self, sample: &PayloadSample) {
        let mut readers = self.readers.iter_mut();
        let Some(reading) = readers.find_map(|reader| reader.read(sample)) else {
            return;
        };
        self.counters.add(&reading);
        for claim in reading.claims {
            self.bindings.hold(sample.device, claim, sample.at);
        }
        for fact in reading.facts {
            match fact {
                Fact::Lookup(lookup) => self.lookups.hold(sample.device, &lookup),
                Fact::Offer(servers) => self.lookups.offer(sample.device, &servers),
                Fact::Announcement(claim) => {
                    self.announcements.hold(sample.device, claim, sample.at);
                }
            }
        }
    }

    /// Takes in what the device's remotes went by in an earlier run, the best names of each first.
    pub fn remember(&mut self, device: DeviceId, names: impl IntoIterator<Item = RememberedName>) {
        for name in names {
            let remote = name.remote;
            if self.remembered.hold(device, name) {
                self.bindings.changes().note(|| (device, remote));
            }
        }
    }

    /// Moves every time, as the clock that samples are dated by was set: bindings stay beside the
    /// flows that they name.
    pub fn shift(&mut self, by: SignedDuration) {
        self.bindings.shift(by);
        self.announcements.shift(by);
        for reader in &mut self.readers {
            reader.shift(by);
        }
    }

    /// Returns the names under which the device may have reached the remote in the flow's time.
    ///
    /// The best come first: what the device said on connections of the flow's own, then what it was
    /// told of the address, then a name that it said to hide another behind, then what the remote
    /// calls itself. A name that covers is left out where the device was told it of the address. Where
    /// there is none of these, what the remote went by in an earlier run stands in.
    #[must_use]
    pub fn naming_of(&self, contact: &Contact) -> Naming {
        let own = self.bindings.candidates(contact);
        let announced = self.announcements.of(contact);
        let mut candidates: Vec<Candidate> = Vec::with_capacity(own.len());
        for binding in own.into_iter().chain(announced) {
            let is_told = candidates.iter().any(|candidate| {
                let Binding { name, source, .. } = &*candidate.binding;
                *source == NameSource::Dns && *name == binding.name
            });
            if !(is_told && binding.source == NameSource::Ech) {
                candidates.push(self.candidate(contact.device, binding));
            }
        }
        if candidates.is_empty() {
            candidates = self.remembered.candidates(contact);
        }
        Naming { candidates }
    }

    fn candidate(&self, device: DeviceId, binding: &Arc<Binding>) -> Candidate {
        let is_answer = binding.source == NameSource::Dns;
        let asked = || self.lookups.is_asked(device, &binding.name);
        Candidate {
            asked: if is_answer { Some(true) } else { asked() },
            offer: self.lookups.offer_of(device, &binding.name),
            binding: Arc::clone(binding),
        }
    }

    /// Returns what the device was told of the remote, or said itself, in no order.
    #[must_use]
    pub fn bindings_of(&self, device: DeviceId, remote: IpAddr) -> Vec<Arc<Binding>> {
        let held = self.bindings.of(device, remote).iter();
        held.map(|held| Arc::clone(&held.binding)).collect()
    }

    /// Takes in the resolvers that the network gave the device, by whatever way that was learnt.
    pub fn offer(&mut self, device: DeviceId, resolvers: &[IpAddr]) {
        self.lookups.offer(device, resolvers);
    }

    /// Returns the resolvers that the network gave the device; none where no offer was seen.
    #[must_use]
    pub fn offered(&self, device: DeviceId) -> &[IpAddr] {
        self.lookups.offered(device)
    }

    /// Returns whether later packets of a contact could not change its names, as long as nothing is
    /// told: a name that came after the last packet counts for the next one.
    #[must_use]
    pub fn is_settled(&self, contact: &Contact) -> bool {
        self.bindings.are_settled(contact) && self.announcements.are_settled(contact)
    }

    /// Begins to note which names change, until [`Self::unfollow`].
    pub fn follow(&mut self) {
        self.bindings.changes().follow();
        self.announcements.changes().follow();
        self.lookups.changes().follow();
    }

    /// Ends what [`Self::follow`] began.
    pub fn unfollow(&mut self) {
        self.bindings.changes().unfollow();
        self.announcements.changes().unfollow();
        self.lookups.changes().unfollow();
    }

    /// Returns whose names may have changed since the last call; nothing where that was not noted.
    pub fn take_changes(&mut self) -> Option<NameChanges> {
        let (mut remotes, are_all_bindings) = self.bindings.changes().take()?;
        let (announced, are_all_announced) = self.announcements.changes().take()?;
        let (asked, are_all_asked) = self.lookups.changes().take()?;
        if !(are_all_bindings && are_all_announced && are_all_asked) {
            return Some(NameChanges::All);
        }
        for (device, names) in ChangedNames::by_device(asked) {
            let is_meant = |name: &str| names.include(name);
            let bound = self.bindings.addresses_of(device, is_meant);
            let announced = self.announcements.addresses_of(is_meant);
            remotes.extend(bound.chain(announced).map(|address| (device, address)));
        }
        Some(NameChanges::Of { remotes, announced })
    }

    const fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// Returns what became of the samples.
    #[must_use]
    pub fn counters(&self) -> NameCounters {
        NameCounters {
            abandoned: self.readers.iter().map(|reader| reader.abandoned()).sum(),
            turned_away: self.bindings.turned_away()
                + self.announcements.turned_away()
                + self.remembered.turned_away(),
            lookups_turned_away: self.lookups.turned_away(),
            bindings: self.bindings.held(),
            ..self.counters
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use jiff::Timestamp;

    use super::dns::tests::answer;
    use super::*;
    use crate::observation::Segment;

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

    fn naming(table: &NameTable, device: DeviceId, seconds: u64) -> Naming {
        table.naming_of(&Contact {
            device,
            remote: CDN.parse().unwrap(),
            service: Service {
                protocol: 6,
                port: 443,
            },
            first_seen: at(seconds),
            last_seen: at(seconds),
        })
    }

    fn names(table: &NameTable, device: DeviceId, seconds: u64) -> Vec<String> {
        let naming = naming(table, device, seconds);
        let source = naming.candidates.first().map(|_| NameSource::Dns);
        assert_eq!(naming.source(), source);
        naming.names().iter().map(ToString::to_string).collect()
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
    fn names_stay_beside_their_flows_when_the_clock_is_set() {
        let mut table = NameTable::default();
        told(&mut table, 0, "gm.iotcplatform.com", 60);
        let half_a_century: u64 = 1_795_000_000;
        table.shift(SignedDuration::from_secs(1_795_000_000));
        assert_eq!(names(&table, 0, 61), [""; 0], "nothing was told then");
        assert_eq!(
            names(&table, 0, half_a_century + 61),
            ["gm.iotcplatform.com"]
        );
        let binding = &naming(&table, 0, half_a_century + 61).candidates[0].binding;
        assert_eq!(binding.first_told, at(half_a_century + 60));
        table.shift(SignedDuration::from_hours(-1));
        let earlier = half_a_century + 61 - 3600;
        assert_eq!(names(&table, 0, earlier), ["gm.iotcplatform.com"]);
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
        let naming = naming(&table, 0, 1);
        let [Candidate { binding, .. }] = &naming.candidates[..] else {
            panic!("one binding")
        };
        assert_eq!(
            (&*binding.name, binding.source),
            ("a.test", NameSource::Dns)
        );
        assert_eq!(*binding.chain, [Arc::from("cdn.test")]);
        assert_eq!(binding.ttl, 300);
    }

    /// What the device said or was told of the address at a second; what it said itself, of `port`.
    fn claimed(table: &mut NameTable, (source, name): (NameSource, &str), port: u16, seconds: u64) {
        let is_said = source.is_own() || source == NameSource::Ech;
        let claim = Claim {
            address: CDN.parse().unwrap(),
            name: name.into(),
            source,
            service: is_said.then_some(Service { protocol: 6, port }),
            chain: Arc::default(),
            ttl: 300,
        };
        table.bindings.hold(0, claim, at(seconds));
    }

    /// Compares the names of a flow to port 443 at these seconds, each with its source.
    fn check_flow(
        claims: &[(NameSource, &str, u16, u64)],
        (first, last): (u64, u64),
        expected: &[(NameSource, &str)],
    ) {
        let mut table = NameTable::default();
        for &(source, name, port, seconds) in claims {
            claimed(&mut table, (source, name), port, seconds);
        }
        let naming = table.naming_of(&Contact {
            device: 0,
            remote: CDN.parse().unwrap(),
            service: Service {
                protocol: 6,
                port: 443,
            },
            first_seen: at(first),
            last_seen: at(last),
        });
        let candidates = naming.candidates.iter();
        let named: Vec<_> = candidates
            .map(|candidate| (candidate.binding.source, &*candidate.binding.name))
            .collect();
        assert_eq!(named, expected);
        assert_eq!(naming.source(), expected.first().map(|(source, _)| *source));
    }

    #[test]
    fn what_a_device_says_on_the_connection_comes_before_what_it_was_told() {
        use NameSource::{Dns, Http, Quic, Sni};
        for own in [Sni, Quic, Http] {
            check_flow(
                &[(own, "own.test", 443, 10), (Dns, "newer.test", 0, 20)],
                (10, 30),
                &[(own, "own.test"), (Dns, "newer.test")],
            );
        }
    }

    #[test]
    fn what_a_device_says_names_its_own_service_alone() {
        use NameSource::{Dns, Sni};
        check_flow(
            &[(Sni, "other.test", 8443, 10), (Dns, "told.test", 0, 5)],
            (10, 30),
            &[(Dns, "told.test")],
        );
    }

    #[test]
    fn two_names_of_one_service_are_both_shown_the_newer_first() {
        use NameSource::{Quic, Sni};
        check_flow(
            &[(Sni, "a.test", 443, 10), (Quic, "b.test", 443, 20)],
            (10, 30),
            &[(Quic, "b.test"), (Sni, "a.test")],
        );
    }

    #[test]
    fn what_a_device_said_holds_until_it_says_something_newer() {
        use NameSource::Sni;
        let said = [(Sni, "a.test", 443, 10), (Sni, "b.test", 443, 1000)];
        // A flow's later window, whose connection spoke long ago.
        check_flow(&said, (900, 990), &[(Sni, "a.test")]);
        check_flow(&said, (90_000, 90_001), &[(Sni, "b.test")]);
        check_flow(&said, (1, 9), &[]);
        check_flow(&said, (900, 1000), &[(Sni, "b.test"), (Sni, "a.test")]);
    }

    #[test]
    fn a_cover_comes_after_what_was_told_and_is_left_out_when_it_is_the_same() {
        use NameSource::{Dns, Ech};
        check_flow(
            &[(Ech, "cover.test", 443, 10), (Dns, "told.test", 0, 5)],
            (10, 30),
            &[(Dns, "told.test"), (Ech, "cover.test")],
        );
        check_flow(
            &[(Ech, "told.test", 443, 10), (Dns, "told.test", 0, 5)],
            (10, 30),
            &[(Dns, "told.test")],
        );
        check_flow(
            &[(Ech, "cover.test", 443, 10)],
            (10, 30),
            &[(Ech, "cover.test")],
        );
    }

    #[test]
    fn whether_a_name_was_asked_for_is_told_with_it() {
        let mut table = NameTable::default();
        told(&mut table, 0, "told.test", 0);
        claimed(&mut table, (NameSource::Sni, "never.test"), 443, 1);
        let first = naming(&table, 0, 1);
        let asked: Vec<_> = first
            .candidates
            .iter()
            .map(|candidate| (&*candidate.binding.name, candidate.asked))
            .collect();
        let expected = [("never.test", Some(false)), ("told.test", Some(true))];
        assert_eq!(asked, expected);
        assert_eq!(first.is_asked(), Some(false));
        claimed(&mut table, (NameSource::Sni, "told.test"), 443, 2);
        let second = naming(&table, 0, 2);
        assert_eq!(second.names(), ["told.test"]);
        let sources = second.candidates.iter().map(|one| one.binding.source);
        assert!(sources.eq([NameSource::Sni, NameSource::Dns]));
        assert_eq!(second.is_asked(), Some(true));
    }

    #[test]
    fn a_truncated_answer_names_and_its_retry_over_tcp_renews() {
        let mut table = NameTable::default();
        let whole = answer("a.test", &[("a.test", A, CDN), ("a.test", A, "192.0.2.1")]);
        let mut truncated = answer("a.test", &[("a.test", A, CDN)]).payload.to_vec();
        truncated[2] |= 2;
        table.observe(&PayloadSample {
            wire_length: truncated.len() as u32,
            payload: truncated.into(),
            ..whole.clone()
        });
        assert_eq!(names(&table, 0, 0), ["a.test"]);
        let stream = [
            &(whole.payload.len() as u16).to_be_bytes()[..],
            &whole.payload,
        ]
        .concat();
        table.observe(&PayloadSample {
            protocol: 6,
            at: at(1),
            segment: Some(Segment {
                stream_start: 1,
                sequence: 1,
            }),
            wire_length: stream.len() as u32,
            payload: stream.into(),
            ..whole
        });
        let NameCounters {
            samples,
            understood,
            cut,
            bindings,
            ..
        } = table.counters();
        assert_eq!((samples, understood, cut, bindings), (2, 1, 1, 2));
        let binding = &naming(&table, 0, 1).candidates[0].binding;
        assert_eq!((binding.first_told, binding.last_told), (at(0), at(1)));
        let expected = Answers {
            answered: 1,
            truncated: 1,
            ..Answers::default()
        };
        assert_eq!(table.lookups().answers(0), expected);
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
            lookups_turned_away: 0,
            bindings: 1,
        };
        assert_eq!(table.counters(), expected);
    }

    #[test]
    fn a_sample_is_one_readers_alone() {
        let mut table = NameTable::default();
        let mut announcement = answer("cam.local", &[("cam.local", A, "192.168.8.20")]);
        announcement.direction = flowwatch_common::abi::Direction::Up;
        (announcement.remote_port, announcement.local_port) = (5353, 5353);
        table.observe(&announcement);
        let NameCounters {
            samples,
            understood,
            ..
        } = table.counters();
        assert_eq!((samples, understood), (1, 1));
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
