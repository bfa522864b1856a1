//! Fuzz target of the DNS parser and of the name table that is fed by it.
//!
//! The table is compiled in from its files: it is pure, so that it needs nothing else of flowwatch,
//! whose other dependencies would take minutes to build with a fuzzer's flags.
#![no_main]

#[allow(
    dead_code,
    unused_imports,
    reason = "the target reads a part of what the module offers"
)]
#[path = "../../flowwatch/src/names/mod.rs"]
mod names;
#[allow(dead_code, reason = "the target makes samples only")]
#[path = "../../flowwatch/src/observation.rs"]
mod observation;

use std::collections::HashSet;
use std::net::IpAddr;

use bytes::Bytes;
use flowwatch_common::abi::Direction;
use flowwatch_common::wire::dns::{DnsError, Message, Record, RecordData, ServiceBinding};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

use names::{Contact, NameTable, Service};
use observation::PayloadSample;

fuzz_target!(|octets: &[u8]| {
    let addresses = read_message(octets).unwrap_or_default();
    observe_sample(octets, &addresses);
});

/// Reads all that a message has; returns its addresses.
fn read_message(octets: &[u8]) -> Result<HashSet<IpAddr>, DnsError> {
    let message = Message::parse(octets)?;
    let (_, _) = (message.edns(), message.rcode());
    let question = message.question()?;
    check_text(&question.name.to_string());
    let mut addresses = HashSet::new();
    let mut count = 0;
    for record in message.records()? {
        count += 1;
        let Record { owner, data, .. } = record?;
        check_text(&owner.to_string());
        match data {
            RecordData::A(address) => drop(addresses.insert(IpAddr::V4(address))),
            RecordData::Aaaa(address) => {
                addresses.insert(IpAddr::V6(address).to_canonical());
            }
            RecordData::Cname(target) => {
                let texts = [owner.to_string(), target.to_string()];
                assert_eq!(owner == target, texts[0].eq_ignore_ascii_case(&texts[1]));
            }
            RecordData::Service(binding) => addresses.extend(read_service(&binding)),
            RecordData::Opt(_) | RecordData::Other(_) => {}
        }
    }
    assert!(count <= octets.len() / 11);
    Ok(addresses)
}

/// Reads all that a service binding has; returns the addresses that it hints at.
fn read_service(binding: &ServiceBinding<'_>) -> Vec<IpAddr> {
    check_text(&binding.target.to_string());
    let keys: Vec<_> = binding
        .parameters()
        .map(|parameter| parameter.key)
        .collect();
    assert!(keys.is_sorted_by(|former, key| former < key));
    assert!(binding.alpn().all(|protocol| !protocol.is_empty()));
    let hints = binding.ipv4_hints().map(IpAddr::V4);
    let hints = hints.chain(
        binding
            .ipv6_hints()
            .map(|hint| IpAddr::V6(hint).to_canonical()),
    );
    let hints: Vec<_> = hints.collect();
    assert!(hints.is_empty() || !binding.is_alias());
    hints
}

/// A name's text is visible ASCII; its at most 250 octets take at most four characters each.
fn check_text(text: &str) {
    assert!(text.bytes().all(|letter| letter.is_ascii_graphic()));
    assert!((1..=1020).contains(&text.len()));
}

/// Takes the octets as an answer, whole and cut, and asks for every name that may be in it.
fn observe_sample(octets: &[u8], addresses: &HashSet<IpAddr>) {
    let mut table = NameTable::default();
    let at = Timestamp::UNIX_EPOCH;
    for cut in [0, 1] {
        table.observe(&PayloadSample {
            device: 0,
            direction: Direction::Down,
            remote: IpAddr::from([192, 0, 2, 53]),
            protocol: 17,
            remote_port: 53,
            local_port: 49_152,
            at,
            segment: None,
            payload: Bytes::copy_from_slice(octets),
            wire_length: octets.len() as u32 + cut,
        });
    }
    let named = addresses.iter().filter(|address| {
        let naming = table.naming_of(&Contact {
            device: 0,
            remote: **address,
            service: Service {
                protocol: 6,
                port: 443,
            },
            first_seen: at,
            last_seen: at,
        });
        let names = naming.names();
        names.iter().for_each(|name| check_text(name));
        assert!(names.len() <= 1);
        !names.is_empty()
    });
    let named = named.count() as u64;
    let counters = table.counters();
    assert_eq!(counters.samples, 2);
    assert!(named <= counters.bindings);
}
