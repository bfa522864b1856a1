//! How sinks that push deliver what is new: once an interval, and again until the peer has it.
//!
//! What could not be delivered stays in the ledger and is part of the next sum. A sink of this kind is
//! a [`Deliver`]; the rest is here.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::{Batch, Bookmarks, Complaint, Wiring};
use crate::console;

/// How long one batch may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait after a first failure; each further one is twice as long.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait after a failure, but for an export interval that is longer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Why a batch was not delivered: a sentence less its subject.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The system or the network refused.
    #[error("{attempt}: {source}")]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The peer took it, and said that it can't use it.
    #[error("{0}")]
    Refused(String),
    /// The peer did not take it in time.
    #[error("it took nothing for {} s", PATIENCE.as_secs())]
    Slow,
}

impl DeliveryError {
    /// Returns what makes an error of the system's a delivery's.
    pub fn of(attempt: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { attempt, source }
    }
}

/// What delivers batches.
pub trait Deliver {
    /// Rows of one batch, at most.
    const MOST_ROWS: usize = 4096;

    /// Delivers a batch; returns the octets that it took. When this returns `Ok`, the peer has the
    /// batch, as far as can be known; when not, its rows come again with what is counted meanwhile. May
    /// be dropped at any `await`: then nothing of the batch counts as delivered.
    fn deliver(&mut self, batch: &Batch) -> impl Future<Output = Result<u64, DeliveryError>>;

