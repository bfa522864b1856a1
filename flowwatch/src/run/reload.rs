//! SIGHUP has the configuration read again, and what it says differently taken up while the
//! counting goes on.
//!
//! Everything is read, checked, opened and loaded before anything changes, on threads of its own. Then
//! the new programs take the places of the old ones, each in one step, and what the old ones had
//! counted is drained for the last time.

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use aya::maps::{MapData, PerCpuArray, RingBuf};
use flowwatch_common::abi::{MAX_DEVICES, SampleCounters};
use flowwatch_common::prefix::MAX_FOUND_DEVICES;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};

use super::changes::{self, Changes};
use super::drainer::NextLoad;
use super::kernel_log::open_kernel_log;
use super::loading::load_programs;
use super::sampled::take_samples;
use super::standing::{Generation, Standing, named, tags_of};
use super::watch::HookWatch;
use super::{Session, warn};
use crate::console::tell;
use crate::geo::Databases;
use crate::history::GenerationId;
use crate::kernel::attach::IngressHook;
use crate::kernel::interface;
use crate::kernel::load::{self, Loaded, Programs, program};
use crate::kernel::log::KernelLog;
use crate::kernel::samples;
use crate::kernel::self_test::SelfTest;
use crate::model::MacAddress;
use crate::observation::DeviceId;
use crate::plan::RunPlan;

/// Reads the configuration again, and returns the plan that it makes with the command line.
pub type Reread = Arc<dyn Fn() -> anyhow::Result<RunPlan> + Send + Sync>;

/// What was read and checked.
pub(crate) struct Wish {
    plan: RunPlan,
    /// Opened, where others than before are wanted.
    databases: Option<Databases>,
}

/// What is ready to be taken up.
pub(crate) struct Ready {
    wish: Wish,
    /// Nothing where the same are counted as before.
    load: Option<NewLoad>,
}

/// A load of the programs.
struct NewLoad {
    order: LoadOrder,
    loaded: Box<Loaded>,
}

/// What to load the programs for.
struct LoadOrder {
    /// Whom to count.
    addresses: Vec<MacAddress>,
    /// Where maps are to be pinned; nowhere, when they go with the process.
    generation: Option<Generation>,
    /// By what the devices' frames are seen.
    hooks: Vec<IngressHook>,
}

/// Another load of the programs that is in the place of the one before.
struct Placed {
    programs: Programs,
    next: NextLoad,
    ring: AsyncFd<RingBuf<MapData>>,
    sample_counters: PerCpuArray<MapData, SampleCounters>,
    kernel_log: Option<AsyncFd<KernelLog>>,
    watch: HookWatch,
    /// The generation that nothing counts into any more.
    former: Option<Generation>,
}

/// How far a reload has come.
pub(crate) enum Progress {
    Begun,
    Read(Box<Wish>),
    Ready(Box<Ready>),
}

/// The reload under way, or the wait for one.
pub(crate) enum Reload {
    /// There is no configuration file.
    Never,
    /// SIGHUP is waited for.
    Waiting(Source),
    /// The file is read, and what it names is opened.
    Reading(Source, JoinHandle<anyhow::Result<Wish>>),
    /// The programs are loaded.
    Loading(Source, JoinHandle<anyhow::Result<Ready>>),
}

/// What tells that the configuration is to be read again, and reads it.
pub(crate) struct Source {
    hangup: Signal,
    reread: Reread,
    plan: RunPlan,
}

impl Reload {
    /// Waits for SIGHUP, where there is a configuration to read again.
    pub(crate) fn start(plan: &RunPlan, reread: Option<Reread>) -> anyhow::Result<Self> {
        let Some(reread) = reread else {
            return Ok(Self::Never);
        };
        Ok(Self::Waiting(Source {
            hangup: signal(SignalKind::hangup()).context("listen for SIGHUP")?,
            reread,
            plan: plan.clone(),
        }))
    }

    /// Waits until a reload has come further. May be dropped and called again.
    pub(crate) async fn progress(&mut self) -> anyhow::Result<Progress> {
        if let Self::Waiting(source) = self {
            source.hangup.recv().await;
            self.read();
            return Ok(Progress::Begun);
        }
        let progress = match self {
            Self::Reading(_, handle) => {
                let read = handle.await;
                read.map_err(Into::into)
                    .and_then(|wish| Ok(Progress::Read(Box::new(wish?))))
            }
            Self::Loading(_, handle) => {
                let loaded = handle.await;
                loaded
                    .map_err(Into::into)
                    .and_then(|it| Ok(Progress::Ready(Box::new(it?))))
            }
            Self::Never | Self::Waiting(_) => return std::future::pending().await,
        };
        self.go_on(Self::Waiting);
        progress
    }

