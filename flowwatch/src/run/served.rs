//! From the counting to those who watch it: the socket, and what is told after each drain.

use std::convert::Infallible;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::drainer::Counting;
use super::status::StatusLine;
use crate::geo::Databases;
use crate::live::{Audience, Followed, Server, SocketOptions, View};
use crate::names::NameTable;
use crate::stop::Stop;
use crate::store::{AttachedInterface, Meta};

/// What is told with the counts.
pub(super) struct Counted<'a> {
    pub(super) interfaces: &'a [AttachedInterface],
    pub(super) names: &'a mut NameTable,
    pub(super) databases: &'a Databases,
    /// The counting's start, and the time of the last drain.
    pub(super) span: (Timestamp, Timestamp),
    pub(super) samples_dropped: u64,
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

/// Those who watch, and the socket at which they come, where there is one.
pub(super) struct Served {
    server: Option<Server>,
    audience: Audience,
}

impl Served {
    /// Begins to listen. That nobody can watch is no reason not to count, unless the user asked for
    /// the socket.
    pub(super) fn begin(options: Option<&SocketOptions>) -> anyhow::Result<Self> {
        let server = match options.map(|options| (Server::begin(options), options)) {
            None => None,
            Some((Ok(server), _)) => Some(server),
            Some((Err(error), options)) if options.is_asked() => return Err(error.into()),
            Some((Err(error), _)) => {
                log::info!("nobody can watch: {:#}", anyhow::Error::from(error));
                None
            }
        };
        Ok(Self {
            server,
            audience: Audience::default(),
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
        let (epochs, prefix_frames) = (counting.epochs, counting.frames_without_room());
        let followed = Followed {
            devices: counting.devices.devices(),
            flows: &mut counting.table,
            names: &mut *counted.names,
            databases: counted.databases,
        };
        let meta = || {
            let interfaces = counted.interfaces.to_vec();
            let mut meta = Meta::new(counted.span, epochs, interfaces, counted.samples_dropped);
            meta.losses.prefix_frames = prefix_frames;
            meta.clock_step_seconds = counted.clock_step_seconds;
            meta
        };
        self.audience.tell(followed, meta);
    }
}
