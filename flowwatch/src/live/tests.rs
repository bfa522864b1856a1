//! Whether a view that takes in every update knows what the join says, whatever happens meanwhile.
//!
//! A long random run of a small world, in which everything that can change does; its names come from
//! packets made here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use flowwatch_common::abi::Direction;
use jiff::{SignedDuration, Timestamp};

use super::wire::{self, tests::bodies};
use super::{Feed, FlowNumber, Followed, Teller, Update};
use crate::geo::Databases;
use crate::join::{Sources, join};
use crate::model::{Device, FlowRecord};
use crate::names::{NameLimits, NameTable};
use crate::observation::{
    DeviceId, DeviceTotals, EpochFlow, Frames, PayloadSample, Segment, Traffic,
};
use crate::store::{DeviceResolving, DeviceSummary, FlowTable, Meta, UnaccountedRow, Warning};

const REMOTES: [&str; 6] = [
    "192.168.8.1",
    "192.168.8.7",
    "8.8.8.8",
    "50.7.98.242",
    "2001:db8::1",
    "2606:4700::1111",
];
const NAMES: [&str; 5] = ["a.test", "b.test", "dns.google", "cam.local", "tv.local"];
const SERVICES: [(u8, u16); 5] = [(17, 53), (6, 443), (17, 443), (6, 80), (6, 853)];

/// xorshift64, so that every run is the same.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// What a view knows that takes in every update.
#[derive(Default)]
pub(super) struct Mirror {
    pub(super) flows: BTreeMap<FlowNumber, FlowRecord>,
    /// Devices, unaccounted, resolving, in text.
    rest: String,
}

impl Mirror {
    pub(super) fn take_in(&mut self, update: &Update) {
        for number in &update.forgotten {
            self.flows.remove(number);
        }
        for (number, record) in &update.told {
            self.flows.insert(*number, record.clone());
        }
        for changed in &update.changed {
            let record = self.flows.get_mut(&changed.flow).expect("told before");
            record.up = changed.up;
            record.down = changed.down;
            record.last_seen = changed.last_seen;
        }
        self.rest = text_of(
            &update.devices,
            &update.unaccounted,
            &update.resolving,
            &update.meta,
        );
    }

    pub(super) fn flows(&self) -> Vec<String> {
        let mut flows: Vec<_> = self
            .flows
            .values()
            .map(|flow| format!("{flow:?}"))
            .collect();
        flows.sort();
        flows
    }
}

fn text_of(
    devices: &[DeviceSummary],
    unaccounted: &[UnaccountedRow],
    resolving: &[DeviceResolving],
    meta: &Meta,
) -> String {
    format!("{devices:#?}\n{unaccounted:#?}\n{resolving:#?}\n{meta:#?}")
}

/// The world that is followed.
struct World<'a> {
    chance: Chance,
    now: Timestamp,
    devices: Vec<Device>,
    flows: FlowTable,
    names: NameTable,
    /// Without places, and with some.
    databases: &'a [Databases; 2],
    has_places: bool,
    epochs: u64,
}

impl<'a> World<'a> {
    fn new(seed: u64, databases: &'a [Databases; 2]) -> Self {
        let limits = NameLimits {
            bindings_per_device: 6,
            names_per_address: 2,
            bindings_total: 9,
        };
        Self {
            chance: Chance(seed),
            now: Timestamp::from_second(1_700_000_000).unwrap(),
            devices: ["camera=2c:aa:8e:00:00:01", "plug=2c:aa:8e:00:00:02"]
                .map(|tag| tag.parse().unwrap())
                .to_vec(),
            flows: window(seed),
            names: NameTable::new(limits),
            databases,
            has_places: true,
            epochs: 0,
        }
    }

    /// Lets something happen.
    fn step(&mut self) {
        self.now += Duration::from_millis(self.chance.below(300) as u64);
        match self.chance.below(100) {
            0..70 => self.fold(),
            70..80 => self.answer(),
            80..85 => self.announce(),
            85..95 => self.request(),
            95..97 => self.total(),
            97 => self.appear(),
            98 if self.chance.below(20) == 0 => self.flows = window(self.chance.0),
            98 => {
                let device = self.device();
                self.names.offer(device, &[address("192.168.8.1")]);
            }
            _ => self.has_places = self.chance.below(2) == 0,
        }
    }

