//! What the hosts of a link announce of themselves by multicast DNS (RFC 6762).
//!
//! Reads `PayloadSample`s of UDP port 5353 by `flowwatch_common::wire::dns`. Whoever sends an answer
//! may say anything: an announcement counts for names below `.local` (§3), for addresses of the link,
//! and when the sender speaks of one host, itself; where its own address is known, for that alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use flowwatch_common::abi::Direction;
use flowwatch_common::wire::dns::{DnsError, Message, OPCODE_QUERY, RCODE_NO_ERROR};
use flowwatch_common::wire::ip_protocol::UDP;
use jiff::{SignedDuration, Timestamp};

use super::bindings::Binding;
use super::changes::Noted;
use super::dns::text_of;
use super::reading::{Claim, Fact, NameReader, Outcome, Reading};
use super::{Contact, NameSource};
use crate::observation::{DeviceId, PayloadSample};

/// The port of multicast DNS (RFC 6762 §3); an answer comes from it, too (§6).
const PORT: u16 = 5353;
/// The domain whose names mean something on one link alone.
const DOMAIN: &str = ".local";
/// Addresses that one device's announcements may name; above it, it loses its oldest.
const MAX_ADDRESSES_PER_DEVICE: usize = 32;
/// Addresses of all; above it, new ones are turned away.
const MAX_ADDRESSES: usize = 4096;

/// An address that an answer gives for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The host's name, in lower case, escaped as names are.
    pub name: Arc<str>,
    /// Its address.
    pub address: IpAddr,
    /// For how many seconds it may be kept.
    pub ttl: u32,
}

/// Returns the addresses that a payload of multicast DNS gives for names below `.local`, in whichever
/// section: answers announce, and what is beside them belongs to it (RFC 6762 §6.2). Of a query, and
/// of an error, none.
///
/// # Errors
/// Where the message can't be read any further, behind the addresses that came before.
pub fn announced(payload: &[u8]) -> (Vec<Announced>, Result<(), DnsError>) {
    let mut announced = Vec::new();
    let read = read_into(payload, &mut announced);
    (announced, read)
}

fn read_into(payload: &[u8], announced: &mut Vec<Announced>) -> Result<(), DnsError> {
    let message = Message::parse(payload)?;
    let header = message.header();
    let is_answer = header.is_response()
        && header.opcode() == OPCODE_QUERY
        && u16::from(header.rcode()) == RCODE_NO_ERROR;
    if !is_answer {
        return Ok(());
    }
    for record in message.records()? {
        let record = record?;
        let Some(address) = record.multicast_address() else {
            continue;
        };
        let name = text_of(&record.owner);
        if name.len() > DOMAIN.len() && name.ends_with(DOMAIN) {
            let ttl = record.ttl;
            announced.push(Announced { name, address, ttl });
        }
    }
    Ok(())
}

/// The reader.
#[derive(Debug)]
pub(super) struct MdnsAnnouncements;

impl NameReader for MdnsAnnouncements {
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading> {
        let sender_port = match sample.direction {
            Direction::Up => sample.local_port,
            Direction::Down => sample.remote_port,
        };
        let is_mdns = sample.protocol == UDP && sample.remote_port == PORT && sender_port == PORT;
        is_mdns.then(|| read_sample(sample))
    }
}

fn read_sample(sample: &PayloadSample) -> Reading {
    let is_cut = (sample.payload.len() as u64) < u64::from(sample.wire_length);
    let (announced, read) = announced(&sample.payload);
    let outcome = match read {
        Ok(()) if announced.is_empty() => Outcome::Nameless,
        Ok(()) => Outcome::Understood,
        Err(DnsError::Truncated) if is_cut => Outcome::Cut,
        Err(_) => Outcome::Malformed,
    };
    // An answer for several hosts is not of the sender's own.
    let is_of_one = announced.iter().all(|one| one.name == announced[0].name);
    let own = announced.into_iter().filter(|one| {
        let is_senders = sample.direction == Direction::Up || one.address == sample.remote;
        is_of_one && is_senders && is_of_link(one.address)
    });
    Reading {
        facts: own.map(|one| Fact::Announcement(claim_of(one))).collect(),
        ..Reading::of(outcome)
    }
}

