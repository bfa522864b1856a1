//! One open MaxMind-format database, whatever the vendor.
//!
//! Made from a file's octets or the built-in ones; asked by `databases`.

use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use maxminddb::{MaxMindDbError, Reader, WithinOptions};

use super::error::GeoError;
use super::fields::Known;

const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// How far before the file's end the marker may be, by the format.
const MARKER_REACH: usize = 128 << 10;
/// How many networks are read when a database is opened, to refuse one that can't be read at all.
const SAMPLE_NETWORKS: usize = 1000;

/// What vendors ask to be said where their data is shown, by the start of the database's type.
const ATTRIBUTIONS: &[(&str, &str)] = &[
    (
        "flowwatch-builtin",
        "IP Geolocation by DB-IP (https://db-ip.com); AS data by RouteViews, NRO and DB-IP; CC BY 4.0",
    ),
    ("DBIP-", "IP Geolocation by DB-IP (https://db-ip.com)"),
    (
        "GeoLite2",
        "This product includes GeoLite Data created by MaxMind, available from https://www.maxmind.com",
    ),
    (
        "ipinfo",
        "IP address data powered by IPinfo (https://ipinfo.io)",
    ),
];

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    reader: Reader<Vec<u8>>,
}

impl Database {
    /// Opens the database that `octets` are; `path` stands in the errors.
    ///
    /// # Errors
    ///
    /// [`GeoError::NotMaxMind`] or [`GeoError::Damaged`].
    pub(super) fn from_octets(path: &Path, octets: Vec<u8>) -> Result<Self, GeoError> {
        if !has_metadata_marker(&octets) {
            return Err(GeoError::NotMaxMind {
                path: path.to_owned(),
            });
        }
        let damaged = |source| GeoError::Damaged {
            path: path.to_owned(),
            source,
        };
        let database = Self {
            reader: Reader::from_source(octets).map_err(damaged)?,
        };
        if !database.is_sample_useful().map_err(damaged)? {
            log::warn!(
                "geo database `{}` (type `{}`): no country, city, AS number or organisation in its first networks",
                path.display(),
                database.database_type(),
            );
        }
        Ok(database)
    }

    /// Opens octets that are known to be good, without reading a sample.
    ///
    /// # Errors
    ///
    /// When they aren't.
    #[cfg(feature = "builtin-geo")]
    pub(super) fn from_trusted_octets(octets: Vec<u8>) -> Result<Self, MaxMindDbError> {
        Ok(Self {
            reader: Reader::from_source(octets)?,
        })
    }

    /// Reads the first networks and returns whether any field of ours is in them.
    ///
    /// The format's own `verify` isn't used: it reads the whole file, and it refuses files that are
    /// in wide use (an empty description, say).
    ///
    /// # Errors
    ///
    /// When the search tree is broken, or no record at all can be read. One that has some bad
    /// records is used: what it knows is better than nothing, and look-ups count the bad ones.
    fn is_sample_useful(&self) -> Result<bool, MaxMindDbError> {
        let (mut is_any_readable, mut is_any_useful, mut failure) = (false, false, None);
        for network in self
            .reader
            .networks(WithinOptions::default())?
            .take(SAMPLE_NETWORKS)
        {
            match network?.decode::<Known>() {
                Ok(known) => {
                    is_any_readable = true;
                    is_any_useful |= known.is_some_and(|known| !known.is_empty());
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !is_any_readable => Err(error),
            _ => Ok(is_any_useful),
        }
    }

    /// Returns what the database knows of `address`; nothing when it has no record.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    pub(super) fn known_of(&self, address: IpAddr) -> Result<Known, MaxMindDbError> {
        // A file of one address family knows nothing of the other; that is no error of the file.
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(Known::default());
        }
        Ok(self.reader.lookup(address)?.decode()?.unwrap_or_default())
    }

    /// Returns the vendor's word for what the database holds.
    pub(super) fn database_type(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// Returns when the database was built; `None` when it says a time that can't be.
    pub(super) fn built(&self) -> Option<Timestamp> {
        let seconds = i64::try_from(self.reader.metadata().build_epoch).ok()?;
        Timestamp::from_second(seconds).ok()
    }

    /// Returns what its vendor asks to be said where its data is shown.
    pub(super) fn attribution(&self) -> Option<&'static str> {
        attribution_of(self.database_type())
    }
}

