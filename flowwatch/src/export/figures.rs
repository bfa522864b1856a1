//! A sink's figures: what it delivered, and what it could not.
//!
//! Written by the sink; read by whoever shows them. Each is right by itself; they are not read as of
//! one moment.

use std::sync::atomic::{AtomicU64, Ordering};

/// The figures of one sink, since it began.
#[derive(Debug, Default)]
pub struct Figures {
    /// The sink's kind, as the list of sinks names it.
    pub sink: &'static str,
    /// Where it delivers to, as the user wrote it, but for a password.
    pub target: String,
    records: AtomicU64,
    octets: AtomicU64,
    deliveries: AtomicU64,
    failures: AtomicU64,
    discarded: AtomicU64,
    waiting: AtomicU64,
    most_waiting: AtomicU64,
}

impl Figures {
    /// Returns figures of a sink that has done nothing.
    #[must_use]
    pub fn new(sink: &'static str, target: &str) -> Self {
        Self {
            sink,
            target: without_password(target),
            ..Self::default()
        }
    }

    /// Notes a delivery of so many records, in so many octets.
    pub fn delivered(&self, records: u64, octets: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.octets.fetch_add(octets, Ordering::Relaxed);
        self.deliveries.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a delivery that failed.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes records that will not be delivered.
    pub fn discard(&self, records: u64) {
        self.discarded.fetch_add(records, Ordering::Relaxed);
    }

    /// Notes how many records wait to be delivered.
    pub fn wait(&self, records: u64) {
        self.waiting.store(records, Ordering::Relaxed);
        self.most_waiting.fetch_max(records, Ordering::Relaxed);
    }

    /// Returns the records that were delivered.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Returns the octets that they took.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    /// Returns the deliveries that succeeded.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    /// Returns the deliveries that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns the records that will never be delivered.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }

    /// Returns the records that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns the most records that ever waited.
    #[must_use]
    pub fn most_waiting(&self) -> u64 {
        self.most_waiting.load(Ordering::Relaxed)
    }
}

/// Returns a target as it may be shown: what stands before a host's name in an address is left out.
fn without_password(target: &str) -> String {
    let Some((scheme, rest)) = target.split_once("://") else {
        return target.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let check = |target: &str, expected: &str| {
            assert_eq!(Figures::new("sink", target).target, expected);
        };
        check(
            "http://user:pass@word@host:8123/db?a=b",
            "http://host:8123/db?a=b",
        );
        check("tcp://host:1", "tcp://host:1");
        check("mqtt://user@host", "mqtt://host");
        check("http://host/a@b", "http://host/a@b");
        check("/var/log/a@b", "/var/log/a@b");
    }

    #[test]
    fn the_most_that_ever_waited_is_kept() {
        let figures = Figures::new("sink", "target");
        for waiting in [3, 9, 0] {
            figures.wait(waiting);
        }
        assert_eq!((figures.waiting(), figures.most_waiting()), (0, 9));
    }
}