fn claim_of(announced: Announced) -> Claim {
    Claim {
        address: announced.address,
        name: announced.name,
        source: NameSource::Mdns,
        service: None,
        chain: Arc::default(),
        ttl: announced.ttl,
    }
}

/// Returns whether an address can be one of the link that multicast DNS is spoken on: private or
/// link-local. An internet address, which others may have too, is nobody's to name.
fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// A host's name for one address, and which device's traffic brought it.
#[derive(Debug)]
struct Announcement {
    binding: Arc<Binding>,
    device: DeviceId,
}

/// The names that hosts gave themselves, for all devices.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    by_address: HashMap<IpAddr, Announcement>,
    counts: HashMap<DeviceId, usize>,
    turned_away: u64,
    /// What addresses are called anew.
    changes: Noted<IpAddr>,
}

impl Announcements {
    /// Takes in an announcement. Who announced an address first keeps it as long as it is good: no
    /// other device's word takes it away.
    pub(super) fn hold(&mut self, device: DeviceId, claim: Claim, at: Timestamp) {
        let address = claim.address;
        if let Some(known) = self.by_address.get_mut(&address) {
            if known.device != device && known.binding.lives_until(at) {
                self.turned_away += 1;
            } else if known.device == device && known.binding.name == claim.name {
                Arc::make_mut(&mut known.binding).renew(claim, at);
                self.changes.note(|| address);
            } else {
                self.replace(device, claim, at);
            }
            return;
        }
        if self.count_of(device) >= MAX_ADDRESSES_PER_DEVICE {
            self.forget_oldest(device);
        }
        if self.by_address.len() >= MAX_ADDRESSES {
            self.turned_away += 1;
            return;
        }
        self.replace(device, claim, at);
    }

    /// Moves every time, as the clock was set.
    pub(super) fn shift(&mut self, by: SignedDuration) {
        for announcement in self.by_address.values_mut() {
            Arc::make_mut(&mut announcement.binding).shift(by);
        }
    }

    fn replace(&mut self, device: DeviceId, claim: Claim, at: Timestamp) {
        let (address, binding) = (claim.address, Arc::new(Binding::of(claim, at)));
        self.changes.note(|| address);
        *self.counts.entry(device).or_default() += 1;
        let former = self
            .by_address
            .insert(address, Announcement { binding, device });
        if let Some(former) = former {
            self.uncount(former.device);
        }
    }

    fn forget_oldest(&mut self, device: DeviceId) {
        let own = self
            .by_address
            .iter()
            .filter(|(_, one)| one.device == device);
        let oldest = own.min_by_key(|(address, one)| (one.binding.last_told, **address));
        if let Some((&address, _)) = oldest {
            self.by_address.remove(&address);
            self.changes.note(|| address);
            self.uncount(device);
            self.turned_away += 1;
        }
    }

    fn count_of(&self, device: DeviceId) -> usize {
        self.counts.get(&device).copied().unwrap_or(0)
    }

    fn uncount(&mut self, device: DeviceId) {
        if let Some(count) = self.counts.get_mut(&device) {
            *count = count.saturating_sub(1);
        }
    }

    /// Returns what the remote of a contact called itself by then.
    pub(super) fn of(&self, contact: &Contact) -> Option<&Arc<Binding>> {
        let binding = &self.by_address.get(&contact.remote)?.binding;
        binding.is_told_by(contact.last_seen).then_some(binding)
    }

    /// Returns whether no later packet of the contact could make it go by another announcement.
    pub(super) fn are_settled(&self, contact: &Contact) -> bool {
        let known = self.by_address.get(&contact.remote);
        known.is_none_or(|known| known.binding.is_told_by(contact.last_seen))
    }