/// Returns what the vendor of databases of that type asks to be said where its data is shown.
#[must_use]
pub fn attribution_of(database_type: &str) -> Option<&'static str> {
    ATTRIBUTIONS
        .iter()
        .find(|(start, _)| database_type.starts_with(start))
        .map(|&(_, attribution)| attribution)
}

fn has_metadata_marker(octets: &[u8]) -> bool {
    let reach = octets.len().saturating_sub(MARKER_REACH);
    octets[reach..]
        .windows(METADATA_MARKER.len())
        .any(|window| window == METADATA_MARKER)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::geo::test_database::{self, IpVersion};

    fn open(octets: Vec<u8>) -> Result<Database, GeoError> {
        Database::from_octets(Path::new("x.mmdb"), octets)
    }

    fn error_of(octets: Vec<u8>) -> String {
        open(octets).unwrap_err().to_string()
    }

    #[test]
    fn garbage_and_a_truncated_file_are_refused() {
        let whole = test_database::octets(
            IpVersion::V4,
            &[("1.0.0.0/8", json!({"country_code": "KR"}))],
        );
        let tree_and_data_end = whole.len() - 200;
        let expected = "open geo database `x.mmdb`: not a MaxMind database, or one that was cut off (no metadata marker); give a whole .mmdb file";
        for octets in [
            vec![],
            b"name,country\n".to_vec(),
            vec![0; 300_000],
            whole[..tree_and_data_end].to_vec(),
        ] {
            assert_eq!(error_of(octets), expected);
        }
        assert!(open(whole).is_ok());
    }

    #[test]
    fn every_truncation_and_every_flipped_octet_is_survived() {
        let whole = test_database::octets(
            IpVersion::V6,
            &[(
                "2a00::/16",
                json!({"country": {"iso_code": "KR", "names": {"en": "South Korea"}}, "asn": "AS1"}),
            )],
        );
        let ask = |octets: Vec<u8>| {
            if let Ok(database) = open(octets) {
                let _ = database.known_of([52, 79, 197, 188].into());
                let _ = database.known_of("2a00::1".parse().unwrap());
            }
        };
        for length in 0..whole.len() {
            ask(whole[..length].to_vec());
        }
        for index in 0..whole.len() {
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut octets = whole.clone();
                octets[index] ^= flip;
                ask(octets);
            }
        }
    }

    #[test]
    fn a_tree_in_a_circle_is_refused() {
        let mut octets =
            test_database::octets(IpVersion::V4, &[("128.0.0.0/1", json!({"asn": 1}))]);
        // Node 0's left record now leads to node 0.
        octets[..3].fill(0);
        let error = error_of(octets);
        assert!(
            error.starts_with(
                "open geo database `x.mmdb`: it is damaged (invalid database: search tree"
            ),
            "{error}"
        );
        assert!(error.ends_with("; download it again"), "{error}");
    }

    #[test]
    fn a_database_without_a_readable_record_is_refused() {
        let mut octets =
            test_database::octets(IpVersion::V4, &[("128.0.0.0/1", json!({"asn": "AS123"}))]);
        let value = octets
            .windows(5)
            .position(|window| window == b"AS123")
            .unwrap();
        octets[value] = 0xff;
        let error = error_of(octets);
        assert!(error.contains("it is damaged"), "{error}");
    }

    #[test]
    fn the_other_address_family_is_unknown() {
        let v4 = open(test_database::octets(
            IpVersion::V4,
            &[("128.0.0.0/1", json!({"asn": 1}))],
        ))
        .unwrap();
        assert_eq!(
            v4.known_of("2a00::1".parse().unwrap()).unwrap(),
            Known::default()
        );
        let v6 = open(test_database::octets(
            IpVersion::V6,
            &[("2a00::/16", json!({"asn": 1}))],
        ))
        .unwrap();
        assert_eq!(
            v6.known_of([129, 0, 0, 1].into()).unwrap(),
            Known::default()
        );
        assert_eq!(
            v6.known_of("2a00::1".parse().unwrap()).unwrap().asn,
            Some(1)
        );
    }

    #[test]
    fn a_build_time_beyond_all_calendars_is_none() {
        let octets = test_database::octets_built_at(1 << 62, &[("128.0.0.0/1", json!({"asn": 1}))]);
        assert_eq!(open(octets).unwrap().built(), None);
        let octets =
            test_database::octets_built_at(1_780_272_000, &[("128.0.0.0/1", json!({"asn": 1}))]);
        assert_eq!(
            open(octets).unwrap().built(),
            Some("2026-06-01T00:00:00Z".parse().unwrap())
        );
    }
}
