//! All databases in use, in order of precedence, and the place that they together give an address.
//!
//! Opened from `--geo` files and the built-in database; `place_of` is asked by `join`, which caches
//! the answers, and `changed` by `run`, now and then.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::builtin::open_builtin;
use super::country_names::country_name_of;
use super::database::Database;
use super::error::GeoError;
use super::fields::Known;
use super::file::{Stamp, read_file};
use super::place::Place;
use super::scope::{Scope, placed_address};

/// The name of the built-in database where a file's has its path.
const BUILTIN_NAME: &str = "built-in";

/// The databases that give addresses their places.
#[derive(Debug)]
pub struct Databases {
    files: Vec<OpenFile>,
    builtin: Option<Database>,
    names: Mutex<NamePool>,
    bad_records: AtomicU64,
    version: u64,
}

/// The next version's number.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(0);

fn next_version() -> u64 {
    NEXT_VERSION.fetch_add(1, Ordering::Relaxed)
}

/// What a report says of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseDescription {
    /// The file's path, or `built-in`.
    pub name: String,
    /// The vendor's word for what it holds, such as `GeoLite2-City`.
    pub database_type: String,
    /// When it was built; `None` when it says a time that can't be.
    pub built: Option<Timestamp>,
    /// What its vendor asks to be said where its data is shown.
    pub attribution: Option<&'static str>,
}

impl DatabaseDescription {
    /// Returns whether it is the one that comes with flowwatch.
    #[must_use]
    pub fn is_builtin(&self) -> bool {
        self.name == BUILTIN_NAME
    }

    fn of(name: String, database: &Database) -> Self {
        Self {
            name,
            database_type: database.database_type().to_owned(),
            built: database.built(),
            attribution: database.attribution(),
        }
    }
}

impl Databases {
    /// Opens `files`, in order of precedence, and the built-in database after them when asked for
    /// and built in.
    ///
    /// # Errors
    ///
    /// The first file that can't be used, as one of [`GeoError`]'s variants.
    pub fn open(files: &[PathBuf], with_builtin: bool) -> Result<Self, GeoError> {
        Ok(Self {
            files: files
                .iter()
                .map(|path| OpenFile::open(path))
                .collect::<Result<_, _>>()?,
            builtin: if with_builtin { open_builtin()? } else { None },
            names: Mutex::default(),
            bad_records: AtomicU64::new(0),
            version: next_version(),
        })
    }

