//! The last drain of a generation of maps that nothing counts into any more: into the history.
//!
//! From what is pinned, in whatever layout, to epochs that the recorder takes; its pins go
//! afterwards. Whatever ends the process in between, the next one begins where it ended.

use anyhow::Context as _;
use jiff::Timestamp;

use crate::history::{Epoch, GenerationId, Recorder};
use crate::kernel::clock::{Moment, TickClock};
use crate::kernel::descriptor::Tags;
use crate::kernel::retired::Retired;
use crate::model::{Device, DeviceTag, MacAddress, PrefixTag, TaggedDevices};
use crate::observation::{DeviceId, DeviceTotals, EpochFlow, Traffic};

/// What was drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Flows, each once for every epoch that it was in.
    pub flows: u64,
    /// Packets and octets in both directions.
    pub traffic: Traffic,
}

impl std::ops::AddAssign for Drained {
    fn add_assign(&mut self, other: Self) {
        self.flows += other.flows;
        self.traffic += other.traffic;
    }
}

/// Drains a generation; without a recorder, what was counted is summed up and gone. Of one whose last
/// epoch was taken before, nothing is left.
///
/// # Errors
/// When it can't be read, or not recorded: then the kernel keeps what was not taken.
pub fn drain(
    retired: &mut Retired,
    mut recorder: Option<&mut Recorder>,
    clock: &TickClock,
) -> anyhow::Result<Drained> {
    let generation = GenerationId(retired.generation);
    let mut drained = Drained::default();
    if recorder.as_ref().is_some_and(|it| it.is_over(generation)) {
        return Ok(drained);
    }
    let devices =
        devices_of(&retired.tags, retired).context("name the devices that were counted")?;
    let last_taken = recorder
        .as_ref()
        .and_then(|recorder| recorder.last_taken(generation));
    let last = Last {
        devices,
        // Of what was counted for another history, this one has no totals to grow from.
        knows_totals: recorder
            .as_ref()
            .is_some_and(|it| it.number() == retired.history),
        clock,
    };
    if let Some(serial) = retired.drain.left(last_taken)? {
        let ended = (serial, false);
        last.take(retired, ended, recorder.as_deref_mut(), &mut drained)?;
    }
    // The second is of programs that still ran when the first began.
    for is_last in [false, true] {
        let ended = (retired.drain.begin()?, is_last);
        last.take(retired, ended, recorder.as_deref_mut(), &mut drained)?;
    }
    Ok(drained)
}

/// What epochs are made with.
struct Last<'a> {
    devices: TaggedDevices,
    knows_totals: bool,
    clock: &'a TickClock,
}

impl Last<'_> {
    /// Takes the epoch in the quiet table, and empties that.
    fn take(
        &self,
        retired: &mut Retired,
        (serial, is_last): (u64, bool),
        recorder: Option<&mut Recorder>,
        drained: &mut Drained,
    ) -> anyhow::Result<()> {
        let mut flows = Vec::new();
        let read = retired
            .drain
            .read(self.clock, &mut |flow| flows.push(*flow))?;
        drained.flows += read;
        for flow in &flows {
            drained.traffic += flow.up;
            drained.traffic += flow.down;
        }
        if let Some(recorder) = recorder {
            recorder.take(&Epoch {
                generation: GenerationId(retired.generation),
                serial,
                ended_at: ended_at(&flows, self.clock.moment()),
                is_last,
                totals: self.totals(retired, &flows)?,
                flows,
            })?;
        }
        Ok(retired.drain.finish()?)
    }

    fn totals(
        &self,
        retired: &Retired,
        flows: &[EpochFlow],
    ) -> anyhow::Result<Vec<(DeviceId, Device, DeviceTotals)>> {
        let mut all = Vec::new();
        for (number, device) in (0..).zip(self.devices.devices()) {
            if device.is_vacant() {
                continue;
            }
            let totals = if self.knows_totals {
                retired.totals(number)?
            } else {
                totals_of(flows, number)
            };
            all.push((number, device.clone(), totals));
        }
        Ok(all)
    }
}

/// Returns when an epoch ended that may have ended long ago: with its last packet.
pub(crate) fn ended_at(flows: &[EpochFlow], clock: &Moment) -> Timestamp {
    let now = clock.time_now();
    let last = flows.iter().map(|flow| flow.last_seen).max();
    last.map_or(now, |last| last.min(now))
}

/// Returns what flows added to a device's totals.
fn totals_of(flows: &[EpochFlow], device: DeviceId) -> DeviceTotals {
    let mut totals = DeviceTotals::default();
    for flow in flows.iter().filter(|flow| flow.device == device) {
        totals.up.flow_traffic += flow.up;
        totals.down.flow_traffic += flow.down;
    }
    totals
}

/// Returns the devices that a generation counted, with those that appeared.
fn devices_of(tags: &Tags, retired: &Retired) -> anyhow::Result<TaggedDevices> {
    let device = |(name, octets): &(String, [u8; 6])| {
        anyhow::Ok(Device::new(name, MacAddress::new(*octets)?)?)
    };
    let devices: Vec<Device> = tags.devices.iter().map(device).collect::<Result<_, _>>()?;
    let prefixes: Vec<PrefixTag> = tags
        .prefixes
        .iter()
        .map(prefix_of)
        .collect::<Result<_, _>>()?;
    let mut devices = TaggedDevices::new(&devices, &prefixes);
    devices.appear(&retired.found()?);
    Ok(devices)
}

fn prefix_of((name, octets, bits): &(String, [u8; 6], u32)) -> anyhow::Result<PrefixTag> {
    let octets = octets.map(|octet| format!("{octet:02x}")).join(":");
    match DeviceTag::new(name, &format!("{octets}/{bits}"))? {
        DeviceTag::Prefix(prefix) => Ok(prefix),
        DeviceTag::One(_) => anyhow::bail!("`{octets}/{bits}` is no prefix"),
    }
}
