//! The flow record: one row of every output.
//!
//! Made by `join` from a counted flow, its names and its place; read through `FIELDS`.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Device, NameDetails};
use crate::{
    geo::{Place, Scope},
    names::Naming,
    observation::Traffic,
};

/// Where one device sent data, how much, and since when.
#[derive(Clone, Debug)]
pub struct FlowRecord {
    /// The device.
    pub device: Device,
    /// The names that the remote address stands for, the best first, and where they are from.
    pub naming: Naming,
    /// The address at the other end.
    pub remote_address: IpAddr,
    /// What kind of address that is.
    pub scope: Scope,
    /// IANA protocol number.
    pub protocol: u8,
    /// The remote's transport port; 0 where the protocol or the fragment has none.
    pub remote_port: u16,
    /// Where the remote address is; nothing for an address that is not on the internet.
    pub place: Place,
    /// From device to remote.
    pub up: Traffic,
    /// From remote to device.
    pub down: Traffic,
    /// The flow's first packet.
    pub first_seen: Timestamp,
    /// The flow's last packet.
    pub last_seen: Timestamp,
}

impl FlowRecord {
    /// Returns the octets of both directions.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.up.octets.saturating_add(self.down.octets)
    }

    /// Returns each name once, the best first.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.naming.names()
    }

    /// Returns what is known of the names.
    #[must_use]
    pub const fn name_details(&self) -> NameDetails<'_> {
        NameDetails(&self.naming)
    }

    /// Returns whether the remote goes by no name although everybody else asks for one: a finding.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        self.naming.candidates.is_empty() && self.scope == Scope::Internet
    }
}
