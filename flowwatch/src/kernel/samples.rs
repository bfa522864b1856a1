//! The payload samples: from the ring buffer's records to values.

use std::io;

use aya::maps::{MapData, RingBuf};
use bytes::Bytes;
use flowwatch_common::abi::{Direction, SampleHeader};
use flowwatch_common::wire::ip_protocol::TCP;

use tokio::io::unix::AsyncFd;

use super::clock::TickClock;
use crate::observation::{DeviceId, PayloadSample, Segment};

/// Returns the ring as something whose samples can be awaited.
///
/// # Errors
/// The event queue's error.
#[expect(
    unsafe_code,
    reason = "tokio wants the promise that the descriptor stays open"
)]
pub fn watch(ring: RingBuf<MapData>) -> io::Result<AsyncFd<RingBuf<MapData>>> {
    // SAFETY: the ring owns its descriptor, which stays open and the same until it is dropped.
    unsafe { AsyncFd::register(ring) }.map_err(io::Error::from)
}

/// Takes samples that wait in the ring, `most` of them, and hands each to `visit`. Returns whether
/// the ring is empty: a device can send faster than its samples are read.
pub fn take(
    ring: &mut RingBuf<MapData>,
    clock: &TickClock,
    most: usize,
    visit: &mut dyn FnMut(PayloadSample),
) -> bool {
    for _ in 0..most {
        let Some(record) = ring.next() else {
            return true;
        };
        if let Some(sample) = sample_of(&record, clock) {
            visit(sample);
        }
    }
    false
}

/// Returns the sample in a record; nothing when the record is not one of ours.
fn sample_of(record: &[u8], clock: &TickClock) -> Option<PayloadSample> {
    let header = SampleHeader::from_octets(record)?;
    let start = size_of::<SampleHeader>();
    let end = start.checked_add(header.sampled_length as usize)?;
    Some(PayloadSample {
        device: header.key.device as DeviceId,
        direction: if header.direction == 0 {
            Direction::Up
        } else {
            Direction::Down
        },
        remote: header.key.remote_address(),
        protocol: header.key.protocol(),
        remote_port: header.key.remote_port(),
        local_port: header.local_port,
        at: clock.time_of(header.tick),
        segment: (header.key.protocol() == TCP).then_some(Segment {
            stream_start: header.stream_start,
            sequence: header.sequence,
        }),
        payload: Bytes::copy_from_slice(record.get(start..end)?),
        wire_length: header.wire_length,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::kernel::clock::Moment;

    /// A record as the kernel writes it, by hand: 192.0.2.53, device 7, from port 53.
    fn record(protocol: u8, sampled_length: u32) -> Vec<u8> {
        let mut octets = vec![0; 10];
        octets.extend([0xff, 0xff, 192, 0, 2, 53]);
        octets.extend(7_u32.to_ne_bytes());
        octets.extend((0x0400_0035 | u32::from(protocol) << 16).to_ne_bytes());
        octets.extend(1000_u64.to_ne_bytes());
        octets.extend(5_u32.to_ne_bytes());
        octets.extend(sampled_length.to_ne_bytes());
        octets.extend(40000_u16.to_ne_bytes());
        octets.extend(1_u16.to_ne_bytes());
        octets.extend(0xffff_fff0_u32.to_ne_bytes());
        octets.extend(16_u32.to_ne_bytes());
        octets.extend(0_u32.to_ne_bytes());
        octets.extend(*b"hello, and what the ring held before");
        octets
    }

    fn clock() -> TickClock {
        let moment = Moment::new(Timestamp::UNIX_EPOCH, Duration::ZERO);
        TickClock::new(1000, moment, Duration::from_millis(4))
    }

    #[test]
    fn a_record_is_read_as_the_kernel_wrote_it() {
        let sample = sample_of(&record(17, 5), &clock()).unwrap();
        assert_eq!(sample.remote, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)));
        assert_eq!((sample.device, sample.protocol), (7, 17));
        assert_eq!((sample.remote_port, sample.local_port), (53, 40000));
        assert_eq!(
            (sample.direction, sample.at),
            (Direction::Down, Timestamp::UNIX_EPOCH)
        );
        assert_eq!(
            (&sample.payload[..], sample.wire_length),
            (&b"hello"[..], 5)
        );
        assert_eq!(sample.segment, None);
    }

    #[test]
    fn a_segments_place_in_its_stream_is_read() {
        let sample = sample_of(&record(6, 5), &clock()).unwrap();
        let segment = sample.segment.unwrap();
        assert_eq!((segment.stream_start, segment.sequence), (0xffff_fff0, 16));
        assert_eq!(segment.offset(), 32);
    }

    #[test]
    fn a_record_that_claims_more_than_it_holds_is_no_sample() {
        assert_eq!(sample_of(&record(17, 100), &clock()), None);
        assert_eq!(sample_of(&record(17, 5)[..30], &clock()), None);
    }
}
