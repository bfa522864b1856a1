//! Listening for a while with flowwatch's own programs, at tc: whether they run, which devices they
//! see at which interface, and whom those ask for names.
//!
//! Each interface has a load of its own, so that what is seen at it is told apart. Nothing is
//! recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use aya::maps::{MapData, PerCpuArray, RingBuf};
use flowwatch_common::abi::{DeviceCounters, Direction, mac_word};
use flowwatch_common::prefix::{PrefixRule, prefix_rule};
use futures_util::future::{FutureExt as _, select_all};
use jiff::Timestamp;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::console::{self, tell};
use crate::diagnosis::{Heard, HeardDevice};
use crate::exit::sentence_of;
use crate::format::resolving_of;
use crate::geo::Databases;
use crate::join::{Sources, join};
use crate::kernel::attach::{self, AttachMode, AttachOptions, Attached, TcHook};
use crate::kernel::batch::Access;
use crate::kernel::clock::TickClock;
use crate::kernel::drain::Drain;
use crate::kernel::found::FoundDevices;
use crate::kernel::interface::{self, Interface};
use crate::kernel::load::{self, LoadOptions, Loaded, Programs};
use crate::kernel::self_test::SelfTest;
use crate::kernel::{samples, totals};
use crate::model::{MacAddress, PrefixTag};
use crate::names::{NameLimits, NameTable};
use crate::observation::DeviceId;
use crate::plan::DoctorPlan;
use crate::stop::Stop;
use crate::store::{FlowTable, Meta, Snapshot, WINDOW_FLOWS};

/// Interfaces that are listened to: each takes a load of the programs.
const MOST: usize = 32;
/// Flows of one interface that are told apart while it is listened to.
const FLOWS: u32 = 4096;
/// Samples that are read before something else gets its turn.
const SAMPLES_A_TURN: usize = 64;
/// Time between two changes of the status line.
const STATUS_PERIOD: Duration = Duration::from_secs(1);
/// Packets that a program may miss while it is attached.
const TOLERANCE: u64 = 16;

/// What was heard.
pub(super) struct Listening {
    /// For how long.
    pub(super) duration: Duration,
    interfaces: BTreeMap<u32, Heard>,
    /// Frames by interface and device, up and down.
    devices: Vec<(String, DeviceId, (u64, u64))>,
    /// The same of devices that a prefix tags.
    found: Vec<(String, MacAddress, (u64, u64))>,
    snapshot: Snapshot,
}

impl Listening {
    /// Listens at the interfaces, for so long or until a signal.
    pub(super) async fn listen(
        plan: &DoctorPlan,
        interfaces: &[Interface],
        duration: Duration,
        stop: Stop,
    ) -> anyhow::Result<Self> {
        let mut heard = BTreeMap::new();
        let mut listeners = Vec::new();
        for interface in interfaces.iter().take(MOST) {
            match Listener::start(plan, interface) {
                Ok(listener) => listeners.push(listener),
                Err(error) => {
                    let refusal = Some(sentence_of(&error));
                    heard.insert(
                        interface.index,
                        Heard {
                            refusal,
                            ..Heard::default()
                        },
                    );
                }
            }
        }
        let mut names = NameTable::new(NameLimits::default());
        let known = plan.devices.len() as DeviceId;
        // Only what passes from now on can tell of a program that doesn't run.
        let before = interface::list().await?;
        let began = Instant::now();
        attend(&mut listeners, (&mut names, known), duration, stop).await?;
        let after = interface::list().await?;
        let mut listening = Self {
            duration: began.elapsed(),
            interfaces: heard,
            devices: Vec::new(),
            found: Vec::new(),
            snapshot: join_nothing(),
        };
        let mut flows = FlowTable::new(plan.devices.len(), WINDOW_FLOWS);
        for listener in listeners {
            listening.take(listener, (&before, &after), known, (&mut flows, &mut names))?;
        }
        let sources = Sources {
            devices: &plan.devices,
            flows: &flows,
            names: &names,
            databases: &Databases::open(&[], false)?,
        };
        listening.snapshot = join(sources, empty_meta());
        Ok(listening)
    }

    /// Returns what was heard at an interface; nothing of one that was not listened to.
    pub(super) fn at(&self, interface: &Interface) -> Option<Heard> {
        self.interfaces.get(&interface.index).cloned()
    }

