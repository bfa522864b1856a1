//! Places: from an address to its scope, country, city, autonomous system and organisation.
//!
//! Databases come from `--geo` files and from the built-in one; `run` opens them once and asks them
//! to take up files that were replaced. Look-ups are pure; opening and reloading is the only I/O.

mod builtin;
mod country_names;
mod database;
mod databases;
mod error;
mod fields;
mod file;
mod place;
mod scope;

pub use database::attribution_of;
pub use databases::{ChangedFile, DatabaseDescription, Databases, OpenedFile};
pub use error::GeoError;
pub use place::Place;
pub use scope::Scope;

#[cfg(test)]
pub(crate) mod test_database;
