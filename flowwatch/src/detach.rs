//! `flowwatch detach`: ends the counting that outlived its process, and removes what it pinned.

use anyhow::Context as _;

use crate::console::tell;
use crate::geo::Databases;
use crate::history::{Known, Recorder};
use crate::instance::Instance;
use crate::kernel::batch::Access;
use crate::kernel::clock::TickClock;
use crate::kernel::link_pins::LinkPins;
use crate::kernel::load::{self, LoadOptions};
use crate::kernel::pins::{self, PinnedGeneration, Pins};
use crate::kernel::retired::Retired;
use crate::names::{NameLimits, NameTable};
use crate::plan::DetachPlan;
use crate::retirement::{self, Drained};
use crate::store::Losses;

/// Takes programs off, drains what they counted last, and removes every pin; says each.
///
/// # Errors
/// When something can't be removed or, where it is to be, recorded: what was not taken stays pinned.
pub fn detach(plan: &DetachPlan) -> anyhow::Result<()> {
    let _instance = if plan.stops_running {
        Instance::succeed(&plan.run_directory)?
    } else {
        Instance::claim(&plan.run_directory)?
    };
    let folder = plan.pins.display();
    if !pins::has_any(&plan.pins)? {
        tell(&format!(
            "nothing to detach: nothing is pinned in `{folder}`"
        ));
        return Ok(());
    }
    let pins = Pins::open(&plan.pins)?;
    // Before anything changes: it may be that it can't be opened.
    let recorder = plan.history.as_ref().map(Recorder::open).transpose()?;
    let generations = take_off(&pins)?;
    let drained = drain(&generations, recorder)?;
    pins::remove_all(&plan.pins)?;
    let sets = match generations.len() {
        1 => "1 set".to_owned(),
        number => format!("{number} sets"),
    };
    tell(&format!("removed `{folder}`, with {sets} of maps"));
    tell_of(drained, plan.history.is_some());
    Ok(())
}

/// Takes the programs off. Returns the generations that can be drained.
fn take_off(pins: &Pins) -> anyhow::Result<Vec<PinnedGeneration>> {
    if let Err(error) = pins.ensure_alone() {
        log::warn!("{error}");
    }
    let mut generations = Vec::new();
    for generation in pins.each()? {
        match generation {
            Ok(generation) => generations.push(generation),
            Err(error) => tell_lost(&error),
        }
    }
    for name in LinkPins::new(pins.links()).remove_all()? {
        tell(&format!("detached {name}"));
    }
    Ok(generations)
}

/// Tells of what can't be drained, and goes.
fn tell_lost(why: &dyn std::error::Error) {
    log::warn!("what was counted last is lost: {why}");
}

fn drain(
    generations: &[PinnedGeneration],
    mut recorder: Option<Recorder>,
) -> anyhow::Result<Drained> {
    let clock = clock().context("read the kernel's clock")?;
    let mut drained = Drained::default();
    for generation in generations {
        match Retired::open(generation) {
            Ok(mut retired) => {
                drained += retirement::drain(&mut retired, recorder.as_mut(), &clock)?;
            }
            Err(error) => tell_lost(&error),
        }
    }
    if let Some(recorder) = recorder {
        let known = Known {
            devices: &[],
            names: &NameTable::new(NameLimits::default()),
            databases: &Databases::open(&[], true)?,
            interfaces: &[],
            losses: Losses::default(),
        };
        recorder.finish(&known)?;
    }
    Ok(drained)
}

/// Reads the clock, for which its program is loaded.
fn clock() -> anyhow::Result<TickClock> {
    let options = LoadOptions {
        devices: &[],
        prefixes: &[],
        flow_table_size: 1,
        log_level: 0,
        access: Access::Batch,
        pins: None,
    };
    Ok(load::load(&options)?.programs.clock()?)
}

fn tell_of(drained: Drained, is_recorded: bool) {
    let Drained { flows, traffic } = drained;
    let (packets, octets) = (traffic.packets, traffic.octets);
    let what = format!("{octets} octets in {packets} packets of {flows} flows");
    match (is_recorded, octets) {
        (true, _) => tell(&format!("recorded what was counted last: {what}")),
        (false, 0) => {}
        (false, _) => tell(&format!(
            "lost what was counted last, as no --history was given: {what}"
        )),
    }
}
