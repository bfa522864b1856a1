//! The built-in registry of vendors, compressed into the program.
//!
//! Made by `cargo xtask oui`; its NOTICE lies beside it in `flowwatch/data`. The feature
//! `builtin-oui` takes it in.

use super::error::OuiError;
use super::registry::VendorRegistry;
#[cfg(feature = "builtin-oui")]
use crate::compressed::decompressed;

#[cfg(feature = "builtin-oui")]
static COMPRESSED: &[u8] = include_bytes!("../../data/oui.zst");

/// Opens the built-in registry, or nothing when flowwatch was built without it.
///
/// # Errors
/// [`OuiError::Builtin`].
#[cfg(feature = "builtin-oui")]
pub(super) fn open() -> Result<Option<VendorRegistry>, OuiError> {
    let broken = |reason: String| OuiError::Builtin { reason };
    let packed = decompressed(COMPRESSED).map_err(|error| broken(error.to_string()))?;
    VendorRegistry::from_packed(packed, "built-in")
        .map(Some)
        .ok_or_else(|| broken("it is not packed as it should be".to_owned()))
}

/// Opens nothing: flowwatch was built without the feature `builtin-oui`.
///
/// # Errors
/// None; the signature is the one of the feature.
#[cfg(not(feature = "builtin-oui"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature with and without the feature"
)]
pub(super) fn open() -> Result<Option<VendorRegistry>, OuiError> {
    Ok(None)
}

#[cfg(test)]
#[cfg(feature = "builtin-oui")]
mod tests {
    use super::*;

    fn check(registry: &VendorRegistry, mac: [u8; 6], vendor: &str) {
        assert_eq!(registry.vendor_of(mac), Some(vendor), "{mac:02x?}");
    }

    /// Assignments as the IEEE's own files have them, one of each registry.
    #[test]
    fn it_knows_vendors_of_every_registry() {
        let registry = open().unwrap().unwrap();
        let wyze = [0x2c, 0xaa, 0x8e, 1, 2, 3];
        check(&registry, wyze, "Wyze Labs Inc");
        check(&registry, [0, 0, 0, 1, 2, 3], "XEROX CORPORATION");
        let medium = [0x20, 0x85, 0x93, 0xb1, 2, 3];
        check(&registry, medium, "IOG Products LLC");
        let small = [0x70, 0xb3, 0xd5, 0xf2, 0xf1, 2];
        check(&registry, small, "TELEPLATFORMS");
        let individual = [0, 0x50, 0xc2, 0x7d, 0x51, 2];
        check(&registry, individual, "DEUTA-WERKE GmbH");
        let company = [0xea, 0x27, 1, 2, 3, 4];
        check(&registry, company, "ACCE Technology Corp.");
    }

    #[test]
    fn it_says_of_when_it_is() {
        let registry = open().unwrap().unwrap();
        assert_eq!(registry.source(), "built-in");
        assert!(registry.date() >= "2026-10-01T00:00:00Z".parse().unwrap());
    }
}
