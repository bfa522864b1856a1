//! `flowwatch run`: the one place that knows all stages, from the kernel to the document.
//!
//! Effects come together here; what they feed is pure. Nothing imports this module but `main` and
//! tests.

mod attachments;
mod changes;
mod clock_step;
mod drainer;
mod following;
mod geo_watch;
mod kernel_log;
mod loading;
mod numbers;
mod recording;
mod reload;
mod remembering;
mod served;
mod status;
mod supervised;
mod ticks;
mod watch;

use std::time::Duration;

use anyhow::Context as _;
use aya::maps::{MapData, PerCpuArray, RingBuf};
use flowwatch_common::abi::SampleCounters;
use jiff::{SignedDuration, Timestamp};
use tokio::io::unix::AsyncFd;
use tokio::time::MissedTickBehavior;

use self::drainer::{Before, Counting, Drainer, KernelSide, Recording};
use self::following::Following;
use self::geo_watch::GeoWatch;
use self::kernel_log::{open_kernel_log, readable};
use self::loading::{load_programs, window};
use self::numbers::Numbers;
use self::recording::Recordable;
use self::reload::Reload;
pub use self::reload::Reread;
use self::remembering::Remembering;
use self::served::Served;
pub use self::served::Watcher;
use self::status::{StatusFigures, StatusLine};
use self::supervised::Supervised;
use self::ticks::interval_of;
use self::watch::HookWatch;
use crate::console;
use crate::doctor;
use crate::geo::Databases;
use crate::history::Recorder;
use crate::kernel::attach::{self, Attached};
use crate::kernel::clock::TickClock;
use crate::kernel::interface::{self, Interface};
use crate::kernel::load::{self, Programs, program};
use crate::kernel::log::KernelLog;
use crate::kernel::self_test::SelfTest;
use crate::kernel::{samples, totals};
use crate::model::TaggedDevices;
use crate::names::{NameLimits, NameTable};
use crate::observation::{DeviceId, PayloadSample};
use crate::plan::RunPlan;
use crate::stop::Stop;
use crate::store::Snapshot;
use crate::supervisor::Supervisor;

/// Samples that are read before something else gets its turn: a flood of them must not keep drains
/// and signals waiting.
const SAMPLES_A_TURN: usize = 64;

/// Time between two looks at what changes slowly: hooks, databases.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Counts as planned, until a signal or the end of the duration, and returns what was counted. With
/// `reread`, SIGHUP has the plan made anew, and what is different taken up; with a watcher, it is done
/// for that one, and ends with it.
///
/// # Errors
/// What kept counting from starting. Once it has started, a failure ends it early: what was
/// counted until then is returned with the failure.
pub async fn run(
    plan: &RunPlan,
    reread: Option<Reread>,
    mut watcher: Option<Watcher>,
) -> anyhow::Result<(Snapshot, anyhow::Result<()>)> {
    let mut stop = Stop::listen()?;
    if reread.is_some() {
        stop.leave_hangup(reload::has_terminal());
    }
    if let Some(watcher) = &mut watcher {
        watcher.end(&mut stop);
    }
    let reload = Reload::start(plan, reread)?;
    let databases = Databases::open(&plan.geo, plan.uses_builtin_geo)?;
    let recorder = plan.history.as_ref().map(Recorder::open).transpose()?;
    // Before the list is made, so that no change after it goes unnoticed.
    let following = Following::start(&plan.interfaces, plan.attach_options());
    let interfaces = interface::resolve(&plan.interfaces, &interface::list().await?)?;
    warn(&doctor::warnings(&plan.interfaces, &interfaces, &databases).await);
    let mut session = Session::start(plan, &interfaces, following, reload, databases, recorder)?;
    // Only what passes from now on can tell of a hook that doesn't run.
    session.watch.compare_with(interface::list().await?);
    session.announce();
    match watcher {
        Some(watcher) => watcher.join(&mut session.served, &mut session.status),
        None => session.supervised.begin(Supervisor::of_environment()),
    }
    let outcome = session.count(plan, stop).await;
    console::show_status("");
    session.finish(outcome).await
}

/// Everything that counting holds while it goes on.
struct Session {
    attached: Attached,
    programs: Programs,
    drainer: Drainer,
    clock: TickClock,
    ring: AsyncFd<RingBuf<MapData>>,
    kernel_log: Option<AsyncFd<KernelLog>>,
    sample_counters: PerCpuArray<MapData, SampleCounters>,
    watch: HookWatch,
    following: Following,
    reload: Reload,
    /// The devices' numbers here by the kernel's.
    numbers: Numbers,
    /// Samples that earlier loads of the programs had no room for.
    samples_dropped_before: u64,
    names: NameTable,
    remembering: Remembering,
    databases: Databases,
    geo_watch: GeoWatch,
    served: Served,
    status: StatusLine,
    supervised: Supervised,
    /// Time between two drains.
    interval: Duration,
    started_at: Timestamp,
    /// By how much the clock was set since then, all in all; nothing where it just went on.
    clock_step: Option<SignedDuration>,
}

