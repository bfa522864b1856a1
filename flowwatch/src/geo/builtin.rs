//! The built-in database: countries and autonomous systems, compressed into the program.
//!
//! Made by `cargo xtask geo`; its NOTICE lies beside it in `flowwatch/data`. The feature
//! `builtin-geo` takes it in.

use super::database::Database;
use super::error::GeoError;
#[cfg(feature = "builtin-geo")]
use crate::compressed::decompressed;

#[cfg(feature = "builtin-geo")]
static COMPRESSED: &[u8] = include_bytes!("../../data/builtin.mmdb.zst");

/// Opens the built-in database, or nothing when flowwatch was built without it.
///
/// # Errors
///
/// [`GeoError::Builtin`].
#[cfg(feature = "builtin-geo")]
pub(super) fn open_builtin() -> Result<Option<Database>, GeoError> {
    let octets = decompressed(COMPRESSED).map_err(|error| broken(&error))?;
    Database::from_trusted_octets(octets)
        .map(Some)
        .map_err(|error| broken(&error))
}

#[cfg(feature = "builtin-geo")]
fn broken(error: &dyn std::error::Error) -> GeoError {
    GeoError::Builtin {
        reason: error.to_string(),
    }
}

/// Opens nothing: flowwatch was built without the feature `builtin-geo`.
///
/// # Errors
///
/// None; the signature is the one of the feature.
#[cfg(not(feature = "builtin-geo"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature with and without the feature"
)]
pub(super) fn open_builtin() -> Result<Option<Database>, GeoError> {
    Ok(None)
}

#[cfg(test)]
#[cfg(feature = "builtin-geo")]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn check(database: &Database, address: &str, country: &str, asn: u32, organization: &str) {
        let known = database
            .known_of(address.parse::<IpAddr>().unwrap())
            .unwrap();
        assert_eq!(known.country.as_deref(), Some(country), "of {address}");
        assert_eq!(known.asn, Some(asn), "of {address}");
        assert_eq!(
            known.organization.as_deref(),
            Some(organization),
            "of {address}"
        );
    }

    /// The write-up's addresses, with the countries and organisations that it found in 2019 and the
    /// registries' AS numbers.
    #[test]
    fn the_write_up_s_addresses_are_placed_as_it_found_them() {
        let database = open_builtin().unwrap().unwrap();
        check(&database, "52.79.197.188", "KR", 16509, "Amazon.com, Inc.");
        check(
            &database,
            "120.24.59.150",
            "CN",
            37963,
            "Hangzhou Alibaba Advertising Co.,Ltd.",
        );
        check(&database, "50.7.98.242", "US", 30058, "FDCservers.net");
        check(&database, "50.19.254.134", "US", 14618, "Amazon.com, Inc.");
        // Both families in one tree: the WIDE project's and Quad9's networks.
        check(&database, "2001:200::1", "JP", 2500, "WIDE Project");
        check(&database, "2620:fe::fe", "US", 19281, "Quad9");
    }

    #[test]
    fn it_says_what_it_is_and_of_when() {
        let database = open_builtin().unwrap().unwrap();
        assert_eq!(database.database_type(), "flowwatch-builtin");
        let built = database.built().unwrap();
        assert!(built >= "2026-06-01T00:00:00Z".parse().unwrap(), "{built}");
        assert!(
            database
                .attribution()
                .unwrap()
                .contains("https://db-ip.com")
        );
    }
}