    /// Returns where a device was seen.
    pub(super) fn of_device(&self, device: DeviceId) -> Vec<HeardDevice> {
        let here = self
            .devices
            .iter()
            .filter(|(_, number, _)| *number == device);
        here.map(|(interface, _, frames)| heard_device(interface, *frames))
            .collect()
    }

    /// Returns where the devices were seen that a prefix tags.
    pub(super) fn of_prefix(&self, tag: &PrefixTag) -> Vec<HeardDevice> {
        let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (interface, _, (up, down)) in self
            .found
            .iter()
            .filter(|(_, mac, _)| tag.prefix.matches(*mac))
        {
            let sum = sums.entry(interface).or_default();
            *sum = (sum.0 + up, sum.1 + down);
        }
        let sums = sums.into_iter();
        sums.map(|(interface, frames)| heard_device(interface, frames))
            .collect()
    }

    /// Returns how a device resolves names, as a sentence without the full stop; nothing where it
    /// was not heard to.
    pub(super) fn resolving(&self, device: DeviceId) -> Option<String> {
        let summary = self.snapshot.devices.get(usize::from(device))?;
        let sentence = resolving_of(&self.snapshot, summary)?;
        let clause = sentence
            .strip_prefix("Resolves names: ")
            .unwrap_or(&sentence);
        Some(clause.trim_end_matches('.').to_owned())
    }

    /// Returns whether a device asks somebody in a way that can't be read.
    pub(super) fn asks_encrypted(&self, device: DeviceId) -> bool {
        let Some(summary) = self.snapshot.devices.get(usize::from(device)) else {
            return false;
        };
        let ways = self.snapshot.resolving.iter();
        let mut ways = ways.filter(|way| way.device == summary.device);
        ways.any(|way| {
            let mut resolvers = way.resolving.resolvers.iter();
            resolvers.any(|resolver| !resolver.transport.is_plain())
        })
    }

    /// Takes the programs off an interface, and takes up what they counted.
    fn take(
        &mut self,
        listener: Listener,
        (before, after): (&[Interface], &[Interface]),
        known: DeviceId,
        (flows, names): (&mut FlowTable, &mut NameTable),
    ) -> anyhow::Result<()> {
        let Listener {
            interface,
            programs,
            attached,
            mut drain,
            counters,
            found,
            ring,
            clock,
            self_test,
        } = listener;
        let passed = passed(&interface, before, after);
        let silent = self_test.silent(&attached.attachments)?;
        let silent = silent.iter().filter_map(|hook| match hook.direction {
            Direction::Up => (passed.0 > TOLERANCE).then_some("ingress"),
            Direction::Down => (passed.1 > TOLERANCE).then_some("egress"),
        });
        let heard = Heard {
            refusal: None,
            passed,
            silent: silent.collect(),
        };
        self.interfaces.insert(interface.index, heard);
        drop(attached.detach());
        take_samples(&mut ring.into_inner(), &clock, usize::MAX, (names, known));
        // What programs still running elsewhere at that moment were given is in the second.
        for _ in 0..2 {
            drain.end_epoch(&clock, &mut |flow| {
                if flow.device < known {
                    flows.fold(flow);
                }
            })?;
        }
        let frames = |device| {
            let totals = totals::read(&counters, device)?;
            anyhow::Ok((totals.up.seen.frames, totals.down.seen.frames))
        };
        for device in 0..known {
            let frames = frames(device)?;
            if frames != (0, 0) {
                self.devices.push((interface.name.clone(), device, frames));
            }
        }
        for (number, mac) in found.read()? {
            if let Ok(mac) = MacAddress::new(mac) {
                self.found
                    .push((interface.name.clone(), mac, frames(number)?));
            }
        }
        drop(programs);
        Ok(())
    }
}

fn heard_device(interface: &str, (up, down): (u64, u64)) -> HeardDevice {
    HeardDevice {
        interface: interface.to_owned(),
        up,
        down,
    }
}

/// Returns the packets that an interface received and sent meanwhile.
fn passed(interface: &Interface, before: &[Interface], after: &[Interface]) -> (u64, u64) {
    let find = |list: &[Interface]| {
        let found = list.iter().find(|other| other.index == interface.index);
        found.map_or((0, 0), |it| (it.received_packets, it.sent_packets))
    };
    let (before, after) = (find(before), find(after));
    (
        after.0.saturating_sub(before.0),
        after.1.saturating_sub(before.1),
    )
}

