//! Counting that outlives the process: what of it is there already, what of that goes on, and what
//! is drained for the last time.

use aya::Ebpf;

use super::drainer::Counting;
use crate::console::tell;
use crate::history::{GenerationId, Recorder};
use crate::instance::Instance;
use crate::kernel::attach::{self, AttachOptions, Attached};
use crate::kernel::clock::TickClock;
use crate::kernel::descriptor::{Descriptor, Tags};
use crate::kernel::interface::Interface;
use crate::kernel::link_pins::LinkPins;
use crate::kernel::load::MapPins;
use crate::kernel::noted::{LossCounters, Noted};
use crate::kernel::pins::{self, PinnedGeneration, Pins};
use crate::kernel::retired::Retired;
use crate::model::{Device, MacAddress};
use crate::plan::RunPlan;
use crate::retirement::{self, Drained};

/// The generation that a run counts in, and those that it takes the place of.
pub(super) struct Standing {
    pins: Pins,
    current: Generation,
    /// Whether that was made by an earlier process.
    is_taken_over: bool,
    others: Vec<PinnedGeneration>,
    /// The history that its counts are for, by that one's number.
    history: u64,
    /// Held, not used.
    _instance: Instance,
}

/// A generation, and how far its losses are told.
pub(super) struct Generation {
    pinned: PinnedGeneration,
    noted: Noted,
}

impl Generation {
    /// Begins one: a folder for its maps, and what it will say of itself.
    fn begin(pins: &Pins, history: u64, tags: Tags) -> anyhow::Result<Self> {
        let descriptor = Descriptor::new(GenerationId::random().0, history, tags);
        let pinned = pins.begin(descriptor)?;
        Noted::pin(&pinned.folder)?;
        Self::of(pinned)
    }

    /// Goes on with one that is pinned.
    fn of(pinned: PinnedGeneration) -> anyhow::Result<Self> {
        let noted = Noted::open(&pinned.folder)?;
        Ok(Self { pinned, noted })
    }

    /// Returns the maps to load the programs with.
    pub(super) fn maps(&self, is_taken_over: bool) -> MapPins<'_> {
        MapPins {
            folder: &self.pinned.folder,
            is_taken_over,
        }
    }

    fn complete(self, pins: &Pins) -> anyhow::Result<Self> {
        let pinned = pins.complete(self.pinned)?;
        Ok(Self { pinned, ..self })
    }
}

impl Standing {
    /// Opens the history; and, where counting is to outlive the process, looks what is there.
    pub(super) fn open(plan: &RunPlan) -> anyhow::Result<(Option<Self>, Option<Recorder>)> {
        let is_wanted = plan.persist.is_wanted;
        let persist = &plan.persist;
        let claim = || {
            let instance = Instance::claim(&persist.run_directory)?;
            anyhow::Ok((instance, Pins::open(&persist.pins)?))
        };
        // Before the history is opened: a flowwatch that holds these writes there.
        let claimed = is_wanted.then(claim).transpose()?;
        let recorder = plan.history.as_ref().map(Recorder::open).transpose()?;
        let standing = match (claimed, &recorder) {
            (Some(claimed), Some(recorder)) => Some(Self::find(plan, claimed, recorder)?),
            _ => None,
        };
        if !is_wanted {
            tell_of_others(plan);
        }
        Ok((standing, recorder))
    }

    /// Finds what is pinned, and what of it goes on.
    fn find(
        plan: &RunPlan,
        (instance, pins): (Instance, Pins),
        recorder: &Recorder,
    ) -> anyhow::Result<Self> {
        pins.ensure_alone()?;
        let mut others = pins.generations()?;
        let history = recorder.number();
        let tags = tags_of(&plan.devices, plan);
        // Of one whose last epoch was taken, nothing is left but its pins.
        let goes_on = |PinnedGeneration { descriptor, .. }: &_| {
            let generation = GenerationId(descriptor.generation);
            descriptor.fits(history, &tags) && !recorder.is_over(generation)
        };
        let earlier = others.iter().position(goes_on);
        let earlier = earlier.map(|position| others.swap_remove(position));
        Ok(Self {
            is_taken_over: earlier.is_some(),
            current: match earlier {
                Some(pinned) => Generation::of(pinned)?,
                None => Generation::begin(&pins, history, tags)?,
            },
            pins,
            others,
            history,
            _instance: instance,
        })
    }

