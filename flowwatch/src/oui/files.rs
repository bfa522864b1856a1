//! The registry that the system keeps: the IEEE's files, as Debian's `ieee-data` installs and
//! updates them.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;

use super::error::OuiError;
use super::pack::pack;
use super::registry::VendorRegistry;
use super::rows;

/// Where the files may be; the last of the fresh ones is used.
pub(super) const FOLDERS: [&str; 2] = ["/usr/share/ieee-data", "/var/lib/ieee-data"];
/// The files: large, medium and small blocks, the individual ones of old, and company identifiers,
/// which Debian leaves out. The first must be there, and tells the date of all.
const NAMES: [&str; 5] = ["oui.csv", "mam.csv", "oui36.csv", "iab.csv", "cid.csv"];
/// The largest file that is read. The IEEE's largest has 4 MB.
const MAX_OCTETS: u64 = 32 << 20;

/// Reads the registry in a folder, if it is there and fresher than what there is.
///
/// # Errors
/// [`OuiError`] for a registry that is fresher and can't be used.
pub(super) fn read_newer(
    folder: &Path,
    newer_than: Option<Timestamp>,
) -> Result<Option<VendorRegistry>, OuiError> {
    let Some(date) = date_of(folder) else {
        return Ok(None);
    };
    if newer_than.is_some_and(|known| date <= known) {
        return Ok(None);
    }
    let mut all = Vec::new();
    for name in NAMES {
        let path = folder.join(name);
        let read = File::open(&path).map_err(csv::Error::from);
        match read.and_then(|file| rows::read(file.take(MAX_OCTETS))) {
            Ok(read) => all.extend(read),
            Err(error) if is_missing(&error) && name != NAMES[0] => {}
            Err(source) => return Err(OuiError::File { path, source }),
        }
    }
    let packed = pack(&all, date.as_second()).map_err(|names| OuiError::TooManyNames {
        path: folder.to_owned(),
        names,
    })?;
    Ok(VendorRegistry::from_packed(
        packed,
        &folder.display().to_string(),
    ))
}

fn date_of(folder: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(folder.join(NAMES[0])).ok()?.modified().ok()?;
    Timestamp::try_from(modified).ok()
}

fn is_missing(error: &csv::Error) -> bool {
    matches!(error.kind(), csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Registry,Assignment,Organization Name,Organization Address\n";

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, rows) in files {
            fs::write(folder.path().join(name), format!("{HEADER}{rows}")).unwrap();
        }
        folder
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_fresher_registry_is_read_with_the_files_that_are_there() {
        let folder = folder_with(&[
            ("oui.csv", "MA-L,2CAA8E,Fresh Labs,\n"),
            ("mam.csv", "MA-M,2CAA8E1,Smaller,\n"),
        ]);
        let known = Some(at("2020-01-01T00:00:00Z"));
        let registry = read_newer(folder.path(), known).unwrap().unwrap();
        let vendor = |last| registry.vendor_of([0x2c, 0xaa, 0x8e, last, 0, 0]);
        assert_eq!(vendor(0x10), Some("Smaller"));
        assert_eq!(vendor(0x20), Some("Fresh Labs"));
        assert_eq!(registry.source(), folder.path().display().to_string());
    }

    #[test]
    fn an_older_registry_and_none_are_left_alone() {
        let folder = folder_with(&[("oui.csv", "nonsense\n")]);
        let ahead = Some(at("2200-01-01T00:00:00Z"));
        assert!(read_newer(folder.path(), ahead).unwrap().is_none());
        let none = folder_with(&[]);
        assert!(read_newer(none.path(), None).unwrap().is_none());
    }

    #[test]
    fn a_fresher_registry_that_cannot_be_read_is_named() {
        let good = "MA-L,2CAA8E,Fresh Labs,\n";
        for files in [
            &[("oui.csv", "MA-L,2CAA8,x,\n")][..],
            &[("oui.csv", good), ("iab.csv", "\0\0\0\n")],
        ] {
            let folder = folder_with(files);
            let error = read_newer(folder.path(), None).unwrap_err().to_string();
            let file = files.last().unwrap().0;
            assert!(error.contains(file) && error.contains("row 1"), "{error}");
        }
    }
}
