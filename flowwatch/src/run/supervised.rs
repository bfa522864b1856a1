//! What the service manager is told of the counting, and when: only what really counts is ready, and
//! only what goes on is alive.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::drainer::Drainer;
use super::status::{StatusFigures, StatusLine};
use crate::store::FlowTable;
use crate::supervisor::Supervisor;

/// Time between two states of things; each is seen by everybody who follows the unit.
const STATUS_PERIOD: Duration = Duration::from_secs(10);

/// The manager, and how far the counting has come since the last sign of life.
pub(super) struct Supervised {
    supervisor: Supervisor,
    /// How things are, with rates since it was told last.
    line: StatusLine,
    status: String,
    told_at: Option<Instant>,
    /// Whether a drain came to its end since the last look.
    has_drained: bool,
}

impl Supervised {
    /// Returns the state of a counting that has not begun.
    pub(super) fn new(started_at: Timestamp) -> Self {
        Self {
            supervisor: Supervisor::default(),
            line: StatusLine::new(started_at),
            status: "counts".to_owned(),
            told_at: None,
            has_drained: false,
        }
    }

    /// Tells a manager that every program is attached.
    pub(super) fn begin(&mut self, supervisor: Supervisor) {
        self.supervisor = supervisor;
        self.ready();
    }

    /// Tells that all is as it should be again.
    pub(super) fn ready(&self) {
        self.supervisor.ready(&self.status);
    }

    /// Tells that a reload begins.
    pub(super) fn reloading(&self) {
        self.supervisor.reloading();
    }

    /// Tells that the end begins.
    pub(super) fn stopping(&self) {
        self.supervisor.stopping();
    }

    /// Notes that a drain came to its end, and tells now and then how things are.
    pub(super) fn drained(&mut self, table: &FlowTable, figures: &StatusFigures) {
        self.has_drained = true;
        let is_due = self.told_at.is_none_or(|at| at.elapsed() >= STATUS_PERIOD);
        if is_due && self.supervisor.is_there() {
            self.told_at = Some(Instant::now());
            self.status = self.line.text(table, figures);
            self.supervisor.status(&self.status);
        }
    }

    /// Gives a sign of life, unless the same drain has been under way since the last one: it may never
    /// end.
    pub(super) fn look(&mut self, drainer: &Drainer) {
        let is_at_rest = matches!(drainer, Drainer::Idle(_));
        if std::mem::take(&mut self.has_drained) || is_at_rest {
            self.supervisor.alive();
        }
    }

    /// Moves every time, as the clock was set.
    pub(super) fn shift(&mut self, by: SignedDuration) {
        self.line.shift(by);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::store::WINDOW_FLOWS;

    /// A manager, and the one who tells it.
    fn bench(folder: &tempfile::TempDir) -> (UnixDatagram, Supervised) {
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let mut supervised = Supervised::new(Timestamp::now());
        supervised.begin(Supervisor::at(&path));
        (manager, supervised)
    }

    /// What was told since.
    fn told(manager: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 512];
        let next = || {
            let length = manager.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        std::iter::from_fn(next).collect()
    }

    fn drain(supervised: &mut Supervised) {
        let figures = StatusFigures {
            at: Timestamp::now(),
            devices: 0,
            samples_dropped: 7,
        };
        supervised.drained(&FlowTable::new(0, WINDOW_FLOWS), &figures);
    }

    #[tokio::test]
    async fn a_drain_that_does_not_end_gives_no_sign_of_life() {
        let folder = tempfile::tempdir().unwrap();
        let (manager, mut supervised) = bench(&folder);
        assert_eq!(told(&manager), ["READY=1\nSTATUS=counts"]);
        let busy = Drainer::Busy(tokio::spawn(std::future::pending()));
        supervised.look(&busy);
        assert_eq!(told(&manager), [""; 0]);
        // One after another is under way, and each comes to its end.
        drain(&mut supervised);
        told(&manager);
        supervised.look(&busy);
        assert_eq!(told(&manager), ["WATCHDOG=1"]);
        supervised.look(&busy);
        assert_eq!(told(&manager), [""; 0]);
    }

    #[tokio::test]
    async fn how_things_are_is_told_now_and_then_and_again_when_a_reload_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (manager, mut supervised) = bench(&folder);
        told(&manager);
        drain(&mut supervised);
        let first = told(&manager).concat();
        assert!(
            first.starts_with("STATUS=0:00:0") && first.contains("lost 7"),
            "{first}"
        );
        drain(&mut supervised);
        assert_eq!(told(&manager), [""; 0], "each is seen by everybody");
        supervised.ready();
        assert_eq!(told(&manager), [format!("READY=1\n{first}")]);
    }
}
