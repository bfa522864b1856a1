//! A row of an export: what was counted of one flow, or of a device in no flow, since the row before.
//!
//! Made by the bookmarks; written by the sinks through `FIELDS`.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;

use crate::geo::{Place, Scope};
use crate::model::{Device, Field, FlowRecord, Unit, Value};
use crate::names::Naming;
use crate::observation::Traffic;
use crate::store::BothWays;

/// What is new of a flow, or of what a device has in no flow.
#[derive(Clone, Debug)]
pub struct Row {
    record: FlowRecord,
    is_rest: bool,
}

impl Row {
    /// Returns a flow's row: its record, and what was counted since the row before.
    #[must_use]
    pub fn of_flow(record: &FlowRecord, new: BothWays, last_seen: Timestamp) -> Self {
        let record = FlowRecord {
            up: new.up,
            down: new.down,
            last_seen,
            ..record.clone()
        };
        Self {
            record,
            is_rest: false,
        }
    }

    /// Returns the row of what a device has in no flow: what found no room in the tables.
    #[must_use]
    pub fn of_rest(device: Device, new: BothWays, at: Timestamp) -> Self {
        let record = FlowRecord {
            device,
            naming: Naming::default(),
            remote_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            scope: Scope::Reserved,
            protocol: 0,
            remote_port: 0,
            place: Place::default(),
            up: new.up,
            down: new.down,
            first_seen: at,
            last_seen: at,
        };
        Self {
            record,
            is_rest: true,
        }
    }

    /// Returns the device.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.record.device
    }

    /// Returns the flow, with the counts since the row before; nothing where the row is of no flow.
    #[must_use]
    pub fn flow(&self) -> Option<&FlowRecord> {
        (!self.is_rest).then_some(&self.record)
    }

    /// Returns what is new from the device.
    #[must_use]
    pub const fn up(&self) -> Traffic {
        self.record.up
    }

    /// Returns what is new to the device.
    #[must_use]
    pub const fn down(&self) -> Traffic {
        self.record.down
    }

    /// Returns a field; of a row of no flow, all but the device and the counts are unknown.
    #[must_use]
    pub fn value(&self, field: &Field) -> Value<'_> {
        let is_count = matches!(field.unit, Unit::Packets | Unit::Octets);
        if self.is_rest && !is_count && !field.is_of_device() {
            return Value::Null;
        }
        (field.value)(&self.record)
    }
}