impl Session {
    fn start(
        plan: &RunPlan,
        interfaces: &[Interface],
        following: Following,
        reload: Reload,
        databases: Databases,
        recorder: Option<Recorder>,
    ) -> anyhow::Result<Self> {
        let addresses: Vec<_> = plan.devices.iter().filter_map(|it| it.mac).collect();
        let mut loaded = load_programs(&addresses, plan)?;
        let count = addresses.len() as DeviceId;
        let numbers = Numbers::new(0..count, count);
        let kernel_log = open_kernel_log(&mut loaded.programs.ebpf)?;
        let self_test = SelfTest::start(loaded.hooks_seen, loaded.self_test)?;
        // The kernel checks a program for a while, in which the other direction would be counted.
        load::load_program(&mut loaded.programs.ebpf, program::EGRESS)?;
        // Before the first program counts, so that no flow is older than the counting.
        let started_at = Timestamp::now();
        let attached = attach::attach(&mut loaded.programs.ebpf, interfaces, following.options())?;
        let clock = loaded.programs.clock()?;
        let counting = Counting {
            kernel: KernelSide {
                drain: loaded.drain,
                device_counters: loaded.device_counters,
                found: loaded.found,
                numbers: numbers.clone(),
            },
            before: Before::default(),
            table: window(plan),
            devices: TaggedDevices::new(&plan.devices, &plan.prefixes),
            epochs: 0,
            clock: *clock.moment(),
            recorder: recorder.map(Recording::new),
        };
        Ok(Self {
            following,
            reload,
            numbers,
            samples_dropped_before: 0,
            attached,
            clock,
            programs: loaded.programs,
            drainer: Drainer::Idle(Box::new(counting)),
            ring: samples::watch(loaded.samples).context("watch the sample ring")?,
            kernel_log,
            sample_counters: loaded.sample_counters,
            watch: HookWatch::new(self_test),
            names: NameTable::new(NameLimits::default()),
            remembering: Remembering::start(plan.history.as_ref()),
            databases,
            geo_watch: GeoWatch::default(),
            served: Served::begin(plan)?,
            status: StatusLine::new(started_at),
            supervised: Supervised::new(started_at),
            interval: plan.interval,
            started_at,
            clock_step: None,
        })
    }

    /// Says on which interfaces flowwatch counts, and by which hooks.
    fn announce(&mut self) {
        for attachment in &self.attached.attachments {
            self.following.announce(attachment);
        }
    }

    /// Attaches to interfaces that came, and lets go of those that went.
    async fn follow(&mut self) {
        let ebpf = &mut self.programs.ebpf;
        let (attached, watch) = (&mut self.attached, &mut self.watch);
        warn(&self.following.follow(ebpf, attached, watch).await);
    }

