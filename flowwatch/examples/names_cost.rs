//! What names cost: the samples per second that each reader takes, of those that it has most work with.
//!
//! A device that floods the gateway with such packets makes flowwatch do this for each of them. Run it
//! with `cargo run --release -p flowwatch --example names_cost`.

#![expect(clippy::print_stdout, reason = "its figures are for who runs it")]

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use flowwatch::names::NameTable;
use flowwatch::observation::{PayloadSample, Segment};
use flowwatch_common::abi::Direction;
use jiff::Timestamp;

const ROUNDS: usize = 7;
const SAMPLES: u32 = 100_000;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The datagram of RFC 9001 §A.2.
const INITIAL: &[u8] = include_bytes!("../src/names/golden/rfc9001-a2-client-initial");

fn main() -> Result<()> {
    let hello = client_hello(1216);
    let long_hello = client_hello(14_000);
    let mut forged = INITIAL.to_vec();
    forged.reverse();
    forged[..14].copy_from_slice(&INITIAL[..14]);
    forged[14..18].copy_from_slice(&INITIAL[14..18]);
    let request = b"GET / HTTP/1.1\r\nUser-Agent: example\r\nHost: api.example.com\r\n\r\n";

    println!("{SAMPLES} samples, each of another connection but for parts, {ROUNDS} rounds");
    measure("a ClientHello of 1.3 KB, whole", |number| {
        segment(number, 0, &hello)
    })?;
    measure("the same, in two segments", |number| {
        let half = hello.len() / 2;
        match number % 2 {
            0 => segment(number / 2, 0, &hello[..half]),
            _ => segment(number / 2, half as u32, &hello[half..]),
        }
    })?;
    measure("one of 14 KB, octet by octet", |number| {
        let at = number % long_hello.len() as u32;
        let octet = &long_hello[at as usize..=at as usize];
        segment(number / long_hello.len() as u32, at, octet)
    })?;
    measure("a hole that is never filled", |number| {
        segment(number, 2000, &hello)
    })?;
    measure("an HTTP request", |number| segment(number, 0, request))?;
    measure("a QUIC Initial", |number| sample(UDP, number, INITIAL))?;
    measure("a QUIC Initial, forged", |number| {
        sample(UDP, number, &forged)
    })?;
    measure("a QUIC Initial, sent again", |_| sample(UDP, 0, INITIAL))
}

/// Prints what the samples take, in processor time.
fn measure(what: &str, sample_of: impl Fn(u32) -> PayloadSample) -> Result<()> {
    let samples: Vec<_> = (0..SAMPLES).map(sample_of).collect();
    let mut times = Vec::with_capacity(ROUNDS);
    let mut counters = None;
    for _ in 0..ROUNDS {
        let mut table = NameTable::default();
        let start = processor_time()?;
        for sample in &samples {
            table.observe(sample);
        }
        times.push(processor_time()?.saturating_sub(start) / SAMPLES);
        counters = Some(table.counters());
    }
    times.sort_unstable();
    let (fastest, median) = (times[0], times[ROUNDS / 2]);
    let rate = Duration::from_secs(1).as_nanos() / median.as_nanos().max(1);
    println!("{what:32} fastest {fastest:>9.2?}, median {median:>9.2?}: {rate:>8} a second");
    log_outcomes(counters.context("no round")?);
    Ok(())
}

fn log_outcomes(counters: flowwatch::names::NameCounters) {
    let figures = [
        ("understood", counters.understood),
        ("pending", counters.pending),
        ("cut", counters.cut),
        ("malformed", counters.malformed),
        ("nameless", counters.nameless),
        ("streams abandoned", counters.abandoned),
    ];
    for (name, count) in figures.iter().filter(|(_, count)| *count > 0) {
        println!("    {count} {name}");
    }
}

/// Makes a sample of that connection: one of 65,536 local ports at one of the remotes.
fn sample(protocol: u8, connection: u32, payload: &[u8]) -> PayloadSample {
    PayloadSample {
        device: 0,
        direction: Direction::Up,
        remote: [198, 51, 100, (connection >> 16) as u8].into(),
        protocol,
        remote_port: 443,
        local_port: connection as u16,
        at: Timestamp::UNIX_EPOCH,
        segment: None,
        wire_length: payload.len() as u32,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn segment(connection: u32, offset: u32, payload: &[u8]) -> PayloadSample {
    PayloadSample {
        segment: Some(Segment {
            stream_start: 1,
            sequence: 1 + offset,
        }),
        ..sample(TCP, connection, payload)
    }
}

/// Makes a `ClientHello` with a key share of that many octets, and a name behind it.
fn client_hello(key_length: u16) -> Vec<u8> {
    let key_share = [
        &51_u16.to_be_bytes()[..],
        &key_length.to_be_bytes(),
        &vec![0; usize::from(key_length)],
    ]
    .concat();
    let server_name = b"\x00\x00\x00\x14\x00\x12\x00\x00\x0fapi.example.com";
    let extensions = [&key_share[..], server_name].concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        b"\x00\x00\x02\x13\x01\x01\x00",
        &(extensions.len() as u16).to_be_bytes(),
        &extensions,
    ]
    .concat();
    let message = [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat();
    let record_length = (message.len() as u16).to_be_bytes();
    [&[22, 3, 1][..], &record_length, &message].concat()
}

/// Returns the time that this thread has spent on a processor: a busy machine doesn't distort it.
fn processor_time() -> Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let statistics = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let nanoseconds = statistics
        .split_whitespace()
        .next()
        .context("no figure")?
        .parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}
