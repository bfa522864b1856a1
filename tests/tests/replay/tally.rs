//! What a golden frame adds to a flow.

use std::net::IpAddr;

use flowwatch::observation::Traffic;

/// Remote address, protocol and port, and what is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The flow.
    pub(crate) flow: (IpAddr, u8, u16),
    /// What it adds.
    pub(crate) traffic: Traffic,
}
