//! Vendors: from a MAC address to the organization that the IEEE gave its block to.
//!
//! The registry is the built-in one, or, where it is fresher, the one that the system keeps
//! (Debian's `ieee-data`). Look-ups are pure; opening is the only I/O.

mod builtin;
mod error;
mod files;
mod pack;
mod registry;
mod rows;

pub use error::OuiError;
pub use registry::VendorRegistry;

/// Returns whether an address was made up on the device's side rather than by its vendor
/// (IEEE 802 §8.4, the U/L bit): those of privacy-minded phones and of virtual machines are.
#[must_use]
pub const fn is_locally_administered(mac: [u8; 6]) -> bool {
    mac[0] & 0b10 != 0
}