/// A load of the programs at one interface.
struct Listener {
    interface: Interface,
    programs: Programs,
    attached: Attached,
    drain: Drain,
    counters: PerCpuArray<MapData, DeviceCounters>,
    found: FoundDevices,
    ring: AsyncFd<RingBuf<MapData>>,
    clock: TickClock,
    self_test: SelfTest,
}

impl Listener {
    fn start(plan: &DoctorPlan, interface: &Interface) -> anyhow::Result<Self> {
        let mut loaded = load_for(plan)?;
        let self_test = SelfTest::start(loaded.hooks_seen, loaded.self_test)?;
        let options = AttachOptions {
            // Native XDP may cost an interface its link for a moment.
            mode: AttachMode::Tc,
            tc_hook: TcHook::Auto,
        };
        let interfaces = std::slice::from_ref(interface);
        let attached = attach::attach(&mut loaded.programs.ebpf, interfaces, options)?;
        Ok(Self {
            interface: interface.clone(),
            clock: loaded.programs.clock()?,
            programs: loaded.programs,
            attached,
            drain: loaded.drain,
            counters: loaded.device_counters,
            found: loaded.found,
            ring: samples::watch(loaded.samples).context("watch the sample ring")?,
            self_test,
        })
    }
}

fn load_for(plan: &DoctorPlan) -> anyhow::Result<Loaded> {
    let addresses = plan.devices.iter().filter_map(|device| device.mac);
    let devices: Vec<u64> = addresses.map(|mac| mac_word(mac.octets())).collect();
    let prefixes = plan.prefixes.iter().map(|tag| tag.prefix);
    let prefixes: Vec<PrefixRule> = prefixes
        .map(|prefix| prefix_rule(prefix.octets(), prefix.bits()))
        .collect();
    let options = LoadOptions {
        devices: &devices,
        prefixes: &prefixes,
        flow_table_size: FLOWS,
        log_level: 0,
        access: Access::Batch,
        pins: None,
    };
    Ok(load::load(&options)?)
}

/// Takes in samples until the time is up, or a signal comes.
async fn attend(
    listeners: &mut [Listener],
    (names, known): (&mut NameTable, DeviceId),
    duration: Duration,
    mut stop: Stop,
) -> anyhow::Result<()> {
    if listeners.is_empty() {
        return Ok(());
    }
    let names_of = listeners.iter().map(|it| it.interface.name.as_str());
    tell(&format!(
        "listening on {} for {} s; Ctrl-C ends it",
        names_of.collect::<Vec<_>>().join(", "),
        duration.as_secs_f64()
    ));
    stop.after(Some(duration));
    let end = Instant::now() + duration;
    let mut ticks = tokio::time::interval(STATUS_PERIOD);
    loop {
        let rings = listeners.iter_mut().map(|Listener { ring, clock, .. }| {
            let clock = &*clock;
            async move { (ring.readable_mut().await, clock) }.boxed_local()
        });
        tokio::select! {
            () = stop.requested() => break,
            _ = ticks.tick() => {
                let left = end.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
                console::show_status(&format!("listening, {left} s left"));
            }
            ((ready, clock), ..) = select_all(rings) => {
                let mut ready = ready.context("wait for samples")?;
                if take_samples(ready.get_inner_mut(), clock, SAMPLES_A_TURN, (names, known)) {
                    ready.clear_ready();
                } else {
                    // Clocks and signals are looked at only in between.
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    console::show_status("");
    Ok(())
}

/// Takes in the names in the ring's samples, of devices that are known; returns whether none is left.
fn take_samples(
    ring: &mut RingBuf<MapData>,
    clock: &TickClock,
    most: usize,
    (names, known): (&mut NameTable, DeviceId),
) -> bool {
    samples::take(ring, clock, most, &mut |sample| {
        if sample.device < known {
            names.observe(&sample);
        }
    })
}

fn empty_meta() -> Meta {
    let now = Timestamp::now();
    Meta::new((now, now), 0, Vec::new(), 0)
}

fn join_nothing() -> Snapshot {
    Snapshot {
        meta: empty_meta(),
        devices: Vec::new(),
        flows: Vec::new(),
        unaccounted: Vec::new(),
        resolving: Vec::new(),
    }
}