    /// Returns the place of `address`: of each field, what the first database that knows it says.
    ///
    /// Nothing is known of an address that isn't on the Internet ([`Scope::of`]). An IPv6 address
    /// that carries an IPv4 address has that one's place. A record that can't be read counts as
    /// unknown, and into [`Self::bad_records`].
    #[must_use]
    pub fn place_of(&self, address: IpAddr) -> Place {
        if Scope::of(address) != Scope::Internet {
            return Place::default();
        }
        let address = placed_address(address);
        let mut known = Known::default();
        for database in self.in_order() {
            match database.known_of(address) {
                Ok(more) => fill(&mut known, more),
                Err(_) => {
                    self.bad_records.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .place_with_shared_names(known)
    }

    /// Returns how many look-ups met a record that can't be read.
    #[must_use]
    pub fn bad_records(&self) -> u64 {
        self.bad_records.load(Ordering::Relaxed)
    }

    /// Returns the number of what the databases hold now: another after each file that was taken up,
    /// and in no other value of this type. Places that are remembered are good for one version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns what reports say of the databases, in order of precedence.
    #[must_use]
    pub fn descriptions(&self) -> Vec<DatabaseDescription> {
        let files = self
            .files
            .iter()
            .map(|file| DatabaseDescription::of(file.path.display().to_string(), &file.database));
        let builtin = self.builtin.iter();
        files
            .chain(builtin.map(|it| DatabaseDescription::of(BUILTIN_NAME.to_owned(), it)))
            .collect()
    }

    /// Looks which files were replaced, and returns those that are to be opened. One that is still
    /// changing is left alone until two looks find it the same: it may be on its way, octet by octet.
    /// A file that is refused is tried again when it changes again.
    pub fn changed(&mut self) -> Vec<ChangedFile> {
        let files = self.files.iter_mut();
        files.filter_map(OpenFile::changed).collect()
    }

    /// Takes up a file that was opened anew. Returns its path, or why it was refused, in which case
    /// the old one stays in use; nothing for one that is none of these databases' any more.
    pub fn take_up(&mut self, opened: OpenedFile) -> Option<Result<PathBuf, GeoError>> {
        let OpenedFile { path, outcome } = opened;
        let file = self.files.iter_mut().find(|file| file.path == path)?;
        Some(outcome.map(|opened| {
            *file = opened;
            self.version = next_version();
            path
        }))
    }

    fn in_order(&self) -> impl Iterator<Item = &Database> {
        self.files
            .iter()
            .map(|file| &file.database)
            .chain(&self.builtin)
    }
}

/// Fills what `known` doesn't know from `more`.
fn fill(known: &mut Known, more: Known) {
    let Known {
        country,
        country_name,
        city,
        asn,
        organization,
    } = more;
    known.country = known.country.take().or(country);
    known.country_name = known.country_name.take().or(country_name);
    known.city = known.city.take().or(city);
    known.asn = known.asn.or(asn);
    known.organization = known.organization.take().or(organization);
}

/// A database with the file that it came from.
#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    /// The file in use, or the one that was refused last; `None` when it was gone.
    stamp: Option<Stamp>,
    /// The file as it was last looked at.
    looked_at: Option<Stamp>,
    database: Database,
}

impl OpenFile {
    fn open(path: &Path) -> Result<Self, GeoError> {
        // Taken before reading: a file that changes meanwhile is then seen as changed.
        let stamp = Stamp::of(path);
        let database = Database::from_octets(path, read_file(path)?)?;
        Ok(Self {
            path: path.to_owned(),
            stamp,
            looked_at: stamp,
            database,
        })
    }

    fn changed(&mut self) -> Option<ChangedFile> {
        let stamp = Stamp::of(&self.path);
        let is_settled = std::mem::replace(&mut self.looked_at, stamp) == stamp;
        if stamp == self.stamp || !is_settled {
            return None;
        }
        self.stamp = stamp;
        Some(ChangedFile {
            path: self.path.clone(),
        })
    }
}

/// A file that was replaced.
#[derive(Debug)]
pub struct ChangedFile {
    path: PathBuf,
}

/// A file that was opened anew, or refused.
#[derive(Debug)]
pub struct OpenedFile {
    path: PathBuf,
    outcome: Result<OpenFile, GeoError>,
}

impl ChangedFile {
    /// Reads and checks the file, which takes a while.
    #[must_use]
    pub fn open(self) -> OpenedFile {
        let outcome = OpenFile::open(&self.path);
        let path = self.path;
        OpenedFile { path, outcome }
    }
}

/// Names that places share, so that a thousand addresses of one organisation hold its name once.
#[derive(Debug, Default)]
struct NamePool {
    names: HashSet<Arc<str>>,
}

impl NamePool {
    /// Names beyond this many aren't shared: the pool would only grow.
    const MOST: usize = 1 << 16;

    fn place_with_shared_names(&mut self, known: Known) -> Place {
        let country_name = match known.country.as_deref().map(country_name_of) {
            Some(Some(name)) => Some(self.shared(name)),
            _ => self.shared_option(known.country_name),
        };
        Place {
            country: self.shared_option(known.country),
            country_name,
            city: self.shared_option(known.city),
            asn: known.asn,
            organization: self.shared_option(known.organization),
        }
    }

    fn shared_option(&mut self, name: Option<String>) -> Option<Arc<str>> {
        name.map(|name| self.shared(&name))
    }

    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(shared) = self.names.get(name) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = name.into();
        if self.names.len() < Self::MOST {
            self.names.insert(Arc::clone(&shared));
        }
        shared
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::geo::test_database::{self, IpVersion};

    fn write(folder: &TempDir, name: &str, networks: &[(&str, Value)]) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, test_database::octets(IpVersion::V4, networks)).unwrap();
        path
    }

