//! The place of an address: what the databases together know of it.
//!
//! Put together by `databases`; read by `join`, which copies it into flow records.

use std::sync::Arc;

/// Where an address is and whose it is; `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// ISO 3166-1 alpha-2, in capital letters.
    pub country: Option<Arc<str>>,
    /// The country's English name, from one table whatever the database calls it.
    pub country_name: Option<Arc<str>>,
    /// The city's English name.
    pub city: Option<Arc<str>>,
    /// The autonomous system's number.
    pub asn: Option<u32>,
    /// The organisation that runs the autonomous system.
    pub organization: Option<Arc<str>>,
}
