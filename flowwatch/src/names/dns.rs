//! Names from DNS answers (RFC 1035): those that devices receive over UDP, and the messages that
//! `dns_stream` takes from streams.
//!
//! Reads `PayloadSample`s from remote port 53 by `flowwatch_common::wire::dns`. The name is the one
//! asked for; an address counts when its record belongs to that name, or to one that it is an alias
//! of by the same answer (RFC 1034 §3.6.2). Service bindings hint at addresses, too (RFC 9460 §7.3).

use std::net::IpAddr;
use std::sync::Arc;

use flowwatch_common::abi::Direction;
use flowwatch_common::wire::dns::{
    CLASS_IN, DnsError, Message, Name, OPCODE_QUERY, Question, RCODE_NAME_ERROR, RCODE_NO_ERROR,
    Record, RecordData, ServiceBinding,
};
use flowwatch_common::wire::ip_protocol::UDP;

use super::reading::{Claim, Fact, Lookup, LookupResult, NameReader, Outcome, Reading};
use super::{NameSource, ServiceOffer, Transport};
use crate::observation::PayloadSample;

/// The port that name servers answer from.
pub(super) const PORT: u16 = 53;
/// The aliases that are followed. BIND and Unbound give up after 11.
const MAX_ALIASES: usize = 16;
/// The octets of text that are kept of a binding's chain; names behind that are followed, not kept.
const MAX_CHAIN_LENGTH: usize = 1024;
/// The protocols of a service that are kept, and the octets of each; others are left out.
const MAX_PROTOCOLS: usize = 8;
const MAX_PROTOCOL_LENGTH: usize = 32;
/// The type of a question for records of all types (RFC 1035 §3.2.3).
const ANY: u16 = 255;

/// The reader.
#[derive(Debug)]
pub(super) struct DnsAnswers;

impl NameReader for DnsAnswers {
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading> {
        let is_answer = sample.direction == Direction::Down
            && sample.protocol == UDP
            && sample.remote_port == PORT;
        let is_cut = (sample.payload.len() as u64) < u64::from(sample.wire_length);
        let resolver = (sample.remote, Transport::Udp);
        is_answer.then(|| read_message(&sample.payload, is_cut, resolver))
    }
}

/// Reads one message of a resolver's; of a message that was cut, as much as there is.
pub(super) fn read_message(
    octets: &[u8],
    is_cut: bool,
    (resolver, transport): (IpAddr, Transport),
) -> Reading {
    let mut answer = Answer::default();
    let read = answer.read(octets);
    let outcome = match read {
        Ok(outcome) => outcome,
        Err(DnsError::Truncated) if is_cut => Outcome::Cut,
        Err(_) => Outcome::Malformed,
    };
    let reached = answer.reached();
    let (blocked, claims): (Vec<_>, Vec<_>) = answer
        .claims(&reached)
        .into_iter()
        .partition(|claim| is_blockers(claim.address));
    let (blocked, is_blocked) = (
        blocked.len() as u64,
        claims.is_empty() && !blocked.is_empty(),
    );
    let offer = answer.offer(&reached);
    let lookup = answer.result(outcome, is_blocked).zip(answer.question);
    let lookup = lookup.map(|(result, name)| Lookup {
        resolver,
        transport,
        name,
        result,
        offer,
    });
    Reading {
        outcome,
        claims,
        blocked,
        facts: lookup.map(Fact::Lookup).into_iter().collect(),
    }
}

/// Returns whether the address leads nowhere: blockers answer so in the place of the true address.
fn is_blockers(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_loopback()
}

/// A name as text, in lower case: resolvers vary the case of what they ask, as a guard against
/// forgery, and answers repeat it.
pub(super) fn text_of(name: &Name<'_>) -> Arc<str> {
    let mut text = name.to_string();
    text.make_ascii_lowercase();
    text.into()
}

/// A name that the question's name is an alias of, or that name itself, without aliases between.
#[derive(Clone)]
struct Reached {
    name: Arc<str>,
    chain: Arc<[Arc<str>]>,
}

