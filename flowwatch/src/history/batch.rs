//! A batch: what goes to the file in one transaction, named and placed.
//!
//! Made of what is pending by the recorder, with what is known at that moment; taken by the writer.

use std::{collections::HashMap, net::IpAddr, path::PathBuf};

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::{
    GenerationId,
    pending::{Generation, Pending},
};
use crate::{
    geo::{Databases, Place},
    model::Device,
    names::{Contact, NameTable, Naming, Service},
    observation::{DeviceId, DeviceTotals},
    store::{AttachedInterface, BothWays, DatabaseMeta, FlowEntry, Losses},
};

/// What is known at the moment of recording.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The devices, by the numbers that `names` knows them under.
    pub devices: &'a [Device],
    /// Names.
    pub names: &'a NameTable,
    /// Places.
    pub databases: &'a Databases,
    /// The interfaces that are counted on now.
    pub interfaces: &'a [AttachedInterface],
    /// Samples that were dropped and frames of devices without a number, since counting began.
    pub losses: Losses,
}

/// One transaction.
#[derive(Debug)]
pub(super) struct Batch {
    /// When it was made.
    pub(super) at: Timestamp,
    pub(super) devices: Vec<Device>,
    pub(super) minutes: Vec<MinuteBatch>,
    pub(super) generations: Vec<(GenerationId, Generation)>,
    pub(super) interfaces: Vec<AttachedInterface>,
    pub(super) databases: Vec<DatabaseMeta>,
    /// What was turned away since the batch before.
    pub(super) losses: Losses,
    /// The journal's segments, whose epochs these are.
    pub(super) segments: Vec<PathBuf>,
}

/// What one minute added.
#[derive(Debug)]
pub(super) struct MinuteBatch {
    pub(super) minute: i64,
    pub(super) flows: Vec<BatchFlow>,
    pub(super) devices: Vec<BatchDevice>,
}

/// A flow's counts of one minute.
#[derive(Debug)]
pub(super) struct BatchFlow {
    pub(super) entry: FlowEntry,
    pub(super) naming: Naming,
    pub(super) place: Place,
}

/// A device's counts of one minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchDevice {
    pub(super) device: DeviceId,
    /// In flows that are recorded.
    pub(super) in_flows: BothWays,
    /// In flows that found no room in memory.
    pub(super) overflow: BothWays,
    /// By how much the kernel's totals grew.
    pub(super) growth: DeviceTotals,
}

impl Batch {
    /// Makes a batch of all that is pending.
    pub(super) fn of(pending: &mut Pending, known: &Known<'_>, at: Timestamp) -> Self {
        let mut lookup = Lookup::new(&pending.devices, known);
        let minutes = pending.take_minutes().into_iter().map(|(minute, counts)| {
            let flows = counts
                .flows
                .flows()
                .map(|entry| lookup.flow(entry))
                .collect();
            let devices = (0..).zip(&pending.devices).map(|(device, _)| {
                let window = counts.flows.device(device);
                BatchDevice {
                    device,
                    in_flows: less(window.folded, window.overflow),
                    overflow: window.overflow,
                    growth: counts.growth.get(&device).copied().unwrap_or_default(),
                }
            });
            MinuteBatch {
                minute,
                flows,
                devices: devices.collect(),
            }
        });
        let minutes = minutes.collect();
        Self {
            at,
            minutes,
            devices: pending.devices.clone(),
            generations: changed(pending),
            interfaces: known.interfaces.to_vec(),
            databases: crate::join::databases(known.databases),
            losses: known.losses,
            segments: Vec::new(),
        }
    }
}

/// Returns the generations that have come further since the last batch.
fn changed(pending: &mut Pending) -> Vec<(GenerationId, Generation)> {
    let generations = pending.generations.iter_mut();
    let changed = generations.filter(|(_, generation)| generation.epochs > 0);
    changed
        .map(|(id, generation)| {
            let batch = generation.clone();
            generation.epochs = 0;
            (*id, batch)
        })
        .collect()
}

fn less(all: BothWays, some: BothWays) -> BothWays {
    let mut rest = all;
    rest.up.packets -= some.up.packets;
    rest.up.octets -= some.up.octets;
    rest.down.packets -= some.down.packets;
    rest.down.octets -= some.down.octets;
    rest
}

/// Looks up names and places, of each address once.
struct Lookup<'a> {
    known: Known<'a>,
    /// Of each of the recorder's devices, the number that `names` knows it under.
    numbers: Vec<Option<DeviceId>>,
    places: HashMap<IpAddr, Place, RandomState>,
}

impl<'a> Lookup<'a> {
    fn new(devices: &[Device], known: &Known<'a>) -> Self {
        let number_of = |device: &Device| {
            // By its address: it may have got another name since.
            let is_it = |known: &Device| match device.mac {
                Some(_) => known.mac == device.mac,
                None => known == device,
            };
            let position = known.devices.iter().position(is_it);
            position.and_then(|position| DeviceId::try_from(position).ok())
        };
        Self {
            known: *known,
            numbers: devices.iter().map(number_of).collect(),
            places: HashMap::default(),
        }
    }

    fn flow(&mut self, entry: FlowEntry) -> BatchFlow {
        let number = self
            .numbers
            .get(usize::from(entry.device))
            .copied()
            .flatten();
        let naming = number.map(|device| {
            self.known.names.naming_of(&Contact {
                device,
                remote: entry.remote,
                service: Service {
                    protocol: entry.protocol,
                    port: entry.remote_port,
                },
                first_seen: entry.counts.first_seen,
                last_seen: entry.counts.last_seen,
            })
        });
        let databases = self.known.databases;
        let place = self.places.entry(entry.remote);
        BatchFlow {
            entry,
            naming: naming.unwrap_or_default(),
            place: place
                .or_insert_with(|| databases.place_of(entry.remote))
                .clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::samples::camera;
    use crate::names::NameLimits;

    #[test]
    fn what_is_pending_of_a_former_name_is_named_as_that_device() {
        let names = NameTable::new(NameLimits::default());
        let databases = Databases::open(&[], false).unwrap();
        let plug: Device = "plug=50:c7:bf:0a:0b:0c".parse().unwrap();
        let renamed = Device {
            name: "kitchen".into(),
            ..camera()
        };
        let known = Known {
            devices: &[plug, renamed],
            names: &names,
            databases: &databases,
            interfaces: &[],
            losses: Losses::default(),
        };
        let stranger = "tv=02:00:00:00:00:01".parse().unwrap();
        let lookup = Lookup::new(&[camera(), stranger], &known);
        assert_eq!(lookup.numbers, [Some(1), None]);
    }
}
