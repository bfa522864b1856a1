//! The connections whose first octets are waited for, device by device, within a bound on memory and
//! one on age.
//!
//! Written and read by the readers of TCP and QUIC, each of which has a table of its own. Time is that
//! of the samples.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use crate::observation::{DeviceId, PayloadSample};

/// What a table may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamLimits {
    /// Octets of memory; above it, the device that holds most loses its oldest stream.
    pub(super) memory: usize,
    /// How long a stream is kept after its first sample.
    pub(super) age: SignedDuration,
}

impl Default for StreamLimits {
    /// 8 MiB: some 4,000 streams that wait for the second segment of a `ClientHello`, 200 that are as
    /// long as can be, or 25,000 that have told their name. Half a minute sees a lost segment sent
    /// again several times (RFC 6298 §5).
    fn default() -> Self {
        Self {
            memory: 8 << 20,
            age: SignedDuration::from_secs(30),
        }
    }
}

/// What a table holds of a connection.
pub(super) trait Held: Default {
    /// Returns the octets of memory that it takes beside itself.
    fn memory(&self) -> usize;

    /// Returns whether it still waits for more.
    fn is_waiting(&self) -> bool;
}

/// What tells connections of one protocol apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoints {
    remote: IpAddr,
    remote_port: u16,
    local_port: u16,
    /// Where a TCP stream starts; connections that use the same ports one after the other differ.
    stream_start: Option<u32>,
}

impl Endpoints {
    fn of(sample: &PayloadSample) -> Self {
        Self {
            remote: sample.remote,
            remote_port: sample.remote_port,
            local_port: sample.local_port,
            stream_start: sample.segment.map(|segment| segment.stream_start),
        }
    }
}

/// All devices' connections of one protocol.
#[derive(Debug)]
pub(super) struct StreamTable<S> {
    limits: StreamLimits,
    devices: HashMap<DeviceId, DeviceStreams<S>>,
    memory: usize,
    opened: u64,
    abandoned: u64,
}

impl<S: Held> StreamTable<S> {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self {
            limits,
            devices: HashMap::new(),
            memory: 0,
            opened: 0,
            abandoned: 0,
        }
    }

    /// Returns how many streams were dropped while they still waited.
    pub(super) fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// Hands out what is held of the sample's connection, which may be new, and keeps what is made of
    /// it.
    pub(super) fn update<R>(
        &mut self,
        sample: &PayloadSample,
        change: impl FnOnce(&mut S) -> R,
    ) -> R {
        let device = self.devices.entry(sample.device).or_default();
        self.memory -= device.memory;
        self.abandoned += device.expire(sample.at, self.limits.age);
        self.opened += 1;
        let result = device.update(sample, self.opened, change);
        self.memory += device.memory;
        while self.memory > self.limits.memory && self.shrink_largest() {}
        result
    }

    /// Moves every time, as the clock was set.
    pub(super) fn shift(&mut self, by: SignedDuration) {
        let devices = self.devices.values_mut();
        for entry in devices.flat_map(|device| device.by_endpoints.values_mut()) {
            entry.opened = entry.opened.checked_add(by).unwrap_or(entry.opened);
        }
    }

    /// Takes the oldest stream from the device that holds most: no device's streams can push those of
    /// one out that holds less. Returns whether there was one.
    fn shrink_largest(&mut self) -> bool {
        let largest = self.devices.iter_mut().max_by_key(|(_, held)| held.memory);
        let Some((_, device)) = largest else {
            return false;
        };
        self.memory -= device.memory;
        let oldest = device.remove_oldest();
        self.memory += device.memory;
        self.abandoned += u64::from(oldest.as_ref().is_some_and(Held::is_waiting));
        oldest.is_some()
    }
}

/// One device's connections.
#[derive(Debug)]
struct DeviceStreams<S> {
    by_endpoints: HashMap<Endpoints, Entry<S>>,
    /// The endpoints by when they were opened, one entry a stream.
    by_age: BTreeMap<u64, Endpoints>,
    memory: usize,
}

