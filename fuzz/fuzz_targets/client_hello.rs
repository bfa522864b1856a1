//! Fuzz target of the TLS parser and of the reader that puts its streams together.
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

use flowwatch_common::wire::tls::{ClientHello, Extension, Fragments, HandshakeHeader, TlsError};
use libfuzzer_sys::fuzz_target;

use observation::{PayloadSample, Segment};
use streams::{names_of, sample, shuffled};

/// The longest stream that is compared: the reader waits for no more than twice as many octets.
const MAX_LENGTH: usize = 8 * 1024;

fuzz_target!(|octets: &[u8]| {
    read_message(octets);
    if let Some((stream, pieces)) = shuffled(octets) {
        check_stream(stream, &pieces);
        // The same as a message in records, so that the fuzzer need not find those.
        let length = usize::from(octets[0]) * 16 + 1;
        let records: Vec<_> = stream.chunks(length).flat_map(record).collect();
        let plan = octets.len() - stream.len();
        let wrapped = [&octets[..plan], &records].concat();
        if let Some((stream, pieces)) = shuffled(&wrapped) {
            check_stream(stream, &pieces);
        }
    }
});

fn record(fragment: &[u8]) -> Vec<u8> {
    let length = (fragment.len() as u16).to_be_bytes();
    [&[22, 3, 1], &length[..], fragment].concat()
}

/// Reads all that a message has; what misses octets gets no further without them.
fn read_message(octets: &[u8]) {
    let hello = match ClientHello::parse(octets) {
        Ok(hello) => hello,
        Err(TlsError::Incomplete { missing }) => return assert!(missing > 0),
        Err(_) => return,
    };
    assert!(hello.cipher_suites.len().is_multiple_of(2));
    let mut count = 0;
    for extension in hello.extensions() {
        count += 1;
        match extension {
            Ok(Extension::ServerName(name)) => assert_ne!(name, Some(&b""[..])),
            Ok(Extension::Alpn(names)) => assert!(names.clone().all(|name| !name.is_empty())),
            Ok(_) => {}
            Err(TlsError::Incomplete { missing }) => {
                let length = HandshakeHeader::parse(octets).unwrap().message_length();
                assert!((1..=length - octets.len()).contains(&missing));
            }
            Err(error) => assert_eq!(error, TlsError::Malformed),
        }
    }
    assert!(count <= octets.len() / 4);
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
    let cut: Vec<_> = pieces.iter().map(segment).collect();
    let message: Vec<_> = Fragments::new(stream).map_while(Result::ok).collect();
    let header = HandshakeHeader::parse(&message.concat());
    // Of a message that is never whole, what counts is what came first.
    if stream.len() <= MAX_LENGTH
        && header.is_ok_and(|header| header.message_length() <= MAX_LENGTH)
    {
        assert_eq!(names_of(&cut), whole);
    } else {
        names_of(&cut);
    }
}
