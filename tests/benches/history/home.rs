//! A home that is made up: devices, the destinations that they know, and what they say each hour.
//!
//! Each day most destinations are known ones, the lately met most often; the rest is new. One in four
//! is met in three hours of the day, the others in one. Three of ten are IPv6, three of ten named.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use flowwatch::history::{Epoch, GenerationId};
use flowwatch::model::Device;
use flowwatch::names::NameTable;
use flowwatch::observation::{DeviceId, DeviceTotals, EpochFlow, PayloadSample, Traffic};
use flowwatch_common::abi::Direction;
use jiff::{SignedDuration, Timestamp};

const UDP: u8 = 17;

pub(crate) struct Home {
    devices: Vec<Device>,
    a_day: u32,
    new_a_day: u32,
    met: u32,
    today: Vec<u32>,
    serial: u64,
    random: u64,
    totals: Vec<DeviceTotals>,
}

impl Home {
    pub(crate) fn new(devices: u16, a_day: u32, new_percent: u32) -> Self {
        let device = |number: u16| {
            format!(
                "d{number}=02:00:00:00:{:02x}:{:02x}",
                number >> 8,
                number & 255
            )
        };
        let devices: Vec<Device> = (0..devices)
            .filter_map(|number| device(number).parse().ok())
            .collect();
        Self {
            totals: vec![DeviceTotals::default(); devices.len()],
            devices,
            a_day,
            new_a_day: a_day / 100 * new_percent,
            met: a_day,
            today: Vec::new(),
            serial: 0,
            random: 1,
        }
    }

    pub(crate) fn devices(&self) -> &[Device] {
        &self.devices
    }

    pub(crate) fn begin_day(&mut self) {
        let mut today: BTreeSet<u32> = (self.met..self.met + self.new_a_day).collect();
        while today.len() < self.a_day as usize {
            let back = self.next() % u64::from(self.a_day);
            // The known ones: those that were always there, and among the later ones the latest.
            let known = if self.next().is_multiple_of(2) {
                back as u32
            } else {
                self.met - 1 - back as u32
            };
            today.insert(known);
        }
        self.met += self.new_a_day;
        self.today = today.into_iter().collect();
    }

    /// Returns what is counted in one hour, and has the names of it told.
    pub(crate) fn hour(&mut self, hour: u32, at: Timestamp, names: &mut NameTable) -> Epoch {
        let ended_at = at + SignedDuration::from_mins((self.next() % 60).cast_signed());
        let mut flows = Vec::new();
        for number in std::mem::take(&mut self.today) {
            if is_met(number, hour) {
                let flow = self.flow(number, ended_at);
                if mixed(number) % 10 < 3 {
                    names.observe(&told(&flow, number));
                }
                flows.push(flow);
            }
            self.today.push(number);
        }
        for flow in &flows {
            let totals = &mut self.totals[usize::from(flow.device)];
            for (totals, traffic) in [(&mut totals.up, flow.up), (&mut totals.down, flow.down)] {
                totals.flow_traffic += traffic;
                totals.seen.frames += traffic.packets;
                totals.in_flows.frames += traffic.packets;
            }
        }
        self.serial += 1;
        let totals = (0..).zip(&self.devices).zip(&self.totals);
        Epoch {
            generation: GenerationId(1),
            serial: self.serial,
            ended_at,
            is_last: false,
            totals: totals
                .map(|((id, device), totals)| (id, device.clone(), *totals))
                .collect(),
            flows,
        }
    }

    fn flow(&mut self, number: u32, at: Timestamp) -> EpochFlow {
        // From one packet to a thousand, most few: with 200,000 a day, some 15 GB.
        let packets = 1 + (1_u64 << (self.next() % 11)) * (self.next() % 100) / 100;
        let up = packets.div_ceil(2);
        let size = 60 + self.next() % 400;
        EpochFlow {
            device: (number % self.devices.len() as u32) as DeviceId,
            remote: remote(number),
            protocol: if number.is_multiple_of(3) { UDP } else { 6 },
            remote_port: [443, 443, 80, 53, 10_240, (mixed(number) >> 20) as u16]
                [number as usize % 6],
            up: Traffic {
                packets: up,
                octets: up * size,
            },
            down: Traffic {
                packets,
                octets: packets * (size + 300),
            },
            first_seen: at - SignedDuration::from_secs(40),
            last_seen: at - SignedDuration::from_secs(1),
        }
    }

    /// Knuth's MMIX generator: the same year each time.
    fn next(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }
}

fn is_met(number: u32, hour: u32) -> bool {
    let first = mixed(number) as u32 % 24;
    let is_often = mixed(number).is_multiple_of(4);
    hour == first || is_often && (hour == (first + 5) % 24 || hour == (first + 11) % 24)
}

fn mixed(number: u32) -> u64 {
    (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

fn remote(number: u32) -> IpAddr {
    let bits = mixed(number);
    if bits % 10 < 3 {
        let [.., a, b, c, d] = bits.to_be_bytes().map(u16::from);
        return Ipv6Addr::new(0x2600, 0x1f14 + (a & 3), a, b, 0, c, d, number as u16).into();
    }
    Ipv4Addr::from_bits(0x0100_0000 | (bits as u32 & 0x5fff_ffff)).into()
}

/// The DNS answer by which a flow's device learnt the remote's name.
fn told(flow: &EpochFlow, number: u32) -> PayloadSample {
    let (host, site) = (
        format!("host-{}", number % 211),
        format!("site{}", number % 900),
    );
    let mut question = Vec::new();
    for label in [host.as_str(), site.as_str(), "example"] {
        question.push(label.len() as u8);
        question.extend(label.as_bytes());
    }
    let (kind, address): (u8, Vec<u8>) = match flow.remote {
        IpAddr::V4(address) => (1, address.octets().into()),
        IpAddr::V6(address) => (28, address.octets().into()),
    };
    let mut payload = vec![0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    payload.extend(&question);
    payload.extend([0, 0, kind, 0, 1]);
    payload.extend([
        0xc0,
        12,
        0,
        kind,
        0,
        1,
        0,
        0,
        1,
        0x2c,
        0,
        address.len() as u8,
    ]);
    payload.extend(address);
    PayloadSample {
        device: flow.device,
        direction: Direction::Down,
        remote: Ipv4Addr::new(192, 168, 1, 1).into(),
        protocol: UDP,
        remote_port: 53,
        local_port: 40_000,
        at: flow.first_seen,
        segment: None,
        wire_length: payload.len() as u32,
        payload: Bytes::from(payload),
    }
}