    /// Returns the maps to load the programs with.
    pub(super) fn maps(&self) -> MapPins<'_> {
        self.current.maps(self.is_taken_over)
    }

    /// Returns the generation's number.
    pub(super) fn generation(&self) -> GenerationId {
        GenerationId(self.current.pinned.descriptor.generation)
    }

    /// Brings in what an earlier process left: what its last epoch had, and all that its other
    /// generations have, which nothing counts into any more. Returns what it told of its losses.
    pub(super) fn settle(
        &mut self,
        counting: &mut Counting,
        clock: &TickClock,
    ) -> anyhow::Result<LossCounters> {
        let told = self.current.noted.counters();
        if self.is_taken_over {
            tell("took over the counting of an earlier flowwatch");
            counting.go_on_from(told)?;
            counting.end_left_epoch(clock)?;
        }
        for generation in std::mem::take(&mut self.others) {
            if let Err(error) = self.retire(&generation, counting, clock) {
                // It stays as it is, and the next start tries again.
                log::warn!("drain the counts of an earlier flowwatch: {error:#}");
            }
        }
        Ok(told)
    }

    /// Notes that losses were told. That it can't be is no reason to stop: then they are told twice.
    pub(super) fn note_told(&mut self, counters: LossCounters) {
        if let Err(error) = self.current.noted.note(counters) {
            log::debug!("{:#}", anyhow::Error::from(error));
        }
    }

    fn retire(
        &self,
        generation: &PinnedGeneration,
        counting: &mut Counting,
        clock: &TickClock,
    ) -> anyhow::Result<()> {
        let mut retired = Retired::open(generation)?;
        let recorder = counting.recorder.as_mut().map(|it| &mut it.recorder);
        let Drained { flows, traffic } = retirement::drain(&mut retired, recorder, clock)?;
        self.pins.remove(generation)?;
        tell(&format!(
            "took the last counts of an earlier flowwatch, with other devices or tables, into the \
             history: {} octets of {flows} flows",
            traffic.octets
        ));
        Ok(())
    }

    /// Begins a generation that is to take the place of this one.
    pub(super) fn begin_next(&self, tags: Tags) -> anyhow::Result<Generation> {
        Generation::begin(&self.pins, self.history, tags)
    }

    /// Has a restart find a generation whose maps are made.
    pub(super) fn complete(&self, next: Generation) -> anyhow::Result<Generation> {
        next.complete(&self.pins)
    }

    /// Goes on with a generation whose programs have taken the places of this one's. Returns the former
    /// one, which is yet to be drained.
    pub(super) fn succeed(&mut self, next: Generation) -> Generation {
        std::mem::replace(&mut self.current, next)
    }

    /// Removes a generation that nothing counts into, and of which nothing is left. One that can't be
    /// removed is met again by the next start.
    pub(super) fn forget(&self, former: &Generation) {
        if let Err(error) = self.pins.remove(&former.pinned) {
            log::warn!("{error}");
        }
    }
}

/// Attaches the programs, whose maps are made. Of what outlives the process, in the places of those
/// before; what is nowhere wanted is taken off.
pub(super) fn attach(
    standing: Option<Standing>,
    ebpf: &mut Ebpf,
    interfaces: &[Interface],
    options: AttachOptions,
) -> anyhow::Result<(Option<Standing>, Attached)> {
    let Some(mut standing) = standing else {
        return Ok((None, attach::attach(ebpf, interfaces, options)?));
    };
    if !standing.is_taken_over {
        // From here on, a restart finds what is counted.
        standing.current = standing.current.complete(&standing.pins)?;
    }
    let mut attached = Attached::pinned(LinkPins::new(standing.pins.links()));
    attached.add_all(ebpf, interfaces, options)?;
    Ok((Some(standing), attached))
}

/// Leaves what outlives the process counting; these are the losses that were told of it.
pub(super) fn leave(standing: Option<Standing>, told: LossCounters) {
    let Some(mut standing) = standing else { return };
    standing.note_told(told);
    tell(
        "the kernel counts on; the next `flowwatch run --persist` takes it over, and `flowwatch \
         detach` ends it",
    );
}

/// Tells of what counts beside a run that goes with its process.
fn tell_of_others(plan: &RunPlan) {
    if !pins::has_any(&plan.persist.pins).unwrap_or_default() {
        return;
    }
    let who = match Instance::running(&plan.persist.run_directory) {
        Some(pid) => format!("a flowwatch that persists runs as process {pid}"),
        None => "what an earlier `flowwatch run --persist` left counts on".to_owned(),
    };
    tell(&format!(
        "{who} (pinned in `{}`); this run counts beside it and apart from it",
        plan.persist.pins.display()
    ));
}

/// Returns what is counted: these devices, in the order of the kernel's numbers, and those that
/// appear.
pub(super) fn tags_of(devices: &[Device], plan: &RunPlan) -> Tags {
    let devices = devices.iter();
    Tags {
        devices: devices
            .filter_map(|it| Some((it.name.to_string(), it.mac?.octets())))
            .collect(),
        prefixes: plan
            .prefixes
            .iter()
            .map(|it| (it.name.to_string(), it.prefix.octets(), it.prefix.bits()))
            .collect(),
        flow_table_size: plan.flow_table_size,
    }
}

/// Returns the devices with these addresses, by the names that a plan gives them, or that they have.
pub(super) fn named(addresses: &[MacAddress], plan: &RunPlan, known: &[Device]) -> Vec<Device> {
    let name = |mac: &MacAddress| {
        let mut all = plan.devices.iter().chain(known);
        all.find(|device| device.mac == Some(*mac)).cloned()
    };
    addresses.iter().filter_map(name).collect()
}