impl Reached {
    /// Returns the target of an alias of this name.
    fn to_target(&self, target: &Arc<str>) -> Self {
        let length: usize = self
            .chain
            .iter()
            .chain([target])
            .map(|name| name.len())
            .sum();
        let kept = (length <= MAX_CHAIN_LENGTH).then(|| Arc::clone(target));
        let chain = self.chain.iter().cloned().chain(kept).collect();
        Self {
            name: Arc::clone(target),
            chain,
        }
    }
}

/// What a response's question and answer section say, as far as they can be read.
#[derive(Default)]
struct Answer {
    question: Option<Arc<str>>,
    qtype: u16,
    /// What the response code says; nothing where it leaves it to the records.
    refusal: Option<LookupResult>,
    /// Whether there are records of the type asked for.
    has_records: bool,
    /// Each alias, and the name that it stands for.
    aliases: Vec<(Arc<str>, Arc<str>)>,
    /// Each address, with its owner and its ttl.
    addresses: Vec<(Arc<str>, IpAddr, u32)>,
    /// What services offer, each with its owner.
    offers: Vec<(Arc<str>, ServiceOffer)>,
}

impl Answer {
    fn read(&mut self, octets: &[u8]) -> Result<Outcome, DnsError> {
        let message = Message::parse(octets)?;
        let header = message.header();
        let is_answer = header.is_response() && header.opcode() == OPCODE_QUERY;
        let rcode = message.rcode();
        match header.question_count {
            1 if is_answer => {}
            // RFC 9619 §4: more than one question is a format error.
            2.. if is_answer && rcode == RCODE_NO_ERROR => return Ok(Outcome::Malformed),
            _ => return Ok(Outcome::Nameless),
        }
        let question = message.question()?;
        if question.qclass != CLASS_IN {
            return Ok(Outcome::Nameless);
        }
        self.ask(&question);
        self.refusal = match rcode {
            RCODE_NO_ERROR => None,
            RCODE_NAME_ERROR => Some(LookupResult::Negative),
            _ => Some(LookupResult::Failed),
        };
        if self.refusal.is_some() {
            return Ok(Outcome::Nameless);
        }
        for record in message.answers()? {
            match record {
                Ok(record) => self.push(&record),
                Err(DnsError::Truncated) if header.is_truncated() => return Ok(Outcome::Cut),
                Err(error) => return Err(error),
            }
        }
        Ok(if header.is_truncated() {
            Outcome::Cut
        } else {
            Outcome::Understood
        })
    }

    fn ask(&mut self, question: &Question<'_>) {
        self.question = Some(text_of(&question.name));
        self.qtype = question.qtype;
    }

    fn push(&mut self, record: &Record<'_>) {
        self.has_records |= self.qtype == record.rtype || self.qtype == ANY;
        let address = match record.data {
            RecordData::A(address) => IpAddr::V4(address),
            // An IPv4 address in IPv6's clothes is reached by IPv4 (RFC 4038 §4.2).
            RecordData::Aaaa(address) => IpAddr::V6(address).to_canonical(),
            RecordData::Cname(target) if record.class == CLASS_IN => {
                return self
                    .aliases
                    .push((text_of(&record.owner), text_of(&target)));
            }
            RecordData::Service(binding) => return self.push_service(record, &binding),
            _ => return,
        };
        self.addresses
            .push((text_of(&record.owner), address, record.ttl));
    }

    /// A service's target stands for its owner as an alias's does: addresses belong to either.
    fn push_service(&mut self, record: &Record<'_>, binding: &ServiceBinding<'_>) {
        let owner = text_of(&record.owner);
        let is_own = binding.target.labels().next().is_none() || binding.target == record.owner;
        let target = if is_own {
            Arc::clone(&owner)
        } else {
            let target = text_of(&binding.target);
            self.aliases.push((Arc::clone(&owner), Arc::clone(&target)));
            target
        };
        let hints = binding.ipv4_hints().map(IpAddr::V4);
        let hints = hints.chain(
            binding
                .ipv6_hints()
                .map(|hint| IpAddr::V6(hint).to_canonical()),
        );
        self.addresses
            .extend(hints.map(|hint| (Arc::clone(&target), hint, record.ttl)));
        self.offers.push((owner, offer_of(binding)));
    }

