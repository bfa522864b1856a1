//! What an update tells beside flows, on the wire.

use std::net::IpAddr;

use flowwatch_common::abi::Reason;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::WireError;
use super::bounded::at_most;
use super::flow::{Mac, Time, mac_of};
use crate::geo::attribution_of;
use crate::live::Update;
use crate::model::MacAddress;
use crate::names::{Answers, NameCounters, Resolver, Resolving, Transport};
use crate::observation::Traffic;
use crate::store::{
    AttachedInterface, DatabaseMeta, DeviceResolving, DeviceSummary, DirectionSummary, Losses,
    Meta, UnaccountedRow, Warning,
};

/// Devices, at most: tagged ones, those that prefixes found, and those of loads before.
const MOST_DEVICES: usize = 1 << 14;
const MOST_UNACCOUNTED: usize = MOST_DEVICES * DIRECTIONS.len() * Reason::ALL.len();
/// Interfaces that are or were attached to.
const MOST_INTERFACES: usize = 1 << 12;
const MOST_DATABASES: usize = 1 << 8;
const MOST_WARNINGS: usize = 1 << 12;
/// What a device has of one kind.
const MOST_OF_A_DEVICE: usize = 1 << 8;

/// The words that rows hold; a word on the wire is a position here.
const HOOKS: [&str; 2] = ["xdp", "tc"];
const DIRECTIONS: [&str; 2] = ["up", "down"];
const TRANSPORTS: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Dot,
    Transport::Doq,
    Transport::Doh,
];

/// An update without its flows.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Circumstances {
    at: Time,
    version: String,
    started_at: Time,
    ended_at: Time,
    epochs: u64,
    clock_step_seconds: Option<i64>,
    #[serde(deserialize_with = "at_most::<_, _, MOST_INTERFACES>")]
    interfaces: Vec<WireInterface>,
    #[serde(deserialize_with = "at_most::<_, _, MOST_DATABASES>")]
    databases: Vec<(String, String, Option<Time>)>,
    losses: Losses,
    #[serde(deserialize_with = "at_most::<_, _, MOST_WARNINGS>")]
    warnings: Vec<Warning>,
    names: NameCounters,
    #[serde(deserialize_with = "at_most::<_, _, MOST_DEVICES>")]
    devices: Vec<WireDevice>,
    #[serde(deserialize_with = "at_most::<_, _, MOST_UNACCOUNTED>")]
    unaccounted: Vec<WireUnaccounted>,
    #[serde(deserialize_with = "at_most::<_, _, MOST_DEVICES>")]
    resolving: Vec<WireResolving>,
}

#[derive(Clone, Serialize, Deserialize)]
struct WireDevice {
    name: String,
    mac: Mac,
    flows: u64,
    conserved: bool,
    up: DirectionSummary,
    down: DirectionSummary,
}

#[derive(Clone, Serialize, Deserialize)]
struct WireInterface {
    name: String,
    ingress: u8,
    egress: u8,
    reason: String,
    attached_at: Option<Time>,
    gone_at: Option<Time>,
}