    fn device(&mut self) -> DeviceId {
        self.chance.below(3) as DeviceId
    }

    /// A flow's packets of the last seconds; now and then, of before all others.
    fn fold(&mut self) {
        let (protocol, remote_port) = self.chance.of(&SERVICES);
        let mut last = self.now - Duration::from_millis(self.chance.below(2_000) as u64);
        if self.chance.below(10) == 0 {
            last -= SignedDuration::from_secs(5_000);
        }
        let octets = self.chance.below(1_000) as u64;
        let device = self.device();
        self.flows.fold(&EpochFlow {
            device,
            remote: address(self.chance.of(&REMOTES)),
            protocol,
            remote_port,
            up: Traffic { packets: 1, octets },
            down: Traffic { packets: 2, octets },
            first_seen: last - SignedDuration::from_millis(50),
            last_seen: last,
        });
    }

    fn observe(&mut self, (protocol, remote_port): (u8, u16), payload: Vec<u8>) {
        let (local_port, direction) = match remote_port {
            80 => (40_000 + self.chance.below(20_000) as u16, Direction::Up),
            5353 => (5353, Direction::Down),
            _ => (40_000, Direction::Down),
        };
        let remote = address(self.chance.of(&REMOTES));
        let device = self.device();
        self.names.observe(&PayloadSample {
            device,
            direction,
            remote,
            protocol,
            remote_port,
            local_port,
            at: self.now,
            segment: (protocol == 6).then_some(Segment {
                stream_start: 1,
                sequence: 1,
            }),
            wire_length: payload.len() as u32,
            payload: Bytes::from(payload),
        });
    }

    /// A resolver answers: with an address, with the service's properties, or that there is none.
    fn answer(&mut self) {
        let name = self.chance.of(&NAMES);
        let record = match self.chance.below(4) {
            0 => None,
            1 => Some((65, vec![0, 1, 0, 0, 1, 0, 3, 2, b'h', b'2'])),
            _ => Some(rdata(self.chance.of(&REMOTES))),
        };
        self.observe((17, 53), dns(0x8180, Some(name), record));
    }

    fn announce(&mut self) {
        let name = self.chance.of(&NAMES[3..]);
        let record = Some(rdata(self.chance.of(&REMOTES)));
        let question = dns(0x8400, Some(name), record);
        self.observe((17, 5353), question);
    }

    fn request(&mut self) {
        let name = self.chance.of(&NAMES);
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
        self.observe((6, 80), request.into_bytes());
    }

    fn total(&mut self) {
        let frames = Frames {
            frames: self.chance.below(99) as u64,
            l2_octets: 9,
        };
        let mut totals = DeviceTotals::default();
        totals.up.seen = frames;
        totals.down.unaccounted[0] = frames;
        totals.down.overflow.packets = 1;
        self.flows.set_device_totals(0, totals);
    }

    /// A third device appears, or gets another name.
    fn appear(&mut self) {
        self.devices.truncate(2);
        let name = self.chance.of(&["new", "newer"]);
        let tag = format!("{name}=2c:aa:8e:00:00:03");
        self.devices.push(tag.parse().unwrap());
    }

    fn take_up(&mut self, feed: &mut Feed, tellers: &mut [Teller]) {
        let news = feed.take_up(Followed {
            devices: &self.devices,
            flows: &mut self.flows,
            names: &mut self.names,
            databases: &self.databases[usize::from(self.has_places)],
        });
        for teller in tellers {
            teller.hear(&news);
        }
        self.epochs += 1;
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            devices: &self.devices,
            flows: &self.flows,
            names: &self.names,
            databases: &self.databases[usize::from(self.has_places)],
        }
    }

    fn meta(&self) -> Meta {
        let span = (Timestamp::UNIX_EPOCH, self.now);
        let warning = Warning {
            check: "interface.lro".to_owned(),
            subject: self.epochs.is_multiple_of(2).then(|| "lan0".to_owned()),
            text: "LRO is on".to_owned(),
        };
        Meta {
            warnings: vec![warning],
            ..Meta::new(span, self.epochs, Vec::new(), 3)
        }
    }

    /// Compares what a view knows with what the join says.
    fn check(&self, mirror: &Mirror) {
        let snapshot = join(self.sources(), self.meta());
        let mut flows: Vec<_> = snapshot
            .flows
            .iter()
            .map(|flow| format!("{flow:?}"))
            .collect();
        flows.sort();
        assert_eq!(mirror.flows(), flows);
        let rest = text_of(
            &snapshot.devices,
            &snapshot.unaccounted,
            &snapshot.resolving,
            &snapshot.meta,
        );
        assert_eq!(mirror.rest, rest);
    }
}