    fn claims(&self, reached: &[Reached]) -> Vec<Claim> {
        let Some(question) = &self.question else {
            return Vec::new();
        };
        let claim_of = |(owner, address, ttl): &(Arc<str>, IpAddr, u32)| {
            let owner = reached.iter().find(|reached| reached.name == *owner)?;
            let (name, chain) = (Arc::clone(question), Arc::clone(&owner.chain));
            Some(Claim {
                address: *address,
                name,
                source: NameSource::Dns,
                service: None,
                chain,
                ttl: *ttl,
            })
        };
        self.addresses.iter().filter_map(claim_of).collect()
    }

    /// Returns what the services under the question's name offer, all together.
    fn offer(&self, reached: &[Reached]) -> ServiceOffer {
        let is_reached = |owner: &Arc<str>| reached.iter().any(|reached| reached.name == *owner);
        let mut all = ServiceOffer::default();
        for (_, offer) in self.offers.iter().filter(|(owner, _)| is_reached(owner)) {
            all.has_ech |= offer.has_ech;
            for protocol in &offer.alpn {
                if all.alpn.len() < MAX_PROTOCOLS && !all.alpn.contains(protocol) {
                    all.alpn.push(Arc::clone(protocol));
                }
            }
        }
        all
    }

    /// Returns what came of the question; nothing when the message doesn't say.
    fn result(&self, outcome: Outcome, is_blocked: bool) -> Option<LookupResult> {
        let decided = match outcome {
            Outcome::Cut => LookupResult::Truncated,
            Outcome::Malformed if !self.has_records => return None,
            _ if is_blocked => LookupResult::Blocked,
            _ if self.has_records => LookupResult::Answered,
            _ => LookupResult::Negative,
        };
        Some(self.refusal.unwrap_or(decided))
    }

    /// Returns the question's name, and those that it is an alias of, whatever the records' order.
    fn reached(&self) -> Vec<Reached> {
        let question = self.question.iter().map(|name| Reached {
            name: Arc::clone(name),
            chain: Arc::default(),
        });
        let mut reached: Vec<_> = question.collect();
        // Each round takes the next name, and no name is reached twice, so that a circle ends.
        for round in 0..=MAX_ALIASES {
            let Some(owner) = reached.get(round).cloned() else {
                break;
            };
            for (_, target) in self
                .aliases
                .iter()
                .filter(|(alias, _)| *alias == owner.name)
            {
                let is_known = reached.iter().any(|known| known.name == *target);
                if !is_known && reached.len() <= MAX_ALIASES {
                    reached.push(owner.to_target(target));
                }
            }
        }
        reached
    }
}

