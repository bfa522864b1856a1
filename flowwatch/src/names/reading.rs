//! What readers hand to the table: how far they came with a sample, and what it says.
//!
//! Made by the readers in `READERS`; taken in by `NameTable::observe`.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::SignedDuration;

use super::{NameSource, Service, Transport};
use crate::observation::PayloadSample;

/// A way to get names out of samples. A reader that puts streams together holds what it waits for,
/// within bounds of its own.
pub(super) trait NameReader: fmt::Debug + Send {
    /// Returns what the sample says, or nothing when it isn't this reader's to read.
    fn read(&mut self, sample: &PayloadSample) -> Option<Reading>;

    /// Moves every time that the reader holds, as the clock was set.
    fn shift(&mut self, _by: SignedDuration) {}

    /// Returns how many streams the reader dropped while it waited for more of them.
    fn abandoned(&self) -> u64 {
        0
    }
}

/// What a reader got out of one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) outcome: Outcome,
    pub(super) claims: Vec<Claim>,
    /// Addresses that a blocker put in the place of the true ones.
    pub(super) blocked: u64,
    /// What it says beside names of addresses.
    pub(super) facts: Vec<Fact>,
}

impl Reading {
    /// Returns a reading that says nothing.
    pub(super) const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            claims: Vec::new(),
            blocked: 0,
            facts: Vec::new(),
        }
    }
}

/// How far a reader came with one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// To its end.
    Understood,
    /// To its end, which is not that of what it is a part of: the rest is waited for.
    Pending,
    /// To where the sample, or what the sender had room for, ends.
    Cut,
    /// To where it contradicts itself.
    Malformed,
    /// As far as that it has nothing to say: an error, another class.
    Nameless,
}

/// That a name stands for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) address: IpAddr,
    pub(super) name: Arc<str>,
    pub(super) source: NameSource,
    /// Of a name that the device sent as it connected: what it connected to. It says nothing of
    /// other connections to the address.
    pub(super) service: Option<Service>,
    pub(super) chain: Arc<[Arc<str>]>,
    /// Seconds; of no weight where there is a service.
    pub(super) ttl: u32,
}

/// What a sample says beside names of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// A resolver answered a question of the device's.
    Lookup(Lookup),
    /// The network gave the device these resolvers.
    Offer(Vec<IpAddr>),
    /// A host of the link announced an address of its own, to all.
    Announcement(Claim),
}

/// A resolver's answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) resolver: IpAddr,
    pub(super) transport: Transport,
    /// The name asked for.
    pub(super) name: Arc<str>,
    pub(super) result: LookupResult,
    /// What HTTPS and SVCB records say of the service under that name.
    pub(super) offer: ServiceOffer,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookupResult {
    /// Records of the type asked for.
    Answered,
    /// Addresses, but all of them a blocker's.
    Blocked,
    /// No such name, or nothing of that type (RFC 2308).
    Negative,
    /// The resolver could not or would not say.
    Failed,
    /// Less than the whole: the device will ask again.
    Truncated,
}

/// What a service binding says of a service (RFC 9460).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceOffer {
    /// The protocols that it speaks, by their ALPN identifiers, escaped.
    pub alpn: Vec<Arc<str>>,
    /// Whether clients can hide the name that they connect to (ECH).
    pub has_ech: bool,
}

impl ServiceOffer {
    /// Returns whether nothing was said.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.alpn.is_empty() && !self.has_ech
    }
}
