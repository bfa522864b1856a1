//! Who watches the counting, and when each is told: every view at its own pace.
//!
//! Nothing is followed while nobody watches, and nobody is waited for: what a slow view misses is
//! merged until it has taken what it was told before.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::wire::frames_of;
use super::{Feed, Followed, Teller, Update};
use crate::join::Sources;
use crate::store::Meta;

/// Updates that may be on their way to one view, as it is told everything at first.
pub(super) const MOST_UNDER_WAY: usize = 4;

/// Where a view's updates go: to a channel for four.
#[derive(Debug)]
pub enum Sink {
    /// As frames, to a socket's other side.
    Frames(mpsc::Sender<Vec<u8>>),
    /// As they are, within the process.
    Updates(mpsc::Sender<Update>),
}

/// One who watches.
#[derive(Debug)]
pub struct View {
    sink: Sink,
    interval: Duration,
    teller: Teller,
    told_at: Option<Instant>,
}

impl View {
    /// Returns a view that wants to be told once an interval.
    #[must_use]
    pub fn new(sink: Sink, interval: Duration) -> Self {
        Self {
            sink,
            interval,
            teller: Teller::new(),
            told_at: None,
        }
    }

    /// Returns a view within the process, and what it is told.
    #[must_use]
    pub fn within(interval: Duration) -> (Self, mpsc::Receiver<Update>) {
        let (sender, updates) = mpsc::channel(MOST_UNDER_WAY);
        (Self::new(Sink::Updates(sender), interval), updates)
    }

    fn is_gone(&self) -> bool {
        match &self.sink {
            Sink::Frames(sender) => sender.is_closed(),
            Sink::Updates(sender) => sender.is_closed(),
        }
    }

    /// Returns how many updates may still be sent.
    fn room(&self) -> usize {
        match &self.sink {
            Sink::Frames(sender) => sender.capacity(),
            Sink::Updates(sender) => sender.capacity(),
        }
    }

    /// Returns whether the view took all that it was told, and is to be told more by now.
    fn is_due(&self, now: Instant) -> bool {
        // A drain that comes a little early must not cost a whole interval.
        let pace = self.interval.mul_f64(0.9);
        let is_time = |told_at| now.duration_since(told_at) >= pace;
        self.room() == MOST_UNDER_WAY && self.told_at.is_none_or(is_time)
    }

    fn send(&self, update: Update) {
        // Whoever left is found out at the next turn; that there is room was looked at.
        match &self.sink {
            Sink::Updates(sender) => drop(sender.try_send(update)),
            Sink::Frames(sender) => match frames_of(&update) {
                Ok(frames) => drop(sender.try_send(frames)),
                Err(error) => log::warn!("tell a view what was counted: {error}"),
            },
        }
    }
}

/// All who watch.
#[derive(Debug, Default)]
pub struct Audience {
    views: Vec<View>,
    /// None while nobody watches.
    feed: Option<Feed>,
}

impl Audience {
    /// Lets somebody watch, from the next drain on.
    pub fn join(&mut self, view: View) {
        self.views.push(view);
    }

    /// Tells every view that is due what changed; called after each drain.
    pub fn tell(&mut self, followed: Followed<'_>, meta: impl FnOnce() -> Meta) {
        let Some((views, feed, sources)) = self.take_up(followed) else {
            return;
        };
        let (meta, now) = (meta(), Instant::now());
        for view in views {
            if view.is_due(now) {
                view.told_at = Some(now);
                tell(view, feed, sources, &meta);
            }
        }
    }

    /// Tells all that is left to the views within the process, however long each takes, up to a bound
    /// for all together; called after the last drain, and then nobody is told any more.
    pub async fn conclude(
        mut self,
        followed: Followed<'_>,
        meta: impl FnOnce() -> Meta,
        patience: Duration,
    ) {
        let Some((views, feed, sources)) = self.take_up(followed) else {
            return;
        };
        let meta = meta();
        let has_room = |view: View| async move {
            let Sink::Updates(sender) = &view.sink else {
                return None;
            };
            let permit = sender.clone().reserve_owned().await.ok()?;
            Some((view, permit))
        };
        let mut waiting: FuturesUnordered<_> = views.drain(..).map(has_room).collect();
        let telling = async {
            while let Some(ready) = waiting.next().await {
                let Some((mut view, permit)) = ready else {
                    continue;
                };
                permit.send(feed.update(&mut view.teller, sources, meta.clone()));
                if view.teller.is_behind(sources.flows.len()) {
                    waiting.push(has_room(view));
                }
            }
        };
        // Who takes nothing until then has the end left out.
        let _ = timeout(patience, telling).await;
    }