/// A connection.
#[derive(Debug)]
struct Entry<S> {
    held: S,
    opened: Timestamp,
}

impl<S> Default for DeviceStreams<S> {
    fn default() -> Self {
        Self {
            by_endpoints: HashMap::new(),
            by_age: BTreeMap::new(),
            memory: 0,
        }
    }
}

impl<S: Held> DeviceStreams<S> {
    /// What a connection takes at least: its entries in both maps, each of which may be half empty.
    const ENTRY: usize = 2 * (size_of::<(Endpoints, Entry<S>)>() + size_of::<(u64, Endpoints)>());

    fn update<R>(
        &mut self,
        sample: &PayloadSample,
        number: u64,
        change: impl FnOnce(&mut S) -> R,
    ) -> R {
        let endpoints = Endpoints::of(sample);
        let mut is_new = false;
        let entry = self.by_endpoints.entry(endpoints).or_insert_with(|| {
            is_new = true;
            Entry {
                held: S::default(),
                opened: sample.at,
            }
        });
        let before = entry.held.memory();
        let result = change(&mut entry.held);
        self.memory = self.memory - before + entry.held.memory();
        if is_new {
            self.by_age.insert(number, endpoints);
            // What the new one began with is `before`, and was not part of the sum.
            self.memory += before + Self::ENTRY;
        }
        result
    }

    /// Removes what is too old; returns how many of them still waited.
    fn expire(&mut self, now: Timestamp, age: SignedDuration) -> u64 {
        let mut abandoned = 0;
        while self
            .oldest()
            .is_some_and(|oldest| now.duration_since(oldest.opened) > age)
        {
            abandoned += u64::from(self.remove_oldest().is_some_and(|held| held.is_waiting()));
        }
        abandoned
    }

    fn oldest(&self) -> Option<&Entry<S>> {
        let (_, endpoints) = self.by_age.first_key_value()?;
        self.by_endpoints.get(endpoints)
    }

