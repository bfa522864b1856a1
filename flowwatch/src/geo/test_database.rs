//! Small databases for tests, made by a foreign writer.

use maxminddb_writer::Database;
pub(crate) use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::Value;

/// 2024-02-29T12:00:00Z.
pub(super) const BUILD_EPOCH: u64 = 1_709_208_000;

/// Returns a database of these networks and records.
pub(crate) fn octets(ip_version: IpVersion, networks: &[(&str, Value)]) -> Vec<u8> {
    write(ip_version, BUILD_EPOCH, networks)
}

/// Returns an IPv4 database that says it was built at `build_epoch`.
pub(super) fn octets_built_at(build_epoch: u64, networks: &[(&str, Value)]) -> Vec<u8> {
    write(IpVersion::V4, build_epoch, networks)
}

fn write(ip_version: IpVersion, build_epoch: u64, networks: &[(&str, Value)]) -> Vec<u8> {
    let mut database = Database::default();
    database.metadata.binary_format_major_version = 2;
    database.metadata.ip_version = ip_version;
    database.metadata.build_epoch = build_epoch;
    database.metadata.database_type = "test".to_owned();
    for (network, record) in networks {
        let record = database.insert_value(record).unwrap();
        database.insert_node(network.parse::<IpAddrWithMask>().unwrap(), record);
    }
    database.write_to(Vec::new()).unwrap()
}
