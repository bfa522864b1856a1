//! Fuzz target of DNS over TCP: a stream of messages says the same whole, in any pieces and in any
//! order, and the reader holds no more than its bounds.
//!
//! The first octets say how the stream is cut, and in which order the pieces come; the rest is the
//! stream. The table is compiled in from its files, as in `dns.rs`.
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

use std::collections::BTreeSet;
use std::net::IpAddr;

use bytes::Bytes;
use flowwatch_common::abi::Direction;
use flowwatch_common::wire::dns::{Message, RecordData};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

use names::{Contact, NameCounters, NameTable, Service};
use observation::{PayloadSample, Segment};

/// Octets that say how the stream is cut.
const PLAN_LENGTH: usize = 8;
/// Longer streams may lose what waits for a gap, in one order and not in another.
const MAX_LENGTH: usize = 16 * 1024;

fuzz_target!(|octets: &[u8]| {
    let Some((plan, stream)) = octets.split_first_chunk::<PLAN_LENGTH>() else {
        return;
    };
    let stream = stream.get(..MAX_LENGTH).unwrap_or(stream);
    let whole = read(stream, &[(0, stream.len())]);
    let pieces = pieces_of(plan, stream.len());
    let in_order = read(stream, &pieces);
    let mut shuffled = pieces;
    for (index, octet) in plan.iter().enumerate() {
        let (from, to) = (index % shuffled.len(), usize::from(*octet) % shuffled.len());
        shuffled.swap(from, to);
    }
    // What comes twice changes nothing.
    shuffled.extend_from_within(..1);
    let out_of_order = read(stream, &shuffled);
    let names = names_in(stream, &whole);
    assert_eq!(names, names_in(stream, &in_order));
    assert_eq!(names, names_in(stream, &out_of_order));
});

/// Cuts a stream by the plan, each octet a piece's length in turn; up to 64 pieces, the last takes
/// the rest.
fn pieces_of(plan: &[u8; PLAN_LENGTH], length: usize) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for octet in plan.iter().cycle().take(63) {
        let end = (at + 1 + usize::from(*octet)).min(length);
        pieces.push((at, end));
        at = end;
        if at == length {
            return pieces;
        }
    }
    pieces.push((at, length));
    pieces
}

/// Reads pieces of a stream, each from and to these octets, in this order.
fn read(stream: &[u8], pieces: &[(usize, usize)]) -> NameTable {
    let mut table = NameTable::default();
    let start = 0xffff_fff0_u32;
    let pieces = pieces.iter().filter(|(from, to)| from < to);
    let mut samples = 0;
    for (from, to) in pieces {
        samples += 1;
        table.observe(&PayloadSample {
            device: 0,
            direction: Direction::Down,
            remote: IpAddr::from([192, 0, 2, 53]),
            protocol: 6,
            remote_port: 53,
            local_port: 49_152,
            at: Timestamp::UNIX_EPOCH,
            segment: Some(Segment {
                stream_start: start,
                sequence: start.wrapping_add(*from as u32),
            }),
            payload: Bytes::copy_from_slice(&stream[*from..*to]),
            wire_length: (to - from) as u32,
        });
    }
    check(&table.counters(), samples);
    table
}

fn check(counters: &NameCounters, samples: u64) {
    let NameCounters {
        understood,
        pending,
        cut,
        malformed,
        nameless,
        ..
    } = counters;
    assert_eq!(counters.samples, samples);
    assert_eq!(samples, understood + pending + cut + malformed + nameless);
}

/// The names that the table has for any address in the stream, wherever a message may begin in it.
fn names_in(stream: &[u8], table: &NameTable) -> BTreeSet<(IpAddr, String)> {
    let messages = framed(stream);
    let addresses: BTreeSet<IpAddr> = messages.into_iter().flat_map(addresses_of).collect();
    let named = addresses.into_iter().flat_map(|address| {
        let naming = table.naming_of(&Contact {
            device: 0,
            remote: address,
            service: Service {
                protocol: 6,
                port: 443,
            },
            first_seen: Timestamp::UNIX_EPOCH,
            last_seen: Timestamp::UNIX_EPOCH,
        });
        let names = naming.names().into_iter().map(str::to_owned);
        let names: Vec<_> = names.map(|name| (address, name)).collect();
        names
    });
    named.collect()
}

/// The messages in a stream (RFC 1035 §4.2.2), by other code than the reader's.
fn framed(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((message, rest)) = rest.split_at_checked(length) else {
            break;
        };
        messages.push(message);
        stream = rest;
    }
    messages
}

fn addresses_of(message: &[u8]) -> Vec<IpAddr> {
    let records = Message::parse(message).and_then(|message| message.records());
    let records = records.into_iter().flatten().map_while(Result::ok);
    let addresses = records.filter_map(|record| match record.data {
        RecordData::A(address) => Some(IpAddr::V4(address)),
        RecordData::Aaaa(address) => Some(IpAddr::V6(address).to_canonical()),
        _ => None,
    });
    addresses.collect()
}
