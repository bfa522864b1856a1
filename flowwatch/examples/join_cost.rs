//! What the join costs: names, places and the devices' ways of resolving, for windows of several
//! sizes; the time of each flow should not grow with their number.
//!
//! Run it with `cargo run --release -p flowwatch --example join_cost`.

#![expect(clippy::print_stdout, reason = "its figures are for who runs it")]

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use flowwatch::geo::Databases;
use flowwatch::join::{Sources, join};
use flowwatch::model::Device;
use flowwatch::names::NameTable;
use flowwatch::observation::{EpochFlow, PayloadSample, Traffic};
use flowwatch::store::{FlowTable, Meta};
use flowwatch_common::abi::Direction;
use jiff::Timestamp;

const ROUNDS: usize = 7;
const DEVICES: u16 = 100;
/// Addresses that each device was told names of.
const NAMED: u32 = 600;

fn main() -> Result<()> {
    let devices: Vec<Device> = (0..DEVICES)
        .map(|id| format!("device{id}=2c:aa:8e:00:{:02x}:{:02x}", id >> 8, id & 0xff).parse())
        .collect::<Result<_, _>>()?;
    let databases = Databases::open(&[], false)?;
    let names = names()?;
    println!("bindings held: {}", names.counters().bindings);
    for count in [50_000, 200_000, 1_000_000] {
        let flows = flows(count)?;
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let meta = Meta::new((Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH), 1, vec![], 0);
            let sources = Sources {
                devices: &devices,
                flows: &flows,
                names: &names,
                databases: &databases,
            };
            let start = Instant::now();
            let snapshot = join(sources, meta);
            times.push(start.elapsed());
            std::hint::black_box(snapshot);
        }
        times.sort_unstable();
        println!(
            "{count} flows: median {:.1?}, fastest {:.1?}, {:.0} ns a flow",
            times[ROUNDS / 2],
            times[0],
            times[0].as_secs_f64() * 1e9 / f64::from(count)
        );
    }
    Ok(())
}

/// The address of a number; the low ones are those with names.
fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0900_0000 + number).into()
}

/// A window of so many flows; half of each device's go to addresses with names, by many ports.
fn flows(count: u32) -> Result<FlowTable> {
    let capacity = NonZeroUsize::new(1 << 20).context("a window")?;
    let mut table = FlowTable::new(usize::from(DEVICES), capacity);
    for number in 0..count {
        let device = number % u32::from(DEVICES);
        let own = number / u32::from(DEVICES);
        let (remote, port) = if own.is_multiple_of(2) {
            (own / 2 % NAMED, 443 + own / 2 / NAMED)
        } else {
            (1_000 + own, 53 + own % 3 * 400)
        };
        table.fold(&EpochFlow {
            device: device as u16,
            remote: address(remote),
            protocol: 6,
            remote_port: port as u16,
            up: Traffic {
                packets: 1,
                octets: 60 + u64::from(number % 1_000),
            },
            down: Traffic::default(),
            first_seen: Timestamp::from_second(10)?,
            last_seen: Timestamp::from_second(20)?,
        });
    }
    Ok(table)
}

/// Every device told one name for each of the first addresses.
fn names() -> Result<NameTable> {
    let mut table = NameTable::default();
    for device in 0..DEVICES {
        for number in 0..NAMED {
            let payload = answer(number)?;
            table.observe(&PayloadSample {
                device,
                direction: Direction::Down,
                remote: [192, 0, 2, 53].into(),
                protocol: 17,
                remote_port: 53,
                local_port: 40_000,
                at: Timestamp::UNIX_EPOCH,
                segment: None,
                wire_length: payload.len() as u32,
                payload,
            });
        }
    }
    Ok(table)
}

/// The answer that the address of this number is called so (RFC 1035 §4).
fn answer(number: u32) -> Result<Bytes> {
    let label = format!("host{number}");
    let mut octets = b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00".to_vec();
    octets.push(u8::try_from(label.len())?);
    octets.extend(label.as_bytes());
    octets.extend(b"\x04test\x00\x00\x01\x00\x01");
    octets.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04");
    octets.extend((0x0900_0000 + number).to_be_bytes());
    Ok(octets.into())
}