fn offer_of(binding: &ServiceBinding<'_>) -> ServiceOffer {
    let protocols = binding.alpn().filter(|id| id.len() <= MAX_PROTOCOL_LENGTH);
    let escaped = protocols.map(|id| id.escape_ascii().to_string().into());
    ServiceOffer {
        alpn: escaped.take(MAX_PROTOCOLS).collect(),
        has_ech: binding.has_ech(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;

    const A: u16 = 1;
    const CNAME: u16 = 5;
    const AAAA: u16 = 28;
    const RESPONSE: u16 = 0x8180;

    /// A record in text: owner, type, rdata; addresses in their usual form.
    type Line<'a> = (&'a str, u16, &'a str);

    /// Writes a name without compression.
    fn wire_name(name: &str) -> Vec<u8> {
        let labels = name.split('.').filter(|label| !label.is_empty());
        let encoded = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        encoded.chain([0]).collect()
    }

    fn wire_record((owner, rtype, rdata): Line<'_>) -> Vec<u8> {
        let rdata = match rdata.parse() {
            Ok(IpAddr::V4(address)) => address.octets().to_vec(),
            Ok(IpAddr::V6(address)) => address.octets().to_vec(),
            Err(_) => wire_name(rdata),
        };
        let class_and_ttl = [0, 1, 0, 0, 1, 44, 0, rdata.len() as u8];
        [
            wire_name(owner),
            rtype.to_be_bytes().to_vec(),
            class_and_ttl.to_vec(),
            rdata,
        ]
        .concat()
    }

    /// Writes a response to the questions, with ttls of 300 s.
    fn response(flags: u16, questions: &[&str], answers: &[Line<'_>]) -> Vec<u8> {
        let counts = [flags, questions.len() as u16, answers.len() as u16, 0, 0];
        let header = counts.iter().flat_map(|count| count.to_be_bytes());
        let questions = questions
            .iter()
            .flat_map(|name| [wire_name(name), vec![0, A as u8, 0, 1]].concat());
        let answers = answers.iter().copied().flat_map(wire_record);
        [0, 7]
            .into_iter()
            .chain(header)
            .chain(questions)
            .chain(answers)
            .collect()
    }

    fn sample_of(payload: Vec<u8>) -> PayloadSample {
        PayloadSample {
            device: 0,
            direction: Direction::Down,
            remote: [192, 168, 8, 1].into(),
            protocol: 17,
            remote_port: 53,
            local_port: 40_000,
            at: Timestamp::UNIX_EPOCH,
            segment: None,
            wire_length: payload.len() as u32,
            payload: Bytes::from(payload),
        }
    }

    /// Makes a sample of a response to one question.
    pub(in crate::names) fn answer(question: &str, answers: &[Line<'_>]) -> PayloadSample {
        sample_of(response(RESPONSE, &[question], answers))
    }

    fn read(sample: &PayloadSample) -> Reading {
        DnsAnswers.read(sample).unwrap()
    }

    /// Compares a reading with its claims in text: `name via alias via alias = address`.
    fn check(reading: &Reading, outcome: Outcome, expected: &[&str]) {
        let text = |claim: &Claim| {
            let names = [&claim.name]
                .into_iter()
                .chain(&*claim.chain)
                .map(|name| &**name);
            let path = names.collect::<Vec<_>>().join(" via ");
            format!("{path} = {}", claim.address)
        };
        assert_eq!(
            reading.claims.iter().map(text).collect::<Vec<_>>(),
            expected
        );
        assert_eq!(reading.outcome, outcome);
    }

    fn check_answers(question: &str, answers: &[Line<'_>], expected: &[&str]) {
        check(
            &read(&answer(question, answers)),
            Outcome::Understood,
            expected,
        );
    }

    #[test]
    fn addresses_get_the_name_asked_for() {
        check_answers(
            "gm.iotcplatform.com",
            &[
                ("gm.iotcplatform.com", A, "52.79.197.188"),
                ("gm.iotcplatform.com", A, "50.7.98.242"),
                ("gm.iotcplatform.com", AAAA, "2001:db8::1"),
            ],
            &[
                "gm.iotcplatform.com = 52.79.197.188",
                "gm.iotcplatform.com = 50.7.98.242",
                "gm.iotcplatform.com = 2001:db8::1",
            ],
        );
    }

    #[test]
    fn ttl_is_the_records() {
        assert_eq!(
            read(&answer("a.b", &[("a.b", A, "192.0.2.1")])).claims[0].ttl,
            300
        );
    }

    #[test]
    fn chain_is_followed_in_any_order() {
        let mut answers = [
            ("api.wyzecam.com", CNAME, "lb.example"),
            ("lb.example", CNAME, "a.lb.example"),
            ("a.lb.example", A, "34.208.107.136"),
        ];
        let expected = ["api.wyzecam.com via lb.example via a.lb.example = 34.208.107.136"];
        check_answers("api.wyzecam.com", &answers, &expected);
        answers.reverse();
        check_answers("api.wyzecam.com", &answers, &expected);
        answers.swap(0, 1);
        check_answers("api.wyzecam.com", &answers, &expected);
    }

    #[test]
    fn case_of_names_is_of_no_matter() {
        check_answers(
            "Gm.IotcPlatform.COM",
            &[
                ("gM.iotcplatform.com", CNAME, "CDN.net"),
                ("cdn.NET", A, "192.0.2.1"),
            ],
            &["gm.iotcplatform.com via cdn.net = 192.0.2.1"],
        );
    }

    #[test]
    fn circles_of_aliases_end_and_take_no_room() {
        check_answers(
            "a.test",
            &[
                ("a.test", CNAME, "b.test"),
                ("b.test", CNAME, "a.test"),
                ("b.test", CNAME, "b.test"),
                ("b.test", CNAME, "c.test"),
                ("c.test", CNAME, "a.test"),
                ("c.test", CNAME, "d.test"),
                ("d.test", CNAME, "e.test"),
                ("e.test", CNAME, "f.test"),
                ("f.test", A, "192.0.2.1"),
            ],
            &["a.test via b.test via c.test via d.test via e.test via f.test = 192.0.2.1"],
        );
    }

    #[test]
    fn aliases_are_followed_up_to_their_limit() {
        let names: Vec<_> = (0..=17).map(|number| format!("n{number}")).collect();
        let aliases = names.windows(2).map(|pair| (&*pair[0], CNAME, &*pair[1]));
        let ends = [("n16", A, "192.0.2.16"), ("n17", A, "192.0.2.17")];
        let answers: Vec<_> = aliases.chain(ends).collect();
        let reading = read(&answer("n0", &answers));
        assert_eq!(reading.claims.len(), 1);
        assert_eq!(reading.claims[0].chain.len(), 16);
        assert_eq!(reading.claims[0].address, IpAddr::from([192, 0, 2, 16]));
    }

    #[test]
    fn long_chain_is_followed_but_not_kept() {
        let names: Vec<_> = (0..8)
            .map(|number| format!("{number}{}", ".x234567".repeat(24)))
            .collect();
        let aliases = names.windows(2).map(|pair| (&*pair[0], CNAME, &*pair[1]));
        let answers: Vec<_> = aliases.chain([(&*names[7], A, "192.0.2.1")]).collect();
        let reading = read(&answer(&names[0], &answers));
        // Five names of 193 octets are 965; a sixth would make 1158.
        assert_eq!(
            reading.claims[0].chain[..],
            names[1..6]
                .iter()
                .map(|name| Arc::from(&**name))
                .collect::<Vec<Arc<str>>>()[..]
        );
    }

    #[test]
    fn address_of_a_name_that_was_not_asked_for_names_nothing() {
        check_answers(
            "a.test",
            &[
                ("b.test", A, "192.0.2.1"),
                ("c.test", CNAME, "b.test"),
                ("x.a.test", A, "192.0.2.2"),
                ("a.test", A, "192.0.2.3"),
            ],
            &["a.test = 192.0.2.3"],
        );
    }

    #[test]
    fn blockers_addresses_are_counted_and_name_nothing() {
        let answers = [
            ("ads.test", A, "0.0.0.0"),
            ("ads.test", AAAA, "::"),
            ("ads.test", A, "127.0.0.1"),
            ("ads.test", A, "127.255.255.254"),
            ("ads.test", AAAA, "::1"),
            ("ads.test", AAAA, "::ffff:127.0.0.1"),
            ("ads.test", A, "128.0.0.1"),
        ];
        let reading = read(&answer("ads.test", &answers));
        check(&reading, Outcome::Understood, &["ads.test = 128.0.0.1"]);
        assert_eq!(reading.blocked, 6);
    }

    #[test]
    fn errors_and_other_messages_name_nothing() {
        let answers = [("a.test", A, "192.0.2.1")];
        let nameless = [
            // A query, NXDOMAIN, SERVFAIL, an inverse query, a notification.
            0x0100, 0x8183, 0x8182, 0x8880, 0xa180,
        ];
        for flags in nameless {
            let sample = sample_of(response(flags, &["a.test"], &answers));
            check(&read(&sample), Outcome::Nameless, &[]);
        }
        let none = read(&sample_of(response(RESPONSE, &[], &answers)));
        assert_eq!(none, Reading::of(Outcome::Nameless));
        let two = response(RESPONSE, &["a.test", "b.test"], &answers);
        check(&read(&sample_of(two)), Outcome::Malformed, &[]);
    }

    #[test]
    fn extended_response_code_is_an_error() {
        let mut payload = response(RESPONSE, &["a.test"], &[("a.test", A, "192.0.2.1")]);
        payload[11] = 1;
        payload.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
        check(
            &read(&sample_of(payload.clone())),
            Outcome::Understood,
            &["a.test = 192.0.2.1"],
        );
        let extended_rcode = payload.len() - 6;
        payload[extended_rcode] = 1;
        check(&read(&sample_of(payload)), Outcome::Nameless, &[]);
    }

    #[test]
    fn question_of_another_class_names_nothing() {
        let mut payload = response(RESPONSE, &["a.test"], &[("a.test", A, "192.0.2.1")]);
        // Behind the header, the name's eight octets and the type's two lies the class.
        payload[12 + 8 + 3] = 3;
        let nothing = Reading::of(Outcome::Nameless);
        assert_eq!(read(&sample_of(payload)), nothing);
    }

    #[test]
    fn cut_sample_names_by_its_whole_records() {
        let mut sample = answer(
            "a.test",
            &[("a.test", A, "192.0.2.1"), ("a.test", A, "192.0.2.2")],
        );
        sample.payload.truncate(sample.payload.len() - 1);
        check(&read(&sample), Outcome::Cut, &["a.test = 192.0.2.1"]);
        // The same octets as all that was on the wire contradict their own counts.
        sample.wire_length -= 1;
        check(&read(&sample), Outcome::Malformed, &["a.test = 192.0.2.1"]);
    }

    #[test]
    fn truncated_response_names_by_its_whole_records() {
        let answers = [("a.test", A, "192.0.2.1"), ("a.test", A, "192.0.2.2")];
        let mut payload = response(0x8380, &["a.test"], &answers);
        let whole = ["a.test = 192.0.2.1", "a.test = 192.0.2.2"];
        check(&read(&sample_of(payload.clone())), Outcome::Cut, &whole);
        payload.truncate(payload.len() - 1);
        check(&read(&sample_of(payload)), Outcome::Cut, &whole[..1]);
    }

    #[test]
    fn lie_keeps_the_records_before_it() {
        let answers = [("a.test", A, "192.0.2.1"), ("a.test", A, "2001:db8::1")];
        check(
            &read(&answer("a.test", &answers)),
            Outcome::Malformed,
            &["a.test = 192.0.2.1"],
        );
        check(&read(&sample_of(vec![1, 2, 3])), Outcome::Malformed, &[]);
    }

    #[test]
    fn control_characters_are_escaped() {
        check_answers(
            "\x1b[31m.te\nst",
            &[("\x1b[31m.te\nst", A, "192.0.2.1")],
            &[r"\027[31m.te\010st = 192.0.2.1"],
        );
    }

    /// What a reading says came of the question.
    fn result_of(reading: &Reading) -> Option<LookupResult> {
        match &reading.facts[..] {
            [] => None,
            [Fact::Lookup(lookup)] => {
                assert_eq!(
                    (&*lookup.name, lookup.transport),
                    ("a.test", Transport::Udp)
                );
                assert_eq!(lookup.resolver, IpAddr::from([192, 168, 8, 1]));
                Some(lookup.result)
            }
            facts => panic!("{facts:?}"),
        }
    }

    fn check_result(flags: u16, answers: &[Line<'_>], expected: LookupResult) {
        let reading = read(&sample_of(response(flags, &["a.test"], answers)));
        assert_eq!(result_of(&reading), Some(expected), "{flags:x} {answers:?}");
    }

    #[test]
    fn what_came_of_a_question_is_told() {
        let answered = [("a.test", A, "192.0.2.1")];
        check_result(RESPONSE, &answered, LookupResult::Answered);
        check_result(RESPONSE, &[], LookupResult::Negative);
        check_result(
            RESPONSE,
            &[("a.test", CNAME, "b.test")],
            LookupResult::Negative,
        );
        check_result(0x8183, &[], LookupResult::Negative);
        check_result(0x8182, &[], LookupResult::Failed);
        check_result(0x8185, &[], LookupResult::Failed);
        check_result(RESPONSE, &[("a.test", A, "0.0.0.0")], LookupResult::Blocked);
        check_result(0x8380, &answered, LookupResult::Truncated);
        check_result(0x8380, &[], LookupResult::Truncated);
        // A lie behind an address leaves the answer one; without any, nobody knows.
        let lie = ("a.test", A, "2001:db8::1");
        check_result(RESPONSE, &[answered[0], lie], LookupResult::Answered);
        let nothing_but_a_lie = response(RESPONSE, &["a.test"], &[lie]);
        assert_eq!(result_of(&read(&sample_of(nothing_but_a_lie))), None);
        let query = response(0x0100, &["a.test"], &[]);
        assert_eq!(result_of(&read(&sample_of(query))), None);
    }

    /// An answer to `a.test` in type HTTPS with these records' rdata, and then an address of its own.
    fn services(rdata: &[&[u8]]) -> Reading {
        let mut payload = response(RESPONSE, &["a.test"], &[]);
        payload[7] = rdata.len() as u8 + 1;
        payload[12 + 8 + 1] = 65;
        for rdata in rdata {
            payload.extend(wire_name("a.test"));
            payload.extend([0, 65, 0, 1, 0, 0, 1, 44, 0, rdata.len() as u8]);
            payload.extend(*rdata);
        }
        payload.extend(wire_record(("edge.cdn", A, "192.0.2.7")));
        read(&sample_of(payload))
    }

    /// Priority 1, the owner as target, h2 and h3, two addresses, ECH (RFC 9460 §7).
    const OWN_SERVICE: &[u8] = b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x04\0\x04\xc0\0\x02\x01\
        \0\x05\0\x02xx\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";

    #[test]
    fn hints_of_a_service_are_addresses_of_the_name_asked_for() {
        let reading = services(&[OWN_SERVICE]);
        let expected = ["a.test = 192.0.2.1", "a.test = 2001:db8::1"];
        check(&reading, Outcome::Understood, &expected);
        assert_eq!(result_of(&reading), Some(LookupResult::Answered));
        let [Fact::Lookup(Lookup { offer, .. })] = &reading.facts[..] else {
            panic!("{reading:?}")
        };
        let protocols: Vec<_> = offer.alpn.iter().map(|protocol| &**protocol).collect();
        assert_eq!((&protocols[..], offer.has_ech), (&["h2", "h3"][..], true));
    }

    #[test]
    fn a_services_target_is_a_link_of_the_chain() {
        let target = b"\x04edge\x03cdn\0";
        let alias = [&b"\0\0"[..], target].concat();
        let expected = ["a.test via edge.cdn = 192.0.2.7"];
        check(&services(&[&alias]), Outcome::Understood, &expected);
        let service = [&b"\0\x01"[..], target, b"\0\x04\0\x04\xc0\0\x02\x09"].concat();
        let expected = [
            "a.test via edge.cdn = 192.0.2.9",
            "a.test via edge.cdn = 192.0.2.7",
        ];
        check(&services(&[&service]), Outcome::Understood, &expected);
        // An alias of the root is one of nothing (RFC 9460 §2.5.1).
        check(&services(&[b"\0\0\0"]), Outcome::Understood, &[]);
    }

    #[test]
    fn a_service_that_contradicts_itself_costs_what_comes_behind_it() {
        let too_long = b"\0\x01\0\0\x01\0\x03\x09h2";
        let expected = ["a.test = 192.0.2.1", "a.test = 2001:db8::1"];
        check(
            &services(&[OWN_SERVICE, too_long]),
            Outcome::Malformed,
            &expected,
        );
        check(&services(&[too_long, OWN_SERVICE]), Outcome::Malformed, &[]);
    }

    #[test]
    fn samples_of_other_kinds_are_left_to_others() {
        let sample = answer("a.test", &[("a.test", A, "192.0.2.1")]);
        assert!(DnsAnswers.read(&sample).is_some());
        let others = [
            PayloadSample {
                direction: Direction::Up,
                ..sample.clone()
            },
            PayloadSample {
                protocol: 6,
                ..sample.clone()
            },
            PayloadSample {
                remote_port: 5353,
                ..sample.clone()
            },
        ];
        assert!(others.iter().all(|other| DnsAnswers.read(other).is_none()));
    }
}