    /// Counts until told to stop.
    async fn count(&mut self, plan: &RunPlan, mut stop: Stop) -> anyhow::Result<()> {
        stop.after(plan.duration);
        let mut ticks = interval_of(plan.interval).await;
        let mut looks = tokio::time::interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                _ = ticks.tick() => {
                    self.take_up_clock(self.programs.clock()?);
                    self.drainer.begin(self.clock);
                }
                _ = looks.tick() => self.look_around().await?,
                () = self.following.changed() => self.follow().await,
                () = self.served.arrived() => {}
                progress = self.reload.progress() => {
                    self.reload(progress).await?;
                    if self.interval != ticks.period() {
                        ticks = interval_of(self.interval).await;
                    }
                }
                drained = self.drainer.finished() => {
                    drained?;
                    self.tell_drained()?;
                }
                ready = self.ring.readable_mut() => {
                    let mut ring = ready.context("wait for samples")?;
                    let names = &mut self.names;
                    if take_samples(ring.get_inner_mut(), &self.clock, SAMPLES_A_TURN, &self.numbers, names) {
                        ring.clear_ready();
                    } else {
                        // Clocks and signals are looked at only in between.
                        tokio::task::yield_now().await;
                    }
                }
                logged = readable(&mut self.kernel_log) => {
                    let mut kernel_log = logged.context("wait for the programs' log")?;
                    kernel_log.get_inner_mut().flush();
                    kernel_log.clear_ready();
                }
            }
        }
    }

    /// Tells the status line, the history and those who watch what was drained.
    fn tell_drained(&mut self) -> anyhow::Result<()> {
        let Drainer::Idle(counting) = &mut self.drainer else {
            return Ok(());
        };
        self.remembering
            .hand_over(&counting.devices, &mut self.names);
        let figures = StatusFigures {
            at: Timestamp::now(),
            devices: counting.devices.devices().len(),
            samples_dropped: self.samples_dropped_before + samples_dropped(&self.sample_counters),
        };
        self.status.show(&counting.table, &figures);
        self.supervised.drained(&counting.table, &figures);
        let known = Recordable {
            interfaces: self.following.interfaces(),
            names: &self.names,
            databases: &self.databases,
            samples_dropped: figures.samples_dropped,
        };
        known.record_when_due(counting)?;
        let mut counted = served::Counted {
            interfaces: self.following.interfaces(),
            names: &mut self.names,
            databases: &self.databases,
            span: (self.started_at, figures.at),
            samples_dropped: figures.samples_dropped,
            clock_step_seconds: self.clock_step.map(|step| step.as_secs()),
        };
        self.served.tell(counting, &mut counted);
        Ok(())
    }

    /// Looks after what changes slowly.
    async fn look_around(&mut self) -> anyhow::Result<()> {
        self.supervised.look(&self.drainer);
        let mut warnings = self.watch.check(&self.attached.attachments).await?;
        warnings.extend(self.geo_watch.look(&mut self.databases).await.tell());
        warn(&warnings);
        Ok(())
    }

    /// Detaches, drains what is left, and joins everything.
    async fn finish(
        mut self,
        outcome: anyhow::Result<()>,
    ) -> anyhow::Result<(Snapshot, anyhow::Result<()>)> {
        self.supervised.stopping();
        if let Ok(clock) = self.programs.clock() {
            self.take_up_clock(clock);
        }
        // What passes from here on may be too late for its hook.
        self.watch.look().await;
        let Self {
            attached,
            programs,
            drainer,
            ring,
            mut names,
            databases,
            mut watch,
            following,
            served,
            ..
        } = self;
        let attachments = attached.detach();
        let interfaces = following.interfaces().to_vec();
        let clock = programs.clock().unwrap_or(self.clock);
        let (mut counting, under_way) = match drainer.into_counting().await {
            Ok(counting) => counting,
            Err(error) => return Err(outcome.err().unwrap_or_else(|| error.into())),
        };
        let drained = drain_rest(&mut counting, &clock);
        // What can't be looked up is no reason to lose what was counted.
        warn(&watch.complaints(&attachments).unwrap_or_default());
        let ring = &mut ring.into_inner();
        take_samples(ring, &clock, usize::MAX, &self.numbers, &mut names);
        self.remembering
            .hand_over_rest(&counting.devices, &mut names);
        let dropped = self.samples_dropped_before + samples_dropped(&self.sample_counters);
        let recordable = Recordable {
            interfaces: &interfaces,
            names: &names,
            databases: &databases,
            samples_dropped: dropped,
        };
        let recorded = recordable.record_rest(&mut counting);
        let counted = served::Counted {
            interfaces: &interfaces,
            names: &mut names,
            databases: &databases,
            span: (self.started_at, Timestamp::now()),
            samples_dropped: dropped,
            clock_step_seconds: self.clock_step.map(|step| step.as_secs()),
        };
        let (snapshot, undelivered) = served.conclude(&mut counting, counted).await;
        warn(&undelivered);
        let outcome = outcome.and(under_way.map_err(Into::into)).and(drained);
        let outcome = outcome.and(recorded);
        Ok((snapshot, outcome))
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        log::warn!("{warning}");
    }
}

/// Drains both tables: the one that was active when the programs were detached, and the one that
/// programs still running elsewhere at that moment may have been given meanwhile.
fn drain_rest(counting: &mut Counting, clock: &TickClock) -> anyhow::Result<()> {
    counting.end_epoch(clock)?;
    counting.end_last_epoch(clock)?;
    Ok(())
}

/// Takes in the names in the ring's samples; returns whether none is left.
fn take_samples(
    ring: &mut RingBuf<MapData>,
    clock: &TickClock,
    most: usize,
    numbers: &Numbers,
    names: &mut NameTable,
) -> bool {
    samples::take(ring, clock, most, &mut |sample| {
        let device = numbers.of(sample.device);
        names.observe(&PayloadSample { device, ..sample });
    })
}

/// Returns how many samples did not arrive. A figure that can't be read is no reason to stop.
fn samples_dropped(counters: &PerCpuArray<MapData, SampleCounters>) -> u64 {
    totals::read_samples(counters).map_or(0, |counters| {
        counters.no_room + counters.unreadable + counters.turned_away
    })
}