    fn remove_oldest(&mut self) -> Option<S> {
        let (_, endpoints) = self.by_age.pop_first()?;
        let entry = self.by_endpoints.remove(&endpoints)?;
        self.memory -= Self::ENTRY + entry.held.memory();
        Some(entry.held)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use flowwatch_common::abi::Direction;

    use super::*;
    use crate::observation::Segment;

    const CAMERA: DeviceId = 0;
    const PHONE: DeviceId = 1;

    /// Octets that have come, until there are none.
    #[derive(Debug)]
    struct Octets(Option<Vec<u8>>);

    impl Default for Octets {
        fn default() -> Self {
            Self(Some(Vec::new()))
        }
    }

    impl Held for Octets {
        fn memory(&self) -> usize {
            self.0.as_ref().map_or(0, Vec::len)
        }

        fn is_waiting(&self) -> bool {
            self.0.is_some()
        }
    }

    fn sample(device: DeviceId, local_port: u16, second: i64) -> PayloadSample {
        PayloadSample {
            device,
            direction: Direction::Up,
            remote: [192, 0, 2, 1].into(),
            protocol: 6,
            remote_port: 443,
            local_port,
            at: Timestamp::from_second(1_560_000_000 + second).unwrap(),
            segment: None,
            payload: Bytes::new(),
            wire_length: 0,
        }
    }

    fn table(memory: usize) -> StreamTable<Octets> {
        StreamTable::new(StreamLimits {
            memory,
            age: SignedDuration::from_secs(30),
        })
    }

    /// Adds octets to a stream; returns how many it has.
    fn add(table: &mut StreamTable<Octets>, sample: &PayloadSample, count: usize) -> usize {
        table.update(sample, |octets| {
            let octets = octets.0.as_mut().unwrap();
            octets.extend(vec![0; count]);
            octets.len()
        })
    }

    fn finish(table: &mut StreamTable<Octets>, sample: &PayloadSample) {
        table.update(sample, |octets| octets.0 = None);
    }

    /// Asserts what is held of a device, and that the sums are those of what is held.
    fn check(table: &StreamTable<Octets>, device: DeviceId, streams: usize, abandoned: u64) {
        let entry = DeviceStreams::<Octets>::ENTRY;
        let mut sum = 0;
        for held in table.devices.values() {
            let octets = held.by_endpoints.values().map(|entry| entry.held.memory());
            assert_eq!(
                held.memory,
                held.by_endpoints.len() * entry + octets.sum::<usize>()
            );
            assert_eq!(held.by_endpoints.len(), held.by_age.len());
            sum += held.memory;
        }
        assert_eq!(table.memory, sum);
        assert!(table.memory <= table.limits.memory);
        let held = table
            .devices
            .get(&device)
            .map_or(0, |held| held.by_age.len());
        assert_eq!((held, table.abandoned()), (streams, abandoned));
    }

    #[test]
    fn what_is_held_is_the_connections_own() {
        let mut table = table(1 << 20);
        let first = sample(CAMERA, 1, 0);
        assert_eq!(add(&mut table, &first, 5), 5);
        assert_eq!(add(&mut table, &first, 2), 7);
        let other_start = |stream_start| PayloadSample {
            segment: Some(Segment {
                stream_start,
                sequence: 0,
            }),
            ..first.clone()
        };
        for other in [
            sample(PHONE, 1, 0),
            sample(CAMERA, 2, 0),
            PayloadSample {
                remote_port: 80,
                ..first.clone()
            },
            PayloadSample {
                remote: [192, 0, 2, 2].into(),
                ..first.clone()
            },
            other_start(1),
            other_start(2),
        ] {
            assert_eq!(add(&mut table, &other, 1), 1);
        }
        check(&table, CAMERA, 6, 0);
    }

    #[test]
    fn a_stream_that_is_too_old_is_abandoned() {
        let mut table = table(1 << 20);
        add(&mut table, &sample(CAMERA, 1, 0), 5);
        add(&mut table, &sample(CAMERA, 2, 1), 5);
        add(&mut table, &sample(CAMERA, 1, 30), 5);
        check(&table, CAMERA, 2, 0);
        // Its age counts from its first sample.
        assert_eq!(add(&mut table, &sample(CAMERA, 1, 31), 5), 5);
        check(&table, CAMERA, 2, 1);
        // Time that goes back makes nothing old.
        add(&mut table, &sample(CAMERA, 3, -1000), 5);
        check(&table, CAMERA, 3, 1);
    }

    #[test]
    fn a_stream_that_told_its_name_goes_without_being_counted() {
        let mut table = table(1 << 20);
        finish(&mut table, &sample(CAMERA, 1, 0));
        add(&mut table, &sample(CAMERA, 2, 100), 1);
        check(&table, CAMERA, 1, 0);
    }

    #[test]
    fn a_full_table_costs_the_device_that_holds_most_its_oldest() {
        let entry = DeviceStreams::<Octets>::ENTRY;
        let mut table = table(4 * entry + 4000);
        add(&mut table, &sample(PHONE, 1, 0), 1000);
        for port in 1..=3 {
            add(&mut table, &sample(CAMERA, port, 0), 1000);
        }
        check(&table, CAMERA, 3, 0);
        add(&mut table, &sample(CAMERA, 4, 0), 1000);
        check(&table, CAMERA, 3, 1);
        check(&table, PHONE, 1, 1);
        assert_eq!(add(&mut table, &sample(CAMERA, 2, 0), 0), 1000);
        // Octets count as streams do.
        add(&mut table, &sample(CAMERA, 4, 0), 1500);
        check(&table, CAMERA, 1, 3);
        check(&table, PHONE, 1, 3);
    }

    #[test]
    fn a_table_for_nothing_holds_nothing() {
        let mut table = table(0);
        add(&mut table, &sample(CAMERA, 1, 0), 10);
        check(&table, CAMERA, 0, 1);
    }
}
