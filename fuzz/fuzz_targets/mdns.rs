//! Fuzz target of multicast DNS: whatever a host announces, it names no address beyond the link, and by
//! no name beyond `.local`.
//!
//! The table is compiled in from its files, as in `dns.rs`.
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

use std::net::IpAddr;

use bytes::Bytes;
use flowwatch_common::abi::Direction;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

use names::{Contact, NameTable, Service, announced};
use observation::PayloadSample;

fuzz_target!(|octets: &[u8]| {
    let (all, _) = announced(octets);
    assert!(all.len() <= octets.len() / 15);
    for direction in [Direction::Up, Direction::Down] {
        let mut table = NameTable::default();
        table.observe(&sample(octets, direction));
        for one in &all {
            check_text(&one.name);
            let names = names_of(&table, one.address);
            assert!(names.len() <= 1);
            assert!(names.is_empty() || is_of_link(one.address));
            let is_senders = one.address == sender();
            assert!(names.is_empty() || direction == Direction::Up || is_senders);
            names.iter().for_each(|name| check_text(name));
        }
        assert_eq!(table.counters().samples, 1);
    }
});

fn sender() -> IpAddr {
    [192, 168, 8, 30].into()
}

fn sample(octets: &[u8], direction: Direction) -> PayloadSample {
    PayloadSample {
        device: 0,
        direction,
        remote: match direction {
            Direction::Up => [224, 0, 0, 251].into(),
            Direction::Down => sender(),
        },
        protocol: 17,
        remote_port: 5353,
        local_port: 5353,
        at: Timestamp::UNIX_EPOCH,
        segment: None,
        payload: Bytes::copy_from_slice(octets),
        wire_length: octets.len() as u32,
    }
}

/// What another device would call the address.
fn names_of(table: &NameTable, remote: IpAddr) -> Vec<String> {
    let naming = table.naming_of(&Contact {
        device: 1,
        remote,
        service: Service {
            protocol: 6,
            port: 80,
        },
        first_seen: Timestamp::UNIX_EPOCH,
        last_seen: Timestamp::UNIX_EPOCH,
    });
    naming.names().into_iter().map(str::to_owned).collect()
}

fn check_text(text: &str) {
    assert!(text.bytes().all(|letter| letter.is_ascii_graphic()));
    assert!(text.ends_with(".local") && text.len() <= 1020);
}

/// RFC 1918, 3927, 4193 and 4291 §2.5.6, by hand.
fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => match address.octets() {
            [10, ..] | [192, 168, ..] | [169, 254, ..] => true,
            [172, second, ..] => (16..32).contains(&second),
            _ => false,
        },
        IpAddr::V6(address) => {
            let [first, second, ..] = address.octets();
            first & 0xfe == 0xfc || (first == 0xfe && second & 0xc0 == 0x80)
        }
    }
}
