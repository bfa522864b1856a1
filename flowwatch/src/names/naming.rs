//! A flow's names: the candidates, in the order of what they say of it.
//!
//! Made by `NameTable::naming_of`; read by the formats, through the flow record.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Binding, NameSource, ServiceOffer};
use crate::observation::DeviceId;

/// What a device connects to at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// IANA protocol number.
    pub protocol: u8,
    /// The remote's transport port.
    pub port: u16,
}

/// A flow, as far as its names go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The device.
    pub device: DeviceId,
    /// The address at the other end.
    pub remote: IpAddr,
    /// What the device connected to there.
    pub service: Service,
    /// The flow's first packet.
    pub first_seen: Timestamp,
    /// The flow's last packet.
    pub last_seen: Timestamp,
}

/// A flow's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// What it may go under, the best first (see [`NameSource::ALL`]) and of one source the newest;
    /// a name that two sources know is there twice. None when its device was told none.
    pub candidates: Vec<Candidate>,
}

/// One name that a flow may go under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who says so, and when.
    pub binding: Arc<Binding>,
    /// Whether the device was seen to ask DNS for the name; nothing where that is not known any more.
    pub asked: Option<bool>,
    /// What the name's service bindings say, where the device was told any.
    pub offer: Option<Arc<ServiceOffer>>,
}

impl Naming {
    /// Returns how many octets the texts of all candidates have.
    #[must_use]
    pub fn octets(&self) -> usize {
        let of = |candidate: &Candidate| {
            let Binding { name, chain, .. } = &*candidate.binding;
            let offered = candidate.offer.iter().flat_map(|offer| &*offer.alpn);
            let texts = chain.iter().chain(offered).map(|text| text.len());
            name.len() + texts.sum::<usize>()
        };
        self.candidates.iter().map(of).sum()
    }

    /// Returns each name once, the best first.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::with_capacity(self.candidates.len());
        for candidate in &self.candidates {
            let name = &*candidate.binding.name;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns the best name.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        let first = self.candidates.first();
        first.map(|candidate| &*candidate.binding.name)
    }

    /// Returns the first name's source.
    #[must_use]
    pub fn source(&self) -> Option<NameSource> {
        let first = self.candidates.first();
        first.map(|candidate| candidate.binding.source)
    }

    /// Returns whether the device was seen to ask for the first name.
    #[must_use]
    pub fn is_asked(&self) -> Option<bool> {
        self.candidates.first()?.asked
    }
}