    fn read(&mut self) {
        let reread = |source: Source| {
            let (reread, before) = (Arc::clone(&source.reread), source.plan.clone());
            Self::Reading(source, spawn_blocking(move || read(&reread, &before)))
        };
        self.go_on(reread);
    }

    fn load(&mut self, wish: Wish, order: LoadOrder) {
        let load = move |source: Source| {
            let work = move || load_for(wish, order);
            Self::Loading(source, spawn_blocking(work))
        };
        self.go_on(load);
    }

    fn taken_up(&mut self, plan: &RunPlan) {
        let plan = plan.clone();
        self.go_on(|source| Self::Waiting(Source { plan, ..source }));
    }

    fn go_on(&mut self, next: impl FnOnce(Source) -> Self) {
        *self = match std::mem::replace(self, Self::Never) {
            Self::Never => Self::Never,
            Self::Waiting(source) | Self::Reading(source, _) | Self::Loading(source, _) => {
                next(source)
            }
        };
    }

    fn plan(&self) -> Option<&RunPlan> {
        match self {
            Self::Never => None,
            Self::Waiting(source) | Self::Reading(source, _) | Self::Loading(source, _) => {
                Some(&source.plan)
            }
        }
    }
}

/// Returns whether standard error is a terminal: one that hung up is none any more.
pub(crate) fn has_terminal() -> bool {
    stderr().is_terminal()
}

fn read(reread: &Reread, before: &RunPlan) -> anyhow::Result<Wish> {
    let plan = reread()?;
    let is_same = plan.geo == before.geo && plan.uses_builtin_geo == before.uses_builtin_geo;
    let open = || Databases::open(&plan.geo, plan.uses_builtin_geo);
    let databases = (!is_same).then(open).transpose()?;
    Ok(Wish { plan, databases })
}

fn load_for(wish: Wish, order: LoadOrder) -> anyhow::Result<Ready> {
    let pins = order.generation.as_ref().map(|it| it.maps(false));
    let mut loaded = Box::new(load_programs(&order.addresses, &wish.plan, pins)?);
    let ebpf = &mut loaded.programs.ebpf;
    load::load_program(ebpf, program::EGRESS)?;
    load::load_program(ebpf, program::INGRESS)?;
    if order.hooks.contains(&IngressHook::Xdp) {
        // Where the kernel doesn't take this one, the other is loaded as it is put in its place.
        let _ = load::load_program(ebpf, program::XDP_FRAGMENTS);
    }
    let load = Some(NewLoad { order, loaded });
    Ok(Ready { wish, load })
}

impl Session {
    /// Goes on with a reload. What is wrong with the configuration is told, and the old one stays.
    pub(super) async fn reload(
        &mut self,
        progress: anyhow::Result<Progress>,
    ) -> anyhow::Result<()> {
        if matches!(progress, Ok(Progress::Begun)) {
            self.supervised.reloading();
            return Ok(());
        }
        let outcome = Box::pin(self.go_on_with(progress)).await;
        if matches!(self.reload, Reload::Waiting(_)) {
            self.supervised.ready();
        }
        outcome
    }

    async fn go_on_with(&mut self, progress: anyhow::Result<Progress>) -> anyhow::Result<()> {
        // What a drain has met is no fault of the configuration's.
        self.drainer.at_rest().await?;
        let ready = match progress {
            Ok(Progress::Read(wish)) => self.prepare(*wish).await,
            Ok(Progress::Ready(ready)) => Ok(Some(ready)),
            Ok(Progress::Begun) => Ok(None),
            Err(error) => Err(error),
        };
        let placed = ready.and_then(|ready| ready.map(|it| self.place(*it)).transpose());
        match placed {
            Ok(Some((wish, placed))) => self.take_up(wish, placed).await,
            Ok(None) => Ok(()),
            Err(error) => {
                warn(&[format!(
                    "take up the configuration: {error:#}; the old one stays in use"
                )]);
                Ok(())
            }
        }
    }

