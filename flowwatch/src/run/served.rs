//! From the counting to those who watch it: the socket, and what is told after each drain.

use jiff::Timestamp;

use super::drainer::Counting;
use crate::geo::Databases;
use crate::live::{Audience, Followed, Server, SocketOptions};
use crate::names::NameTable;
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

/// Those who watch, and the socket at which they come, where there is one.
pub(super) struct Served {
    server: Option<Server>,
    audience: Audience,
}

impl Served {
    /// Begins to listen. That nobody can watch is no reason not to count, unless the user asked for
    /// the socket.
    pub(super) fn begin(options: &SocketOptions) -> anyhow::Result<Self> {
        let server = match Server::begin(options) {
            Ok(server) => Some(server),
            Err(error) if options.is_asked() => return Err(error.into()),
            Err(error) => {
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
