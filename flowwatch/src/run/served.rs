//! From the counting to those who watch it: the socket, the exports, and what is told after each
//! drain.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::drainer::Counting;
use super::status::StatusLine;
use crate::export::Exports;
use crate::geo::Databases;
use crate::join::{Sources, join};
use crate::live::{Audience, Followed, Server, View};
use crate::names::NameTable;
use crate::plan::RunPlan;
use crate::stop::Stop;
use crate::store::{AttachedInterface, Meta, Snapshot, Warning};

/// How long the exports may take to be told what was counted last.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// What is told with the counts.
pub(super) struct Counted<'a> {
    pub(super) interfaces: &'a [AttachedInterface],
    pub(super) names: &'a mut NameTable,
    pub(super) databases: &'a Databases,
    /// The counting's start, and the time of the last drain.
    pub(super) span: (Timestamp, Timestamp),
    pub(super) samples_dropped: u64,
    pub(super) warnings: &'a [Warning],
    /// By how many seconds the clock was set since the start; nothing where it just went on.
    pub(super) clock_step_seconds: Option<i64>,
}

/// One within the process for whom alone it is counted.
#[derive(Debug)]
pub struct Watcher {
    view: View,
    /// Told when the counting has begun.
    began: oneshot::Sender<()>,
    /// Closed when the one who watches has left.
    left: Option<mpsc::Receiver<Infallible>>,
}

impl Watcher {
    /// Returns one who watches by a view, hears of the beginning, and has the counting end by dropping
    /// the other side of `left`.
    #[must_use]
    pub fn new(view: View, began: oneshot::Sender<()>, left: mpsc::Receiver<Infallible>) -> Self {
        Self {
            view,
            began,
            left: Some(left),
        }
    }

    /// Has the counting end with this one's leaving.
    pub(super) fn end(&mut self, stop: &mut Stop) {
        if let Some(left) = self.left.take() {
            stop.with(left);
        }
    }

    /// Has it told, as the counting has begun; the terminal is its own.
    pub(super) fn join(self, served: &mut Served, status: &mut StatusLine) {
        served.audience.join(self.view);
        status.hide();
        // One that left ends the counting otherwise.
        let _ = self.began.send(());
    }
}

/// Those who watch, and the socket at which they come, where there is one; the exports are one of them.
pub(super) struct Served {
    server: Option<Server>,
    audience: Audience,
    exports: Option<Exports>,
}

impl Served {
    /// Begins to listen. That nobody can watch is no reason not to count, unless the user asked for
    /// the socket; an export that can't be is one.
    pub(super) fn begin(plan: &RunPlan) -> anyhow::Result<Self> {
        let options = plan.socket.as_ref();
        let server = match options.map(|options| (Server::begin(options), options)) {
            None => None,
            Some((Ok(server), _)) => Some(server),
            Some((Err(error), options)) if options.is_asked() => return Err(error.into()),
            Some((Err(error), _)) => {
                log::info!("nobody can watch: {:#}", anyhow::Error::from(error));
                None
            }
        };
        let mut audience = Audience::default();
        let exports = Exports::start(&plan.export)?.map(|(exports, view)| {
            audience.join(view);
            exports
        });
        Ok(Self {
            server,
            audience,
            exports,
        })
    }

    /// Lets in the next one who comes; waits for ever where there is no socket.
    pub(super) async fn arrived(&mut self) {
        match &mut self.server {
            Some(server) => self.audience.join(server.next().await),
            None => std::future::pending().await,
        }
    }

    /// Tells those who watch what changed.
    pub(super) fn tell(&mut self, counting: &mut Counting, counted: &mut Counted<'_>) {
        let meta = counted.meta(counting);
        self.audience.tell(counted.followed(counting), || meta);
    }

    /// Tells the exports what was counted last, and waits until they have delivered it, for a bounded
    /// time. Returns everything that was counted, and what has to be said of exports that did not.
    pub(super) async fn conclude(
        self,
        counting: &mut Counting,
        mut counted: Counted<'_>,
    ) -> (Snapshot, Vec<String>) {
        let meta = counted.meta(counting);
        let mut complaints = Vec::new();
        if let Some(exports) = self.exports {
            let meta = meta.clone();
            let followed = counted.followed(counting);
            let concluded = self.audience.conclude(followed, || meta, LAST_PATIENCE);
            concluded.await;
            complaints = exports.finish().await;
        }
        let sources = Sources {
            devices: counting.devices.devices(),
            flows: &counting.table,
            names: counted.names,
            databases: counted.databases,
        };
        (join(sources, meta), complaints)
    }
}

impl Counted<'_> {
    fn meta(&self, counting: &Counting) -> Meta {
        let interfaces = self.interfaces.to_vec();
        let mut meta = Meta::new(self.span, counting.epochs, interfaces, self.samples_dropped);
        meta.losses.prefix_frames = counting.frames_without_room();
        meta.warnings = self.warnings.to_vec();
        meta.clock_step_seconds = self.clock_step_seconds;
        meta
    }

    fn followed<'f>(&'f mut self, counting: &'f mut Counting) -> Followed<'f> {
        Followed {
            devices: counting.devices.devices(),
            flows: &mut counting.table,
            names: self.names,
            databases: self.databases,
        }
    }
}
