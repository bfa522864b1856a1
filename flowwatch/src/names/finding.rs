//! What the first octets of a connection say of the name that it is to.
//!
//! Made by the readers of TLS and HTTP, turned into readings by those of TCP and QUIC.

use std::sync::Arc;

use super::{Claim, NameSource, Outcome, Reading, Service};
use crate::observation::PayloadSample;

/// A name, and how it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SentName {
    pub(super) text: Arc<str>,
    pub(super) source: NameSource,
}

/// What octets from a connection's start say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The name.
    Named(SentName),
    /// That there is none.
    Nameless,
    /// What contradicts itself.
    Malformed,
    /// Nothing that the reader knows.
    Foreign,
    /// What is not all of it.
    Incomplete {
        /// The octets from the start that are needed at least before more can be said.
        needed: usize,
        /// The name that what is there gives, should no more come.
        name: Option<SentName>,
    },
}

impl Finding {
    /// Returns how far the sample brought it, and the name; of an incomplete one only when no more is
    /// to come.
    pub(super) fn conclude(self, is_final: bool) -> (Outcome, Option<SentName>) {
        match self {
            Self::Named(name) => (Outcome::Understood, Some(name)),
            Self::Nameless | Self::Foreign => (Outcome::Nameless, None),
            Self::Malformed => (Outcome::Malformed, None),
            Self::Incomplete { name, .. } if is_final => (Outcome::Cut, name),
            Self::Incomplete { .. } => (Outcome::Pending, None),
        }
    }
}

/// Returns the reading of a sample whose connection is to that name.
pub(super) fn reading_of(
    sample: &PayloadSample,
    (outcome, name): (Outcome, Option<SentName>),
) -> Reading {
    let claim = name.map(|name| Claim {
        address: sample.remote,
        name: name.text,
        source: name.source,
        service: Some(Service {
            protocol: sample.protocol,
            port: sample.remote_port,
        }),
        chain: Arc::default(),
        ttl: 0,
    });
    Reading {
        claims: claim.into_iter().collect(),
        ..Reading::of(outcome)
    }
}
