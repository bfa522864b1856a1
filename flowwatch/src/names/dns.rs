//! Names from the DNS answers that devices receive over UDP (RFC 1035).
//!
//! Reads `PayloadSample`s from remote port 53 by `flowwatch_common::wire::dns`. The name is the one
//! asked for; an address counts when its record belongs to that name, or to one that it is an alias
//! of by the same answer (RFC 1034 §3.6.2).

use std::net::IpAddr;
use std::sync::Arc;

use flowwatch_common::abi::Direction;
use flowwatch_common::wire::dns::{
    CLASS_IN, DnsError, Message, Name, OPCODE_QUERY, RCODE_NO_ERROR, Record, RecordData,
};
use flowwatch_common::wire::ip_protocol::UDP;

use super::{Claim, NameReader, NameSource, Outcome, Reading};
use crate::observation::PayloadSample;

/// The port that name servers answer from.
const PORT: u16 = 53;
/// The aliases that are followed. BIND and Unbound give up after 11.
const MAX_ALIASES: usize = 16;
/// The octets of text that are kept of a binding's chain; names behind that are followed, not kept.
const MAX_CHAIN_LENGTH: usize = 1024;

/// The reader.
#[derive(Debug)]
pub(super) struct DnsAnswers;

impl NameReader for DnsAnswers {
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading> {
        let is_answer = sample.direction == Direction::Down
            && sample.protocol == UDP
            && sample.remote_port == PORT;
        is_answer.then(|| read_response(sample))
    }
}

fn read_response(sample: &PayloadSample) -> Reading {
    let is_cut = (sample.payload.len() as u64) < u64::from(sample.wire_length);
    let mut answer = Answer::default();
    let outcome = match answer.read(&sample.payload) {
        Ok(outcome) => outcome,
        Err(DnsError::Truncated) if is_cut => Outcome::Cut,
        Err(_) => Outcome::Malformed,
    };
    let (blocked, claims): (Vec<_>, Vec<_>) = answer
        .claims()
        .into_iter()
        .partition(|claim| is_blockers(claim.address));
    Reading {
        outcome,
        claims,
        blocked: blocked.len() as u64,
    }
}

/// Returns whether the address leads nowhere: blockers answer so in the place of the true address.
fn is_blockers(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_loopback()
}

/// A name as text, in lower case: resolvers vary the case of what they ask, as a guard against
/// forgery, and answers repeat it.
fn text_of(name: &Name<'_>) -> Arc<str> {
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
    /// Each alias, and the name that it stands for.
    aliases: Vec<(Arc<str>, Arc<str>)>,
    /// Each address, with its owner and its ttl.
    addresses: Vec<(Arc<str>, IpAddr, u32)>,
}

impl Answer {
    fn read(&mut self, octets: &[u8]) -> Result<Outcome, DnsError> {
        let message = Message::parse(octets)?;
        let header = message.header();
        let is_answer = header.is_response()
            && header.opcode() == OPCODE_QUERY
            && message.rcode() == RCODE_NO_ERROR;
        match header.question_count {
            1 if is_answer => {}
            // RFC 9619 §4: more than one question is a format error.
            2.. if is_answer => return Ok(Outcome::Malformed),
            _ => return Ok(Outcome::Nameless),
        }
        let question = message.question()?;
        if question.qclass != CLASS_IN {
            return Ok(Outcome::Nameless);
        }
        self.question = Some(text_of(&question.name));
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

    fn push(&mut self, record: &Record<'_>) {
        let address = match record.data {
            RecordData::A(address) => IpAddr::V4(address),
            // An IPv4 address in IPv6's clothes is reached by IPv4 (RFC 4038 §4.2).
            RecordData::Aaaa(address) => IpAddr::V6(address).to_canonical(),
            RecordData::Cname(target) if record.class == CLASS_IN => {
                return self
                    .aliases
                    .push((text_of(&record.owner), text_of(&target)));
            }
            _ => return,
        };
        self.addresses
            .push((text_of(&record.owner), address, record.ttl));
    }

    fn claims(&self) -> Vec<Claim> {
        let Some(question) = &self.question else {
            return Vec::new();
        };
        let reached = self.reached_from(question);
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

    /// Returns the question's name, and those that it is an alias of, whatever the records' order.
    fn reached_from(&self, question: &Arc<str>) -> Vec<Reached> {
        let mut reached = vec![Reached {
            name: Arc::clone(question),
            chain: Arc::default(),
        }];
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

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;

    const A: u16 = 1;
    const CNAME: u16 = 5;
    const AAAA: u16 = 28;
    const RESPONSE: u16 = 0x8180;
    const NOTHING: Reading = Reading {
        outcome: Outcome::Nameless,
        claims: vec![],
        blocked: 0,
    };

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
            assert_eq!(
                read(&sample_of(response(flags, &["a.test"], &answers))),
                NOTHING
            );
        }
        assert_eq!(read(&sample_of(response(RESPONSE, &[], &answers))), NOTHING);
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
        assert_eq!(read(&sample_of(payload)), NOTHING);
    }

    #[test]
    fn question_of_another_class_names_nothing() {
        let mut payload = response(RESPONSE, &["a.test"], &[("a.test", A, "192.0.2.1")]);
        // Behind the header, the name's eight octets and the type's two lies the class.
        payload[12 + 8 + 3] = 3;
        assert_eq!(read(&sample_of(payload)), NOTHING);
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