    /// Replaces a file as updaters do: under another name first.
    fn replace(path: &Path, octets: &[u8]) {
        let new = path.with_extension("new");
        std::fs::write(&new, octets).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn reload_changed(databases: &mut Databases) -> Vec<Result<PathBuf, GeoError>> {
        let changed = databases.changed();
        let opened = changed.into_iter().map(ChangedFile::open);
        opened.filter_map(|it| databases.take_up(it)).collect()
    }

    fn country_of(databases: &Databases, address: &str) -> Option<String> {
        databases
            .place_of(address.parse().unwrap())
            .country
            .map(|country| country.to_string())
    }

    #[test]
    fn the_first_that_knows_a_field_wins() {
        let folder = TempDir::new().unwrap();
        let first = write(
            &folder,
            "a.mmdb",
            &[("52.0.0.0/8", json!({"country_code": "", "city": "Incheon"}))],
        );
        let second = write(
            &folder,
            "b.mmdb",
            &[(
                "52.0.0.0/8",
                json!({"country": {"iso_code": "KR"}, "city": {"names": {"en": "Seoul"}}, "asn": "AS16509"}),
            )],
        );
        let third = write(
            &folder,
            "c.mmdb",
            &[(
                "52.0.0.0/8",
                json!({"country_code": "US", "asn": 1, "as_name": "Amazon.com, Inc."}),
            )],
        );
        let databases = Databases::open(&[first, second, third], false).unwrap();
        let expected = Place {
            country: Some("KR".into()),
            country_name: Some("South Korea".into()),
            city: Some("Incheon".into()),
            asn: Some(16509),
            organization: Some("Amazon.com, Inc.".into()),
        };
        assert_eq!(
            databases.place_of("52.79.197.188".parse().unwrap()),
            expected
        );
        assert_eq!(
            databases.place_of("64:ff9b::52.79.197.188".parse().unwrap()),
            expected
        );
        assert_eq!(
            databases.place_of("53.0.0.1".parse().unwrap()),
            Place::default()
        );
    }

    #[test]
    fn country_names_come_from_one_table_where_it_has_them() {
        let folder = TempDir::new().unwrap();
        let path = write(
            &folder,
            "a.mmdb",
            &[
                (
                    "52.0.0.0/8",
                    json!({"country_code": "KR", "country_name": "Korea (Republic of)"}),
                ),
                (
                    "53.0.0.0/8",
                    json!({"country_code": "EU", "country_name": "Europe"}),
                ),
            ],
        );
        let databases = Databases::open(&[path], false).unwrap();
        let name_of = |address: [u8; 4]| databases.place_of(address.into()).country_name;
        assert_eq!(name_of([52, 0, 0, 1]).as_deref(), Some("South Korea"));
        assert_eq!(name_of([53, 0, 0, 1]).as_deref(), Some("Europe"));
    }

    #[test]
    fn special_addresses_are_never_placed() {
        let folder = TempDir::new().unwrap();
        let path = write(
            &folder,
            "a.mmdb",
            &[
                ("0.0.0.0/1", json!({"country_code": "IT"})),
                ("128.0.0.0/1", json!({"country_code": "IT"})),
            ],
        );
        let databases = Databases::open(&[path], false).unwrap();
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "224.0.0.251",
            "255.255.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(country_of(&databases, address), None, "of {address}");
        }
        assert_eq!(country_of(&databases, "8.8.8.8").as_deref(), Some("IT"));
    }

    #[test]
    fn a_bad_record_is_unknown_and_counted() {
        let folder = TempDir::new().unwrap();
        let good = ("128.0.0.0/1", json!({"asn": "AS456"}));
        let path = write(
            &folder,
            "a.mmdb",
            &[("0.0.0.0/1", json!({"asn": "AS123"})), good],
        );
        let mut octets = std::fs::read(&path).unwrap();
        let value = octets
            .windows(5)
            .position(|window| window == b"AS123")
            .unwrap();
        octets[value] = 0xff;
        std::fs::write(&path, octets).unwrap();
        let second = write(&folder, "b.mmdb", &[("0.0.0.0/1", json!({"asn": 789}))]);
        let databases = Databases::open(&[path, second], false).unwrap();
        assert_eq!(databases.place_of([8, 8, 8, 8].into()).asn, Some(789));
        assert_eq!(databases.bad_records(), 1);
        assert_eq!(databases.place_of([130, 8, 8, 8].into()).asn, Some(456));
        assert_eq!(databases.bad_records(), 1);
    }

    #[test]
    fn a_replaced_file_is_taken_up() {
        let folder = TempDir::new().unwrap();
        let path = write(
            &folder,
            "a.mmdb",
            &[("52.0.0.0/8", json!({"country_code": "KR"}))],
        );
        let mut databases = Databases::open(std::slice::from_ref(&path), false).unwrap();
        assert!(reload_changed(&mut databases).is_empty());
        replace(
            &path,
            &test_database::octets(
                IpVersion::V4,
                &[("52.0.0.0/8", json!({"country_code": "US"}))],
            ),
        );
        assert_eq!(
            country_of(&databases, "52.79.197.188").as_deref(),
            Some("KR")
        );
        let version = databases.version();
        assert!(reload_changed(&mut databases).is_empty(), "not settled yet");
        assert_eq!(databases.version(), version);
        let taken_up: Vec<PathBuf> = reload_changed(&mut databases)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(taken_up, [path]);
        assert_ne!(databases.version(), version);
        assert_eq!(
            country_of(&databases, "52.79.197.188").as_deref(),
            Some("US")
        );
        assert!(reload_changed(&mut databases).is_empty());
    }