    /// Takes up what changed for all views; nothing where nobody watches.
    fn take_up<'f>(
        &mut self,
        followed: Followed<'f>,
    ) -> Option<(&mut Vec<View>, &mut Feed, Sources<'f>)> {
        self.views.retain(|view| !view.is_gone());
        let Followed {
            devices,
            flows,
            names,
            databases,
        } = followed;
        if self.views.is_empty() {
            if self.feed.take().is_some() {
                Feed::unfollow(flows, names);
            }
            return None;
        }
        let feed = self.feed.get_or_insert_with(|| Feed::new(databases));
        let news = feed.take_up(Followed {
            devices,
            flows: &mut *flows,
            names: &mut *names,
            databases,
        });
        let sources = Sources {
            devices,
            flows,
            names,
            databases,
        };
        for view in &mut self.views {
            view.teller.hear(&news);
        }
        Some((&mut self.views, feed, sources))
    }
}

/// Tells a view all that it has not been told, as far as there is room.
fn tell(view: &mut View, feed: &mut Feed, sources: Sources<'_>, meta: &Meta) {
    loop {
        let update = feed.update(&mut view.teller, sources, meta.clone());
        view.send(update);
        if view.room() == 0 || !view.teller.is_behind(sources.flows.len()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use jiff::Timestamp;

    use super::*;
    use crate::geo::Databases;
    use crate::model::Device;
    use crate::names::NameTable;
    use crate::observation::{EpochFlow, Traffic};
    use crate::store::FlowTable;

    /// A window to which flows are added, and an audience that is told.
    struct Stage {
        audience: Audience,
        flows: FlowTable,
        names: NameTable,
        databases: Databases,
        devices: Vec<Device>,
    }

    impl Stage {
        fn new() -> Self {
            Self {
                audience: Audience::default(),
                flows: FlowTable::new(1, NonZeroUsize::new(99_999).unwrap()),
                names: NameTable::default(),
                databases: Databases::open(&[], false).unwrap(),
                devices: vec!["camera=2c:aa:8e:00:00:01".parse().unwrap()],
            }
        }

        fn fold(&mut self, flows: u32) {
            for number in 0..flows {
                self.flows.fold(&EpochFlow {
                    device: 0,
                    remote: std::net::Ipv4Addr::from(0x3400_0000 + number).into(),
                    protocol: 6,
                    remote_port: 443,
                    up: Traffic {
                        packets: 1,
                        octets: 100,
                    },
                    down: Traffic::default(),
                    first_seen: Timestamp::UNIX_EPOCH,
                    last_seen: Timestamp::UNIX_EPOCH,
                });
            }
            let followed = Followed {
                devices: &self.devices,
                flows: &mut self.flows,
                names: &mut self.names,
                databases: &self.databases,
            };
            let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
            self.audience
                .tell(followed, || Meta::new(times, 1, Vec::new(), 0));
        }

        fn view(&mut self, interval: Duration) -> mpsc::Receiver<Update> {
            let (view, updates) = View::within(interval);
            self.audience.join(view);
            updates
        }
    }

    #[test]
    fn a_view_that_takes_nothing_costs_a_bound_and_is_told_the_sum_when_it_does() {
        let mut stage = Stage::new();
        let mut slow = stage.view(Duration::ZERO);
        let mut quick = stage.view(Duration::ZERO);
        for _ in 0..9 {
            stage.fold(3);
            assert!(quick.try_recv().is_ok(), "is told at each drain");
        }
        let first = slow.try_recv().unwrap();
        assert_eq!(first.told[0].1.up.packets, 1);
        assert!(slow.try_recv().is_err(), "nothing waits behind it");
        stage.fold(3);
        let merged = slow.try_recv().unwrap();
        assert_eq!(merged.told.len(), 0);
        assert_eq!(merged.changed.len(), 3);
        assert_eq!(merged.changed[0].up.packets, 10);
    }

    #[test]
    fn a_large_window_is_told_in_parts_at_once() {
        let mut stage = Stage::new();
        let mut updates = stage.view(Duration::ZERO);
        stage.fold(40_000);
        let mut told = Vec::new();
        while let Ok(update) = updates.try_recv() {
            told.push(update.told.len());
        }
        assert_eq!(told, [16_384, 16_384, 7_232]);
    }

    #[test]
    fn a_view_is_told_at_its_own_pace() {
        let mut stage = Stage::new();
        let mut updates = stage.view(Duration::from_hours(1));
        stage.fold(1);
        assert!(updates.try_recv().is_ok(), "at once, what there is");
        stage.fold(1);
        assert!(updates.try_recv().is_err());
    }

    #[test]
    fn nothing_is_noted_when_the_last_view_has_left() {
        let mut stage = Stage::new();
        let updates = stage.view(Duration::ZERO);
        stage.fold(1);
        assert!(stage.flows.take_changes().is_some());
        drop(updates);
        stage.fold(1);
        assert_eq!(stage.flows.take_changes(), None);
        assert_eq!(stage.names.take_changes(), None);
    }
}