    /// Checks what only the host knows, and has other programs loaded where others are needed.
    async fn prepare(&mut self, wish: Wish) -> anyhow::Result<Option<Box<Ready>>> {
        let Some(before) = self.reload.plan() else {
            return Ok(None);
        };
        let changes = Changes::between(before, &wish.plan);
        let existing = interface::list().await?;
        interface::resolve(&changes.new_interfaces(), &existing)?;
        let (_, refused) = interface::resolve_present(&wish.plan.interfaces, &existing);
        if let Some(error) = refused.into_iter().next() {
            return Err(error.into());
        }
        if !changes.need_a_load() {
            return Ok(Some(Box::new(Ready { wish, load: None })));
        }
        let counting = self.drainer.at_rest().await?;
        let plan = &wish.plan;
        let known = &counting.devices;
        let room = usize::from(DeviceId::MAX - counting.kernel.numbers.free());
        if plan.devices.len() + MAX_FOUND_DEVICES as usize > room {
            bail!("too many devices were tagged since the start; start flowwatch again");
        }
        let addresses = known.addresses_for(&plan.devices, &plan.prefixes, MAX_DEVICES);
        let begin = |standing: &Standing| {
            let devices = named(&addresses, plan, known.devices());
            standing.begin_next(tags_of(&devices, plan))
        };
        let generation = self.standing.as_ref().map(begin).transpose()?;
        let hooks = self.attached.attachments.iter().map(|it| it.ingress);
        let order = LoadOrder {
            hooks: hooks.collect(),
            addresses,
            generation,
        };
        self.reload.load(wish, order);
        Ok(None)
    }

    /// Puts the load of what is ready in the place of the one that counts. Where that fails, nothing
    /// has changed.
    fn place(&mut self, ready: Ready) -> anyhow::Result<(Wish, Option<Placed>)> {
        let Ready { wish, load } = ready;
        let Some(NewLoad { order, mut loaded }) = load else {
            return Ok((wish, None));
        };
        let kernel_log = open_kernel_log(&mut loaded.programs.ebpf)?;
        let watch = HookWatch::new(SelfTest::start(loaded.hooks_seen, loaded.self_test)?);
        let ring = samples::watch(loaded.samples).context("watch the sample ring")?;
        self.take_up_clock(loaded.programs.clock()?);
        let former = self.put_in_place(&mut loaded.programs.ebpf, order.generation)?;
        let generation = self.standing.as_ref().map(Standing::generation);
        let next = NextLoad {
            drain: loaded.drain,
            device_counters: loaded.device_counters,
            found: loaded.found,
            generation: generation.unwrap_or_else(GenerationId::random),
            addresses: order.addresses,
            devices: wish.plan.devices.clone(),
            prefixes: wish.plan.prefixes.clone(),
        };
        let placed = Placed {
            programs: loaded.programs,
            next,
            ring,
            sample_counters: loaded.sample_counters,
            kernel_log,
            watch,
            former,
        };
        Ok((wish, Some(placed)))
    }

    async fn take_up(&mut self, wish: Wish, placed: Option<Placed>) -> anyhow::Result<()> {
        let Some(before) = self.reload.plan().cloned() else {
            return Ok(());
        };
        let Wish { plan, databases } = wish;
        if let Some(placed) = placed {
            self.succeed(placed).await?;
        }
        let has_other_databases = databases.is_some();
        if let Some(databases) = databases {
            self.databases = databases;
        }
        if before.interfaces != plan.interfaces {
            self.following.want(&plan.interfaces);
            self.follow().await;
        }
        if has_other_databases || before.interfaces != plan.interfaces {
            self.cautions.look(&plan.interfaces, &self.databases).await;
        }
        let changes = Changes::between(&before, &plan);
        self.interval = plan.interval;
        tell(&changes.told());
        warn(&changes.left_out());
        self.reload.taken_up(&changes::taken_up(&before, &plan));
        Ok(())
    }

    /// Drains those that counted until now for the last time, and goes on with the others' counters.
    async fn succeed(&mut self, placed: Placed) -> anyhow::Result<()> {
        let clock = self.clock;
        let numbers = self.drainer.succeed(clock, placed.next).await?;
        if let (Some(standing), Some(former)) = (&self.standing, placed.former) {
            standing.forget(&former);
        }
        // The old programs are done: their ring is as full as it will ever be.
        let old = &self.numbers;
        take_samples(
            self.ring.get_mut(),
            &clock,
            usize::MAX,
            old,
            &mut self.names,
        );
        self.numbers = numbers;
        self.ring = placed.ring;
        self.sample_losses.succeed(placed.sample_counters);
        self.programs = placed.programs;
        self.kernel_log = placed.kernel_log;
        self.watch = placed.watch;
        // A list that can't be had is no reason to stop: the hooks are not complained of, then.
        if let Ok(interfaces) = interface::list().await {
            self.watch.compare_with(interfaces);
        }
        Ok(())
    }
}
