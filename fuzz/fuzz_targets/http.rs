//! Fuzz target of the HTTP/1 parser and of the reader that puts its streams together.
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
#[path = "../streams.rs"]
mod streams;

use flowwatch_common::wire::http::{HttpError, Request};
use flowwatch_common::wire::tls::CONTENT_HANDSHAKE;
use libfuzzer_sys::fuzz_target;

use observation::{PayloadSample, Segment};
use streams::{names_of, sample, shuffled};

fuzz_target!(|octets: &[u8]| {
    let Some((stream, pieces)) = shuffled(octets) else {
        return;
    };
    check_prefixes(stream);
    if stream.first() != Some(&CONTENT_HANDSHAKE) {
        check_stream(stream, &pieces);
    }
});

/// What is read of the octets' beginning stays so when more come, but for `Host` and the end.
fn check_prefixes(octets: &[u8]) {
    let whole = Request::parse(octets);
    for length in 0..octets.len().min(200) {
        match (Request::parse(&octets[..length]), whole) {
            (Err(HttpError::Incomplete), _) => {}
            (Err(error), whole) => assert_eq!(whole, Err(error)),
            (Ok(_), Err(error)) => assert_eq!(error, HttpError::Malformed),
            (Ok(prefix), Ok(whole)) => {
                assert_eq!((prefix.method, prefix.target), (whole.method, whole.target));
                assert!(prefix.host.is_none() || prefix.host == whole.host);
                assert!(!prefix.is_whole || prefix == whole);
            }
        }
    }
}

fn check_stream(stream: &[u8], pieces: &[(usize, &[u8])]) {
    let segment = |(offset, octets): &(usize, &[u8])| PayloadSample {
        segment: Some(Segment {
            stream_start: u32::MAX,
            sequence: u32::MAX.wrapping_add(*offset as u32),
        }),
        ..sample(6, octets.to_vec())
    };
    let whole = names_of(&[segment(&(0, stream))]);
    assert!(whole.len() <= 1);
    assert!(whole.iter().all(|name| name.starts_with("http ")));
    let cut: Vec<_> = pieces.iter().map(segment).collect();
    assert_eq!(names_of(&cut), whole);
}
