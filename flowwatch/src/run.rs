//! `flowwatch run`: the one place that knows all stages, from the kernel to the document.
//!
//! Effects come together here; what they feed is pure. Nothing imports this module but `main` and
//! tests.

mod attachments;
mod cautions;
mod changes;
mod clock_step;
mod drainer;
mod earlier;
mod ending;
mod following;
mod geo_watch;
mod kernel_log;
mod loading;
mod numbers;
mod placing;
mod prepared;
mod recording;
mod reload;
mod remembering;
mod sampled;
mod served;
mod standing;
mod status;
mod supervised;
mod ticks;
mod watch;

use std::time::Duration;

use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use jiff::{SignedDuration, Timestamp};
use tokio::io::unix::AsyncFd;
use tokio::time::MissedTickBehavior;

use self::cautions::Cautions;
use self::drainer::{Counting, Drainer, KernelSide};
use self::earlier::Earlier;
use self::following::Following;
use self::geo_watch::GeoWatch;
use self::kernel_log::{open_kernel_log, readable};
use self::loading::load_programs;
use self::numbers::Numbers;
use self::recording::Recordable;
use self::reload::Reload;
pub use self::reload::Reread;
use self::remembering::Remembering;
use self::sampled::{SampleLosses, take_samples};
use self::served::Served;
pub use self::served::Watcher;
use self::standing::Standing;
use self::status::{StatusFigures, StatusLine};
use self::supervised::Supervised;
use self::ticks::interval_of;
use self::watch::HookWatch;
use crate::console;
use crate::geo::Databases;
use crate::history::{GenerationId, Recorder};
use crate::kernel::attach::Attached;
use crate::kernel::clock::TickClock;
use crate::kernel::interface::{self, Interface};
use crate::kernel::load::{self, Programs, program};
use crate::kernel::log::KernelLog;
use crate::kernel::samples;
use crate::kernel::self_test::SelfTest;
use crate::names::{NameLimits, NameTable};
use crate::observation::DeviceId;
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
    // Before the list is made, so that no change after it goes unnoticed.
    let following = Following::start(&plan.interfaces, plan.attach_options());
    let interfaces = interface::resolve(&plan.interfaces, &interface::list().await?)?;
    let cautions = prepared::end(plan, &databases, watcher.is_some()).await?;
    let (standing, recorder) = Standing::open(plan)?;
    let kept = (databases, recorder, standing);
    let mut session = Session::start(plan, &interfaces, following, reload, kept)?;
    session.cautions = cautions;
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
    /// What outlives the process; nothing when nothing does.
    standing: Option<Standing>,
    programs: Programs,
    drainer: Drainer,
    clock: TickClock,
    ring: AsyncFd<RingBuf<MapData>>,
    kernel_log: Option<AsyncFd<KernelLog>>,
    sample_losses: SampleLosses,
    watch: HookWatch,
    following: Following,
    reload: Reload,
    /// The devices' numbers here by the kernel's.
    numbers: Numbers,
    names: NameTable,
    remembering: Remembering,
    databases: Databases,
    geo_watch: GeoWatch,
    cautions: Cautions,
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
        (databases, recorder, standing): (Databases, Option<Recorder>, Option<Standing>),
    ) -> anyhow::Result<Self> {
        let addresses: Vec<_> = plan.devices.iter().filter_map(|it| it.mac).collect();
        let pins = standing.as_ref().map(Standing::maps);
        let mut loaded = load_programs(&addresses, plan, pins)?;
        let count = addresses.len() as DeviceId;
        let numbers = Numbers::new(0..count, count);
        let kernel_log = open_kernel_log(&mut loaded.programs.ebpf)?;
        let self_test = SelfTest::start(loaded.hooks_seen, loaded.self_test)?;
        // The kernel checks a program for a while, in which the other direction would be counted.
        load::load_program(&mut loaded.programs.ebpf, program::EGRESS)?;
        // Before the first program counts, so that no flow is older than the counting.
        let started_at = Timestamp::now();
        let (ebpf, options) = (&mut loaded.programs.ebpf, following.options());
        let (mut standing, attached) = standing::attach(standing, ebpf, interfaces, options)?;
        let clock = loaded.programs.clock()?;
        let generation = standing.as_ref().map(Standing::generation);
        let kernel = KernelSide {
            drain: loaded.drain,
            device_counters: loaded.device_counters,
            found: loaded.found,
            numbers: numbers.clone(),
            generation: generation.unwrap_or_else(GenerationId::random),
            earlier: Earlier::default(),
        };
        let mut counting = Counting::new(plan, kernel, (recorder, standing.is_some()), &clock);
        let told = standing.as_mut().map(|it| it.settle(&mut counting, &clock));
        let told = told.transpose()?.unwrap_or_default();
        Ok(Self {
            following,
            reload,
            numbers,
            attached,
            standing,
            clock,
            programs: loaded.programs,
            drainer: Drainer::Idle(Box::new(counting)),
            ring: samples::watch(loaded.samples).context("watch the sample ring")?,
            kernel_log,
            sample_losses: SampleLosses::new(loaded.sample_counters, told.samples_dropped),
            watch: HookWatch::new(self_test),
            names: NameTable::new(NameLimits::default()),
            remembering: Remembering::start(plan.history.as_ref()),
            databases,
            geo_watch: GeoWatch::default(),
            cautions: Cautions::default(),
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
        let losses = counting.loss_counters(&self.sample_losses);
        let figures = StatusFigures {
            at: Timestamp::now(),
            devices: counting.devices.devices().len(),
            samples_dropped: self.sample_losses.since_the_window(losses.samples_dropped),
        };
        self.status.show(&counting.table, &figures);
        self.supervised.drained(&counting.table, &figures);
        let known = Recordable {
            interfaces: self.following.interfaces(),
            names: &self.names,
            databases: &self.databases,
            samples_dropped: figures.samples_dropped,
        };
        if known.record_when_due(counting)?
            && let Some(standing) = &mut self.standing
        {
            standing.note_told(losses);
        }
        let mut counted = served::Counted {
            interfaces: self.following.interfaces(),
            names: &mut self.names,
            databases: &self.databases,
            span: (self.started_at, figures.at),
            samples_dropped: figures.samples_dropped,
            warnings: self.cautions.all(),
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
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        log::warn!("{warning}");
    }
}
