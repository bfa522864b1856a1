//! One of the two sides: which devices there were, and what each sent where.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;

use super::Octets;
use crate::{
    geo::Scope,
    model::{FlowRecord, MacAddress},
    store::Snapshot,
};

/// Which remotes are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remotes {
    /// Those on the internet.
    #[default]
    Internet,
    /// Those of every scope: at home, multicast and so on as well.
    All,
}

/// What was counted in one time.
#[derive(Clone, Debug)]
pub struct Side {
    /// What the user calls it.
    pub label: String,
    /// What it was read from: `capture`, `history` or `document`.
    pub source: &'static str,
    /// When counting began.
    pub started_at: Timestamp,
    /// When counting ended.
    pub ended_at: Timestamp,
    /// The devices, in the user's order; each once.
    pub devices: Vec<SideDevice>,
}

/// A device, and what it sent where.
#[derive(Clone, Debug)]
pub struct SideDevice {
    /// Its name.
    pub name: String,
    /// Its MAC address, where it has one.
    pub mac: Option<MacAddress>,
    /// Its flows.
    pub destinations: Vec<Destination>,
}

/// A flow, as far as two sides are compared by it. Texts are exact, as they came.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The remote address.
    pub address: IpAddr,
    /// What kind of address that is.
    pub scope: Scope,
    /// The names that it went by in the side's time, the best first.
    pub names: Vec<Arc<str>>,
    /// Whose the address is.
    pub organization: Option<Arc<str>>,
    /// In which country it is, as ISO 3166-1 alpha-2.
    pub country: Option<Arc<str>>,
    /// That country's English name.
    pub country_name: Option<Arc<str>>,
    /// What it sent and received.
    pub octets: Octets,
}

/// A name that a flow may go under, and when that was told.
#[derive(Clone, Debug)]
pub struct NameClaim {
    /// The name.
    pub name: Arc<str>,
    /// When it was told or said first.
    pub first_told: Timestamp,
    /// When it was told or said last.
    pub last_told: Timestamp,
}

impl Side {
    /// Returns whether nothing was counted, to or from any remote.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut devices = self.devices.iter();
        devices.all(|device| device.destinations.is_empty())
    }

    /// Makes a side of what was counted.
    #[must_use]
    pub fn of(label: &str, source: &'static str, snapshot: &Snapshot) -> Self {
        let meta = &snapshot.meta;
        let mut side = Self {
            label: label.to_owned(),
            source,
            started_at: meta.started_at,
            ended_at: meta.ended_at,
            devices: Vec::with_capacity(snapshot.devices.len()),
        };
        for device in &snapshot.devices {
            side.device(&device.device, device.device_mac);
        }
        for record in &snapshot.flows {
            let destination = side.destination_of(record);
            let device = side.device(&record.device.name, record.device.mac);
            device.destinations.push(destination);
        }
        side
    }

    /// Returns the device of this name and MAC address, which joins the others where it is not among
    /// them.
    pub fn device(&mut self, name: &str, mac: Option<MacAddress>) -> &mut SideDevice {
        let known = self
            .devices
            .iter()
            .position(|device| device.name == name && device.mac == mac);
        let position = known.unwrap_or_else(|| {
            self.devices.push(SideDevice {
                name: name.to_owned(),
                mac,
                destinations: Vec::new(),
            });
            self.devices.len() - 1
        });
        &mut self.devices[position]
    }

    /// Returns the names of a flow that it went by in this time, of all that it may go under, the best
    /// first: that one, and those that were told or said meanwhile. What was told before, in the time
    /// of another side perhaps, and is only not yet forgotten, is left out.
    #[must_use]
    pub fn names_in_time(&self, claims: &[NameClaim]) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for (rank, claim) in claims.iter().enumerate() {
            let is_told = claim.first_told <= self.ended_at && claim.last_told >= self.started_at;
            if (rank == 0 || is_told) && !names.contains(&claim.name) {
                names.push(Arc::clone(&claim.name));
            }
        }
        names
    }

    fn destination_of(&self, record: &FlowRecord) -> Destination {
        let claims = record.naming.candidates.iter().map(|candidate| NameClaim {
            name: Arc::clone(&candidate.binding.name),
            first_told: candidate.binding.first_told,
            last_told: candidate.binding.last_told,
        });
        let place = record.place.clone();
        Destination {
            address: record.remote_address,
            scope: record.scope,
            names: self.names_in_time(&claims.collect::<Vec<_>>()),
            organization: place.organization,
            country: place.country,
            country_name: place.country_name,
            octets: Octets {
                up: record.up.octets,
                down: record.down.octets,
            },
        }
    }
}

impl SideDevice {
    /// Returns the destinations that are compared.
    pub(super) fn remotes(&self, remotes: Remotes) -> impl Iterator<Item = &Destination> {
        self.destinations.iter().filter(move |destination| {
            remotes == Remotes::All || destination.scope == Scope::Internet
        })
    }
}
