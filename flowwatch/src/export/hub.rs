//! The sinks at work: a thread that keeps the ledger, and one for each sink.
//!
//! Made by `run`, which tells the view that [`Exports::start`] returns. A thread of its own is what
//! makes a sink free to block: on a disk that hangs, on a peer that takes nothing.

use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{ExportOptions, Figures, Ledger, Sink};
use crate::live::{Update, View};

/// Time between two looks at what is counted, unless more is exported in a shorter one.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long sinks may take to deliver what is left at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why an export can't begin.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// What the user asked for can't be opened.
    #[error("export to `{target}`: {attempt}")]
    Open {
        /// The target, as the user wrote it.
        target: String,
        /// What was attempted.
        attempt: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// It is there, and it is something else.
    #[error("export to `{target}`: {why}")]
    Unfit {
        /// The target, as the user wrote it.
        target: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The system has no thread.
    #[error("start a thread for exports")]
    Thread(#[source] io::Error),
}

/// What a sink is given.
#[derive(Clone, Debug)]
pub struct Wiring {
    ledger: Arc<RwLock<Ledger>>,
    told: watch::Receiver<()>,
    /// The sink's own figures.
    pub figures: Arc<Figures>,
    /// The figures of all sinks, this one's too.
    pub all: Arc<[Arc<Figures>]>,
    /// Time between two deliveries, as the user wants it.
    pub interval: Duration,
}

impl Wiring {
    /// Returns what is counted. Held no longer than reading takes: news wait meanwhile.
    pub fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the ledger to take changes from.
    pub fn ledger_mut(&self) -> RwLockWriteGuard<'_, Ledger> {
        self.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is news; returns false when there will be no more: the counting has ended, and
    /// the ledger has all of it.
    pub async fn news(&mut self) -> bool {
        self.told.changed().await.is_ok()
    }

    /// Waits until a moment; returns false when the counting has ended before.
    pub async fn until(&mut self, moment: Instant) -> bool {
        let ended = async { while self.news().await {} };
        tokio::select! {
            () = sleep_until(moment) => true,
            () = ended => false,
        }
    }
}

#[cfg(test)]
impl Wiring {
    /// Returns what a sink is given in a test, and what keeps the counting from being over.
    pub(super) fn for_test(interval: Duration) -> (Self, watch::Sender<()>) {
        let (teller, told) = watch::channel(());
        let figures = Arc::new(Figures::new("test", "target"));
        let wiring = Self {
            ledger: Arc::default(),
            told,
            all: Arc::new([Arc::clone(&figures)]),
            figures,
            interval,
        };
        (wiring, teller)
    }
}

/// The sinks at work.
#[derive(Debug)]
pub struct Exports {
    sinks: Vec<(Arc<Figures>, oneshot::Receiver<()>)>,
}

impl Exports {
    /// Opens every sink and has it work; returns the view that is to be told what is counted. Nothing
    /// where nothing is to be exported.
    ///
    /// # Errors
    /// All of [`ExportError`].
    pub fn start(options: &ExportOptions) -> Result<Option<(Self, View)>, ExportError> {
        let opened: Result<Vec<_>, _> = options
            .sinks()
            .map(|(wish, target)| {
                let figures = Arc::new(Figures::new(wish.sink.name, &wish.target));
                Ok((figures, target.open()?))
            })
            .collect();
        let opened = opened?;
        if opened.is_empty() {
            return Ok(None);
        }
        let all: Arc<[_]> = opened.iter().map(|(it, _)| Arc::clone(it)).collect();
        let (teller, told) = watch::channel(());
        let ledger = Arc::<RwLock<Ledger>>::default();
        let mut sinks = Vec::new();
        for (figures, sink) in opened {
            let wiring = Wiring {
                ledger: Arc::clone(&ledger),
                told: told.clone(),
                figures: Arc::clone(&figures),
                all: Arc::clone(&all),
                interval: options.interval(),
            };
            sinks.push((figures, spawn(sink, wiring)?));
        }
        let (view, updates) = View::within(options.interval().min(LOOK_INTERVAL));
        keep(ledger, updates, teller)?;
        Ok(Some((Self { sinks }, view)))
    }

    /// Returns the figures of each sink.
    pub fn figures(&self) -> impl Iterator<Item = &Figures> {
        self.sinks.iter().map(|(figures, _)| &**figures)
    }

    /// Waits until every sink has delivered what is left, for a bounded time, once nothing more is told.
    /// Returns what has to be said of those that did not.
    pub async fn finish(self) -> Vec<String> {
        let deadline = Instant::now() + FAREWELL;
        let mut complaints = Vec::new();
        for (figures, done) in self.sinks {
            if let Ok(Ok(())) = timeout_at(deadline, done).await {
                continue;
            }
            complaints.push(format!(
                "export to {} `{}`: what was counted last was not delivered within {} s; {} records \
                 are missing there",
                figures.sink,
                figures.target,
                FAREWELL.as_secs(),
                figures.waiting(),
            ));
        }
        complaints
    }
}

/// Has a sink work on a thread of its own; the receiver hears when it is done.
fn spawn(sink: Box<dyn Sink>, wiring: Wiring) -> Result<oneshot::Receiver<()>, ExportError> {
    let (sender, done) = oneshot::channel();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ExportError::Thread)?;
    let thread = std::thread::Builder::new().name(format!("export-{}", wiring.figures.sink));
    let work = move || {
        runtime.block_on(sink.work(wiring));
        let _ = sender.send(());
    };
    thread.spawn(work).map_err(ExportError::Thread)?;
    Ok(done)
}

/// Keeps the ledger until nothing more is told.
fn keep(
    ledger: Arc<RwLock<Ledger>>,
    mut updates: mpsc::Receiver<Update>,
    teller: watch::Sender<()>,
) -> Result<(), ExportError> {
    let work = move || {
        while let Some(update) = updates.blocking_recv() {
            ledger
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take_in(update);
            teller.send_replace(());
        }
    };
    let thread = std::thread::Builder::new().name("export".to_owned());
    thread.spawn(work).map_err(ExportError::Thread)?;
    Ok(())
}