    /// Returns the addresses with a name that `is_meant`.
    pub(super) fn addresses_of(
        &self,
        is_meant: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = IpAddr> {
        let known = self.by_address.iter();
        known
            .filter(move |(_, one)| is_meant(&one.binding.name))
            .map(|(address, _)| *address)
    }

    /// The notes of what changes.
    pub(super) fn changes(&mut self) -> &mut Noted<IpAddr> {
        &mut self.changes
    }

    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::names::{NameTable, Naming, Service};

    const CAMERA: DeviceId = 0;
    const PLUG: DeviceId = 1;
    /// The class IN with the cache-flush bit (RFC 6762 §10.2).
    const FLUSH: u16 = 0x8001;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_560_000_000 + seconds).unwrap()
    }

    fn wire_record(name: &str, address: &str, class: u16) -> Vec<u8> {
        let mut octets = Vec::new();
        for label in name.split('.') {
            octets.push(label.len() as u8);
            octets.extend(label.as_bytes());
        }
        octets.push(0);
        let (rtype, rdata): (u16, Vec<u8>) = match address.parse().unwrap() {
            IpAddr::V4(address) => (1, address.octets().to_vec()),
            IpAddr::V6(address) => (28, address.octets().to_vec()),
        };
        octets.extend(rtype.to_be_bytes());
        octets.extend(class.to_be_bytes());
        octets.extend(120_u32.to_be_bytes());
        octets.extend((rdata.len() as u16).to_be_bytes());
        octets.extend(rdata);
        octets
    }

    /// An unsolicited answer (RFC 6762 §8.3) that the device sends to all: no question, answers alone.
    fn announcement(device: DeviceId, records: &[(&str, &str)]) -> PayloadSample {
        let mut payload = b"\x00\x00\x84\x00\x00\x00".to_vec();
        payload.extend((records.len() as u16).to_be_bytes());
        payload.extend([0; 4]);
        for (name, address) in records {
            payload.extend(wire_record(name, address, FLUSH));
        }
        PayloadSample {
            device,
            direction: Direction::Up,
            remote: [224, 0, 0, 251].into(),
            protocol: UDP,
            remote_port: PORT,
            local_port: PORT,
            at: at(0),
            segment: None,
            wire_length: payload.len() as u32,
            payload: Bytes::from(payload),
        }
    }

    fn naming(table: &NameTable, device: DeviceId, remote: &str, seconds: i64) -> Naming {
        table.naming_of(&Contact {
            device,
            remote: remote.parse().unwrap(),
            service: Service {
                protocol: 6,
                port: 80,
            },
            first_seen: at(seconds),
            last_seen: at(seconds),
        })
    }

    /// Compares the name that the plug's flow to an address has after these samples.
    fn check(samples: &[PayloadSample], remote: &str, expected: &[&str]) {
        let mut table = NameTable::default();
        for sample in samples {
            table.observe(sample);
        }
        let naming = naming(&table, PLUG, remote, 10);
        assert_eq!(naming.names(), expected, "{remote}");
        let source = (!expected.is_empty()).then_some(NameSource::Mdns);
        assert_eq!(naming.source(), source);
    }

    #[test]
    fn a_hosts_own_name_is_every_devices_name_for_it() {
        let sample = announcement(
            CAMERA,
            &[("Cam.local", "192.168.8.20"), ("cam.local", "fe80::1")],
        );
        check(
            std::slice::from_ref(&sample),
            "192.168.8.20",
            &["cam.local"],
        );
        check(&[sample], "fe80::1", &["cam.local"]);
    }

    #[test]
    fn nobody_names_an_address_beyond_the_link() {
        for address in ["8.8.8.8", "2001:db8::1", "2606:4700::1111", "127.0.0.1"] {
            check(
                &[announcement(CAMERA, &[("cam.local", address)])],
                address,
                &[],
            );
        }
    }

    #[test]
    fn nobody_announces_a_name_beyond_the_link() {
        for name in ["bank.example", "local", "xlocal", "cam.local.example"] {
            let sample = announcement(CAMERA, &[(name, "192.168.8.20")]);
            check(&[sample], "192.168.8.20", &[]);
        }
    }

    #[test]
    fn an_answer_for_several_hosts_is_not_the_senders_own() {
        let records = [("cam.local", "192.168.8.20"), ("nas.local", "192.168.8.30")];
        check(&[announcement(CAMERA, &records)], "192.168.8.20", &[]);
    }

    #[test]
    fn an_answer_that_a_device_gets_counts_for_its_sender_alone() {
        let down = |remote: [u8; 4]| PayloadSample {
            direction: Direction::Down,
            remote: remote.into(),
            ..announcement(CAMERA, &[("nas.local", "192.168.8.30")])
        };
        check(&[down([192, 168, 8, 30])], "192.168.8.30", &["nas.local"]);
        check(&[down([192, 168, 8, 66])], "192.168.8.30", &[]);
    }

    #[test]
    fn queries_and_answers_from_other_ports_announce_nothing() {
        let sample = announcement(CAMERA, &[("cam.local", "192.168.8.20")]);
        let mut query = sample.payload.to_vec();
        query[2] = 0;
        let query = PayloadSample {
            payload: query.into(),
            ..sample.clone()
        };
        check(&[query], "192.168.8.20", &[]);
        let elsewhere = PayloadSample {
            local_port: 40_000,
            ..sample
        };
        check(&[elsewhere], "192.168.8.20", &[]);
    }

    #[test]
    fn another_device_takes_no_address_while_its_first_name_is_good() {
        let first = announcement(CAMERA, &[("cam.local", "192.168.8.20")]);
        let mut other = announcement(PLUG, &[("plug.local", "192.168.8.20")]);
        other.at = at(60);
        check(
            &[first.clone(), other.clone()],
            "192.168.8.20",
            &["cam.local"],
        );
        other.at = at(121);
        let mut table = NameTable::default();
        for sample in [first, other] {
            table.observe(&sample);
        }
        assert_eq!(
            naming(&table, CAMERA, "192.168.8.20", 130).names(),
            ["plug.local"]
        );
        assert!(
            naming(&table, CAMERA, "192.168.8.20", 60)
                .names()
                .is_empty()
        );
    }

    #[test]
    fn a_device_above_its_limit_loses_its_own_oldest() {
        let mut table = NameTable::default();
        for last in 0..=i64::try_from(MAX_ADDRESSES_PER_DEVICE).unwrap() {
            let address = format!("192.168.9.{last}");
            let mut sample = announcement(CAMERA, &[("cam.local", &address)]);
            sample.at = at(last);
            table.observe(&sample);
        }
        assert!(naming(&table, PLUG, "192.168.9.0", 99).names().is_empty());
        assert_eq!(
            naming(&table, PLUG, "192.168.9.1", 99).names(),
            ["cam.local"]
        );
        assert_eq!(table.counters().turned_away, 1);
    }

    #[test]
    fn what_is_not_visible_in_a_hosts_name_is_escaped() {
        let check_name = |name: &str, expected: &str| {
            check(
                &[announcement(CAMERA, &[(name, "192.168.8.20")])],
                "192.168.8.20",
                &[expected],
            );
        };
        check_name("\x1b[2J\r\n.local", r"\027[2j\013\010.local");
        check_name("=1+1|<b>\u{202e}.local", r"=1+1|<b>\226\128\174.local");
        // A label of dots, as many as there may be.
        let dots = announcement(CAMERA, &[("x.local", "192.168.8.20")]);
        let name = [&[63][..], &[b'.'; 63], b"\x05local\0"].concat();
        let payload = [&dots.payload[..12], &name, &dots.payload[12 + 9..]].concat();
        let expected = format!("{}.local", r"\046".repeat(63));
        let dots = PayloadSample {
            wire_length: payload.len() as u32,
            payload: payload.into(),
            ..dots
        };
        check(&[dots], "192.168.8.20", &[&expected]);
    }

    #[test]
    fn a_cut_announcement_names_by_its_whole_records() {
        let mut sample = announcement(
            CAMERA,
            &[("cam.local", "192.168.8.20"), ("cam.local", "fe80::1")],
        );
        sample.payload.truncate(sample.payload.len() - 1);
        let reading = MdnsAnnouncements.read(&sample).unwrap();
        assert_eq!((reading.outcome, reading.facts.len()), (Outcome::Cut, 1));
        sample.wire_length -= 1;
        let reading = MdnsAnnouncements.read(&sample).unwrap();
        assert_eq!(
            (reading.outcome, reading.facts.len()),
            (Outcome::Malformed, 1)
        );
    }
}