/// A window with room for some of the flows; one of an even number forgets.
fn window(number: u64) -> FlowTable {
    let table = FlowTable::new(2, NonZeroUsize::new(60).unwrap());
    if number.is_multiple_of(2) {
        table.that_forgets()
    } else {
        table
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn rdata(text: &str) -> (u16, Vec<u8>) {
    match address(text) {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (28, address.octets().to_vec()),
    }
}

/// A DNS message: a question of a name, and an answer under that name.
fn dns(flags: u16, question: Option<&str>, record: Option<(u16, Vec<u8>)>) -> Vec<u8> {
    let mut octets = Vec::new();
    let counts = [u16::from(question.is_some()), u16::from(record.is_some())];
    for word in [7, flags, counts[0], counts[1], 0, 0] {
        octets.extend(word.to_be_bytes());
    }
    let rtype = record.as_ref().map_or(1, |(rtype, _)| *rtype);
    for label in question.unwrap_or_default().split('.') {
        octets.push(label.len() as u8);
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets.extend([rtype.to_be_bytes(), 1_u16.to_be_bytes()].concat());
    if let Some((rtype, rdata)) = record {
        octets.extend([0xc0, 12]);
        octets.extend([rtype.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        octets.extend(300_u32.to_be_bytes());
        octets.extend((rdata.len() as u16).to_be_bytes());
        octets.extend(rdata);
    }
    octets
}

/// Returns what the other side of a socket makes of an update; what it makes of damaged octets may be
/// nothing, and is no panic.
fn wired(update: &Update) -> Update {
    let frames = wire::frames_of(update).unwrap();
    let mut assembly = wire::Assembly::default();
    let mut whole = None;
    for (at, body) in bodies(&frames).into_iter().enumerate() {
        assert!(whole.is_none(), "nothing follows the last part");
        whole = assembly.take_in(body).unwrap();
        let cut = body.len() * (at + 1) / (at + 2);
        assert!(wire::Assembly::default().take_in(&body[..cut]).is_err());
        let mut damaged = body.to_vec();
        damaged[cut] ^= 0x91;
        let _ = wire::Assembly::default().take_in(&damaged);
    }
    whole.expect("the last part")
}

/// Follows a world of `seed` with views of which some are slow; returns how many flows were told.
fn check_world(seed: u64, databases: &[Databases; 2]) -> usize {
    let mut world = World::new(seed, databases);
    let mut feed = Feed::new(&databases[0]);
    let mut tellers = [Teller::new(), Teller::new(), Teller::new()];
    let mut mirrors: [Mirror; 3] = Default::default();
    let mut told = 0;
    for _ in 0..200 {
        for _ in 0..world.chance.below(30) {
            world.step();
        }
        world.take_up(&mut feed, &mut tellers);
        for (slowness, (teller, mirror)) in tellers.iter_mut().zip(&mut mirrors).enumerate() {
            if world.chance.below(1 + 4 * slowness) > 0 {
                continue;
            }
            let update = feed.update(teller, world.sources(), world.meta());
            told += update.told.len();
            let update = wired(&update);
            mirror.take_in(&update);
            world.check(mirror);
            assert!(!teller.is_behind(world.flows.len()));
        }
    }
    told
}

#[test]
fn a_view_that_takes_in_every_update_knows_what_the_join_says() {
    let databases = [false, true].map(|builtin| Databases::open(&[], builtin).unwrap());
    for seed in 1..=4 {
        assert!(check_world(seed, &databases) > 100);
    }
}