    /// Says goodbye to the peer, after the last batch.
    fn close(&mut self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// Delivers what is new once an interval, until the counting has ended and all is delivered.
pub async fn deliver_deltas<D: Deliver>(mut wiring: Wiring, mut deliver: D) {
    let mut bookmarks = Bookmarks::new(&mut wiring.ledger_mut());
    let mut complaint = Complaint::default();
    let mut due = Instant::now() + wiring.interval;
    let mut wait = FIRST_WAIT;
    let mut has_ended = false;
    loop {
        if has_ended {
            sleep_until(due).await;
        } else {
            has_ended = !wiring.until(due).await;
        }
        let outcome = deliver_cycle(&wiring, &mut bookmarks, &mut deliver).await;
        let now = Instant::now();
        tell(&wiring, &outcome, &mut complaint, now);
        if outcome.is_ok() {
            if has_ended {
                return deliver.close().await;
            }
            wait = FIRST_WAIT;
            due = next_turn(due, now, wiring.interval);
        } else {
            due = now + wait;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// Returns the next turn after `now`, a whole number of intervals after the last one.
pub(super) fn next_turn(last: Instant, now: Instant, interval: Duration) -> Instant {
    let next = last + interval;
    if next > now { next } else { now + interval }
}

/// Delivers all that is new at this moment.
async fn deliver_cycle<D: Deliver>(
    wiring: &Wiring,
    bookmarks: &mut Bookmarks,
    deliver: &mut D,
) -> Result<(), DeliveryError> {
    let begun = bookmarks.begin(&mut wiring.ledger_mut());
    let Some(mut cycle) = begun else {
        return Ok(());
    };
    let figures = &wiring.figures;
    figures.wait(cycle.waiting() as u64);
    while let Some(batch) = cycle.batch(D::MOST_ROWS) {
        let delivered = timeout(PATIENCE, deliver.deliver(&batch)).await;
        let octets = delivered.unwrap_or(Err(DeliveryError::Slow))?;
        bookmarks.commit(&mut wiring.ledger_mut(), &batch);
        figures.delivered(batch.rows.len() as u64, octets);
        figures.wait(cycle.waiting() as u64);
    }
    bookmarks.end(&cycle);
    Ok(())
}

/// Counts a failure, and says of it and of its end what is to be said.
pub(super) fn tell(
    wiring: &Wiring,
    outcome: &Result<(), DeliveryError>,
    complaint: &mut Complaint,
    now: Instant,
) {
    let figures = &wiring.figures;
    let (sink, target) = (figures.sink, &figures.target);
    match outcome {
        Ok(()) => {
            if let Some(said) = complaint.recovered(now) {
                console::tell(&format!("export to {sink} `{target}`: {said}"));
            }
        }
        Err(error) => {
            figures.failed();
            if let Some(said) = complaint.failed(&error.to_string(), now) {
                log::warn!(
                    "export to {sink} `{target}`: {said}; nothing is lost: it is tried again, with \
                     the sums"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::time::{advance, sleep};

    use super::*;
    use crate::export::tests::{Tally, World};
    use crate::store::BothWays;

    /// A peer that is away for its first deliveries, or takes nothing at all.
    #[derive(Clone, Default)]
    struct Peer(Rc<RefCell<Taken>>);

    #[derive(Default)]
    struct Taken {
        refusals: usize,
        hangs: bool,
        batches: usize,
        tally: Tally,
        is_closed: bool,
    }

    impl Deliver for Peer {
        const MOST_ROWS: usize = 2;

        async fn deliver(&mut self, batch: &Batch) -> Result<u64, DeliveryError> {
            let hangs = self.0.borrow().hangs;
            if hangs {
                std::future::pending::<()>().await;
            }
            let taken = &mut *self.0.borrow_mut();
            if taken.refusals > 0 {
                taken.refusals -= 1;
                return Err(DeliveryError::Refused("it is away".to_owned()));
            }
            taken.batches += 1;
            for row in &batch.rows {
                let new = BothWays {
                    up: row.up(),
                    down: row.down(),
                };
                *taken.tally.entry(row.device().mac.unwrap()).or_default() += new;
            }
            Ok(10)
        }

        async fn close(&mut self) {
            self.0.borrow_mut().is_closed = true;
        }
    }

    const INTERVAL: Duration = Duration::from_mins(1);

    fn happen(world: &mut World, wiring: &Wiring) {
        for _ in 0..50 {
            world.step(&mut wiring.ledger_mut());
        }
        world.catch_up(&mut wiring.ledger_mut());
    }

    #[tokio::test(start_paused = true)]
    async fn an_intervals_news_are_delivered_at_its_end_and_the_rest_when_counting_ends() {
        let (wiring, teller) = Wiring::for_test(INTERVAL);
        let (peer, mut world) = (Peer::default(), World::new(5));
        let counted = async {
            happen(&mut world, &wiring);
            sleep(INTERVAL * 9 / 10).await;
            assert_eq!(peer.0.borrow().batches, 0, "not before its end");
            sleep(INTERVAL / 5).await;
            assert_eq!(peer.0.borrow().tally, world.counted);
            happen(&mut world, &wiring);
            drop(teller);
        };
        tokio::join!(counted, deliver_deltas(wiring.clone(), peer.clone()));
        let taken = peer.0.borrow();
        assert_eq!(taken.tally, world.counted);
        assert!(taken.is_closed);
        assert_eq!(wiring.figures.octets(), 10 * taken.batches as u64);
        assert_eq!(wiring.figures.waiting(), 0);
        assert!(wiring.figures.most_waiting() > 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_away_gets_the_sums_when_it_is_back() {
        let (wiring, teller) = Wiring::for_test(INTERVAL);
        let (peer, mut world) = (Peer::default(), World::new(6));
        peer.0.borrow_mut().refusals = 7;
        let counted = async {
            for _ in 0..4 {
                happen(&mut world, &wiring);
                sleep(INTERVAL).await;
            }
            assert_eq!(wiring.figures.failures(), 7);
            sleep(INTERVAL).await;
            drop(teller);
        };
        tokio::join!(counted, deliver_deltas(wiring.clone(), peer.clone()));
        assert_eq!(peer.0.borrow().tally, world.counted);
        assert_eq!(wiring.figures.failures(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up_for_a_while_and_tried_again() {
        let (wiring, teller) = Wiring::for_test(INTERVAL);
        let (peer, mut world) = (Peer::default(), World::new(7));
        peer.0.borrow_mut().hangs = true;
        let counted = async {
            happen(&mut world, &wiring);
            sleep(INTERVAL * 2).await;
            assert!(wiring.figures.failures() > 0);
            assert!(wiring.figures.waiting() > 0);
            peer.0.borrow_mut().hangs = false;
            advance(INTERVAL * 2).await;
            drop(teller);
        };
        tokio::join!(counted, deliver_deltas(wiring.clone(), peer.clone()));
        assert_eq!(peer.0.borrow().tally, world.counted);
    }

    #[test]
    fn turns_are_whole_intervals_apart_and_those_that_were_missed_are_left_out() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(next_turn(at(60), at(61), INTERVAL), at(120));
        assert_eq!(next_turn(at(60), at(400), INTERVAL), at(460));
    }
}