#[derive(Clone, Serialize, Deserialize)]
struct WireUnaccounted {
    device: String,
    mac: Mac,
    direction: u8,
    reason: u8,
    frames: u64,
    l2_octets: u64,
    packets: Option<u64>,
    octets: Option<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct WireResolving {
    device: String,
    mac: Mac,
    #[serde(deserialize_with = "at_most::<_, _, MOST_OF_A_DEVICE>")]
    offered: Vec<IpAddr>,
    #[serde(deserialize_with = "at_most::<_, _, MOST_OF_A_DEVICE>")]
    resolvers: Vec<WireResolver>,
    resolvers_not_shown: u64,
    answers: Answers,
    #[serde(deserialize_with = "at_most::<_, _, MOST_OF_A_DEVICE>")]
    unresolved: Vec<String>,
    unresolved_not_shown: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct WireResolver {
    address: IpAddr,
    name: Option<String>,
    transport: u8,
    given: Option<bool>,
    up: Traffic,
    down: Traffic,
    answers: Option<Answers>,
}

impl Circumstances {
    pub(super) fn of(update: &Update) -> Self {
        let meta = &update.meta;
        let interfaces = meta.interfaces.iter().map(WireInterface::of);
        let databases = meta.databases.iter();
        let databases = databases.map(|it| {
            (
                it.name.clone(),
                it.database_type.clone(),
                it.built.map(Time::from),
            )
        });
        Self {
            at: update.at.into(),
            version: meta.version.clone(),
            started_at: meta.started_at.into(),
            ended_at: meta.ended_at.into(),
            epochs: meta.epochs,
            clock_step_seconds: meta.clock_step_seconds,
            interfaces: interfaces.collect(),
            databases: databases.collect(),
            losses: meta.losses,
            warnings: meta.warnings.iter().take(MOST_WARNINGS).cloned().collect(),
            names: meta.names,
            devices: update.devices.iter().map(WireDevice::of).collect(),
            unaccounted: update.unaccounted.iter().map(WireUnaccounted::of).collect(),
            resolving: update.resolving.iter().map(WireResolving::of).collect(),
        }
    }

    /// Leaves out how the devices resolve names.
    pub(super) fn leave_out_resolving(&mut self) {
        self.resolving.clear();
    }

    /// Reads it as an update that tells of no flows.
    pub(super) fn read(self) -> Result<Update, WireError> {
        let interfaces = all(self.interfaces, WireInterface::read)?;
        let databases = self.databases.into_iter();
        let databases = databases.map(|(name, database_type, built)| {
            Ok(DatabaseMeta {
                attribution: attribution_of(&database_type).map(Into::into),
                name,
                database_type,
                built: built.map(Timestamp::try_from).transpose()?,
            })
        });
        let span = (self.started_at.try_into()?, self.ended_at.try_into()?);
        let meta = Meta {
            version: self.version,
            databases: databases.collect::<Result<_, _>>()?,
            losses: self.losses,
            warnings: self.warnings,
            names: self.names,
            clock_step_seconds: self.clock_step_seconds,
            ..Meta::new(span, self.epochs, interfaces, 0)
        };
        Ok(Update {
            at: self.at.try_into()?,
            meta,
            devices: all(self.devices, WireDevice::read)?,
            told: Vec::new(),
            changed: Vec::new(),
            forgotten: Vec::new(),
            unaccounted: all(self.unaccounted, WireUnaccounted::read)?,
            resolving: all(self.resolving, WireResolving::read)?,
        })
    }
}

impl WireInterface {
    fn of(attached: &AttachedInterface) -> Self {
        let hook = |hook| position(&HOOKS, &hook);
        Self {
            name: attached.interface.clone(),
            ingress: hook(attached.ingress),
            egress: hook(attached.egress),
            reason: attached.reason.clone(),
            attached_at: attached.attached_at.map(Time::from),
            gone_at: attached.gone_at.map(Time::from),
        }
    }

    fn read(self) -> Result<AttachedInterface, WireError> {
        Ok(AttachedInterface {
            interface: self.name,
            ingress: word(&HOOKS, self.ingress)?,
            egress: word(&HOOKS, self.egress)?,
            reason: self.reason,
            attached_at: self.attached_at.map(Timestamp::try_from).transpose()?,
            gone_at: self.gone_at.map(Timestamp::try_from).transpose()?,
        })
    }
}

impl WireDevice {
    fn of(summary: &DeviceSummary) -> Self {
        Self {
            name: summary.device.clone(),
            mac: summary.device_mac.map(MacAddress::octets),
            flows: summary.flows,
            conserved: summary.conserved,
            up: summary.up,
            down: summary.down,
        }
    }

    fn read(self) -> Result<DeviceSummary, WireError> {
        Ok(DeviceSummary {
            device: self.name,
            device_mac: mac_of(self.mac)?,
            flows: self.flows,
            conserved: self.conserved,
            up: self.up,
            down: self.down,
        })
    }
}

impl WireUnaccounted {
    fn of(row: &UnaccountedRow) -> Self {
        Self {
            device: row.device.clone(),
            mac: row.device_mac.map(MacAddress::octets),
            direction: position(&DIRECTIONS, &row.direction),
            reason: position(&Reason::ALL.map(Reason::name), &row.reason),
            frames: row.frames,
            l2_octets: row.l2_octets,
            packets: row.packets,
            octets: row.octets,
        }
    }

    fn read(self) -> Result<UnaccountedRow, WireError> {
        Ok(UnaccountedRow {
            device: self.device,
            device_mac: mac_of(self.mac)?,
            direction: word(&DIRECTIONS, self.direction)?,
            reason: word(&Reason::ALL.map(Reason::name), self.reason)?,
            frames: self.frames,
            l2_octets: self.l2_octets,
            packets: self.packets,
            octets: self.octets,
        })
    }
}

impl WireResolving {
    fn of(row: &DeviceResolving) -> Self {
        let Resolving {
            offered,
            resolvers,
            resolvers_not_shown,
            answers,
            unresolved,
            unresolved_not_shown,
        } = &row.resolving;
        Self {
            device: row.device.clone(),
            mac: row.device_mac.map(MacAddress::octets),
            offered: offered.clone(),
            resolvers: resolvers.iter().map(WireResolver::of).collect(),
            resolvers_not_shown: *resolvers_not_shown,
            answers: *answers,
            unresolved: unresolved.clone(),
            unresolved_not_shown: *unresolved_not_shown,
        }
    }

    fn read(self) -> Result<DeviceResolving, WireError> {
        Ok(DeviceResolving {
            device: self.device,
            device_mac: mac_of(self.mac)?,
            resolving: Resolving {
                offered: self.offered,
                resolvers: all(self.resolvers, WireResolver::read)?,
                resolvers_not_shown: self.resolvers_not_shown,
                answers: self.answers,
                unresolved: self.unresolved,
                unresolved_not_shown: self.unresolved_not_shown,
            },
        })
    }
}

impl WireResolver {
    fn of(resolver: &Resolver) -> Self {
        Self {
            address: resolver.address,
            name: resolver.name.clone(),
            transport: position(&TRANSPORTS, &resolver.transport),
            given: resolver.given,
            up: resolver.up,
            down: resolver.down,
            answers: resolver.answers,
        }
    }

    fn read(self) -> Result<Resolver, WireError> {
        Ok(Resolver {
            address: self.address,
            name: self.name,
            transport: word(&TRANSPORTS, self.transport)?,
            given: self.given,
            up: self.up,
            down: self.down,
            answers: self.answers,
        })
    }
}

fn all<A, B>(wire: Vec<A>, read: impl Fn(A) -> Result<B, WireError>) -> Result<Vec<B>, WireError> {
    wire.into_iter().map(read).collect()
}

fn position<T: PartialEq>(words: &[T], word: &T) -> u8 {
    let position = words.iter().position(|other| other == word);
    position.unwrap_or(usize::MAX) as u8
}

fn word<T: Copy>(words: &[T], position: u8) -> Result<T, WireError> {
    let word = words.get(usize::from(position)).copied();
    word.ok_or(WireError::Value("a word"))
}
