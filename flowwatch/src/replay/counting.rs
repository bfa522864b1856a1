//! Counting a capture's frames: each goes to the devices that sent and received it, into a flow or
//! under a reason, and what it carries of names to the name table.

use bytes::Bytes;
use flowwatch_common::abi::{Direction, FlowKey, Reason};
use flowwatch_common::parse::{FrameInfo, Packet, parse_network, wire_traffic};
use flowwatch_common::sampling;
use jiff::Timestamp;

use super::devices::Devices;
use super::ledger::{Entry, Ledger};
use super::link::{Link, link_of};
use crate::capture::{Frame, LinkType};
use crate::model::PrefixTag;
use crate::names::{NameLimits, NameTable};
use crate::observation::{DeviceId, PayloadSample, Segment};
use crate::plan::CaptureDevice;
use crate::store::{CaptureMeta, Unsupported};
use crate::streams::{STREAMS, StreamTable};

/// Everything that is counted of a capture.
#[derive(Debug)]
pub(super) struct Counting {
    pub(super) devices: Devices,
    pub(super) ledger: Ledger,
    pub(super) names: NameTable,
    streams: StreamTable,
    link_types: Vec<LinkCount>,
    span: Option<(Timestamp, Timestamp)>,
    /// The time of the last packet that had one.
    now: Timestamp,
    packets: u64,
    packets_cut: u64,
    packets_without_time: u64,
    packets_of_no_device: u64,
    samples_dropped: u64,
}

/// Packets of a link type.
#[derive(Clone, Copy, Debug)]
struct LinkCount {
    link_type: LinkType,
    packets: u64,
}

/// Link types that are told apart; the rest counts with the last.
const MAX_LINK_TYPES: usize = 64;

/// A frame's part that counts for one device.
type Party = Option<(DeviceId, Direction)>;

impl Counting {
    pub(super) fn new(devices: &[CaptureDevice], prefixes: &[PrefixTag]) -> Self {
        Self {
            devices: Devices::new(devices, prefixes),
            ledger: Ledger::new(),
            names: NameTable::new(NameLimits::default()),
            streams: StreamTable::new(STREAMS),
            link_types: Vec::new(),
            span: None,
            now: Timestamp::UNIX_EPOCH,
            packets: 0,
            packets_cut: 0,
            packets_without_time: 0,
            packets_of_no_device: 0,
            samples_dropped: 0,
        }
    }

    /// Returns the packets that were counted so far.
    #[inline]
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Returns the packets of which not all was sampled that a rule asks for.
    pub(super) fn samples_dropped(&self) -> u64 {
        self.samples_dropped
    }

    /// Counts a frame.
    #[inline]
    pub(super) fn count(&mut self, frame: &Frame<'_>) {
        self.note(frame);
        if !self.can_tell(frame.link_type) {
            return;
        }
        let info = FrameInfo {
            length: frame.length,
            ..FrameInfo::default()
        };
        let Some(link) = link_of(frame, &info) else {
            self.packets_of_no_device += 1;
            return;
        };
        let parties = self.parties(&link, frame);
        if parties.iter().all(Option::is_none) {
            self.packets_of_no_device += 1;
            return;
        }
        for (device, direction) in parties.into_iter().flatten() {
            self.count_for(frame, &info, &link, (device, direction));
        }
    }

    /// Notes what is known of every packet.
    #[inline]
    fn note(&mut self, frame: &Frame<'_>) {
        self.packets += 1;
        self.packets_cut += u64::from((frame.octets.len() as u64) < u64::from(frame.length));
        match frame.at {
            Some(at) => {
                self.now = at;
                let (first, last) = self.span.unwrap_or((at, at));
                self.span = Some((first.min(at), last.max(at)));
            }
            None => self.packets_without_time += 1,
        }
        match self.link_types.last_mut() {
            Some(last) if last.link_type == frame.link_type => last.packets += 1,
            _ => self.note_link_type(frame.link_type),
        }
    }

    #[cold]
    fn note_link_type(&mut self, link_type: LinkType) {
        let mut known = self.link_types.iter();
        let known = known.position(|count| count.link_type == link_type);
        let is_full = self.link_types.len() >= MAX_LINK_TYPES;
        match known.or(is_full.then_some(0)) {
            Some(at) => {
                self.link_types[at].packets += 1;
                // The next packet is probably of the same.
                let last = self.link_types.len() - 1;
                self.link_types.swap(at, last);
            }
            None => self.link_types.push(LinkCount {
                link_type,
                packets: 1,
            }),
        }
    }

    /// Returns whether devices can be told from packets of a link type.
    #[inline]
    pub(super) fn can_tell(&self, link_type: LinkType) -> bool {
        link_type == LinkType::ETHERNET
            || link_type.is_supported() && (!link_type.is_raw_ip() || self.devices.have_addresses())
    }

