//! A flow on the wire, with its names and its place.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::WireError;
use super::bounded::at_most;
use crate::geo::{Place, Scope};
use crate::live::{Changed, FlowNumber};
use crate::model::{Device, FlowRecord, MacAddress};
use crate::names::{Binding, Candidate, NameSource, Naming, Service, ServiceOffer};
use crate::observation::Traffic;

/// Names of a flow, at most.
const MOST_NAMES: usize = 1 << 10;
/// Aliases, or protocols, of a name, at most.
const MOST_OF_A_NAME: usize = 1 << 8;

/// Seconds and nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Time(i64, i32);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at.as_second(), at.subsec_nanosecond())
    }
}

impl TryFrom<Time> for Timestamp {
    type Error = WireError;

    fn try_from(time: Time) -> Result<Self, WireError> {
        Self::new(time.0, time.1).map_err(|_| WireError::Value("a time"))
    }
}

/// A device's address on the wire.
pub(super) type Mac = Option<[u8; 6]>;

pub(super) fn mac_of(mac: Mac) -> Result<Option<MacAddress>, WireError> {
    let mac = mac.map(MacAddress::new).transpose();
    mac.map_err(|_| WireError::Value("a MAC address"))
}

/// [`FlowRecord`].
#[derive(Serialize, Deserialize)]
pub(super) struct WireFlow {
    number: FlowNumber,
    device: String,
    mac: Mac,
    #[serde(deserialize_with = "at_most::<_, _, MOST_NAMES>")]
    names: Vec<WireName>,
    remote: IpAddr,
    protocol: u8,
    port: u16,
    country: Option<String>,
    country_name: Option<String>,
    city: Option<String>,
    asn: Option<u32>,
    organization: Option<String>,
    up: Traffic,
    down: Traffic,
    first_seen: Time,
    last_seen: Time,
}

/// [`Candidate`].
#[derive(Serialize, Deserialize)]
struct WireName {
    name: String,
    #[serde(deserialize_with = "at_most::<_, _, MOST_OF_A_NAME>")]
    chain: Vec<String>,
    /// Its position in [`NameSource::ALL`].
    source: u8,
    service: Option<(u8, u16)>,
    first_told: Time,
    last_told: Time,
    ttl: u32,
    asked: Option<bool>,
    offer: Option<WireOffer>,
}

/// [`ServiceOffer`].
#[derive(Serialize, Deserialize)]
struct WireOffer {
    #[serde(deserialize_with = "at_most::<_, _, MOST_OF_A_NAME>")]
    alpn: Vec<String>,
    has_ech: bool,
}

/// [`Changed`].
#[derive(Serialize, Deserialize)]
pub(super) struct WireCounts {
    flow: FlowNumber,
    up: Traffic,
    down: Traffic,
    last_seen: Time,
}

impl WireFlow {
    pub(super) fn of(number: FlowNumber, record: &FlowRecord) -> Self {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let place = &record.place;
        Self {
            number,
            device: record.device.name.to_string(),
            mac: record.device.mac.map(MacAddress::octets),
            names: record.naming.candidates.iter().map(WireName::of).collect(),
            remote: record.remote_address,
            protocol: record.protocol,
            port: record.remote_port,
            country: text(&place.country),
            country_name: text(&place.country_name),
            city: text(&place.city),
            asn: place.asn,
            organization: text(&place.organization),
            up: record.up,
            down: record.down,
            first_seen: record.first_seen.into(),
            last_seen: record.last_seen.into(),
        }
    }

    pub(super) fn read(self) -> Result<(FlowNumber, FlowRecord), WireError> {
        let text = |text: Option<String>| text.map(Arc::from);
        let candidates: Result<_, _> = self.names.into_iter().map(WireName::read).collect();
        let record = FlowRecord {
            device: Device {
                name: self.device.into(),
                mac: mac_of(self.mac)?,
            },
            naming: Naming {
                candidates: candidates?,
            },
            remote_address: self.remote,
            scope: Scope::of(self.remote),
            protocol: self.protocol,
            remote_port: self.port,
            place: Place {
                country: text(self.country),
                country_name: text(self.country_name),
                city: text(self.city),
                asn: self.asn,
                organization: text(self.organization),
            },
            up: self.up,
            down: self.down,
            first_seen: self.first_seen.try_into()?,
            last_seen: self.last_seen.try_into()?,
        };
        Ok((self.number, record))
    }
}

impl WireName {
    fn of(candidate: &Candidate) -> Self {
        let Candidate {
            binding,
            asked,
            offer,
        } = candidate;
        let texts = |texts: &[Arc<str>]| texts.iter().map(ToString::to_string).collect();
        let source = NameSource::ALL.iter().position(|it| *it == binding.source);
        Self {
            name: binding.name.to_string(),
            chain: texts(&binding.chain),
            source: source.unwrap_or(usize::MAX) as u8,
            service: binding.service.map(|it| (it.protocol, it.port)),
            first_told: binding.first_told.into(),
            last_told: binding.last_told.into(),
            ttl: binding.ttl,
            asked: *asked,
            offer: offer.as_ref().map(|it| WireOffer {
                alpn: texts(&it.alpn),
                has_ech: it.has_ech,
            }),
        }
    }

    fn read(self) -> Result<Candidate, WireError> {
        let source = NameSource::ALL.get(usize::from(self.source));
        let texts = |texts: Vec<String>| texts.into_iter().map(Arc::from);
        let binding = Binding {
            name: self.name.into(),
            chain: texts(self.chain).collect(),
            source: *source.ok_or(WireError::Value("a name's source"))?,
            service: self
                .service
                .map(|(protocol, port)| Service { protocol, port }),
            first_told: self.first_told.try_into()?,
            last_told: self.last_told.try_into()?,
            ttl: self.ttl,
        };
        let offer = self.offer.map(|offer| ServiceOffer {
            alpn: texts(offer.alpn).collect(),
            has_ech: offer.has_ech,
        });
        Ok(Candidate {
            binding: Arc::new(binding),
            asked: self.asked,
            offer: offer.map(Arc::new),
        })
    }
}

impl From<&Changed> for WireCounts {
    fn from(changed: &Changed) -> Self {
        Self {
            flow: changed.flow,
            up: changed.up,
            down: changed.down,
            last_seen: changed.last_seen.into(),
        }
    }
}

impl WireCounts {
    pub(super) fn read(self) -> Result<Changed, WireError> {
        Ok(Changed {
            flow: self.flow,
            up: self.up,
            down: self.down,
            last_seen: self.last_seen.try_into()?,
        })
    }
}
