//! Before and after: which names, addresses, organizations and countries are gone, new and still
//! there.
//!
//! From two [`Side`]s to a [`Comparison`], which the formats write. Pure: where the sides come from
//! is `sides`' matter.

mod comparison;
mod difference;
mod fields;
mod kind;
mod pairs;
#[cfg(test)]
pub(crate) mod samples;
mod side;
#[cfg(test)]
mod tests;

pub use comparison::{Comparison, DeviceComparison, SideSummary, compare};
pub use difference::{Change, Difference, Entry, Octets};
pub use fields::{COMPARISON_FIELDS, ComparisonField, ComparisonRow};
pub use kind::{KINDS, Kind, kind_of};
pub use side::{Destination, NameClaim, Remotes, Side, SideDevice};