    #[test]
    fn a_broken_replacement_is_refused_once_and_the_old_one_stays() {
        let folder = TempDir::new().unwrap();
        let path = write(
            &folder,
            "a.mmdb",
            &[("52.0.0.0/8", json!({"country_code": "KR"}))],
        );
        let mut databases = Databases::open(std::slice::from_ref(&path), false).unwrap();
        let refusal = |databases: &mut Databases| {
            reload_changed(databases);
            let mut results = reload_changed(databases);
            assert_eq!(results.len(), 1);
            results.remove(0).unwrap_err()
        };
        replace(&path, b"garbage");
        let version = databases.version();
        assert!(matches!(
            refusal(&mut databases),
            GeoError::NotMaxMind { .. }
        ));
        assert_eq!(databases.version(), version);
        assert!(reload_changed(&mut databases).is_empty());
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(refusal(&mut databases), GeoError::Missing { .. }));
        assert!(reload_changed(&mut databases).is_empty());
        assert_eq!(
            country_of(&databases, "52.79.197.188").as_deref(),
            Some("KR")
        );
        replace(
            &path,
            &test_database::octets(
                IpVersion::V4,
                &[("52.0.0.0/8", json!({"country_code": "US"}))],
            ),
        );
        reload_changed(&mut databases);
        assert_eq!(reload_changed(&mut databases).len(), 1);
        assert_eq!(
            country_of(&databases, "52.79.197.188").as_deref(),
            Some("US")
        );
    }

    #[test]
    fn a_file_on_its_way_is_left_alone_until_it_is_there() {
        let folder = TempDir::new().unwrap();
        let of = |code: &str| {
            let networks = [("52.0.0.0/8", json!({ "country_code": code }))];
            test_database::octets(IpVersion::V4, &networks)
        };
        let path = folder.path().join("a.mmdb");
        std::fs::write(&path, of("KR")).unwrap();
        let mut databases = Databases::open(std::slice::from_ref(&path), false).unwrap();
        let whole = of("US");
        for length in (0..whole.len()).step_by(whole.len() / 4) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(reload_changed(&mut databases).is_empty(), "{length} octets");
        }
        std::fs::write(&path, whole).unwrap();
        reload_changed(&mut databases);
        assert!(reload_changed(&mut databases).remove(0).is_ok());
    }

    #[test]
    fn databases_are_described_in_order() {
        let folder = TempDir::new().unwrap();
        let path = write(
            &folder,
            "a.mmdb",
            &[("52.0.0.0/8", json!({"country_code": "KR"}))],
        );
        let databases = Databases::open(std::slice::from_ref(&path), true).unwrap();
        let descriptions = databases.descriptions();
        assert_eq!(descriptions[0].name, path.display().to_string());
        assert_eq!(descriptions[0].database_type, "test");
        assert_eq!(
            descriptions[0].built,
            Some("2024-02-29T12:00:00Z".parse().unwrap())
        );
        assert_eq!(descriptions[0].attribution, None);
        let names: Vec<_> = descriptions[1..]
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        let expected: &[&str] = if cfg!(feature = "builtin-geo") {
            &["built-in"]
        } else {
            &[]
        };
        assert_eq!(names, expected);
    }

    #[test]
    fn places_share_their_names() {
        let folder = TempDir::new().unwrap();
        let path = write(
            &folder,
            "a.mmdb",
            &[("52.0.0.0/8", json!({"as_name": "Amazon.com, Inc."}))],
        );
        let databases = Databases::open(&[path], false).unwrap();
        let name_of = |address: [u8; 4]| databases.place_of(address.into()).organization.unwrap();
        assert!(Arc::ptr_eq(
            &name_of([52, 0, 0, 1]),
            &name_of([52, 0, 0, 2])
        ));
    }

    #[test]
    fn without_databases_nothing_is_known() {
        let databases = Databases::open(&[], false).unwrap();
        assert_eq!(databases.place_of([8, 8, 8, 8].into()), Place::default());
        assert!(databases.descriptions().is_empty());
    }
}