    /// Returns the devices for which a frame counts: by MAC address, and by IP address where the
    /// user gave one or the frame doesn't say to whom it goes.
    #[inline]
    fn parties(&mut self, link: &Link, frame: &Frame<'_>) -> [Party; 4] {
        let up = link.source.and_then(|mac| self.devices.with_mac(mac));
        let down = link.destination.and_then(|mac| self.devices.with_mac(mac));
        let by_mac = [
            up.map(|device| (device, Direction::Up)),
            down.map(|device| (device, Direction::Down)),
            None,
            None,
        ];
        if frame.link_type == LinkType::ETHERNET && !self.devices.have_addresses() {
            return by_mac;
        }
        self.parties_by_address(link, frame, by_mac)
    }

    #[inline(never)]
    fn parties_by_address(
        &mut self,
        link: &Link,
        frame: &Frame<'_>,
        mut parties: [Party; 4],
    ) -> [Party; 4] {
        let Some([source, destination]) = link.addresses(frame.octets) else {
            return parties;
        };
        let is_cooked = matches!(frame.link_type, LinkType::COOKED_V1 | LinkType::COOKED_V2);
        if is_cooked {
            if let [Some((device, _)), ..] = parties {
                self.devices.learn(source, device);
            }
            let receiver = self.devices.that_sent_from(&destination);
            parties[1] = receiver.map(|device| (device, Direction::Down));
        }
        let sender = self.devices.with_address(&source);
        let receiver = self.devices.with_address(&destination);
        parties[2] = sender.map(|device| (device, Direction::Up));
        parties[3] = receiver.map(|device| (device, Direction::Down));
        parties
    }

    /// Counts a frame for a device that sent or received it.
    #[inline]
    fn count_for(
        &mut self,
        frame: &Frame<'_>,
        info: &FrameInfo,
        link: &Link,
        (device, direction): (DeviceId, Direction),
    ) {
        let entry = Entry {
            device,
            direction,
            l2_octets: frame.length.saturating_sub(link.added),
            at: self.now,
        };
        match parsed(frame, info, link, direction) {
            Ok(packet) => {
                let key = packet.key(device.into());
                let traffic = wire_traffic(frame.octets, &packet, info);
                self.ledger.enter(&entry, Ok((&key, traffic)));
                self.sample(frame, info, &key, &packet, &entry);
            }
            Err(reason) => self.ledger.enter(&entry, Err(reason)),
        }
    }

    /// Hands what a rule asks for of a packet's payload to the name table.
    #[inline]
    fn sample(
        &mut self,
        frame: &Frame<'_>,
        info: &FrameInfo,
        key: &FlowKey,
        packet: &Packet,
        entry: &Entry,
    ) {
        let streams = &mut self.streams;
        let plan = sampling::plan(frame.octets, packet, info, key, entry.direction, streams);
        let Some(plan) = plan else { return };
        self.samples_dropped += u64::from(plan.turned_away);
        for piece in plan.pieces() {
            let start = (piece.offset as usize).min(frame.octets.len());
            let end = (start + piece.length as usize).min(frame.octets.len());
            let is_stream = key.protocol() == flowwatch_common::wire::ip_protocol::TCP;
            self.names.observe(&PayloadSample {
                device: entry.device,
                direction: entry.direction,
                remote: key.remote_address(),
                protocol: key.protocol(),
                remote_port: key.remote_port(),
                local_port: packet.local_port,
                at: entry.at,
                segment: is_stream.then_some(Segment {
                    stream_start: plan.stream_start,
                    sequence: piece.sequence,
                }),
                payload: Bytes::copy_from_slice(&frame.octets[start..end]),
                wire_length: piece.wire_length,
            });
        }
    }

    /// Returns the capture's circumstances, as far as they are known here.
    pub(super) fn meta(&self) -> CaptureMeta {
        let unsupported = self.link_types.iter().copied();
        let unsupported = unsupported.filter(|count| !self.can_tell(count.link_type));
        CaptureMeta {
            link_types: self
                .link_types
                .iter()
                .map(|count| count.link_type.to_string())
                .collect(),
            packets: self.packets,
            first_packet: self.span.map(|(first, _)| first),
            last_packet: self.span.map(|(_, last)| last),
            packets_cut: self.packets_cut,
            packets_without_time: self.packets_without_time,
            packets_of_no_device: self.packets_of_no_device,
            packets_of_devices_turned_away: self.devices.turned_away(),
            addresses_turned_away: self.devices.addresses_turned_away(),
            unsupported: unsupported.map(described).collect(),
            ..CaptureMeta::default()
        }
    }
}

#[inline]
fn parsed(
    frame: &Frame<'_>,
    info: &FrameInfo,
    link: &Link,
    direction: Direction,
) -> Result<Packet, Reason> {
    parse_network(frame.octets, link.network?, info, direction)
}

fn described(count: LinkCount) -> Unsupported {
    Unsupported {
        link_type: count.link_type.to_string(),
        packets: count.packets,
        advice: advice(count.link_type).to_owned(),
    }
}

/// Returns what to do about packets from which no device can be told.
pub(super) fn advice(link_type: LinkType) -> &'static str {
    if link_type.is_raw_ip() {
        "they have no MAC addresses; name a device by its IP address: --device camera=192.168.8.214"
    } else {
        link_type.advice()
    }
}
