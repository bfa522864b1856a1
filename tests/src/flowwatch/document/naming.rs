//! What the document says of names: of each one, and of how a device gets them.

use std::net::IpAddr;

use serde::Deserialize;

/// What is known of one of a flow's names.
#[derive(Clone, Debug, Deserialize)]
pub struct NameDetail {
    /// The name.
    pub name: String,
    /// Where it is from.
    pub source: String,
    /// Whether the device asked for it.
    pub asked: Option<bool>,
    /// The names that it is an alias of.
    pub chain: Vec<String>,
}

/// A device's way of resolving names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Resolving {
    /// The resolvers that the network gave it.
    pub offered: Vec<IpAddr>,
    /// Those that it talked to.
    pub resolvers: Vec<ResolverSeen>,
    /// Names that never resolved.
    pub unresolved: Vec<String>,
}

/// A resolver that a device talked to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ResolverSeen {
    /// Its address.
    pub address: IpAddr,
    /// The name by which it is known.
    pub name: Option<String>,
    /// `udp`, `tcp`, `dot`, `doq` or `doh`.
    pub transport: String,
    /// Whether the network gave it, where that is known.
    pub given: Option<bool>,
}

/// What became of the payload samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Names {
    /// All of them.
    pub samples: u64,
    /// Read to their end.
    pub understood: u64,
    /// Parts of something that was not complete with them.
    pub pending: u64,
    /// Read to where they were cut.
    pub cut: u64,
    /// Contradicting themselves.
    pub malformed: u64,
    /// With nothing to say.
    pub nameless: u64,
    /// Addresses of a blocker's.
    pub blocked: u64,
    /// Streams dropped before they had told a name.
    #[serde(default)]
    pub abandoned: u64,
    /// Bindings that gave way.
    pub turned_away: u64,
    /// Bindings held.
    pub bindings: u64,
}
